"""The request: its shape is checked as OpenAI checks it, and nothing else is demanded."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from demo_model.wire.shapes import as_list, as_object

Json = Any
Message = dict[str, Any]

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ROLES = frozenset(("system", "developer", "user", "assistant", "tool", "function"))


class BadRequest(Exception):
    """The request has not the shape of a chat completion; told to the client as a 400."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """One tool on offer: all that the model may know about it."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Conversation:
    """A checked request, and the few views of it that everything else works with."""

    model: str
    messages: list[Message]
    tools: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    tool_choice: Json = None
    parallel: bool = True
    stream: bool = False
    stream_usage: bool = False

    @property
    def first(self) -> str:
        """The first user message: what scripts, faults and the ledger know a conversation by."""
        return next((text_of(one) for one in self.messages if one["role"] == "user"), "")

    @property
    def turns(self) -> int:
        """How many assistant messages there are. A repeated request has as many, so it gets the same reply."""
        return sum(1 for one in self.messages if one["role"] == "assistant")

    @property
    def asked(self) -> str:
        """The user message that is to be answered now."""
        return next((text_of(one) for one in reversed(self.messages) if one["role"] == "user"), "")

    @property
    def since_asked(self) -> list[Message]:
        """What happened after that message: our own calls and their results."""
        for position in range(len(self.messages) - 1, -1, -1):
            if self.messages[position]["role"] == "user":
                return self.messages[position + 1 :]
        return self.messages

    @property
    def wants_summary(self) -> bool:
        """Whether it is to be summarised: no tools, and instructions that begin with that word."""
        first = self.messages[0]
        return not self.tools and first["role"] != "user" and text_of(first).lower().startswith("summari")

    def offered(self) -> list[ToolSpec]:
        """The tools that may be called in this turn."""
        if self.tool_choice == "none":
            return []
        functions = [tool["function"] for tool in self.tools]
        if isinstance(self.tool_choice, dict):
            functions = [one for one in functions if one["name"] == self.forced_name()]
        return [
            ToolSpec(one["name"], one.get("description") or "", one.get("parameters") or {"type": "object"})
            for one in functions
        ]

    def forced_name(self) -> str | None:
        """The one tool that `tool_choice` names."""
        choice = as_object(self.tool_choice) or {}
        return (as_object(choice.get("function")) or {}).get("name")

    @property
    def must_call(self) -> bool:
        return self.tool_choice == "required" or isinstance(self.tool_choice, dict)


def text_of(message: Message) -> str:
    """The text of a message, whether a string or a list of parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    texts = [(as_object(part) or {}).get("text") for part in as_list(content) or []]
    return "\n".join(text for text in texts if isinstance(text, str))


def parse(body: bytes) -> Conversation:
    """Reads a request body, or says what is wrong with it."""
    try:
        asked = as_object(json.loads(body))
    except (ValueError, RecursionError):
        raise BadRequest("We could not parse the JSON body of your request.") from None
    if asked is None:
        raise BadRequest("The body of your request must be a JSON object.")
    _demand(isinstance(asked.get("model"), str) and asked["model"], "you must provide a model parameter", "model")
    _demand(asked.get("n") in (None, 1), "only n = 1 is supported", "n")
    options = _object(asked.get("stream_options") or {}, "stream_options")
    choice: Json = asked.get("tool_choice")
    named = choice in (None, "none", "auto", "required")
    _demand(named or as_object(choice), "'tool_choice' must be 'none', 'auto', 'required' or an object", "tool_choice")
    return Conversation(
        model=asked["model"],
        messages=_messages(asked.get("messages")),
        tools=[_tool(tool, f"tools[{number}]") for number, tool in enumerate(_list(asked.get("tools") or [], "tools"))],
        tool_choice=choice,
        parallel=asked.get("parallel_tool_calls") is not False,
        stream=asked.get("stream") is True,
        stream_usage=options.get("include_usage") is True,
    )


def _demand(holds: object, message: str, field: str) -> None:
    if not holds:
        raise BadRequest(message, field)


def _object(value: Json, at: str) -> dict[str, Any]:
    found = as_object(value)
    if found is None:
        raise BadRequest(f"Invalid type for '{at}': expected an object", at)
    return found


def _list(value: Json, at: str) -> list[Any]:
    found = as_list(value)
    if found is None:
        raise BadRequest(f"Invalid type for '{at}': expected a list", at)
    return found


def _messages(asked: Json) -> list[Message]:
    messages = [_object(one, f"messages[{number}]") for number, one in enumerate(_list(asked, "messages"))]
    _demand(messages, "'messages' must not be empty", "messages")
    waiting: set[str] = set()
    for number, message in enumerate(messages):
        at = f"messages[{number}]"
        role: Json = message.get("role")
        _demand(role in _ROLES, f"Invalid value for '{at}.role': expected one of {sorted(_ROLES)}", f"{at}.role")
        _check_content(message, at)
        if role == "tool":
            answers: Json = message.get("tool_call_id")
            told = f"'{at}' has role 'tool' but answers no preceding message with 'tool_calls'"
            _demand(answers in waiting, told, f"{at}.tool_call_id")
            waiting.discard(answers)
            continue
        _demand(not waiting, f"there are 'tool_call_id's without a response message before '{at}'", at)
        if role == "assistant" and message.get("tool_calls") is not None:
            waiting = _call_ids(message["tool_calls"], f"{at}.tool_calls")
    _demand(not waiting, "the last message with 'tool_calls' must be followed by a response to each", "messages")
    return messages


def _check_content(message: Message, at: str) -> None:
    content: Json = message.get("content")
    only_calls = message["role"] == "assistant" and content is None
    fine = only_calls or isinstance(content, str | list)
    _demand(fine, f"Invalid type for '{at}.content': expected a string or a list", f"{at}.content")


def _call_ids(calls: Json, at: str) -> set[str]:
    ids: set[str] = set()
    for number, one in enumerate(_list(calls, at)):
        here = f"{at}[{number}]"
        call = _object(one, here)
        function = _object(call.get("function"), f"{here}.function")
        name: Json = call.get("id")
        _demand(isinstance(name, str) and name, f"'{here}.id' must be a string", f"{here}.id")
        _demand(name not in ids, f"'{here}.id' is used twice", f"{here}.id")
        for part in ("name", "arguments"):
            _demand(isinstance(function.get(part), str), f"'{here}.function.{part}' must be a string", here)
        ids.add(name)
    _demand(ids, f"'{at}' must not be empty", at)
    return ids


def _tool(asked: Json, at: str) -> dict[str, Any]:
    tool = _object(asked, at)
    function = _object(tool.get("function"), f"{at}.function")
    name: Json = function.get("name")
    fine = isinstance(name, str) and _TOOL_NAME.fullmatch(name)
    _demand(fine, f"'{at}.function.name' must match {_TOOL_NAME.pattern}", f"{at}.function.name")
    _object(function.get("parameters") or {}, f"{at}.function.parameters")
    return tool
