// A tool written in another language: any Restate handler with `mcp.type: tool` in its metadata is one.
// Node 24 runs this file as it is: `PORT=9100 CALL_KEYS="$(openssl pkey -in .data/call_key.pem -pubout)" node tool.ts`.
import { createPublicKey, verify } from "node:crypto";
import http2 from "node:http2";
import * as restate from "@restatedev/restate-sdk";

type Refund = { monthly_price: number; days_used: number; user_id: string };

const refund = new restate.serde.JsonSerde<Refund>({
  type: "object",
  properties: {
    monthly_price: { type: "number", minimum: 0, description: "Price of the plan for one month, in dollars" },
    days_used: { type: "integer", minimum: 0, maximum: 30, description: "Days of the month that have passed" },
    user_id: { type: "string" },
  },
  required: ["monthly_price", "days_used", "user_id"],
});

const callKey = createPublicKey(process.env.CALL_KEYS ?? "");

// Of whom the router's token for this one call says that it is made for them.
function callerOf(ctx: restate.Context): string {
  const [header, body, signature] = (ctx.request().headers.get("x-switchboard-token") ?? "").split(".");
  const signed = Buffer.from(`${header}.${body}`);
  if (!signature || !verify(null, signed, callKey, Buffer.from(signature, "base64url"))) throw unsigned();
  const claims = JSON.parse(Buffer.from(body, "base64url").toString());
  if (claims.aud !== "Refunds" || claims.exp < Date.now() / 1000) throw unsigned();
  return claims.sub;
}

const unsigned = () => new restate.TerminalError("the call is not signed by the router", { errorCode: 401 });

const refunds = restate.service({
  name: "Refunds",
  handlers: {
    estimate: restate.handlers.handler(
      {
        description: "Estimate what a customer gets back who ends the plan today.",
        input: refund,
        ingressPrivate: true,
        metadata: {
          "mcp.type": "tool",
          "tool.name": "estimate_refund",
          "tool.bind": "user_id=caller.user_id",
          "tool.readonly": "true",
        },
      },
      async (ctx: restate.Context, { monthly_price, days_used }: Refund) => ({
        user_id: callerOf(ctx),
        refund: Math.round(monthly_price * (30 - days_used) * (100 / 30)) / 100,
      }),
    ),
  },
});

http2.createServer(restate.createEndpointHandler({ services: [refunds] })).listen(Number(process.env.PORT), "127.0.0.1");
