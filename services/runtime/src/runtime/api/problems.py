"""Problem documents (RFC 9457): all that a client is told when something is not done.

The `type` is stable. Nothing of the input, of the rooms behind the gateway, or of Restate is repeated.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

TYPE = "urn:switchboard:problem:"
MEDIA_TYPE = "application/problem+json"


class Kind(NamedTuple):
    """One `type`. `retryable`: the same request may do better a moment later."""

    status: int
    title: str
    retryable: bool = False


KINDS: Mapping[str, Kind] = {
    "empty_body": Kind(400, "The body is empty"),
    "invalid_json": Kind(400, "The body is not JSON"),
    "duplicate_key": Kind(400, "A key occurs twice in one JSON object"),
    "too_deep": Kind(400, "The body is nested too deep"),
    "invalid_header": Kind(400, "A header has a value that cannot be taken"),
    "invalid_address": Kind(400, "The address holds what is no text"),
    "caller_unknown": Kind(401, "Say who you are"),
    "token_invalid": Kind(401, "The token is not valid"),
    "token_expired": Kind(401, "The token has expired"),
    "forbidden": Kind(403, "This is not for you"),
    "approval_role": Kind(403, "Another role decides this"),
    "own_approval": Kind(403, "Nobody decides what is done for themselves"),
    "not_found": Kind(404, "There is nothing here"),
    "model_not_found": Kind(404, "There is no such model"),
    "method_not_allowed": Kind(405, "This cannot be done here"),
    "body_too_slow": Kind(408, "The body did not come in time", retryable=True),
    "busy": Kind(409, "A run is at work", retryable=True),
    "run_changed": Kind(409, "Another run is at work than the one that was expected"),
    "in_progress": Kind(409, "This is being done", retryable=True),
    "cancelled": Kind(409, "This was ended before it was done"),
    "taken": Kind(409, "Somebody else has it"),
    "not_yours": Kind(409, "Somebody else speaks in this conversation"),
    "not_taken": Kind(409, "The agent has this conversation already"),
    "changed": Kind(409, "It was changed after you had seen it"),
    "closed": Kind(409, "The ticket is closed"),
    "decided": Kind(409, "This is decided already"),
    "expired": Kind(409, "Nobody decided this in time"),
    "other_arguments": Kind(409, "Other arguments wait for a decision"),
    "too_large": Kind(413, "The body is too large"),
    "address_too_long": Kind(414, "The address is too long"),
    "wrong_media_type": Kind(415, "The body must be application/json"),
    "invalid_request": Kind(422, "A value is not as it must be"),
    "invalid_text": Kind(422, "A text holds what is no text"),
    "itself": Kind(422, "A ticket is no duplicate of itself"),
    "other_customer": Kind(422, "The other ticket is of another customer"),
    "arguments_do_not_fit": Kind(422, "The tool does not take these arguments"),
    "key_reused": Kind(422, "The key was used for something else"),
    "too_many": Kind(429, "Too much at a time", retryable=True),
    "queue_full": Kind(429, "Too many messages wait", retryable=True),
    "too_many_headers": Kind(431, "The request has too many headers, or too long ones"),
    "failed": Kind(500, "Something went wrong on our side"),
    "given_up": Kind(502, "This could not be done"),
    "unavailable": Kind(503, "Come again in a moment", retryable=True),
}

_SAME = {
    "unknown_conversation": "not_found",
    "no_such_ticket": "not_found",
    "unknown_key": "not_found",
    "unknown_customer": "caller_unknown",
    "input_id_taken": "key_reused",
    "too_many_watchers": "too_many",
    "database_away": "unavailable",
    "full": "unavailable",
    "invalid_place": "invalid_request",
    "invalid_key": "not_found",
    "too_many_roles": "forbidden",
}
"""What rooms call what a client knows by another name."""


class Problem(Exception):
    """Ends a request with a problem document. `more` is what stands in it besides."""

    def __init__(self, code: str, detail: str = "", **more: Any) -> None:
        super().__init__(code)
        self.kind = KINDS[code]
        self.code, self.detail = code, detail
        self.more = {name: value for name, value in more.items() if value is not None}
        self.headers: dict[str, str] = {}
        if self.kind.status == 401:
            self.headers["WWW-Authenticate"] = "Bearer"
        if self.kind.status in (429, 503) or code == "in_progress":
            self.headers["Retry-After"] = "1"

    def document(self, request_id: str) -> dict[str, Any]:
        told = {"type": TYPE + self.code, "title": self.kind.title, "status": self.kind.status}
        if self.detail:
            told["detail"] = self.detail
        return {**told, **self.more, "request_id": request_id, "retryable": self.kind.retryable}

    def body(self, request_id: str) -> bytes:
        return json.dumps(self.document(request_id)).encode()


def told_by_a_room(status: int, code: str, message: str, field: str | None = None, run: str | None = None) -> Problem:
    """The problem that a room's refusal is. What the client did not send is not the client's to mend."""
    known = _SAME.get(code, code)
    if known == "not_found":
        return Problem("not_found")
    if known in KINDS and KINDS[known].status == status:
        return Problem(known, message if status in (409, 422, 429) else "", field=field, run=run)
    if known in KINDS:
        return Problem(known)
    return Problem("unavailable") if status in (408, 429, 503) else Problem("failed")
