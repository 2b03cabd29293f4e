"""What a model said: the body of its reply, checked by our own strict model."""

import json
from typing import Any

from pydantic import BaseModel, ValidationError

from router.model.faults import again
from router.plan import scrub
from router.turn import WantedCall

MAX_REPLY_BYTES = 1024 * 1024
BYTES_PER_TOKEN = 4
MODEL_CHARACTERS = 100

REFUSED_TEXT = "I am sorry, but I cannot help with that."


class Reply(BaseModel):
    """What the model said, checked and cleaned. `cut`: it ended at its length limit. `model`: what it calls itself."""

    text: str
    calls: list[WantedCall]
    cut: bool
    prompt_tokens: int
    completion_tokens: int
    model: str = ""


def read_reply(body: bytes) -> Reply:
    """The body of a 200 as a `Reply`; raises `ModelBusy` when it is not a usable completion."""
    if len(body) > MAX_REPLY_BYTES:
        raise again("reply_too_large")
    try:
        raw = json.loads(body.decode())
        completion = _Completion.model_validate(scrub(raw) if b"\\" in body else raw)
    except (ValueError, RecursionError, ValidationError):
        raise again("reply_malformed") from None
    return _reply(completion, len(body))


def _reply(completion: "_Completion", size: int) -> Reply:
    choice = completion.choices[0]
    message, finish = choice.message, choice.finish_reason
    calls = [_wanted(call.function) for call in message.tool_calls or []]
    text = message.content or ""
    if message.refusal or finish == "content_filter":
        text, calls = message.refusal or REFUSED_TEXT, []
    if not text.strip() and not calls:
        raise again("reply_empty")
    usage = completion.usage or _Usage(prompt_tokens=0, completion_tokens=size // BYTES_PER_TOKEN)
    return Reply(
        text=text,
        calls=calls,
        cut=finish == "length" and not calls,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        model=completion.model[:MODEL_CHARACTERS] if isinstance(completion.model, str) else "",
    )


def _wanted(function: "_Function") -> WantedCall:
    name = (function.name or "")[:64]
    if isinstance(function.arguments, str):
        return WantedCall(name=name, arguments=function.arguments)
    problem = "the arguments must be a JSON object written as a string"
    return WantedCall(name=name, arguments="{}", problem=problem)


class _Function(BaseModel):
    name: str | None = None
    arguments: Any = None


class _Call(BaseModel):
    function: _Function


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Completion(BaseModel):
    choices: list[_Choice]
    usage: _Usage | None = None
    model: Any = None

    def model_post_init(self, _: Any) -> None:
        if not self.choices:
            raise ValueError("no choices")
