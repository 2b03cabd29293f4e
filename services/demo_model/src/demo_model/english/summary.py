"""A summary: the beginning of each thing that was said, since this model understands nothing."""

import json
from typing import Any

from demo_model.wire.conversation import Conversation
from demo_model.wire.shapes import as_list, as_object

_WORDS = 12
_MOST = 300
_NAMED = ("said", "called", "result")


def summary_of(conversation: Conversation) -> str:
    """Of all lines under `untrusted_data`, as many words in all as a summary has."""
    lines = as_list((as_object(_json(conversation.asked)) or {}).get("untrusted_data")) or []
    told = [" ".join(_begun(line)) for line in lines]
    return " ".join(" / ".join(filter(None, told)).split()[:_MOST]) or "Nothing was said."


def _begun(line: Any) -> list[str]:
    fields = as_object(line) or {}
    return [word for name in _NAMED for word in str(fields.get(name) or "").split()[:_WORDS]]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
