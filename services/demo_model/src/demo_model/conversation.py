"""The request: its shape is checked as OpenAI checks it, and nothing else is demanded."""

import json
from dataclasses import dataclass, field
from typing import Any

from demo_model.shapes import as_object

Json = Any
Message = dict[str, Any]

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
        """How many assistant messages there are: a retry counts the same, so whatever is stepped by it is too."""
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

    def offered(self) -> list[ToolSpec]:
        """The tools that may be called in this turn."""
        if self.tool_choice == "none":
            return []
        functions = [tool["function"] for tool in self.tools if "function" in tool]
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
    parts: list[Json] = content if isinstance(content, list) else []
    return "\n".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


def parse(body: bytes) -> Conversation:
    """Reads a request body, or says what is wrong with it."""
    try:
        asked: Json = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequest("We could not parse the JSON body of your request.") from None
    if not isinstance(asked, dict):
        raise BadRequest("The body of your request must be a JSON object.")
    _demand(isinstance(asked.get("model"), str) and asked["model"], "you must provide a model parameter", "model")
    _demand(asked.get("n") in (None, 1), "only n = 1 is supported", "n")
    options: Json = asked.get("stream_options") or {}
    _demand(isinstance(options, dict), "'stream_options' must be an object", "stream_options")
    return Conversation(
        model=asked["model"],
        messages=_messages(asked.get("messages")),
        tools=_tools(asked.get("tools")),
        tool_choice=_tool_choice(asked.get("tool_choice")),
        parallel=asked.get("parallel_tool_calls") is not False,
        stream=asked.get("stream") is True,
        stream_usage=options.get("include_usage") is True,
    )


def _demand(holds: object, message: str, field: str) -> None:
    if not holds:
        raise BadRequest(message, field)


def _messages(messages: Json) -> list[Message]:
    _demand(isinstance(messages, list) and messages, "'messages' must be a list that is not empty", "messages")
    waiting: set[str] = set()
    for number, message in enumerate(messages):
        at = f"messages[{number}]"
        _demand(isinstance(message, dict), f"'{at}' must be an object", at)
        role = message.get("role")
        _demand(role in _ROLES, f"Invalid value for '{at}.role': expected one of {sorted(_ROLES)}", f"{at}.role")
        if role == "tool":
            _demand(
                message.get("tool_call_id") in waiting,
                f"'{at}' has role 'tool' but answers no preceding message with 'tool_calls'",
                f"{at}.tool_call_id",
            )
            waiting.discard(message["tool_call_id"])
        else:
            _demand(not waiting, f"'tool_call_id's without a response message before '{at}'", at)
        _check_content(message, at)
        if role == "assistant" and message.get("tool_calls") is not None:
            waiting = _call_ids(message["tool_calls"], f"{at}.tool_calls")
    _demand(not waiting, "the last message with 'tool_calls' must be followed by a response to each", "messages")
    return messages


def _check_content(message: Message, at: str) -> None:
    content = message.get("content")
    if isinstance(content, str | list):
        return
    calls_instead = message["role"] == "assistant" and content is None
    _demand(calls_instead, f"Invalid type for '{at}.content': expected a string or a list", f"{at}.content")


def _call_ids(calls: Json, at: str) -> set[str]:
    _demand(isinstance(calls, list) and calls, f"'{at}' must be a list that is not empty", at)
    ids: set[str] = set()
    for number, call in enumerate(calls):
        here = f"{at}[{number}]"
        function: Json = call.get("function") if isinstance(call, dict) else None
        _demand(isinstance(function, dict), f"'{here}.function' must be an object", here)
        _demand(isinstance(call.get("id"), str) and call["id"], f"'{here}.id' must be a string", f"{here}.id")
        _demand(call["id"] not in ids, f"'{here}.id' is used twice", f"{here}.id")
        for part in ("name", "arguments"):
            _demand(isinstance(function.get(part), str), f"'{here}.function.{part}' must be a string", here)
        ids.add(call["id"])
    return ids


def _tools(tools: Json) -> list[dict[str, Any]]:
    if tools is None:
        return []
    _demand(isinstance(tools, list), "'tools' must be a list", "tools")
    for number, tool in enumerate(tools):
        at = f"tools[{number}]"
        function: Json = tool.get("function") if isinstance(tool, dict) else None
        _demand(isinstance(function, dict) and tool.get("type") == "function", f"'{at}' must be a function", at)
        name: Json = function.get("name")
        plain = isinstance(name, str) and 1 <= len(name) <= 64 and name.replace("_", "").replace("-", "").isalnum()
        _demand(plain and name.isascii(), f"'{at}.function.name' must match ^[a-zA-Z0-9_-]{{1,64}}$", at)
        parameters: Json = function.get("parameters") or {}
        _demand(isinstance(parameters, dict), f"'{at}.function.parameters' must be a JSON schema", at)
    return tools


def _tool_choice(choice: Json) -> Json:
    fine = choice in (None, "none", "auto", "required") or isinstance(choice, dict)
    _demand(fine, "'tool_choice' must be 'none', 'auto', 'required' or an object", "tool_choice")
    return choice
