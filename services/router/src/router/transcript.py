"""The conversation with the model, rebuilt from the journal at each turn; nothing of it is stored twice."""

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from router.turn import Again, Plan, Result, Turn

COMPACT_CHARACTERS = 800
NAME_CHARACTERS = 64
MAX_ERROR_CHARACTERS = 2000
"""Of what a tool says when it refuses: enough to mend a call by."""

Chat = list[dict[str, Any]]


class Done(NamedTuple):
    """The first `turns` of a run, told in a note instead."""

    turns: int
    note: str


CUT = "… [cut: the result was"
"""Where a result ends that is longer than the model shall read."""

NO_WORDS = "(no message)"
"""Stands for a message without words, which no endpoint takes back."""

ASK_AGAIN: dict[Again, str] = {
    "cut": "Your message was cut off. Continue exactly where it stopped.",
    "empty": "Your message was empty. Answer the question now with what you know, or call a tool.",
    "spent": "Your message was cut off before it said anything. Answer at once and briefly.",
    "half_call": "Your message was cut off within a tool call, and nothing was called. Call again, more briefly.",
    "bad_call": "Your tool call could not be read, and nothing was called. Use the form that you were given.",
}

_LEGAL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ILLEGAL_IN_NAME = re.compile(r"[^a-zA-Z0-9_-]+")


def messages(
    prompt: str,
    message: str,
    turns: list[Turn],
    results: list[list[Result]],
    endpoint: str | None = None,
    *,
    past: Sequence[dict[str, Any]] = (),
    inputs: Sequence[str] = (),
    done: Done | None = None,
) -> Chat:
    """The chat messages for the next turn, in OpenAI's form, for one endpoint: its own ids and fields go back to it.

    Without an endpoint every turn is told as its own maker would read it. `past` is what was said before the message,
    `inputs` what the customer has said since the last turn. `done` stands for the first turns; what the customer
    said in them is never summarised.
    """
    told = done.turns if done else 0
    said = [message, *(text for turn in turns[:told] for text in turn.inputs), *([done.note] if done else [])]
    chat: Chat = [
        {"role": "system", "content": prompt},
        *past,
        {"role": "user", "content": "\n\n".join(said)},
    ]
    ids: set[str] = set()
    for number, (turn, settled) in enumerate(zip(turns[told:], results[told:], strict=True), start=told + 1):
        own = endpoint is None or turn.endpoint == endpoint
        chat.extend(_from_customer(turn.inputs))
        if not turn.was_read:
            continue
        names = [_id(plan, number, place, ids, own=own) for place, plan in enumerate(turn.plans, start=1)]
        chat.append(_assistant(turn, names, own=own))
        chat.extend(
            {"role": "tool", "tool_call_id": name, "content": result.content}
            for name, result in zip(names, settled, strict=True)
        )
        if turn.again:
            chat.append({"role": "user", "content": ASK_AGAIN[turn.again]})
    return [*chat, *_from_customer(inputs)]


def _from_customer(inputs: Sequence[str]) -> Chat:
    return [{"role": "user", "content": text} for text in inputs]


def _id(plan: Plan, turn: int, place: int, taken: set[str], *, own: bool) -> str:
    """The endpoint's own name for a call, if it is legal; else nine letters and digits, as the strictest wants."""
    name = plan.own_id
    if not own or name in taken or not _LEGAL_ID.fullmatch(name):
        name = f"call{turn:02}{place:03}"
    taken.add(name)
    return name


def _assistant(turn: Turn, ids: list[str], *, own: bool) -> dict[str, Any]:
    said = turn.text if turn.text.strip() else None
    message: dict[str, Any] = {"role": "assistant", "content": said if said or turn.plans else NO_WORDS}
    if turn.plans:
        message["tool_calls"] = [
            {"id": name, "type": "function", "function": {"name": legal_name(plan.tool), "arguments": plan.arguments}}
            | (plan.foreign if own else {})
            for name, plan in zip(ids, turn.plans, strict=True)
        ]
    return message | (turn.foreign if own else {})


def legal_name(name: str) -> str:
    """The name of a tool as endpoints take it, whatever the model wrote."""
    return _ILLEGAL_IN_NAME.sub("_", name).strip("_")[:NAME_CHARACTERS] or "unknown"


def compact(chat: Chat) -> Chat:
    """The same conversation with long tool messages cut, for a model that found it too long."""
    return [
        message | {"content": message["content"][:COMPACT_CHARACTERS] + "… [cut]"}
        if message["role"] == "tool" and len(message["content"]) > COMPACT_CHARACTERS
        else message
        for message in chat
    ]


def as_data(status: str, value: Any) -> str:
    """A tool message: its status and, marked as untrusted, its data."""
    return json.dumps({"status": status, "untrusted_data": value}, ensure_ascii=False)


def as_error(message: str) -> str:
    """A tool message that says why there is no result."""
    return json.dumps({"status": "error", "error": message}, ensure_ascii=False)


def cut(body: bytes, limit: int) -> str:
    """The beginning of a result that is longer than the limit, with a marker that says so."""
    return f"{body[:limit].decode('utf-8', 'ignore').replace(chr(0), '')}{CUT} {len(body)} bytes long]"


def cut_words(why: str) -> str:
    """What a tool says when it refuses, cut where it is long."""
    return why if len(why) <= MAX_ERROR_CHARACTERS else f"{why[:MAX_ERROR_CHARACTERS]}… [cut]"
