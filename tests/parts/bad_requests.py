"""Requests that no gateway may take, as a table: each with the status that it has to get."""

import gzip
import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

JSON = "application/json"
CONVERSATION = "conv_0123456789abcdef"
QUESTION = f"q_{'0' * 32}"
MESSAGE = {"message": "hello"}
TEXT = {"text": "hello"}
POSTS: dict[str, dict[str, Any]] = {
    "/api/v1/questions": MESSAGE,
    f"/api/v1/conversations/{CONVERSATION}/inputs": TEXT,
}


class Row(NamedTuple):
    """One request. `token` None: it says nothing about who asks."""

    status: int
    method: str
    path: str
    body: bytes | None = None
    kind: str | None = JSON
    headers: Mapping[str, str] = MappingProxyType({})
    token: str | None = "demo-user_12345"


def _nested(levels: int) -> bytes:
    return b'{"message":"x","more":' + b"[" * levels + b"]" * levels + b"}"


SYNTAX = [
    *(b"", b" ", b"\n", b"{", b"}", b"[", b"{]", b"nul", b"tru", b"'a'", b'"', b'{"message":}', b'{"message" "x"}'),
    *(
        b'{"message":"x",}',
        b'{message:"x"}',
        b"{'message':'x'}",
        b'{"message":"x"}}',
        b'{"message":"x"}{}',
        b"\xff\xfe",
    ),
    *(b'{"message":"\xff"}', b'{"message":"\xed\xa0\x80"}', b'{"message":"\xc0\xaf"}', b'{"message":"a\nb"}'),
    *(b'{"message":"\x00"}', b'{"message":"\x1b"}', b'{"message":"\\x41"}', b'{"message":"\\u12"}', b"\xef\xbb\xbf{}"),
    *(b'{"message":"x"}//', b'/**/{"message":"x"}', b'{"message":01}', b'{"message":+1}', b'{"message":.5}'),
    *(
        b"[" * 10_000,
        b"[" * 60_000,
        b'{"a":' * 5_000,
        b"[" * 30_000 + b"]" * 30_000,
        b'{"message":' + b"9" * 5_000 + b"}",
    ),
    *(gzip.compress(b'{"message":"x"}', mtime=0), b'{"message":"x","n":-' + b"1" * 5_000 + b"}"),
    *("é".encode("latin-1"), '{"message":"x"}'.encode("utf-16"), b"--", b"<xml/>"),
]
DUPLICATES = [b'{"%s":"a","%s":"b"}', b'{"%s":"a","more":{"x":1,"x":2}}']
VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    1.5,
    [],
    ["x"],
    {},
    {"x": 1},
    [[]],
    "",
    " ",
    "\t\n",
    "\u00a0 ",
    "x" * 8001,
]
NUL = [r"\u0000", r"a\u0000b", r"\u0000\u0000"]
LONE_SURROGATES = [r"\ud800", r"\udfff", r"\ud83d", r"\ude00\ud83d", r"\uDBFFx", r"x\uD800\u0041"]
DEEP = [32, 33, 100, 400, 900]
OBJECTS = [b"[]", b"null", b"true", b"1", b'"x"', b"[{}]", b"[1,2]", b"0.5", b"-0", b'""']
CONSTANTS = [b"NaN", b"Infinity", b"-Infinity"]
KINDS = [
    *(
        None,
        "",
        "text/plain",
        "text/json",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ),
    *("application/jsonp", "application/json5", "application/problem+json", "application/vnd.api+json", "*/*", "json"),
    *("application/json-patch+json", "application/ json", "applicationjson", "text/html; charset=utf-8", "image/png"),
    *("application/json, text/plain", "application/x-ndjson"),
]
FIELDS = {
    "/api/v1/questions": {
        "wait": [-1, 61, 1e9, "soon", None, [], {}, True, "5"],
        "user_id": ["user_67890", None, ""],
        "caller_token": ["x", None],
        "request": ["x"],
        "more": [1],
        "__proto__": [{}],
        "constructor": [{}],
    },
    f"/api/v1/conversations/{CONVERSATION}/inputs": {
        "type": ["", "Message", "STOP", "erase", None, 1, [], {}],
        "when_busy": ["", "now", "Steer", None, 0, [], {}],
        "input_id": ["", " ", "a b", "x" * 65, "ä", "a/b", 1, [], {}, "a\n"],
        "expected_run": ["x" * 65, 1, [], {}, True],
        "user_id": ["user_67890", None],
        "caller_token": ["x", None],
        "opens": [True, False],
        "tells_repeats": [True],
        "more": [1],
    },
}
CHAT: dict[str, Any] = {"model": "switchboard", "messages": [{"role": "user", "content": "hello"}]}
CHAT_FIELDS: dict[str, list[Any]] = {
    "model": [None, 1, [], {}],
    "messages": [
        *(None, [], {}, "hello", 1, [1], [None], [{}], [{"role": "user"}], [{"role": "customer", "content": "hello"}]),
        *([{"role": "user", "content": each}] for each in (1, {}, True, [1], [{}], "", " ", "x" * 8001)),
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}],
        [{"role": "assistant", "content": "hello"}],
        [{"role": "system", "content": "hello"}],
    ],
    "stream": ["yes", 2, [], {}],
    "stream_options": [1, "x", []],
    "n": [0, 2, -1, "x"],
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "TRACE", "PROPFIND", "FOO")
ROUTES = {
    "/api/v1/me": {"GET"},
    "/api/v1/questions": {"POST"},
    f"/api/v1/questions/{QUESTION}": {"GET"},
    "/api/v1/conversations": {"GET", "POST"},
    f"/api/v1/conversations/{CONVERSATION}": {"GET", "DELETE"},
    f"/api/v1/conversations/{CONVERSATION}/inputs": {"POST"},
    f"/api/v1/conversations/{CONVERSATION}/events": {"GET"},
    f"/api/v1/conversations/{CONVERSATION}/export": {"GET"},
    "/api/v1/tickets": {"GET"},
    "/api/v1/tickets/TCK-000001": {"GET"},
    "/api/v1/demo/customers": {"GET"},
}
NO_IDS = [
    *(
        "x",
        "conv_",
        "conv_short",
        "conv_" + "a" * 65,
        "conv_0123456789abcde!",
        "CONV_0123456789abcdef",
        "conv-0123456789abcdef",
    ),
    *(
        "conv_0123456789abcdef%0a",
        "conv_0123456789abcdef%20",
        "%63onv_short",
        "conv_%C3%A4123456789abcdef",
    ),
    *("inv_1hjQavdqLunU7CseorDqyx9fTH2Wakdaiq", "..", "%2e%2e", "..%2f..%2fetc", "conv_0123456789abcdef%2finput", "*"),
    *(
        "q_0",
        "q_" + "g" * 32,
        "q_" + "0" * 33,
        "-1",
        "0",
        "null",
        "undefined",
        "'%20OR%201=1",
        "%7b%7d",
        "conv_0123456789abcdef;x",
    ),
]
NO_TEXTS = ["conv_0123456789abcdef%00", "%00", "a%00b", "%ff", "conv_%ff%fe0123456789", "%ed%a0%80", "%c0%af", "x%E4y"]
"""Of an address: NUL, or not UTF-8."""
OF_ONE = {
    "/api/v1/conversations/{}": ("GET", None),
    "/api/v1/conversations/{}/events": ("GET", None),
    "/api/v1/conversations/{}/export": ("GET", None),
    "/api/v1/conversations/{}/inputs": ("POST", TEXT),
    "/api/v1/questions/{}": ("GET", None),
}
NOWHERE = [
    *(
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v2/me",
        "/api/v1/me/",
        "/api/v1//me",
        "/API/v1/me",
        "/api/v1/users",
        "/restate",
    ),
    *("/restate/call/ToolRouter/route", "/ToolRouter/route", "/Conversation/x/input", "/restate/health", "/query"),
    *(
        "/deployments",
        "/metrics",
        "/.env",
        "/.git/config",
        "/admin",
        "/robots.txt",
        "/api/v1/../../livez/x",
        "/static/../app.py",
    ),
    *(
        "/%2e%2e/%2e%2e/etc/passwd",
        "/chat/../../../etc/passwd",
        "/api/v1/conversations/x/y/z",
        "/v1",
        "/v1/",
        "/v1/completions",
        "/v1/chat/completions/",
        "/v1/models/another",
        "/v1/models/",
        "/v2/models",
    ),
]
LONG = ["/" + "a" * 2100, "/?" + "a" * 2100, "/" + "%41" * 700, "/" + "a" * 2047 + "?a", "/" + "a/" * 4000]
QUERIES = {
    "/api/v1/conversations": [
        "limit=0",
        "limit=101",
        "limit=x",
        "limit=1.5",
        "limit=-1",
        "limit=1e3",
        f"after={'x' * 201}",
    ],
    f"/api/v1/conversations/{CONVERSATION}": [
        *(
            "limit=0",
            "limit=201",
            "limit=x",
            "after=-1",
            "after=x",
            "after=1.5",
            f"after={2**64}",
            "limit=NaN",
            "after=%00",
        ),
    ],
    "/api/v1/tickets": ["limit=0", "limit=101", "limit=x", "limit=%F0%9F%98%80", "limit=Infinity"],
    f"/api/v1/questions/{QUESTION}": ["wait=-1", "wait=61", "wait=x", "wait=nan", "wait=inf", "wait=1e999", "wait=%00"],
}
KEYS = ["", " ", "a b", "x" * 129, "x" * 256, "x" * 10_000, "ä", "a\tb", "\u00a0"]
TOKENS = [
    *(None, "", "x", "demo-", "demo-user_1", "demo-user_12345 x", "Demo-user_12345", "demo-user_12345,demo-user_67890"),
    *(
        "a.b.c",
        "x" * 8000,
        "e30.e30.e30",
        "eyJhbGciOiJub25lIn0.e30.",
        "demo-user_12345\tx",
        "sk-12345",
        "null",
        "undefined",
    ),
]


def rows() -> Iterator[Row]:
    """The whole table."""
    for path, good in POSTS.items():
        name = next(iter(good))
        for body in SYNTAX:
            yield Row(400, "POST", path, body.replace(b"message", name.encode()))
        for body in DUPLICATES:
            yield Row(400, "POST", path, body.replace(b"%s", name.encode()))
        for body in OBJECTS:
            yield Row(422, "POST", path, body)
        for value in VALUES:
            yield Row(422, "POST", path, json.dumps({name: value}).encode())
        for status, values in ((422, NUL), (400, LONE_SURROGATES)):
            for value in values:
                yield Row(status, "POST", path, f'{{"{name}":"{value}"}}'.encode())
                yield Row(status, "POST", path, f'{{"{name}":"x","{value}":1}}'.encode())
        for constant in CONSTANTS:
            yield Row(422, "POST", path, b'{"%s":%s}' % (name.encode(), constant))
        for levels in DEEP:
            yield Row(400, "POST", path, _nested(levels))
        yield Row(422, "POST", path, b"{}")
        for field, values in FIELDS[path].items():
            for value in values:
                yield Row(422, "POST", path, json.dumps({**good, field: value}).encode())
        for kind in KINDS:
            yield Row(415, "POST", path, json.dumps(good).encode(), kind)
        yield Row(400, "POST", path, b"", None)
        yield Row(400, "POST", path, None)
        for size in (65_537, 70_000, 200_000):
            yield Row(413, "POST", path, json.dumps({**good, "more": "x" * size}).encode())
        for key in KEYS:
            yield Row(400, "POST", path, json.dumps(good).encode(), headers={"Idempotency-Key": key})
        yield Row(431, "POST", path, json.dumps(good).encode(), headers={f"X-{n}": "x" for n in range(150)})
    for text in ({"type": "stop", "text": "x"}, {"type": "stop", "text": " "}, {"type": "message"}, {"text": "\t"}):
        yield Row(422, "POST", f"/api/v1/conversations/{CONVERSATION}/inputs", json.dumps(text).encode())
    for body in (b"[]", b"1", b'{"message":"x"}', b'{"id":"conv_0123456789abcdef"}', b'{"user_id":"x"}'):
        yield Row(422, "POST", "/api/v1/conversations", body)
    for path, methods in ROUTES.items():
        for method in METHODS:
            if method not in methods:
                yield Row(405, method, path)
        if path != "/api/v1/demo/customers":
            for token in TOKENS:
                for method in methods:
                    yield Row(401, method, path, b"{}" if method == "POST" else None, token=token)
    for path, (method, body) in OF_ONE.items():
        for name in NO_IDS:
            yield Row(404, method, path.format(name), None if body is None else json.dumps(body).encode())
        for name in NO_TEXTS:
            yield Row(400, method, path.format(name), None if body is None else json.dumps(body).encode())
    for path in NOWHERE:
        yield Row(404, "GET", path)
    for path in LONG:
        yield Row(414, "GET", path)
        yield Row(414, "POST", f"/api/v1/questions{path}", json.dumps(MESSAGE).encode())
        yield Row(414, "GET", f"/v1/models{path}")
    for path, queries in QUERIES.items():
        for query in queries:
            yield Row(422, "GET", f"{path}?{query}")
    yield from of_chat_clients()
    for place in ("x" * 201, "\u00e9", "a\tb"):
        yield Row(422, "GET", f"/api/v1/conversations/{CONVERSATION}/events", headers={"Last-Event-ID": place})


def of_chat_clients() -> Iterator[Row]:
    """What they may not send. They know 400 for a value that is wrong, and for a body that is no JSON, too."""
    path, good = "/v1/chat/completions", json.dumps(CHAT).encode()
    for body in SYNTAX:
        yield Row(400, "POST", path, body)
    for body in (*OBJECTS, *(each.replace(b"%s", b"model") for each in DUPLICATES), b"{}"):
        yield Row(400, "POST", path, body)
    for field, values in CHAT_FIELDS.items():
        for value in values:
            yield Row(400, "POST", path, json.dumps({**CHAT, field: value}).encode())
    for text in (*NUL, *LONE_SURROGATES):
        yield Row(400, "POST", path, good.replace(b"hello", text.encode()))
    for levels in DEEP:
        yield Row(400, "POST", path, good.replace(b'"hello"', b"[" * levels + b"]" * levels))
    for constant in CONSTANTS:
        yield Row(400, "POST", path, good[:-1] + b',"temperature":' + constant + b"}")
    for kind in KINDS:
        yield Row(400, "POST", path, good, kind)
    for key in KEYS:
        yield Row(400, "POST", path, good, headers={"Idempotency-Key": key})
    yield Row(400, "POST", path, b"", None)
    yield Row(400, "GET", "/v1/models/%ff")
    yield Row(431, "POST", path, good, headers={f"X-{n}": "x" for n in range(150)})
    for route, taken in {path: "POST", "/v1/models": "GET", "/v1/models/switchboard": "GET"}.items():
        for method in METHODS:
            if method != taken:
                yield Row(405, method, route)
        for token in TOKENS:
            yield Row(401, taken, route, b"{}" if taken == "POST" else None, token=token)
