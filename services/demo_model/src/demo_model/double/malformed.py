"""A seeded generator of malformed replies: 40 shapes, each different with every seed."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

JSON_HEADERS = {"Content-Type": "application/json"}
_TOOLS = ("look_up",)

Tools = tuple[str, ...]
Shape = Callable[[Random, Tools], Any]
"""Makes a body: bytes as they are, anything else as JSON."""


def generate(seed: int, tools: Tools = _TOOLS) -> tuple[str, int, dict[str, str], bytes]:
    """One malformed reply: its shape's name, status, headers and body. Seeds 0 to 999 make every shape 25 times."""
    name = tuple(SHAPES)[seed % len(SHAPES)]
    made = SHAPES[name](Random(seed), tools or _TOOLS)
    body = made if isinstance(made, bytes) else json.dumps(made).encode()
    headers = {"Content-Type": "text/html"} if name == "html" else dict(JSON_HEADERS)
    return name, 200, headers, body


def _text(rng: Random) -> str:
    words = [
        "the",
        "of",
        "status",
        "plan",
        "ticket",
        "err0r",
        "naïve",
        "42",
        "{}",
        "[]",
        '"',
        "\\",
        "\n",
        "\u202e",
        "😀",
        "null",
        "<b>",
        "DROP",
    ]
    return " ".join(rng.choices(words, k=rng.randint(1, 30)))


def _any_of(rng: Random, *values: Any) -> Any:
    return rng.choice(values)


def _junk(rng: Random) -> Any:
    """Any JSON value of a wrong kind."""
    return _any_of(rng, 0, -1, 3.5, True, "", _text(rng), [], [[]], {}, {"a": None}, [None], 10**30)


def _whole(message: Any, finish: Any = "stop", **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": message, "finish_reason": finish}
    usage = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
    return {
        "id": "chatcmpl-x",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [choice],
        "usage": usage,
    } | more


def _says(content: Any, finish: Any = "stop", **more: Any) -> dict[str, Any]:
    return _whole({"role": "assistant", "content": content} | more, finish)


def _call(rng: Random, tools: Tools, **function: Any) -> dict[str, Any]:
    fields = {"name": rng.choice(tools), "arguments": "{}"} | function
    return {"id": f"call_{rng.randint(0, 9)}", "type": "function", "function": fields}


def _calls(calls: Any, finish: Any = "tool_calls") -> dict[str, Any]:
    return _whole({"role": "assistant", "content": None, "tool_calls": calls}, finish)


def _arguments(arguments: Callable[[Random], Any]) -> Shape:
    return lambda rng, tools: _calls([_call(rng, tools, arguments=arguments(rng))])


def _cut(rng: Random, tools: Tools) -> bytes:
    body = json.dumps(_calls([_call(rng, tools)]) if rng.random() < 0.5 else _says(_text(rng))).encode()
    return body[: rng.randint(1, len(body) - 1)]


def _bad_bytes(rng: Random, _: Tools) -> bytes:
    body = json.dumps(_says("abc @ def")).encode()
    return body.replace(b"@", rng.choice([b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\x80", b"\xf5\x80\x80\x80"]))


def _noise(rng: Random, _: Tools) -> bytes:
    return rng.randbytes(rng.randint(1, 400))


def _deep(rng: Random, _: Tools) -> bytes:
    depth = rng.randint(2_000, 120_000)
    return b'{"choices":' + b"[" * depth + b"]" * depth + b"}"


def _twice(rng: Random, _: Tools) -> bytes:
    body = json.dumps(_says(_text(rng))).encode()
    return body[:-1] + b',"choices":' + json.dumps(_junk(rng)).encode() + b"}"


def _not_a_number(rng: Random, _: Tools) -> bytes:
    odd = rng.choice([b"NaN", b"Infinity", b"-Infinity", b"1e999", b"9" * rng.randint(20, 6000)])
    return (
        json.dumps(_whole({"role": "assistant", "content": "fine"}, usage="@"))
        .encode()
        .replace(b'"@"', b'{"prompt_tokens":' + odd + b"}")
    )


def _as_events(rng: Random, _: Tools) -> bytes:
    return b"data: " + json.dumps(_says(_text(rng))).encode() + b"\n\ndata: [DONE]\n\n"


def _many(rng: Random, tools: Tools) -> Any:
    return _calls([_call(rng, tools) for _ in range(rng.randint(50, 300))])


def _same_ids(rng: Random, tools: Tools) -> Any:
    return _calls([_call(rng, tools) | {"id": "same"} for _ in range(rng.randint(2, 5))])


def _nested_arguments(rng: Random) -> str:
    depth = rng.randint(100, 20_000)
    return '{"a":' * depth + "1" + "}" * depth


SHAPES: dict[str, Shape] = {
    "text": lambda rng, _: _text(rng).encode(),
    "html": lambda rng, _: f"<html><body>{_text(rng)}</body></html>".encode(),
    "empty": lambda rng, _: rng.choice([b"", b" ", b"\n\n", b"\t"]),
    "truncated": _cut,
    "bad_utf8": _bad_bytes,
    "noise": _noise,
    "utf16": lambda rng, _: json.dumps(_says(_text(rng))).encode("utf-16"),
    "byte_order_mark": lambda rng, _: b"\xef\xbb\xbf" + json.dumps(_says(_text(rng))).encode(),
    "null": lambda rng, _: rng.choice([b"null", b" null "]),
    "array": lambda rng, _: [_junk(rng) for _ in range(rng.randint(0, 3))],
    "scalar": lambda rng, _: rng.choice([True, False, 0, -7.5, _text(rng)]),
    "empty_object": lambda rng, _: {} if rng.random() < 0.5 else {"object": "chat.completion"},
    "error_object": lambda rng, _: {"error": rng.choice([{"message": _text(rng), "code": 500}, _text(rng), None, []])},
    "deep_nesting": _deep,
    "duplicate_keys": _twice,
    "not_a_number": _not_a_number,
    "events": _as_events,
    "no_choices": lambda rng, _: _whole(None, choices=[]) if rng.random() < 0.5 else {"id": "x", "usage": None},
    "choices_null": lambda rng, _: _whole(None, choices=None),
    "choices_wrong": lambda rng, _: _whole(None, choices=_junk(rng)),
    "choice_wrong": lambda rng, _: _whole(None, choices=[rng.choice([None, _junk(rng)])]),
    "message_wrong": lambda rng, _: _whole(rng.choice([None, _junk(rng)])),
    "content_null": lambda rng, _: _says(None, rng.choice(["stop", "length", None])),
    "content_wrong": lambda rng, _: _says(_any_of(rng, 7, True, {}, [], [{"type": "text", "text": _text(rng)}])),
    "refusal": lambda rng, _: _says(None, refusal=rng.choice([_text(rng), "", 7, []])),
    "content_filter": lambda rng, _: _says(rng.choice([None, "", _text(rng)]), "content_filter"),
    "length": lambda rng, _: _says(rng.choice([None, "", _text(rng)]), "length"),
    "unknown_finish": lambda rng, _: _says(rng.choice([None, "", _text(rng)]), rng.choice(["eos", "", None, 7, []])),
    "surrogate": lambda rng, _: _says(rng.choice(["\ud800", "a\udfff", "\udc00\ud800"]) + _text(rng)),
    "control_characters": lambda rng, _: _says("".join(chr(rng.randint(0, 31)) for _ in range(rng.randint(1, 40)))),
    "calls_wrong": lambda rng, _: _calls(_any_of(rng, 7, True, {}, "x", [None], [[]], [7], _junk(rng))),
    "no_function": lambda rng, tools: _calls([_call(rng, tools) | {"function": rng.choice([None, _junk(rng)])}]),
    "name_wrong": lambda rng, tools: _calls([_call(rng, tools, name=rng.choice([None, "", 7, [], "a b", "x" * 5000]))]),
    "unknown_tool": lambda rng, tools: _calls([_call(rng, tools, name=f"no_such_tool_{rng.randint(0, 99)}")]),
    "id_wrong": lambda rng, tools: _calls([_call(rng, tools) | {"id": rng.choice([None, "", 7, [], "x" * 9000])}]),
    "duplicate_ids": _same_ids,
    "arguments_not_json": _arguments(lambda rng: rng.choice(["", "{", "{'a': 1}", "nul", "{} {}", _text(rng)])),
    "arguments_not_text": _arguments(lambda rng: rng.choice([None, {}, {"a": 1}, [], 7, True])),
    "arguments_wrong": _arguments(
        lambda rng: rng.choice(["null", "[]", "7", '"x"', '{"zz":{"a":[]}}', _nested_arguments(rng)])
    ),
    "many_calls": _many,
}
