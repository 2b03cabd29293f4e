/** A conversation as its customer sees it, made of the lines of its log: each once, in order, whatever is cut. */

import type { Frame } from "./stream";

export type StepState = "running" | "ok" | "error" | "denied" | "unknown";

export interface Step {
  call: string;
  tool: string;
  state: StepState;
}

export type Item = { key: string; revision: number } & (
  | { kind: "message"; text: string; at: string }
  | { kind: "agent"; run: string; text: string; at: string; writing: boolean }
  | { kind: "person"; text: string; at: string }
  | { kind: "steps"; run: string; steps: Step[] }
  | { kind: "ticket"; id: string }
  | { kind: "approval"; state: string; what: string }
  | { kind: "note"; says: NoteKind; text: string }
);

export type NoteKind = "stopped" | "unfinished" | "personAsked" | "personHere" | "agentBack" | "older" | "told";
export type Speaker = "agent" | "waiting" | "person";

type Body = Record<string, unknown>;
type Kind = Item["kind"];
type New = { [K in Kind]: Omit<Extract<Item, { kind: K }>, "revision"> }[Kind];

/** A line of the transcript, as the API gives it. */
export interface Entry {
  position: number;
  kind: string;
  run: string;
  at: string;
  body: Body;
}

const FAILED = new Set(["model_unavailable", "model_misconfigured", "tools_unavailable", "failed"]);

export class Log {
  items: Item[] = [];
  /** The run that is at work, and whether a message waits for one. */
  run = "";
  waiting = false;
  speaker: Speaker = "agent";

  get busy(): boolean {
    return this.speaker === "agent" && (this.run !== "" || this.waiting);
  }

  get writing(): Extract<Item, { kind: "agent" }> | undefined {
    return this.items.find((item) => item.kind === "agent" && item.writing) as Extract<Item, { kind: "agent" }> | undefined;
  }

  has(key: string): boolean {
    return this.items.some((item) => item.key === key);
  }

  /** What was said before the log that is still kept. */
  seed(entries: readonly Entry[]): void {
    for (const { kind, position, run, at, body } of entries) {
      if (kind === "message") this.put({ key: `message:${position}`, kind, text: text(body["text"]), at });
      else if (kind === "answer") this.answer(run, body, at);
      else if (kind === "person") this.put({ key: `person:${at}`, kind, text: text(body["text"]), at });
      else if (kind === "effect" && body["ticket_id"]) this.ticket(text(body["ticket_id"]));
      else if (kind === "note") this.note(`note:${at}`, "told", text(body["text"]));
      else if (kind === "owner") this.owner({ waiting: true, ...body }, at);
    }
  }

  take(frame: Frame): void {
    const data = frame.data;
    const run = text(data["run"]);
    const at = text(data["at"]);
    const body = (data["body"] ?? {}) as Body;
    if (frame.kind.startsWith("approval_")) return this.approval(run, body);
    switch (frame.kind) {
      case "text":
        return this.text(run, data);
      case "input":
        return this.input(run, body, at);
      case "run_started":
        this.run = run;
        this.waiting = false;
        return;
      case "turn":
        return this.turn(run, body, at);
      case "tool_started":
        return this.step(run, { call: `${run}/${text(body["call"])}`, tool: text(body["tool"]), state: "running" });
      case "tool_finished":
        this.stepEnds(`${run}/${text(body["call"])}`, text(body["status"]) as StepState);
        if (body["ticket_id"]) this.ticket(text(body["ticket_id"]));
        return;
      case "answer":
        return this.answer(run, body, at);
      case "person":
        return this.put({ key: `person:${at}`, kind: "person", text: text(body["text"]), at });
      case "note":
        return this.note(`note:${at}`, "told", text(body["text"]));
      case "owner":
        return this.owner(body, at);
      case "ticket":
        return this.ticket(text(body["ticket_id"]));
      case "run_stopped":
        this.takeBack(run);
        this.ended(run);
        return this.note(`stopped:${run}`, "stopped");
      case "run_ended":
        return this.runEnded(run, body);
      case "gap":
        return this.note(`older:${data["before"]}`, "older");
    }
  }

  private input(run: string, body: Body, at: string): void {
    if (body["type"] === "stop") return;
    this.put({ key: `message:${body["position"]}`, kind: "message", text: text(body["text"]), at });
    if (this.speaker === "agent" && !this.run && run) this.waiting = true;
  }

  private text(run: string, data: Body): void {
    const before = this.writing;
    const had = before?.run === run ? before.text : "";
    const now = Array.from(had).slice(0, Number(data["keep"])).join("") + text(data["text"]);
    if (!now) this.takeBack(run);
    else if (before?.run === run) {
      before.text = now;
      before.revision++;
    } else {
      this.takeBack("");
      this.put({ key: `writing:${run}:${data["turn"]}`, kind: "agent", run, text: now, at: "", writing: true });
    }
  }

  /** What was being written is over; what the turn says beside its calls stays. */
  private turn(run: string, body: Body, at: string): void {
    if (body["last"]) return;
    const said = text(body["text"]);
    if (said.trim()) this.write(`turn:${run}:${body["turn"]}`, run, said, at);
    else this.takeBack(run);
  }

  /** A run that hands over says its last words beside the call: they are its answer. */
  private answer(run: string, body: Body, at: string): void {
    const said = text(body["text"]);
    const same = this.items.findLast((item) => item.kind === "agent" && item.run === run && !item.writing);
    if (same?.kind === "agent" && same.text === said && !this.has(`answer:${run}`)) same.key = `answer:${run}`;
    else this.write(`answer:${run}`, run, said, at);
    this.closeSteps(run);
    for (const id of Array.isArray(body["tickets"]) ? body["tickets"] : []) this.ticket(text(id));
  }

  /** In the place where it was being written, if it was. */
  private write(key: string, run: string, said: string, at: string): void {
    const writing = this.writing;
    if (this.has(key)) return;
    if (writing?.run !== run) return this.put({ key, kind: "agent", run, text: said, at, writing: false });
    Object.assign(writing, { key, text: said, at, writing: false });
    writing.revision++;
  }

  private takeBack(run: string): void {
    this.items = this.items.filter((item) => !(item.kind === "agent" && item.writing && (!run || item.run === run)));
  }

  private step(run: string, step: Step): void {
    const all = this.steps().flatMap((item) => item.steps);
    if (all.some((each) => each.call === step.call)) return;
    const last = this.items.at(-1);
    if (last?.kind === "steps" && last.run === run) {
      last.steps.push(step);
      last.revision++;
    } else this.put({ key: `steps:${step.call}`, kind: "steps", run, steps: [step] });
  }

  private stepEnds(call: string, state: StepState): void {
    for (const item of this.steps()) {
      const step = item.steps.find((each) => each.call === call);
      if (step) {
        step.state = ["ok", "error", "denied"].includes(state) ? state : "unknown";
        item.revision++;
      }
    }
  }

  private closeSteps(run: string): void {
    for (const item of this.steps()) {
      for (const step of item.steps) {
        if (item.run !== run || step.state !== "running") continue;
        step.state = "unknown";
        item.revision++;
      }
    }
  }

  private steps(): Extract<Item, { kind: "steps" }>[] {
    return this.items.filter((item): item is Extract<Item, { kind: "steps" }> => item.kind === "steps");
  }

  private runEnded(run: string, body: Body): void {
    this.takeBack(run);
    this.closeSteps(run);
    this.ended(run);
    if (FAILED.has(text(body["outcome"])) && !this.has(`answer:${run}`)) this.note(`ended:${run}`, "unfinished");
  }

  private ended(run: string): void {
    if (this.run === run) this.run = "";
    this.waiting = false;
  }

  private owner(body: Body, at: string): void {
    const before = this.speaker;
    this.speaker = body["speaker"] !== "person" ? "agent" : body["waiting"] ? "waiting" : "person";
    if (this.speaker === before) return;
    this.run = "";
    this.waiting = false;
    const says = { agent: "agentBack", waiting: "personAsked", person: "personHere" } as const;
    this.note(`owner:${at}`, says[this.speaker]);
  }

  private ticket(id: string): void {
    if (id) this.put({ key: `ticket:${id}`, kind: "ticket", id });
  }

  /** `approval_asked`, `approval_decided`: of one call, with its `status`. */
  private approval(run: string, body: Body): void {
    const [call, what, state] = [text(body["call"]), text(body["tool"]), text(body["status"])];
    const key = `approval:${run}/${call}`;
    const known = this.items.find((item) => item.key === key);
    if (known?.kind === "approval") {
      known.state = state;
      known.revision++;
    } else if (call) this.put({ key, kind: "approval", state, what });
  }

  private note(key: string, says: NoteKind, told = ""): void {
    this.put({ key, kind: "note", says, text: told });
  }

  /** Once, whoever tells it. */
  private put(item: New): void {
    if (!this.has(item.key)) this.items.push({ ...item, revision: 0 } as Item);
  }
}

function text(value: unknown): string {
  return typeof value === "string" ? value : typeof value === "number" ? String(value) : "";
}
