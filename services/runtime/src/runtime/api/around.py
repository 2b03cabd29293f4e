"""Around every API: the bounds of a request's head, and the headers of every answer."""

from starlette.types import Scope

from runtime.api.problems import Problem
from runtime.asgi import is_longer, is_text

MAX_URL_BYTES = 2048
MAX_HEADERS = 100
MAX_HEADER_BYTES = 16 * 1024
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
"""Of every answer; one that says another value keeps it."""
METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"})


def check_head(scope: Scope) -> None:
    """Raises: `Problem` 431 for headers beyond the bounds, 414 or 400 for an address that can be none of ours."""
    headers = scope["headers"]
    if len(headers) > MAX_HEADERS or sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
        raise Problem("too_many_headers")
    if is_longer(scope, MAX_URL_BYTES):
        raise Problem("address_too_long", f"the address is longer than {MAX_URL_BYTES} bytes")
    if not is_text(scope):
        raise Problem("invalid_address", "the address is not UTF-8, or holds NUL characters")
