"""Pages of other origins: those that are named may call the API, no other may."""

from collections.abc import Mapping

METHODS = "GET, POST, DELETE"
TAKEN = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID"
SHOWN = "Idempotency-Replayed, Location, RateLimit, Retry-After, X-Request-Id"
KEPT_SECONDS = "600"


def allowed(headers: Mapping[bytes, bytes], origins: tuple[str, ...]) -> dict[str, str]:
    """What the answer tells a browser; nothing to a page of an origin that is not named."""
    if not origins:
        return {}
    origin = headers.get(b"origin", b"").decode("latin-1")
    if origin not in origins:
        return {"Vary": "Origin"}
    return {"Vary": "Origin", "Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": SHOWN}


def preflight(method: str, headers: Mapping[bytes, bytes], origins: tuple[str, ...]) -> dict[str, str] | None:
    """The answer to a browser that asks beforehand for a page that may; None if this is something else."""
    asks = method == "OPTIONS" and b"access-control-request-method" in headers
    if not asks or "Access-Control-Allow-Origin" not in allowed(headers, origins):
        return None
    return {
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": TAKEN,
        "Access-Control-Max-Age": KEPT_SECONDS,
    }
