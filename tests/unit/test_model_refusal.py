"""Errors of endpoints: what they mean, how long they ask to wait, and what of them the log may say."""

import json
from email.utils import formatdate
from typing import Any

import pytest

from router.model.refusal import Refusal, read_refusal, scrubbed

NOW = 1_800_000_000.0

MEANINGS: list[tuple[str, int, Any]] = [
    ("context", 400, {"error": {"message": "Too long.", "code": "context_length_exceeded"}}),
    ("context", 400, {"error": {"message": "request (9 tokens) exceeds the available context size (8 tokens)"}}),
    ("context", 400, {"message": "This model's maximum context length is 4096 tokens.", "code": 400}),
    ("context", 400, {"error": {"message": "prompt is too long: 204267 tokens > 200000 maximum"}}),
    (
        "context",
        400,
        {"error": {"message": "The input token count (9) exceeds the maximum number of tokens"}},
    ),
    ("context", 422, {"detail": "Input is too long for requested model."}),
    ("context", 413, {"error": {"message": "Request too large", "code": "rate_limit_exceeded"}}),
    ("context", 413, b"<html>Payload Too Large</html>"),
    ("filtered", 400, {"error": {"message": "Filtered.", "code": "content_filter"}}),
    ("filtered", 400, {"error": {"message": "no", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}),
    ("filtered", 403, {"error": {"message": "Your input was flagged", "code": 403}}),
    (
        "filtered",
        400,
        {"error": {"message": "Input may be inappropriate", "code": "data_inspection"}},
    ),
    ("bad_call", 400, {"error": {"message": "Failed to call a function.", "code": "tool_use_failed"}}),
    ("bad_call", 500, {"error": {"message": "Failed to parse input at pos 12", "code": 500}}),
    ("bad_call", 500, {"error": "error parsing tool call: raw='{', err=unexpected end of JSON input"}),
    ("spent", 402, {"error": {"message": "Insufficient credits"}}),
    ("spent", 429, {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}),
    ("spent", 400, {"error": {"message": "Your credit balance is too low to access the API"}}),
    ("limited", 429, {"error": {"message": "Slow down", "code": "rate_limit_exceeded"}}),
    ("limited", 429, b""),
    ("busy", 500, b"<html>"),
    ("busy", 503, {"error": {"message": "Loading model", "code": 503}}),
    ("busy", 529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    ("busy", 408, b""),
    ("unfitting", 400, [{"error": {"code": 400, "message": "missing a signature", "status": "INVALID_ARGUMENT"}}]),
    ("unfitting", 422, {"detail": [{"loc": ["body", "temperature"], "msg": "not permitted"}]}),
    ("misconfigured", 401, {"error": {"message": "Incorrect API key provided"}}),
    ("misconfigured", 403, {"error": {"message": "no access"}}),
    ("misconfigured", 404, {"error": {"message": "No endpoints found that support tool use."}}),
    ("misconfigured", 400, {"error": {"message": "m:latest does not support tools"}}),
    ("limited", 200, {"error": {"message": "Provider returned error", "code": 429}}),
    ("filtered", 200, {"error": {"message": "The response was filtered", "code": "content_filter"}}),
    (
        "filtered",
        200,
        {"error": {"message": "no", "innererror": {"code": "ResponsibleAIPolicyViolation"}, "status": 400}},
    ),
    ("context", 200, {"error": {"message": "This model's maximum context length is 4096 tokens.", "type": "invalid"}}),
    ("busy", 200, {"error": {"message": "Upstream failed: content policy service", "code": 503}}),
    ("busy", 200, {"error": "something"}),
]


def refusal(status: int, body: Any, **headers: str) -> Refusal:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_refusal(status, headers, text, NOW)


@pytest.mark.parametrize(("meaning", "status", "body"), MEANINGS)
def test_an_error_means_what_it_says(meaning: str, status: int, body: Any) -> None:
    assert refusal(status, body).meaning == meaning


@pytest.mark.parametrize("status", [429, 503, 529])
@pytest.mark.parametrize(
    ("headers", "message", "seconds"),
    [
        ({"Retry-After": "7"}, "", 7),
        ({"retry-after": "0.5"}, "", 0.5),
        ({"Retry-After": formatdate(NOW + 7, usegmt=True)}, "", 8),
        ({"Retry-After": formatdate(NOW - 60, usegmt=True)}, "", 0),
        ({"Retry-After-Ms": "250", "Retry-After": "1"}, "", 0.25),
        ({"x-rate-limit-reset-tokens": "4"}, "", 4),
        ({}, "Please try again in 9m38.016s.", 578.016),
        ({}, "Please retry after 4 seconds.", 4),
        ({}, "try again in 250ms", 0.25),
        ({"Retry-After": "soon"}, "", None),
        ({"Retry-After": "-5"}, "", None),
        ({"Retry-After": "inf"}, "", None),
        ({}, "Overloaded", None),
    ],
)
def test_the_pause_that_is_asked_for_is_read_in_every_form(
    status: int, headers: dict[str, str], message: str, seconds: float | None
) -> None:
    asked = refusal(status, {"error": {"message": message}}, **headers).retry_after
    assert asked == (None if seconds is None else pytest.approx(seconds))


def test_the_log_reads_what_is_wrong_and_nothing_that_was_sent() -> None:
    sent = "My dog Rex ate invoice 4711, says rex@dogs.example"
    message = f"Invalid value: 'temperature' in '{sent}' with key sk-abcdef123456 {'x' * 9000}"
    error = {"message": message, "code": "invalid_value", "type": "invalid_request_error", "param": "temperature"}
    told = refusal(400, {"error": error}).scrubbed([sent, "You are kind"])
    assert (told.status, told.code, told.param) == (400, "invalid_value", "temperature")
    assert told.message.startswith("Invalid value: 'temperature' in ")
    assert len(told.message) <= 300
    for canary in ("invoice", "4711", "says", "rex@dogs", "sk-abcdef"):
        assert canary not in told.message


@pytest.mark.parametrize("key", ["Bearer abc", "sk-proj_abcdef123", "gsk_abcdefgh", "a" * 40, "ann@shop.example"])
def test_keys_and_addresses_are_scrubbed(key: str) -> None:
    assert scrubbed(f"wrong: {key}", []) == "wrong: …"
