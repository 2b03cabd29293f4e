/** What outlives a reload and is shared by tabs, for one customer: the conversation, and what was not sent yet. */

export interface Unsent {
  id: string;
  text: string;
  /** Since when it waits; in this order they are sent. */
  at: number;
  /** The gateway's word against it; empty: it is to be sent. */
  refused: string;
}

export class Kept {
  private readonly memory = new Map<string, string>();

  /** `scope` names the gateway and the customer: nothing of another's is ever sent. */
  constructor(private readonly scope: string) {}

  get conversation(): string {
    return this.read("conversation") ?? "";
  }

  set conversation(id: string) {
    this.write("conversation", id);
    if (id) this.write("opening", "");
  }

  /** The key under which the next conversation is opened: the same until it is. */
  opening(): string {
    const key = this.read("opening") || random();
    this.write("opening", key);
    return key;
  }

  unsent(): Unsent[] {
    const found: Unsent[] = [];
    for (const name of this.names()) {
      const told = name.startsWith(`${this.scope}:out:`) ? this.get(name) : null;
      if (told) found.push(JSON.parse(told) as Unsent);
    }
    return found.sort((one, other) => one.at - other.at || (one.id < other.id ? -1 : 1));
  }

  keep(entry: Unsent): void {
    this.write(`out:${entry.id}`, JSON.stringify(entry));
  }

  drop(id: string): void {
    this.write(`out:${id}`, "");
  }

  /** Whether a change of the storage is one of ours. */
  concerns(name: string | null): boolean {
    return name === null || name.startsWith(`${this.scope}:`);
  }

  /** One tab at a time. */
  async alone(work: () => Promise<void>): Promise<void> {
    if (navigator.locks) await navigator.locks.request(this.scope, work);
    else await work();
  }

  private names(): string[] {
    try {
      return Object.keys(localStorage);
    } catch {
      return [...this.memory.keys()];
    }
  }

  private read(name: string): string | null {
    return this.get(`${this.scope}:${name}`);
  }

  private get(name: string): string | null {
    try {
      return localStorage.getItem(name);
    } catch {
      return this.memory.get(name) ?? null;
    }
  }

  private write(name: string, value: string): void {
    const whole = `${this.scope}:${name}`;
    try {
      if (value) localStorage.setItem(whole, value);
      else localStorage.removeItem(whole);
    } catch {
      if (value) this.memory.set(whole, value);
      else this.memory.delete(whole);
    }
  }
}

/** 128 random bits; `crypto.randomUUID` is not there on plain HTTP. */
export function random(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
