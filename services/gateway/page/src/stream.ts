/** Server-sent events by `fetch`, which can carry a bearer; goes on behind the last frame after any cut. */

export interface Frame {
  id: string;
  kind: string;
  data: Record<string, unknown>;
}

export interface Follower {
  open(last: string, signal: AbortSignal): Promise<Response>;
  take(frame: Frame): void;
  /** `true` once the stream stands, `false` when it was lost. */
  stands(is: boolean): void;
  /** Not to be had: signed out (401), gone (404). */
  refused(status: number): void;
}

/** After so much silence, heartbeats among it, the connection is taken for broken. */
const SILENT_MS = 40_000;
const FIRST_MS = 500;
const MOST_MS = 15_000;

/** Follow until `signal`; `last` is the id of the frame to go on behind. */
export async function follow(follower: Follower, signal: AbortSignal, last = ""): Promise<void> {
  let tries = 0;
  while (!signal.aborted) {
    let wait = 0;
    const cut = new AbortController();
    const end = (): void => cut.abort();
    signal.addEventListener("abort", end);
    try {
      const silent = alarm(end);
      silent.reset();
      const reply = await follower.open(last, cut.signal);
      if (reply.status === 404 || reply.status === 410) return follower.refused(reply.status);
      if (reply.status === 401 || reply.status === 403) follower.refused(reply.status);
      else if (reply.ok && reply.body) {
        follower.stands(true);
        for await (const each of read(reply.body, silent.reset)) {
          tries = 0;
          if ("retry" in each) wait = each.retry;
          else {
            last = each.id || last;
            if (each.kind === "end" && each.data["reason"] === "gone") return follower.refused(404);
            follower.take(each);
          }
        }
      } else wait = 1000 * Number(reply.headers.get("Retry-After") ?? 0);
      silent.stop();
    } catch {
      // Cut: it comes again below.
    } finally {
      signal.removeEventListener("abort", end);
      cut.abort();
    }
    if (signal.aborted) return;
    follower.stands(false);
    await pause(Math.max(wait, backoff(tries++)), signal);
  }
}

/** Longer each time, and never for all at the same moment. */
export function backoff(tries: number): number {
  return Math.min(FIRST_MS * 2 ** tries, MOST_MS) * (0.5 + Math.random() / 2);
}

/** Over sooner when the browser is online again. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      window.removeEventListener("online", done);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    window.addEventListener("online", done);
    signal?.addEventListener("abort", done);
  });
}

function alarm(rings: () => void): { reset(): void; stop(): void } {
  let timer: ReturnType<typeof setTimeout>;
  return {
    reset: () => {
      clearTimeout(timer);
      timer = setTimeout(rings, SILENT_MS);
    },
    stop: () => clearTimeout(timer),
  };
}

/** A frame counts when it is there whole. */
async function* read(body: ReadableStream<Uint8Array>, heard: () => void): AsyncGenerator<Frame | { retry: number }> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let fields: Record<string, string> = {};
  while (true) {
    const { done, value } = await reader.read();
    if (done) return;
    heard();
    const found = (rest + decoder.decode(value, { stream: true })).split("\n");
    rest = found.pop() ?? "";
    for (const raw of found) {
      const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
      const colon = line.indexOf(":");
      if (colon > 0) {
        const name = line.slice(0, colon);
        const told = line.slice(colon + 1).replace(/^ /, "");
        fields[name] = name === "data" && "data" in fields ? `${fields["data"]}\n${told}` : told;
      } else if (!line) {
        if (fields["retry"]) yield { retry: Number(fields["retry"]) || 0 };
        const frame = fields["data"] === undefined ? null : parsed(fields);
        if (frame) yield frame;
        fields = {};
      }
    }
  }
}

function parsed(fields: Record<string, string>): Frame | null {
  try {
    const data: unknown = JSON.parse(fields["data"] ?? "");
    if (typeof data !== "object" || data === null) return null;
    return { id: fields["id"] ?? "", kind: fields["event"] ?? "message", data: data as Frame["data"] };
  } catch {
    return null;
  }
}
