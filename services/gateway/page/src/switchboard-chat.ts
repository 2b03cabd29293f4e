/**
 * `<switchboard-chat>`: the chat of one customer with the agent, and with the people behind it.
 *
 * It draws what the conversation's log says (`log.ts`), and sends what is written in order, each once (`outbox.ts`).
 * Attributes: `api` (where the gateway is), `link-hosts`, `heading`. Properties: `token`, `words`, `steps`, `suggestions`.
 */

import { Announcer } from "./announcer";
import { Api, Problem, type Token } from "./api";
import { h, icon, put } from "./dom";
import { Kept, random, type Unsent } from "./kept";
import { type Entry, Log } from "./log";
import { Outbox } from "./outbox";
import { backoff, type Frame, follow, pause } from "./stream";
import style from "./style.css";
import { View } from "./view";
import { shown } from "./visible";
import { WORDS, type Words } from "./words";

const MOST_CHARACTERS = 8000;
const MOST_PAGES = 100;
const NO_LOG_MS = 1500;
const NEAR_END = 80;

const LOST_MS = 1500;

type Link = "connecting" | "up" | "down" | "signed-out";
type StepWords = Record<string, readonly [string, string]>;

interface Given {
  token?: Token;
  words?: Partial<Words>;
  steps?: StepWords;
  suggestions?: readonly string[];
}

export class SwitchboardChat extends HTMLElement {
  static readonly observedAttributes = ["api", "link-hosts", "heading"];

  private given: Given = {};

  private readonly root = this.attachShadow({ mode: "open" });
  private life = new AbortController();
  private stream = new AbortController();
  private log = new Log();
  private link: Link = "connecting";
  private losing: ReturnType<typeof setTimeout> | undefined;
  private api = new Api("", () => null);
  private kept: Kept | undefined;
  private outbox: Outbox | undefined;
  private stopping = "";
  private drawing = false;
  private atEnd = true;

  private readonly list = h("div", { class: "list" });
  private readonly unsent = h("div", { class: "unsent" });
  private readonly welcome = h("div", { class: "welcome" });
  private readonly working = h("div", { class: "working", hidden: true, "aria-hidden": "true" });
  private readonly inner = h("div", { class: "inner" }, this.welcome, this.list, this.unsent, this.working);
  private readonly area = h("div", { class: "log", role: "log", "aria-live": "off", tabindex: 0 }, this.inner);
  private readonly heading = h("h2");
  private readonly presence = h("p", { class: "presence" });
  private readonly banner = h("div", { class: "banner", role: "alert", hidden: true });
  private readonly input = h("textarea", { rows: 1, autocomplete: "off", enterkeyhint: "send", "aria-describedby": "hint" });
  private readonly sendButton = h("button", { class: "send", type: "submit" }, icon("send"));
  private readonly stopButton = h("button", { class: "halt", type: "button", hidden: true }, icon("stop"));
  private readonly latest = h("button", { class: "latest", type: "button", hidden: true });
  private readonly hint = h("p", { class: "hint", id: "hint" });
  private readonly menu = h("div", { id: "menu", hidden: true });
  private readonly menuButton = h("button", { type: "button", "aria-expanded": "false", "aria-controls": "menu" }, icon("more"));
  private readonly dialog = h("dialog", { "aria-labelledby": "ask", "aria-describedby": "say" });
  private readonly region = h("div", { class: "hidden", role: "status" });
  private readonly view = new View(this.list);
  private readonly announcer = new Announcer(this.region);

  constructor() {
    super();
    // What the site has set before this class was there hides what is set from now on.
    for (const name of ["token", "words", "steps", "suggestions"] as const) {
      if (!Object.hasOwn(this, name)) continue;
      Object.assign(this.given, { [name]: this[name] });
      Reflect.deleteProperty(this, name);
    }
  }

  /** Gives a bearer token that is good now; asked again with `renew` when one was refused. Nothing begins before it. */
  get token(): Token | undefined {
    return this.given.token;
  }

  set token(token: Token) {
    this.given.token = token;
    if (this.isConnected) this.restart();
  }

  /** Other words for what the page says by itself, as far as wanted. */
  get words(): Partial<Words> {
    return this.given.words ?? {};
  }

  set words(words: Partial<Words>) {
    this.given.words = words;
    this.label();
    this.drawAnew();
  }

  /** Words for tools: while it happens, and when it is done. */
  get steps(): StepWords {
    return this.given.steps ?? {};
  }

  set steps(steps: StepWords) {
    this.given.steps = steps;
    this.drawAnew();
  }

  /** Questions to begin with. */
  get suggestions(): readonly string[] {
    return this.given.suggestions ?? [];
  }

  set suggestions(suggestions: readonly string[]) {
    this.given.suggestions = suggestions;
    this.label();
  }

  connectedCallback(): void {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(style);
    this.root.adoptedStyleSheets = [sheet];
    if (!this.root.firstChild) this.build();
    this.label();
    this.life = new AbortController();
    const { signal } = this.life;
    window.addEventListener("online", () => this.outbox?.flush(), { signal });
    window.addEventListener("offline", () => this.draw(), { signal });
    window.addEventListener("storage", (event) => this.changedElsewhere(event), { signal });
    document.addEventListener("pointerdown", (event) => this.closeMenu(event), { signal });
    if (this.token) void this.start(this.token, signal);
  }

  disconnectedCallback(): void {
    this.life.abort();
    this.stream.abort();
    clearTimeout(this.losing);
    this.losing = undefined;
  }

  attributeChangedCallback(name: string, before: string | null, now: string | null): void {
    if (before === now || !this.isConnected) return;
    if (name === "api") this.restart();
    else if (name === "heading") this.label();
    else this.drawAnew();
  }

  /** Begin anew: the customer, or what the site gave, is another. */
  restart(): void {
    this.disconnectedCallback();
    this.forget();
    this.kept = this.outbox = undefined;
    this.input.value = "";
    if (this.isConnected) this.connectedCallback();
  }

  /** Send a message, as if the customer had written it. */
  say(text: string): void {
    if (!text.trim() || !this.outbox) return;
    this.outbox.add(text);
    this.atEnd = true;
    this.draw();
  }

  private get text(): Words {
    return { ...WORDS, ...this.words };
  }

  // -- what it talks with ------------------------------------------------------------------------------------------

  private async start(token: Token, signal: AbortSignal): Promise<void> {
    const base = new URL(this.getAttribute("api") ?? "/api/v1", document.baseURI).href;
    this.api = new Api(base.replace(/\/$/, ""), token);
    const customer = await this.customer(signal);
    if (signal.aborted) return;
    this.kept = new Kept(`switchboard:${this.api.base}:${customer}`);
    this.outbox = new Outbox(this.api, this.kept, signal, {
      opened: () => {
        this.forget();
        this.watch();
      },
      reached: () => this.setLink("up"),
      changed: () => this.draw(),
      lost: (problem) => this.lose(problem),
      told: (position) => this.log.has(`message:${position}`),
    });
    this.setLink("up");
    this.draw();
    if (this.kept.conversation) this.watch();
    this.outbox.flush();
  }

  /** Who is signed in, as the gateway has it: what is kept here is theirs alone. */
  private async customer(signal: AbortSignal): Promise<string> {
    for (let tries = 0; !signal.aborted; tries++) {
      try {
        const me = await this.api.me();
        return `${me["tenant"] ?? ""}/${me["user_id"] ?? me["id"] ?? ""}`;
      } catch (error) {
        if (!signal.aborted) this.lose(error);
        await pause(backoff(tries), signal);
      }
    }
    return "";
  }

  private lose(error: unknown): void {
    const status = error instanceof Problem ? error.status : 0;
    if (status === 401 || status === 403) this.setLink("signed-out");
    else this.setLinkLost();
  }

  /** A cut that is mended at once is nobody's concern. */
  private setLinkLost(): void {
    if (this.link === "up" || this.link === "connecting") this.losing ??= setTimeout(() => this.setLink("down"), LOST_MS);
  }

  private setLink(now: Link): void {
    clearTimeout(this.losing);
    this.losing = undefined;
    if (now === this.link) return;
    this.link = now;
    if (now === "signed-out") this.dispatchEvent(new CustomEvent("switchboard-signed-out", { bubbles: true, composed: true }));
    this.draw();
  }

  private watch(): void {
    const conversation = this.kept?.conversation;
    this.stream.abort();
    if (!conversation) return;
    this.stream = new AbortController();
    const { signal } = this.stream;
    const { take, stands } = this.fromItsBeginning(conversation, signal);
    const follower = {
      open: (last: string, cut: AbortSignal) => this.api.events(conversation, last, cut),
      take,
      stands: (is: boolean) => {
        if (is) stands();
        if (is) this.setLink("up");
        else this.setLinkLost();
      },
      refused: (status: number) => (status === 404 ? this.gone(conversation) : this.setLink("signed-out")),
    };
    void follow(follower, signal);
  }

  /** Takes frames; where the log does not begin at its beginning, what was said before is read first. */
  private fromItsBeginning(conversation: string, signal: AbortSignal): { take(frame: Frame): void; stands(): void } {
    let early: Frame[] | null = [];
    let begun = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const begin = async (withPast: boolean): Promise<void> => {
      clearTimeout(timer);
      if (begun) return;
      begun = true;
      const past = withPast ? await this.past(conversation, signal) : [];
      if (signal.aborted) return;
      const first = early?.find((frame) => frame.data["position"] !== undefined)?.data["at"];
      this.log.seed(first ? past.filter((entry) => entry.at < String(first)) : past);
      for (const frame of early ?? []) if (frame.kind !== "gap") this.take(frame);
      early = null;
      this.draw();
    };
    const take = (frame: Frame): void => {
      if (signal.aborted) return;
      if (!early) return this.take(frame);
      early.push(frame);
      const position = frame.data["position"];
      if (position === 1) void begin(false);
      else if (position !== undefined || frame.kind === "gap") void begin(true);
    };
    return { take, stands: () => (timer ??= setTimeout(() => void begin(true), NO_LOG_MS)) };
  }

  private async past(conversation: string, signal: AbortSignal): Promise<Entry[]> {
    const found: Entry[] = [];
    let after = "";
    for (let pages = 0, tries = 0; pages < MOST_PAGES && !signal.aborted; ) {
      try {
        const page = await this.api.page(conversation, after);
        const entries = (page["messages"] ?? []) as Entry[];
        found.push(...entries.map((entry) => ({ ...entry, at: entry.at.replace(/Z$/, "+00:00") })));
        if (!page["next"]) break;
        after = String(page["next"]);
        pages++;
      } catch (error) {
        if (error instanceof Problem && !error.passing) break;
        await pause(backoff(tries++), signal);
      }
    }
    return found;
  }

  private take(frame: Frame): void {
    const before = this.log.writing;
    const speaker = this.log.speaker;
    this.log.take(frame);
    this.outbox?.saw(frame);
    this.announce(frame, before !== undefined);
    if (speaker !== this.log.speaker || !this.log.busy) this.stopping = "";
    this.draw();
  }

  private announce(frame: Frame, wasWriting: boolean): void {
    const words = this.text;
    const body = (frame.data["body"] ?? {}) as Record<string, unknown>;
    const recent = Date.now() - new Date(String(frame.data["at"] ?? "")).getTime() < 30_000;
    if (frame.kind === "text") {
      if (wasWriting || this.log.writing) this.announcer.writes(this.log.writing?.text ?? "", words.startsWriting, words.takenBack);
      return;
    }
    if (!recent) return;
    if (frame.kind === "answer") this.announcer.ends(String(body["text"] ?? ""), words.endsWriting);
    else if (frame.kind === "turn" && !body["last"]) this.announcer.stops();
    else if (frame.kind === "run_stopped") {
      this.announcer.stops();
      this.announcer.say(words.stopped);
    } else if (frame.kind === "person") this.announcer.say(`${words.person}: ${body["text"]}`);
    else if (frame.kind === "owner" && body["speaker"] === "person") {
      this.announcer.say(body["waiting"] ? words.personAsked : words.personHere);
    } else if (frame.kind === "owner") this.announcer.say(words.agentBack);
    else if (frame.kind === "note") this.announcer.say(String(body["text"] ?? ""));
    else if (frame.kind === "ticket" || body["ticket_id"]) this.announcer.say(`${words.ticket}: ${body["ticket_id"]}`);
  }

  /** The conversation is no more: whatever is said next begins another. */
  private gone(conversation: string): void {
    if (this.kept?.conversation !== conversation) return;
    this.kept.conversation = "";
    this.forget();
    this.outbox?.flush();
  }

  private forget(): void {
    this.stream.abort();
    this.log = new Log();
    this.view.clear();
    this.announcer.stops();
    this.stopping = "";
    this.draw();
  }

  private changedElsewhere(event: StorageEvent): void {
    if (!this.kept?.concerns(event.key)) return;
    if (event.key === null || event.key.endsWith(":conversation")) {
      this.forget();
      this.watch();
    }
    this.draw();
  }

  // -- what the customer does --------------------------------------------------------------------------------------

  private submit(): void {
    const text = this.input.value.trim();
    if (Array.from(text).length > MOST_CHARACTERS || !text || !this.outbox) return;
    this.input.value = "";
    this.say(text);
    this.input.focus();
  }

  private async halt(): Promise<void> {
    const conversation = this.kept?.conversation;
    if (!conversation || this.stopping) return;
    const run = this.log.run;
    const body = { type: "stop", input_id: random(), ...(run ? { expected_run: run } : {}) };
    this.stopping = run || "waiting";
    this.draw();
    this.input.focus();
    for (let tries = 0; this.stopping && tries < 8; tries++) {
      try {
        await this.api.input(conversation, body);
        return;
      } catch (error) {
        if (!(error instanceof Problem && error.passing)) break;
        await pause(backoff(tries), this.life.signal);
      }
    }
    this.stopping = "";
    this.draw();
  }

  private async download(): Promise<void> {
    const conversation = this.kept?.conversation;
    if (!conversation) return;
    try {
      const address = URL.createObjectURL(await this.api.export(conversation));
      h("a", { href: address, download: `${conversation}.json` }).click();
      setTimeout(() => URL.revokeObjectURL(address), 60_000);
    } catch {
      this.announcer.say(this.text.downloadFailed);
      this.wrong(this.text.downloadFailed);
    }
  }

  private async erase(): Promise<void> {
    const conversation = this.kept?.conversation;
    this.dialog.close();
    if (!conversation || !this.kept) return;
    try {
      await this.api.remove(conversation);
    } catch (error) {
      if (!(error instanceof Problem && error.status === 404)) return this.wrong(this.text.removeFailed);
    }
    for (const entry of this.kept.unsent()) this.kept.drop(entry.id);
    this.kept.conversation = "";
    this.forget();
    this.announcer.say(this.text.removed);
    this.input.focus();
  }

  private wrong(says: string): void {
    this.hint.textContent = says;
    this.hint.classList.add("wrong");
    setTimeout(() => this.draw(), 6000);
  }

  // -- how it looks ------------------------------------------------------------------------------------------------

  private build(): void {
    const form = h("form", { onsubmit: (event) => (event.preventDefault(), this.submit()) }, this.input, this.stopButton, this.sendButton);
    this.input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.submit();
    });
    this.input.addEventListener("input", () => this.draw());
    this.stopButton.addEventListener("click", () => void this.halt());
    this.latest.addEventListener("click", () => {
      this.atEnd = true;
      this.draw();
      this.area.focus({ preventScroll: true });
    });
    this.area.addEventListener("scroll", () => {
      this.atEnd = this.area.scrollHeight - this.area.scrollTop - this.area.clientHeight < NEAR_END;
      this.latest.hidden = this.atEnd;
    });
    new ResizeObserver(() => this.keepAtEnd()).observe(this.area);
    this.buildMenu();
    const name = h("div", {}, this.heading, this.presence);
    const header = h("header", {}, h("span", { class: "avatar" }, icon("agent")), name, h("div", { class: "menu" }, this.menuButton, this.menu));
    const footer = h("footer", {}, this.latest, form, this.hint);
    put(this.root, h("section", { class: "chat" }, header, this.banner, this.area, footer, this.dialog, this.region));
  }

  private buildMenu(): void {
    this.menuButton.addEventListener("click", () => this.openMenu(Boolean(this.menu.hidden)));
    this.menu.addEventListener("click", () => this.openMenu(false));
    this.root.addEventListener("focusin", (event) => this.closeMenu(event));
    this.root.addEventListener("keydown", (event) => {
      if ((event as KeyboardEvent).key !== "Escape" || this.menu.hidden) return;
      this.openMenu(false);
      this.menuButton.focus();
    });
  }

  private openMenu(is: boolean): void {
    this.menu.hidden = !is;
    this.menuButton.setAttribute("aria-expanded", String(is));
  }

  /** What happens outside of the menu closes it. */
  private closeMenu(event: Event): void {
    const inside = this.menuButton.parentElement && event.composedPath().includes(this.menuButton.parentElement);
    if (!this.menu.hidden && !inside) this.openMenu(false);
  }

  /** What the page says by itself; again when the site gave other words. */
  private label(): void {
    const words = this.text;
    const heading = this.getAttribute("heading") ?? words.title;
    this.heading.replaceChildren(...shown(heading));
    this.root.querySelector(".chat")?.setAttribute("aria-label", heading);
    this.area.setAttribute("aria-label", words.conversation);
    this.input.setAttribute("aria-label", words.placeholder);
    this.input.placeholder = words.placeholder;
    for (const [button, says] of [[this.sendButton, words.send], [this.stopButton, words.stop], [this.menuButton, words.menu]] as const) {
      button.setAttribute("aria-label", says);
      button.title = says;
    }
    this.latest.replaceChildren(icon("down"), words.latest);
    const entry = (sign: "person" | "save" | "remove", says: string, act: () => void): HTMLElement =>
      h("button", { type: "button", class: sign === "remove" ? "danger" : "", onclick: () => act() }, icon(sign), says);
    this.menu.replaceChildren(
      entry("person", words.askPerson, () => (this.say(words.askPersonText), this.input.focus())),
      entry("save", words.download, () => void this.download()),
      entry("remove", words.remove, () => this.dialog.showModal()),
    );
    this.dialog.replaceChildren(
      h("h2", { id: "ask" }, words.removeAsk),
      h("p", { id: "say" }, words.removeSay),
      h(
        "div",
        {},
        h("button", { type: "button", autofocus: true, onclick: () => this.dialog.close() }, words.removeNo),
        h("button", { type: "button", class: "danger", onclick: () => void this.erase() }, words.removeYes),
      ),
    );
    const ask = (text: string): HTMLElement =>
      h("button", { type: "button", onclick: () => (this.say(text), this.input.focus()) }, h("bdi", {}, ...shown(text)));
    this.welcome.replaceChildren(
      h("span", { class: "avatar" }, icon("agent")),
      h("p", {}, words.welcome),
      h("p", {}, words.welcomeMore),
      this.suggestions.length ? h("div", { class: "suggestions" }, ...this.suggestions.map(ask)) : "",
    );
  }

  /** What was drawn in other words, or with other links, is drawn again. */
  private drawAnew(): void {
    this.view.clear();
    this.draw();
  }

  /** Soon, once for all that has changed. */
  private draw(): void {
    if (this.drawing || !this.root.firstChild) return;
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      this.drawNow();
    });
  }

  private drawNow(): void {
    const words = this.text;
    const unsent = this.outbox?.shown() ?? [];
    this.view.show(this.log.items, { words, steps: this.steps, hosts: (this.getAttribute("link-hosts") ?? "").split(/\s+/).filter(Boolean) });
    this.unsent.replaceChildren(...unsent.map((entry) => this.open(entry)));
    this.welcome.hidden = this.log.items.length > 0 || unsent.length > 0 || Boolean(this.kept?.conversation);
    this.drawState(words);
    this.drawComposer(words);
    this.keepAtEnd();
  }

  private drawState(words: Words): void {
    const off = this.link !== "up" || !navigator.onLine;
    const speaks = { agent: words.hereAgent, waiting: words.hereWaiting, person: words.herePerson }[this.log.speaker];
    this.presence.className = `presence ${off ? "off" : this.log.speaker}`;
    this.presence.textContent = off ? words.connecting : speaks;
    const says = this.link === "signed-out" ? words.signIn : !navigator.onLine ? words.offline : this.link === "down" ? words.away : "";
    if (this.banner.textContent !== says) this.banner.textContent = says;
    this.banner.hidden = !says;
    const busy = this.log.busy && !this.log.writing;
    const running = this.log.items.some((item) => item.kind === "steps" && item.steps.some((step) => step.state === "running"));
    this.working.hidden = !busy || running;
    const line = this.stopping ? words.stopping : words.working;
    if (busy && this.working.lastElementChild?.textContent !== line) {
      this.working.replaceChildren(h("span", { class: "dots" }, h("i"), h("i"), h("i")), h("span", {}, line));
    }
  }

  private drawComposer(words: Words): void {
    const length = Array.from(this.input.value).length;
    const tooLong = length > MOST_CHARACTERS;
    this.input.setAttribute("aria-invalid", String(tooLong));
    this.hint.classList.toggle("wrong", tooLong);
    this.hint.textContent = tooLong ? words.tooLong : words.hint;
    this.sendButton.disabled = tooLong || !this.input.value.trim() || !this.outbox;
    const focused = this.root.activeElement === this.stopButton;
    this.stopButton.hidden = !this.log.busy;
    this.stopButton.disabled = this.stopping !== "";
    if (focused && (this.stopButton.hidden || this.stopButton.disabled)) this.input.focus();
    if (!CSS.supports("field-sizing", "content")) this.input.rows = Math.min(6, this.input.value.split("\n").length);
    const none = !this.kept?.conversation;
    for (const button of [...this.menu.querySelectorAll("button")].slice(1)) button.disabled = none;
  }

  /** A message that is not in the log yet. */
  private open(entry: Unsent): HTMLElement {
    const words = this.text;
    const says = entry.refused ? words.refused + entry.refused : this.link === "up" && navigator.onLine ? words.sending : words.notSent;
    const buttons = entry.refused
      ? [
          h("button", { type: "button", onclick: () => this.outbox?.again(entry) }, words.again),
          h("button", { type: "button", onclick: () => this.outbox?.drop(entry) }, words.drop),
        ]
      : [];
    const status = h("div", { class: entry.refused ? "status refused" : "status" }, h("span", {}, ...shown(says)), ...buttons);
    const text = h("div", { class: "text plain", dir: "auto" }, ...shown(entry.text));
    return h("article", { class: "item message open", "aria-label": words.you }, h("div", { class: "said" }, text, status));
  }

  private keepAtEnd(): void {
    if (this.atEnd) this.area.scrollTop = this.area.scrollHeight;
    this.latest.hidden = this.atEnd;
  }
}

if (!customElements.get("switchboard-chat")) customElements.define("switchboard-chat", SwitchboardChat);
