"""Tool calls that a model wrote as text, in one of the forms that models were trained on."""

import ast
import json
import re
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple, cast

from router.turn import WantedCall

_TAGGED = re.compile(
    r"<(?P<tag>tool_call|function_call|tool_use|toolcall)>\s*(?P<said>.*?)\s*(?:</(?P=tag)>|\Z)", re.DOTALL
)
_FUNCTION = re.compile(r"<function=(?P<name>[\w.-]+)>?(?P<said>.*?)(?:</function>|\Z)", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=(?P<key>[\w.-]+)>\s*(?P<value>.*?)\s*</parameter>", re.DOTALL)
_ARGUMENT = re.compile(
    r"<arg_key>\s*(?P<key>.*?)\s*</arg_key>\s*<arg_value>\s*(?P<value>.*?)\s*</arg_value>", re.DOTALL
)
_MARKED = re.compile(
    r"(?:\[TOOL_CALLS\]|<\|python_tag\|>|<\|tool_call\|>|\bfunctools(?=\s*\[))\s*(?P<said>.*)\Z", re.DOTALL
)
_NAMED = re.compile(r"\s*(?P<name>[\w.-]+)\s*(?:\[ARGS\])?\s*(?=\{)")
_COMMENTARY = re.compile(
    r"<\|channel\|>\s*(?:commentary|analysis)\s+to=(?P<name>[\w.-]+)[^{]*<\|message\|>(?P<said>.*?)(?:<\|call\|>|<\|end\|>|\Z)",
    re.DOTALL,
)
_FENCED = re.compile(r"```(?:json|tool_call|tool_code|python)?\s*(?P<said>[\[{\w].*?)\s*```", re.DOTALL)
_LAST_JSON = re.compile(r"(?:^|\n)\s*(?P<said>[\[{].*)\Z", re.DOTALL)
_NAMES = ("name", "tool", "tool_name", "function", "action", "recipient_name")
_ARGUMENTS = ("arguments", "parameters", "args", "input", "tool_input", "action_input")
_DECODER = json.JSONDecoder()


class Written(NamedTuple):
    """The text without the calls in it, the calls, and whether there stood a call that cannot be read."""

    text: str
    calls: list[WantedCall]
    unreadable: bool


def read_written(text: str, names: Collection[str]) -> Written:
    """Calls in a marked form are read whatever they name; what only looks like a call must name one of `names`."""
    if not any(mark in text for mark in "<[{("):
        return Written(text, [], unreadable=False)
    for pattern in (_COMMENTARY, _TAGGED, _FUNCTION, _MARKED):
        found = list(pattern.finditer(text))
        if found:
            calls = [call for each in found for call in _marked(each)]
            return Written(pattern.sub("", text), calls, unreadable=not calls)
    return _looks_like_calls(text, names)


def _looks_like_calls(text: str, names: Collection[str]) -> Written:
    for pattern in (_FENCED, _LAST_JSON):
        for each in pattern.finditer(text):
            calls = list(_calls_of(_json(each["said"])))
            if calls and all(call.name in names for call in calls):
                return Written(text.replace(each[0], ""), calls, unreadable=False)
    said = _FENCED.sub(lambda each: each["said"], text).strip()
    calls = _python_calls(said, names) if said.endswith((")", ")]")) else []
    return Written("" if calls else text, calls, unreadable=False)


def _marked(found: re.Match[str]) -> list[WantedCall]:
    said = found["said"].strip()
    name = found.groupdict().get("name")
    if name is not None:
        value = _json(said) if said.startswith("{") else _parameters(said, _PARAMETER)
        return [WantedCall(name=_bare(name), arguments=json.dumps(value))] if isinstance(value, dict) else []
    if inner := _FUNCTION.search(said):
        return _marked(inner)
    if _ARGUMENT.search(said):
        return [WantedCall(name=said.split()[0].split("<")[0], arguments=json.dumps(_parameters(said, _ARGUMENT)))]
    if named := _NAMED.match(said):
        value = _json(said[named.end() :])
        return [WantedCall(name=_bare(named["name"]), arguments=json.dumps(value))] if isinstance(value, dict) else []
    return [call for value in _values(said) for call in _calls_of(value)]


def _parameters(said: str, pattern: re.Pattern[str]) -> dict[str, Any]:
    """Values as text; the schema says later which of them are numbers or lists."""
    return {each["key"]: each["value"] for each in pattern.finditer(said)}


def _values(said: str) -> Iterator[Any]:
    """The JSON values that stand one after the other at the beginning of a text."""
    at = 0
    while at < len(said):
        try:
            value, at = _DECODER.raw_decode(said, at)
        except (ValueError, RecursionError):
            return
        yield value
        while at < len(said) and said[at] in " \t\r\n,;":
            at += 1


def _json(said: str) -> Any:
    """The JSON value that a text is; None if it is something else."""
    try:
        return json.loads(said)
    except (ValueError, RecursionError):
        return None


def _calls_of(value: Any) -> Iterator[WantedCall]:
    if isinstance(value, list):
        for each in cast(list[Any], value):
            yield from _calls_of(each) if isinstance(each, dict) else ()
    if not isinstance(value, dict):
        return
    found = cast(dict[str, Any], value)
    if isinstance(found.get("tool_calls"), list):
        yield from _calls_of(found["tool_calls"])
    elif isinstance(found.get("function"), dict):
        yield from _calls_of(found["function"])
    else:
        name = next((found[key] for key in _NAMES if isinstance(found.get(key), str)), None)
        arguments = next((found[key] for key in _ARGUMENTS if key in found), None)
        if name is not None and (arguments is not None or len(found) == 1):
            text = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
            yield WantedCall(name=_bare(name), arguments=text)


def _python_calls(said: str, names: Collection[str]) -> list[WantedCall]:
    """`look_up(query="x")`, or a list of such calls, of tools on offer alone."""
    try:
        tree = ast.parse(said, mode="eval").body
        nodes = tree.elts if isinstance(tree, ast.List) else [tree]
        return [_python_call(node, names) for node in nodes]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _python_call(node: ast.expr, names: Collection[str]) -> WantedCall:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names and not node.args):
        raise ValueError("no call of a tool on offer")
    arguments = {each.arg: ast.literal_eval(each.value) for each in node.keywords if each.arg}
    return WantedCall(name=node.func.id, arguments=json.dumps(arguments))


def _bare(name: str) -> str:
    return name.removeprefix("functions.").removeprefix("function.")
