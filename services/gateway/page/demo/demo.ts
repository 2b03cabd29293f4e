/** The demo: whoever opens it chooses a made-up customer. */

import type { SwitchboardChat } from "../src/switchboard-chat";
import { h } from "../src/dom";
import { shown } from "../src/visible";

interface Customer {
  user_id: string;
  name: string;
  token: string;
}

const CHOSEN = "switchboard-demo-customer";

async function begin(): Promise<void> {
  const chat = document.querySelector<SwitchboardChat>("switchboard-chat");
  const list = document.querySelector("#customers");
  if (!chat || !list) return;
  const customers = await choices();
  if (!customers.length) {
    list.append("There are no demo customers here. Embed the chat in a page that knows who is signed in.");
    chat.hidden = true;
  }
  chat.suggestions = [
    "My API calls are failing, what's wrong with my account?",
    "Is there an outage affecting the payment service?",
    "I need to report a bug with the dashboard, please create a ticket",
  ];
  const choose = (customer: Customer): void => {
    sessionStorage.setItem(CHOSEN, customer.user_id);
    chat.token = () => customer.token;
  };
  const before = sessionStorage.getItem(CHOSEN);
  const chosen = customers.find((each) => each.user_id === before) ?? customers[0];
  for (const customer of customers) {
    const input = h("input", { type: "radio", name: "customer", checked: customer === chosen, onchange: () => choose(customer) });
    list.append(h("label", {}, input, h("span", {}, h("b", {}, ...shown(customer.name)), h("small", {}, ...shown(customer.user_id)))));
  }
  if (chosen) choose(chosen);
}

/** Again until the gateway answers; none where real customers come in. */
async function choices(): Promise<Customer[]> {
  for (;;) {
    const reply = await fetch("/api/v1/demo/customers").catch(() => null);
    if (reply?.ok) return ((await reply.json()) as { customers: Customer[] }).customers;
    if (reply?.status === 404) return [];
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

void begin();
