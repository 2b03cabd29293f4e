/** What the page asks of the gateway. The token comes from the site, and never stands in an address. */

/** Gives a token that is good now; `renew` says that the one before was refused. */
export type Token = (asked: { renew: boolean }) => string | null | Promise<string | null>;

export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly title: string,
    readonly retryAfter = 0,
  ) {
    super(`${status} ${code}`);
  }

  /** It may fare better later: nobody answered, or the gateway says so. */
  get passing(): boolean {
    return this.status === 0 || this.status === 401 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

export class Api {
  constructor(
    readonly base: string,
    private readonly token: Token,
  ) {}

  me(): Promise<Record<string, unknown>> {
    return this.json("GET", "/me");
  }

  open(key: string): Promise<{ id: string }> {
    return this.json("POST", "/conversations", {}, { "Idempotency-Key": key });
  }

  input(conversation: string, body: Record<string, unknown>): Promise<{ position: number }> {
    return this.json("POST", `${path(conversation)}/inputs`, body, { "Idempotency-Key": String(body["input_id"]) });
  }

  page(conversation: string, after: string): Promise<Record<string, unknown>> {
    const query = after ? `?after=${encodeURIComponent(after)}` : "";
    return this.json("GET", path(conversation) + query);
  }

  events(conversation: string, last: string, signal: AbortSignal): Promise<Response> {
    const more: Record<string, string> = last ? { "Last-Event-ID": last } : {};
    return this.send("GET", `${path(conversation)}/events`, { Accept: "text/event-stream", ...more }, signal);
  }

  async export(conversation: string): Promise<Blob> {
    return (await this.ok(await this.send("GET", `${path(conversation)}/export`))).blob();
  }

  async remove(conversation: string): Promise<void> {
    await this.ok(await this.send("DELETE", path(conversation)));
  }

  private async json<T>(method: string, to: string, body?: object, headers: Record<string, string> = {}): Promise<T> {
    const told = body && { ...headers, "Content-Type": "application/json" };
    const reply = await this.ok(await this.send(method, to, told ?? headers, undefined, body && JSON.stringify(body)));
    try {
      return (await reply.json()) as T;
    } catch (error) {
      throw new Problem(0, "unreachable", String(error));
    }
  }

  /** Raises: `Problem`, with status 0 when nobody answers. */
  private async ok(reply: Response): Promise<Response> {
    if (reply.ok) return reply;
    const problem = (await reply.json().catch(() => ({}))) as Record<string, unknown>;
    const code = String(problem["type"] ?? "");
    const title = String(problem["detail"] ?? problem["title"] ?? reply.status);
    throw new Problem(reply.status, code.replace(/^.*:/, ""), title, Number(reply.headers.get("Retry-After") ?? 0));
  }

  private async send(
    method: string,
    to: string,
    headers: Record<string, string> = {},
    signal: AbortSignal = AbortSignal.timeout(30_000),
    body?: string,
  ): Promise<Response> {
    const once = async (renew: boolean): Promise<Response> => {
      const token = await this.token({ renew });
      const bearer: Record<string, string> = token ? { Authorization: `Bearer ${token}` } : {};
      return fetch(this.base + to, {
        method,
        headers: { Accept: "application/json", ...headers, ...bearer },
        body: body ?? null,
        signal,
        credentials: "omit",
        cache: "no-store",
        redirect: "error",
        referrerPolicy: "no-referrer",
      });
    };
    try {
      const reply = await once(false);
      return reply.status === 401 ? await once(true) : reply;
    } catch (error) {
      throw new Problem(0, "unreachable", String(error));
    }
  }
}

function path(conversation: string): string {
  return `/conversations/${encodeURIComponent(conversation)}`;
}
