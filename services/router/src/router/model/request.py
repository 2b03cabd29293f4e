"""What is sent to one endpoint: fitted to what its preset says, and to what its own refusals have taught."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast

from router.model.refusal import Refusal
from router.slim import bare
from router.transcript import Chat

MAX_TOOLS_KEPT = 1024
STREAM_OPTIONS = "stream_options"

_LIMITS = ("max_completion_tokens", "max_tokens")
"""The two words for an output limit; an endpoint that refuses one takes the other, or none."""

_SET_TO = re.compile(
    r"set ['\"`]?(?P<name>reasoning_effort|parallel_tool_calls|stream|store)['\"`]? to ['\"`]?(?P<value>\w+)",
    re.IGNORECASE,
)
_SCHEMA = re.compile(
    r"schema|grammar|sampler|function_declarations|tools?\[\d+\]|tools?\.\d+|pattern|additionalProperties|\$ref|\$defs"
    r"|maxLength|anyOf|json_?schema",
    re.IGNORECASE,
)
_FIELDS = re.compile(
    r"extra (?:inputs|fields)|unknown (?:name|field)|unrecognized|not permitted|reasoning_content|additional propert",
    re.IGNORECASE,
)
_OURS = ("role", "content", "tool_calls", "tool_call_id")
_VALUES = {"true": True, "false": False, "none": "none", "null": None}


@dataclass
class Fit:
    """The parameters for one endpoint, and what it has refused so far in this process."""

    parameters: dict[str, Any]
    limit: str = "max_tokens"
    """Its word for an output limit, until it refuses it."""
    foreign: bool = True
    """Whether it takes back fields that its own messages hold beside OpenAI's."""
    bare_schemas: bool = False
    """Whether it takes schemas only without bounds, patterns and references."""
    stream: bool = False
    """Whether every reply is asked for as a stream."""
    refused: set[str] = field(default_factory=set[str])

    def streams(self, *, wanted: bool) -> bool:
        """Whether the next reply is asked for as a stream: if somebody wants one, and the endpoint has refused none."""
        return (wanted or self.stream) and "stream" not in self.refused

    def body(
        self,
        model: str,
        chat: Chat,
        tools: list[str],
        *,
        may_call: bool,
        streamed: bool = False,
        most_tokens: int | None = None,
    ) -> bytes:
        """The request. With tools that may not be called now, their descriptions stay where caches expect them."""
        request: dict[str, Any] = {"model": model, "messages": chat if self.foreign else list(_plain(chat))}
        request |= self.parameters
        if streamed:
            request["stream"] = True
            if STREAM_OPTIONS not in self.refused:
                request[STREAM_OPTIONS] = {"include_usage": True}
        if most_tokens is not None:
            request[self._limit_word()] = most_tokens
        if tools and "tool_choice" not in self.refused:
            request["tool_choice"] = "auto" if may_call else "none"
        if not tools or not (may_call or "tool_choice" in request):
            request.pop("parallel_tool_calls", None)
            request.pop("tool_choice", None)
            tools = []
        text = json.dumps(request)
        if tools:
            sent = [_bare_tool(tool) for tool in tools] if self.bare_schemas else tools
            text = f'{text[:-1]}, "tools": [{", ".join(sent)}]}}'
        return text.encode()

    def learn(self, refusal: Refusal) -> str:
        """What is left out or set from now on, after a 400; empty when there is nothing that may help."""
        if (asked := _SET_TO.search(refusal.message)) and asked["name"].lower() not in self.refused:
            return self._set(asked["name"].lower(), asked["value"])
        if name := self._named(refusal):
            return self._leave_out(name)
        if not self.bare_schemas and _SCHEMA.search(f"{refusal.param} {refusal.message}"):
            self.bare_schemas = True
            return "schema_keywords"
        if self.foreign and _is_about_fields(refusal):
            self.foreign = False
            return "foreign_fields"
        return ""

    def _set(self, name: str, value: str) -> str:
        self.refused.add(name)
        self.parameters[name] = _VALUES.get(value.lower(), value)
        return f"{name}={value}"

    def _named(self, refusal: Refusal) -> str:
        """The parameter that the refusal is about: by its own field, else by a word of its message."""
        names = [name for name in (STREAM_OPTIONS, *self.parameters, "tool_choice") if name not in self.refused]
        if refusal.param in names:
            return refusal.param
        quoted = set(re.findall(r"['\"`](\w+)['\"`]", refusal.message))
        quoted |= {word for word in re.findall(r"\w+", refusal.message) if "_" in word}
        return next((name for name in names if name in quoted), "")

    def _limit_word(self) -> str:
        words = (*(word for word in _LIMITS if word in self.parameters), self.limit, *_LIMITS)
        return next((word for word in words if word not in self.refused), self.limit)

    def _leave_out(self, name: str) -> str:
        self.refused.add(name)
        value = self.parameters.pop(name, None)
        other = next((each for each in _LIMITS if each not in self.refused), "")
        if name in _LIMITS and other:
            self.parameters[other] = value
        return name


def _is_about_fields(refusal: Refusal) -> bool:
    return bool(_FIELDS.search(refusal.message))


def _plain(chat: Chat) -> Iterator[dict[str, Any]]:
    """The messages with OpenAI's own fields alone."""
    for message in chat:
        kept = {key: value for key, value in message.items() if key in _OURS}
        if "tool_calls" in kept:
            kept["tool_calls"] = [{key: call[key] for key in ("id", "type", "function")} for call in kept["tool_calls"]]
        yield kept


@lru_cache(MAX_TOOLS_KEPT)
def _bare_tool(tool: str) -> str:
    told = cast(dict[str, Any], json.loads(tool))
    told["function"]["parameters"] = bare(told["function"]["parameters"])
    return json.dumps(told)
