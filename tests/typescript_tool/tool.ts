// A tool written in another language: any Restate handler with `mcp.type: tool` in its metadata is one.
// Node 24 runs this file as it is: `PORT=9100 node tool.ts`.
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
      async (_ctx: restate.Context, { monthly_price, days_used, user_id }: Refund) => ({
        user_id,
        refund: Math.round(monthly_price * (30 - days_used) * (100 / 30)) / 100,
      }),
    ),
  },
});

http2.createServer(restate.createEndpointHandler({ services: [refunds] })).listen(Number(process.env.PORT), "127.0.0.1");
