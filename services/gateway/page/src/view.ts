/** The items of a conversation as elements: each is made once and changed in place, so that nothing jumps. */

import { h, icon, put } from "./dom";
import type { Item, Step } from "./log";
import { blocks } from "./markdown";
import { shown } from "./visible";
import { stepWords, type Words } from "./words";

export interface Look {
  words: Words;
  steps: Record<string, readonly [string, string]>;
  hosts: readonly string[];
}

interface Drawn {
  element: HTMLElement;
  revision: number;
}

export class View {
  private readonly drawn = new Map<string, Drawn>();

  constructor(private readonly list: HTMLElement) {}

  show(items: readonly Item[], look: Look): void {
    const now = new Set(items.map((item) => item.key));
    let place = this.list.firstElementChild;
    this.rename(items);
    for (const [key, drawn] of this.drawn) {
      if (now.has(key)) continue;
      if (drawn.element === place) place = place.nextElementSibling;
      drawn.element.remove();
      this.drawn.delete(key);
    }
    for (const item of items) {
      const { element } = this.draw(item, look);
      if (element === place) place = place.nextElementSibling;
      else this.list.insertBefore(element, place);
    }
  }

  clear(): void {
    this.drawn.clear();
    this.list.replaceChildren();
  }

  /** A text that was being written and is now said keeps its element. */
  private rename(items: readonly Item[]): void {
    for (const item of items) {
      if (item.kind !== "agent" || item.writing || this.drawn.has(item.key)) continue;
      for (const [key, drawn] of this.drawn) {
        if (!/^(writing|turn):/.test(key) || key.split(":")[1] !== item.run || items.some((each) => each.key === key)) continue;
        this.drawn.delete(key);
        this.drawn.set(item.key, { ...drawn, revision: -1 });
      }
    }
  }

  private draw(item: Item, look: Look): Drawn {
    const drawn = this.drawn.get(item.key);
    if (drawn?.revision === item.revision) return drawn;
    const element = drawn?.element ?? h("article", { class: `item ${item.kind}` });
    fill(element, item, look);
    const now = { element, revision: item.revision };
    this.drawn.set(item.key, now);
    return now;
  }
}

function fill(element: HTMLElement, item: Item, look: Look): void {
  const { words } = look;
  switch (item.kind) {
    case "message":
      return said(element, words.you, item.at, () => plain(item.text));
    case "person":
      return said(element, words.person, item.at, () => plain(item.text), "person");
    case "agent":
      return agent(element, item, look);
    case "steps":
      return element.replaceChildren(h("ul", {}, ...item.steps.map((step) => stepLine(step, look))));
    case "ticket":
      return element.replaceChildren(card("ticket", words.ticket, h("code", {}, ...shown(item.id))));
    case "approval":
      return approval(element, item, look);
    case "note": {
      const text = item.says === "told" ? item.text : words[item.says];
      const sign = item.says === "personHere" || item.says === "personAsked" ? icon("person") : null;
      return element.replaceChildren(h("p", { dir: "auto" }, sign, h("span", {}, ...shown(text))));
    }
  }
}

function said(element: HTMLElement, who: string, at: string, text: () => HTMLElement, avatar?: "person"): void {
  element.setAttribute("aria-label", who);
  const name = h("span", { class: avatar ? "who" : "who hidden" }, ...shown(who));
  element.replaceChildren(avatar ? h("span", { class: "avatar" }, icon(avatar)) : "", h("div", { class: "said" }, name, text(), time(at) ?? ""));
}

/** Its blocks are compared by what they were made of: while a text grows, only its last one is made anew. */
function agent(element: HTMLElement, item: Extract<Item, { kind: "agent" }>, look: Look): void {
  if (!element.firstChild) {
    element.setAttribute("aria-label", look.words.agent);
    const who = h("span", { class: "who" }, ...shown(look.words.agent));
    put(element, h("span", { class: "avatar" }, icon("agent")), h("div", { class: "said" }, who, h("div", { class: "text" })));
  }
  element.classList.toggle("writing", item.writing);
  const text = element.querySelector<HTMLElement & { made?: string[] }>(".text");
  if (!text) return;
  const wanted = blocks(item.text, look.hosts);
  const made = text.made ?? [];
  const same = wanted.findIndex((block, index) => made[index] !== block.source);
  const from = same === -1 ? wanted.length : same;
  while (text.childElementCount > from) text.lastElementChild?.remove();
  put(text, ...wanted.slice(from).map((block) => block.node()));
  text.made = wanted.map((block) => block.source);
  if (!item.writing && item.at && !element.querySelector("time")) put(text.parentElement ?? element, time(item.at));
}

function plain(text: string): HTMLElement {
  return h("div", { class: "text plain", dir: "auto" }, ...shown(text));
}

function stepLine(step: Step, look: Look): HTMLElement {
  const [doing, done] = stepWords(step.tool, look.steps);
  const { stepUnknown, stepError, stepDenied } = look.words;
  const ends = { running: "", ok: "", error: stepError, denied: stepDenied, unknown: stepUnknown }[step.state];
  const sign = { running: null, ok: "done", error: "failed", denied: "failed", unknown: "later" } as const;
  const name = sign[step.state];
  const mark = name ? icon(name) : h("span", { class: "spin", "aria-hidden": "true" });
  const text = step.state === "ok" ? done : step.state === "running" ? `${doing} …` : `${doing}: ${ends}`;
  return h("li", { class: step.state }, mark, h("bdi", {}, ...shown(text)));
}

function approval(element: HTMLElement, item: Extract<Item, { kind: "approval" }>, look: Look): void {
  const { words } = look;
  const ends: Record<string, readonly [Sign, string]> = {
    approved: ["done", words.approvalYes],
    edited: ["done", words.approvalYes],
    denied: ["failed", words.approvalNo],
    expired: ["failed", words.approvalLate],
    withdrawn: ["failed", words.approvalGone],
  };
  const [sign, says] = (Object.hasOwn(ends, item.state) && ends[item.state]) || (["later", words.approvalOpen] as const);
  const what = item.what ? h("span", {}, ...shown(stepWords(item.what, look.steps)[0])) : null;
  element.replaceChildren(card(sign, says, what));
}

type Sign = "ticket" | "done" | "failed" | "later";

function card(sign: Sign, title: string, more: HTMLElement | null): HTMLElement {
  return h("div", { class: "card" }, icon(sign), h("div", {}, h("strong", {}, title), more));
}

export function time(at: string): HTMLElement | null {
  const date = new Date(at);
  if (!at || Number.isNaN(date.getTime())) return null;
  const today = date.toDateString() === new Date().toDateString();
  const day: Intl.DateTimeFormatOptions = today ? {} : { day: "numeric", month: "short" };
  const says = new Intl.DateTimeFormat(undefined, { ...day, hour: "2-digit", minute: "2-digit" }).format(date);
  return h("time", { datetime: at }, says);
}
