"""The conversation with the model, rebuilt from the journal at each turn; nothing of it is stored twice."""

import json
from typing import Any

from router.turn import Result, Turn

COMPACT_CHARACTERS = 800
MAX_ERROR_CHARACTERS = 2000
"""Of what a tool says when it refuses: enough to mend a call by."""

Chat = list[dict[str, Any]]

CONTINUE = "Your message was cut off. Continue exactly where it stopped."


def messages(prompt: str, message: str, turns: list[Turn], results: list[list[Result]]) -> Chat:
    """The chat messages for the next turn, in OpenAI's form."""
    chat: Chat = [
        {"role": "system", "content": prompt},
        {"role": "user", "content": message},
    ]
    for turn, settled in zip(turns, results, strict=True):
        chat.append(_assistant(turn))
        chat.extend({"role": "tool", "tool_call_id": result.call_id, "content": result.content} for result in settled)
        if turn.cut:
            chat.append({"role": "user", "content": CONTINUE})
    return chat


def _assistant(turn: Turn) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": turn.text or None}
    if turn.plans:
        message["tool_calls"] = [
            {"id": plan.call_id, "type": "function", "function": {"name": plan.tool, "arguments": plan.arguments}}
            for plan in turn.plans
        ]
    return message


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
    return f"{body[:limit].decode('utf-8', 'ignore').replace(chr(0), '')}… [cut: the result was {len(body)} bytes long]"


def cut_words(why: str) -> str:
    """What a tool says when it refuses, cut where it is long."""
    return why if len(why) <= MAX_ERROR_CHARACTERS else f"{why[:MAX_ERROR_CHARACTERS]}… [cut]"
