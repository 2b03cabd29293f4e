/** What the customer has written goes out in order, each once: the same `input_id` until it is taken. */

import { type Api, Problem } from "./api";
import type { Kept, Unsent } from "./kept";
import { random } from "./kept";
import { backoff, type Frame, pause } from "./stream";

export interface Outside {
  /** A conversation was opened. */
  opened(): void;
  changed(): void;
  reached(): void;
  /** Not now: nobody answers, or nobody is signed in. */
  lost(problem: unknown): void;
  /** Whether the log has shown the message at this place of the transcript. */
  told(position: number): boolean;
}

export class Outbox {
  /** Those that were taken, until the log has shown them, by their place in the transcript. */
  private readonly taken = new Map<number, Unsent>();
  /** Messages of the log that are, most likely, those that are on their way. */
  private readonly seen = new Set<string>();
  private onItsWay = "";
  private flushing = false;

  constructor(
    private readonly api: Api,
    private readonly kept: Kept,
    private readonly signal: AbortSignal,
    private readonly outside: Outside,
  ) {}

  add(text: string): void {
    this.kept.keep({ id: random(), text, at: Date.now(), refused: "" });
    this.flush();
  }

  again(entry: Unsent): void {
    this.kept.drop(entry.id);
    this.kept.keep({ ...entry, id: random(), refused: "" });
    this.flush();
  }

  drop(entry: Unsent): void {
    this.kept.drop(entry.id);
    this.outside.changed();
  }

  /** Those that the log does not show yet. */
  shown(): Unsent[] {
    for (const position of this.taken.keys()) if (this.outside.told(position)) this.taken.delete(position);
    return [...this.taken.values(), ...this.kept.unsent().filter((entry) => !this.seen.has(entry.id))];
  }

  /** The log may tell of a message before its sender is answered. */
  saw(frame: Frame): void {
    const body = (frame.data["body"] ?? {}) as Record<string, unknown>;
    if (frame.kind !== "input" || !this.onItsWay || this.seen.has(this.onItsWay)) return;
    const entry = this.kept.unsent().find((each) => each.id === this.onItsWay);
    if (entry && entry.text === body["text"]) this.seen.add(entry.id);
  }

  flush(): void {
    this.outside.changed();
    if (this.flushing || !this.waiting()) return;
    this.flushing = true;
    void this.kept
      .alone(() => this.send())
      .finally(() => {
        this.flushing = false;
        this.outside.changed();
        if (this.waiting() && !this.signal.aborted) this.flush();
      });
  }

  private waiting(): Unsent | undefined {
    return this.kept.unsent().find((entry) => !entry.refused);
  }

  private async send(): Promise<void> {
    let tries = 0;
    for (let entry = this.waiting(); entry && !this.signal.aborted; entry = this.waiting()) {
      try {
        await this.one(entry);
        tries = 0;
        this.outside.reached();
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        if (error.passing) {
          this.outside.lost(error);
          await pause(Math.max(backoff(tries++), 1000 * error.retryAfter), this.signal);
        } else if (error.status === 404 && this.kept.conversation && tries++ < 3) this.kept.conversation = "";
        else this.kept.keep({ ...entry, refused: error.title });
      }
      this.outside.changed();
    }
  }

  private async one(entry: Unsent): Promise<void> {
    if (!this.kept.conversation) {
      const opened = await this.api.open(this.kept.opening());
      this.taken.clear();
      this.kept.conversation = opened.id;
      this.outside.opened();
    }
    this.onItsWay = entry.id;
    const body = { type: "message", text: entry.text, input_id: entry.id };
    const { position } = await this.api.input(this.kept.conversation, body).finally(() => (this.onItsWay = ""));
    this.taken.set(position, entry);
    this.kept.drop(entry.id);
    this.seen.delete(entry.id);
  }
}
