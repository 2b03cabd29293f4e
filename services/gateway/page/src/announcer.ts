/** Tells a screen reader that an answer begins, its sentences every few seconds, and that it is over. */

const EVERY_MS = 4000;
const SENTENCE = /[.!?:\n]["')\]]?(?=\s|$)/g;
const MARKS = /[*_`#>]+|\[([^\]]*)\]\([^)]*\)/g;

export class Announcer {
  private text = "";
  private said = 0;
  private queue: string[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly region: HTMLElement) {}

  /** The text as it is now, while it is written; an empty one begins or takes back. */
  writes(text: string, begins: string, takenBack: string): void {
    if (!this.text && text) this.say(begins);
    if (!text.startsWith(this.text.slice(0, this.said))) {
      this.say(takenBack);
      this.said = 0;
    }
    this.text = text;
    this.tick();
  }

  ends(text: string, end: string): void {
    const rest = text.startsWith(this.text.slice(0, this.said)) ? text.slice(this.said) : text;
    this.say(rest, end);
    this.stops();
  }

  stops(): void {
    this.text = "";
    this.said = 0;
  }

  say(...texts: string[]): void {
    this.queue.push(...texts.map((text) => text.replace(MARKS, "$1").trim()).filter(Boolean));
    this.tick();
  }

  private tick(): void {
    if (this.timer !== undefined) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      if (this.tell()) this.tick();
    }, this.region.textContent ? EVERY_MS : 50);
  }

  /** Whether something was told, or is still to be cleared. */
  private tell(): boolean {
    let end = 0;
    for (const found of this.text.slice(this.said).matchAll(SENTENCE)) end = found.index + found[0].length;
    const whole = this.text.slice(this.said, this.said + end).replace(MARKS, "$1").trim();
    this.said += end;
    const told = [...this.queue, whole].filter(Boolean).join(" ");
    const had = this.region.textContent !== "";
    this.queue = [];
    this.region.textContent = told;
    return told !== "" || had;
  }
}
