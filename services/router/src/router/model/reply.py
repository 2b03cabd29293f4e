"""What a model said: the body of its reply, read strictly in what it means and tolerantly in how it is written."""

import json
import re
from collections.abc import Collection
from typing import Any, cast

from pydantic import BaseModel, Field
from restate.exceptions import RetryableError

from router.model.faults import ModelBusy, again
from router.model.refusal import Refusal, refusal_of
from router.model.stream import is_stream, put_together
from router.model.thinking import final_channel, without_thinking
from router.model.written import read_written
from router.plan import scrub
from router.turn import Again, WantedCall
from runtime.bounded import is_too_deep

MAX_REPLY_BYTES = 1024 * 1024
MAX_FOREIGN_CHARACTERS = 32_768
BYTES_PER_TOKEN = 4
MODEL_CHARACTERS = 100
NAME_CHARACTERS = 64
ID_CHARACTERS = 64
MAX_CALLS = 128

REFUSED_TEXT = "I am sorry, but I cannot help with that."

_COMMENTS = re.compile(r"\A(?:\s*:[^\n]*(?:\n|\Z))+")
_MESSAGE_FIELDS = {"role", "content", "refusal", "tool_calls", "function_call", "annotations", "audio", "name"}
_CALL_FIELDS = {"id", "type", "function", "index", "name", "arguments"}
_AT_ITS_LIMIT = {"length", "max_tokens", "model_length", "max_output_tokens"}
_WILL_NOT = {"content_filter", "refusal", "safety", "recitation", "prohibited_content", "blocklist", "sensitive"}
_BROKEN_OFF = {
    *("error", "network_error", "insufficient_system_resource", "abort", "aborted", "cancelled", "timeout"),
    *("server_error", "engine_overloaded", "unknown_error"),
}


class Reply(BaseModel):
    """What the model said, checked and cleaned.

    `again`: why it is not the end, though there are no calls. `model`: what it calls itself. `foreign`: fields of the
    message that we do not know and its endpoint may want back. `endpoint`: our name for who said it.
    """

    text: str
    calls: list[WantedCall] = Field(default_factory=list[WantedCall])
    again: Again = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    model: str = ""
    foreign: dict[str, Any] = Field(default_factory=dict[str, Any])
    endpoint: str = ""


class RefusedInside(RetryableError):
    """The body of a 200 holds an error; `spent` are the tokens that it counts all the same."""

    def __init__(self, refusal: Refusal, spent: tuple[int, int]) -> None:
        super().__init__(f"model call failed: status_{refusal.status}", status_code=503)
        self.refusal = refusal
        self.spent = spent


def read_reply(body: bytes, names: Collection[str] = ()) -> Reply:
    """The body of a 200 as a `Reply`; `names` are those of the tools on offer.

    Raises: `ModelBusy` when it is not a usable completion, `RefusedInside` when it is an error.
    """
    if len(body) > MAX_REPLY_BYTES:
        raise again("reply_too_large", paid=True, spent=(0, len(body) // BYTES_PER_TOKEN))
    try:
        value = _value(body)
    except (ValueError, RecursionError):
        raise _malformed(body) from None
    if not isinstance(value, dict) or is_too_deep(value):
        raise _malformed(body)
    completion = cast(dict[str, Any], scrub(value) if b"\\" in body else value)
    choices = _objects(completion.get("choices"))
    messages = [message for choice in choices if (message := _object(choice.get("message"))) is not None]
    if completion.get("error"):
        raise RefusedInside(refusal_of(completion, 200), _usage(completion.get("usage"), 0))
    if not messages and not _finish(choices) & _WILL_NOT:
        raise _malformed(body, completion.get("usage"))
    return _reply(completion, choices, messages, names, len(body))


def _malformed(body: bytes, usage: Any = None) -> ModelBusy:
    return again("reply_malformed", paid=True, spent=_usage(usage, len(body)))


def _value(body: bytes) -> Any:
    """JSON, perhaps after a byte order mark, white space or comments, or a stream of it."""
    text = _COMMENTS.sub("", body.decode("utf-8-sig")).lstrip()
    return put_together(text) if is_stream(text) else json.loads(text)


def _reply(
    completion: dict[str, Any],
    choices: list[dict[str, Any]],
    messages: list[dict[str, Any]],
    names: Collection[str],
    size: int,
) -> Reply:
    finish = _finish(choices)
    prompt_tokens, completion_tokens = _usage(completion.get("usage"), size)
    if finish & _BROKEN_OFF:
        raise again("reply_broken_off", paid=True, spent=(prompt_tokens, completion_tokens))
    model = completion.get("model")
    reply = Reply(
        text="",
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        model=model[:MODEL_CHARACTERS] if isinstance(model, str) else "",
    )
    refusal = next((said for message in messages if isinstance(said := message.get("refusal"), str) and said), "")
    if refusal or finish & _WILL_NOT:
        reply.text = refusal or REFUSED_TEXT
        return reply
    raw = next((text for message in messages if (text := _content(message.get("content"))).strip()), "")
    reply.foreign = _foreign(messages[0], _MESSAGE_FIELDS)
    _fill(
        reply,
        raw,
        [call for message in messages for call in _calls(message)],
        names,
        at_limit=bool(finish & _AT_ITS_LIMIT),
    )
    return reply


def _fill(reply: Reply, raw: str, calls: list[WantedCall], names: Collection[str], *, at_limit: bool) -> None:
    meant = without_thinking(raw)
    written = read_written(meant, names)
    text = final_channel(written.text)
    calls = calls or written.calls
    reply.text = (text if text == raw else text.strip()) if text.strip() else ""
    if at_limit and (calls or written.unreadable):
        reply.again = "half_call"
    elif calls:
        reply.calls = [each for call in calls[:MAX_CALLS] for each in _unpacked(call)]
    elif written.unreadable:
        reply.again, reply.text = "bad_call", ""
    elif not reply.text:
        reply.again = "spent" if at_limit else "empty"
    elif at_limit:
        reply.again = "cut"


def _finish(choices: list[dict[str, Any]]) -> set[str]:
    return {str(choice.get("finish_reason") or "").lower() for choice in choices}


def _content(content: Any) -> str:
    """Text, or the text of all parts that are meant for the reader."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        return ""
    return "".join(_part(part) for part in cast(list[Any], content))


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    found = _object(part) or {}
    if found.get("type") not in (None, "text", "output_text"):
        return ""
    text = found.get("text")
    return text if isinstance(text, str) else ""


def _calls(message: dict[str, Any]) -> list[WantedCall]:
    calls = message.get("tool_calls")
    found = _objects([calls] if isinstance(calls, dict) else calls)
    legacy = _object(message.get("function_call"))
    if not found and legacy is not None:
        found = [{"function": legacy}]
    return [_wanted(call) for call in found if "function" in call or "name" in call]


def _wanted(call: dict[str, Any]) -> WantedCall:
    function = _object(call.get("function")) or call
    name, arguments, own_id = function.get("name"), function.get("arguments"), call.get("id")
    return WantedCall(
        name=name[:NAME_CHARACTERS] if isinstance(name, str) else "",
        arguments=arguments if isinstance(arguments, str) else "" if arguments is None else json.dumps(arguments),
        id=own_id[:ID_CHARACTERS] if isinstance(own_id, str) else "",
        foreign=_foreign(call, _CALL_FIELDS),
    )


def _unpacked(call: WantedCall) -> list[WantedCall]:
    """The calls inside of a `multi_tool_use.parallel`, which OpenAI's models make up."""
    if call.name not in ("multi_tool_use.parallel", "multi_tool_use", "parallel"):
        return [call]
    try:
        inner = _objects((_object(json.loads(call.arguments)) or {}).get("tool_uses"))
    except (ValueError, RecursionError):
        return [call]
    return [
        WantedCall(
            name=str(each.get("recipient_name") or each.get("name") or "").removeprefix("functions.")[:NAME_CHARACTERS],
            arguments=json.dumps(each.get("parameters") or each.get("arguments") or {}),
        )
        for each in inner
    ] or [call]


def _foreign(fields: dict[str, Any], known: Collection[str]) -> dict[str, Any]:
    """What we do not know of an object, as far as it is small enough to be kept."""
    found = {key: value for key, value in fields.items() if key not in known and value not in (None, "", [], {})}
    while found and len(json.dumps(found)) > MAX_FOREIGN_CHARACTERS:
        del found[max(found, key=lambda key: len(json.dumps(found[key])))]
    return found


def _usage(usage: Any, size: int) -> tuple[int, int]:
    """What the server counted; where it did not, the tokens of the reply are estimated."""
    found = _object(usage) or {}
    prompt = _count(found.get("prompt_tokens", found.get("input_tokens")))
    completion = _count(found.get("completion_tokens", found.get("output_tokens")))
    return prompt or 0, size // BYTES_PER_TOKEN if completion is None else completion


def _count(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**53 else None


def _object(value: Any) -> dict[str, Any] | None:
    return cast(dict[str, Any], value) if isinstance(value, dict) else None


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in cast(list[Any], value) if isinstance(each, dict)] if isinstance(value, list) else []
