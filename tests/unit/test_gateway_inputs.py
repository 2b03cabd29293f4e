"""What the gateway keeps out: of what is refused not one byte reaches whoever stands behind it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from gateway.api.asked import MAX_CHAT_BYTES
from gateway.limits import Limits
from runtime.api.problems import KINDS, Problem
from runtime.api.rates import Rate
from runtime.checked import MAX_BODY_BYTES
from tests.parts.bad_requests import Row, rows
from tests.parts.gateway import OF_A_GATEWAY
from tests.parts.service import Service

TABLE = list(rows())
WIDE_OPEN = {"REQUESTS_PER_MINUTE": "1000000", "BURST": "1000000", "BODY_SECONDS": "3"}
OF_OPENAI = {401: "authentication_error", 404: "not_found_error"}
ORIGIN = "https://shop.example"
ANSWER = {"text": "Hello.", "outcome": "answered"}


class Behind:
    """Stands where Restate and the conversations would; counts what comes, and keeps the latest."""

    def __init__(self) -> None:
        self.requests = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.held = asyncio.Event()
        self.held.set()

    async def take(self, request: web.Request) -> web.Response:
        if not request.path.endswith("health"):
            self.requests += 1
            self.headers, self.body = dict(request.headers), await request.read()
            await self.held.wait()
            if request.path == "/restate/call/ToolRouter/route":
                return web.json_response(ANSWER | {"request": json.loads(self.body)["request"]})
        return web.json_response({})


@pytest.fixture(scope="module")
async def behind() -> Behind:
    return Behind()


@pytest.fixture(scope="module")
async def launch(
    behind: Behind, service: Callable[..., Awaitable[Service]]
) -> AsyncIterator[Callable[..., Awaitable[Service]]]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", behind.take)
    async with TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")

        async def start(**more: str) -> Service:
            return await service("gateway", RESTATE_INGRESS_URL=url, CONVERSATIONS_URL=url, **OF_A_GATEWAY, **more)

        yield start


@pytest.fixture(scope="module")
async def gateway(launch: Callable[..., Awaitable[Service]]) -> Service:
    return await launch(ALLOWED_ORIGINS=ORIGIN, **WIDE_OPEN)


async def sent(http: aiohttp.ClientSession, gateway: Service, row: Row) -> tuple[int, str, str]:
    headers = dict(row.headers)
    if row.kind is not None and row.body is not None:
        headers["Content-Type"] = row.kind
    if row.token is not None:
        headers["Authorization"] = f"Bearer {row.token}"
    url = URL(gateway.address + row.path, encoded=True)
    skipped = ("Content-Type", "Accept", "User-Agent")
    async with http.request(
        row.method, url, data=row.body, headers=headers, skip_auto_headers=skipped, allow_redirects=False
    ) as reply:
        return reply.status, reply.headers.get("Content-Type", ""), await reply.text()


async def answered(http: aiohttp.ClientSession, gateway: Service, row: Row) -> tuple[int, str, str]:
    """Whoever is refused by the head of a request may be cut off while the body is still written, and asks again."""
    for _ in range(4):
        with suppress(aiohttp.ClientConnectionError):
            return await sent(http, gateway, row)
    return await sent(http, gateway, row)


def test_the_table_has_at_least_five_hundred_rows() -> None:
    assert len(TABLE) >= 500
    assert len({str(row) for row in TABLE}) == len(TABLE)


async def test_what_is_refused_gets_its_status_and_goes_no_further(gateway: Service, behind: Behind) -> None:
    wrong: list[str] = []
    async with aiohttp.ClientSession() as http:
        before = behind.requests
        for row in TABLE:
            try:
                status, kind, text = await answered(http, gateway, row)
            except (aiohttp.ClientError, ValueError) as error:
                if isinstance(error, ValueError) or row.status != 413:  # the client's own library would not send it
                    wrong += [] if isinstance(error, ValueError) else [f"{row}: {error}"]
                continue
            good = status == row.status or (row.method in ("TRACE", "FOO", "PROPFIND") and status in (404, 405))
            if not good or behind.requests != before:
                wrong.append(f"{status} for {str(row)[:200]}: {text[:200]}")
                before = behind.requests
            elif row.method != "HEAD":
                told = json.loads(text)
                if row.path.startswith("/v1/"):
                    wrong += [] if told["error"]["type"] == OF_OPENAI.get(status, "invalid_request_error") else [text]
                    continue
                code = told["type"].rpartition(":")[2]
                if kind != "application/problem+json" or KINDS[code].status != status or not told["request_id"]:
                    wrong.append(f"{kind} {text}")
    assert wrong == []


async def raw(gateway: Service, request: bytes, *, later: bytes = b"") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(request)
    if later:
        await asyncio.sleep(0.1)
        writer.write(later)
    try:
        return await asyncio.wait_for(reader.read(4096), 10)
    finally:
        writer.close()


HEAD = b"POST /api/v1/questions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer demo-user_12345\r\n"
JSON = b"Content-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (HEAD + JSON + b"Content-Length: 100000000\r\n\r\n{", b"413"),
        (HEAD + JSON + b"Content-Length: 65537\r\n\r\n", b"413"),
        (
            HEAD.replace(b"/api/v1/questions", b"/v1/chat/completions") + JSON + b"Content-Length: 1048577\r\n\r\n",
            b"413",
        ),
        (HEAD + JSON + b"Content-Length: 20\r\n\r\n{", b"408"),
        (
            HEAD
            + JSON
            + b"Transfer-Encoding: chunked\r\n\r\n"
            + b"8000\r\n"
            + b"x" * 0x8000
            + b"\r\n"
            + b"9000\r\n"
            + b"x" * 0x9000,
            b"413",
        ),
        (HEAD + JSON + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}", b"408"),
        (HEAD + JSON + b"Content-Length: x\r\n\r\n{}", b"400"),
        (HEAD + JSON + b"Content-Length: -1\r\n\r\n{}", b"400"),
        (HEAD + JSON + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", b"400"),
        (HEAD + JSON + b"X-Long: " + b"x" * 30_000 + b"\r\n\r\n", b"431"),
        (b"GET /" + b"a" * 30_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"414"),
        (b"GET /" + b"a" * 30_000, b"414"),
        (HEAD + JSON + b"X-Long: " + b"x" * 30_000, b"431"),
        (b"GET /api/v1/me?" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"414"),
        (HEAD + b"X: a\x00b\r\n\r\n", b"400"),
        (b"GET /api/v1/me\r\n\r\n", b"400"),
        (b"GET  HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /api/v1/m\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", b"40"),
        (b"\x16\x03\x01\x02\x00\x01", b"400"),
    ],
)
async def test_what_is_no_request_is_cut_off(gateway: Service, behind: Behind, request_: bytes, status: bytes) -> None:
    before = behind.requests
    answer = await raw(gateway, request_)
    assert answer.startswith(b"HTTP/1.1 " + status), answer[:200]
    assert behind.requests == before


async def test_nobody_holds_a_connection_by_half_a_request(gateway: Service) -> None:
    assert await raw(gateway, b"GET /api/v1/me HTTP/1.1\r\nHost: x\r\n") == b""


async def test_no_header_of_a_client_goes_any_further(gateway: Service, behind: Behind) -> None:
    foreign = {
        "Cookie": "a=b",
        "X-Switchboard-Token": "forged",
        "X-Restate-Id": "inv_1",
        "X-Forwarded-For": "1.2.3.4",
        "X-User-Id": "user_67890",
        "Forwarded": "for=1.2.3.4",
        "X-Anything": "1",
        "Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }
    headers = {"Authorization": "Bearer demo-user_12345", "Idempotency-Key": "canary", **foreign}
    async with aiohttp.ClientSession() as http:
        url = f"{gateway.address}/api/v1/conversations"
        async with http.post(url, json={}, headers=headers) as reply:
            assert reply.status == 201
    told = {name.lower(): value for name, value in behind.headers.items()}
    assert not {name.lower() for name in foreign} & told.keys()
    assert "demo-user_12345" not in str(told)
    assert "canary" not in str(told)


@pytest.mark.parametrize("word", ["word ", "слово ", "😀", "\x01"])
async def test_a_chat_as_long_as_clients_send_it_goes_on_as_what_the_router_takes(
    gateway: Service, behind: Behind, word: str
) -> None:
    earlier = [{"role": ("user", "assistant")[at % 2], "content": f"{at}: {word * 20}"} for at in range(1500)]
    asked = {"role": "user", "content": word.strip() * (8000 // len(word))}
    before, body = behind.requests, {"model": "switchboard", "messages": [*earlier, asked]}
    sent_ = json.dumps(body, ensure_ascii=False).encode()
    headers = {"Authorization": "Bearer demo-user_12345", "Content-Type": "application/json"}
    assert MAX_BODY_BYTES < len(sent_) < MAX_CHAT_BYTES
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{gateway.address}/v1/chat/completions", data=sent_, headers=headers) as reply,
    ):
        assert reply.status == 200, await reply.text()
    question = json.loads(behind.body)
    assert behind.requests > before
    assert len(behind.body) < MAX_BODY_BYTES
    assert question["message"] == asked["content"]
    assert question["earlier"][-1]["text"] == earlier[-1]["content"].strip()
    assert "\\u0441" not in behind.body.decode()


async def test_a_stream_of_one_question_is_buffered_by_no_proxy(gateway: Service, behind: Behind) -> None:
    body = {"model": "switchboard", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    behind.held.clear()
    try:
        async with (
            aiohttp.ClientSession(headers={"Authorization": "Bearer demo-user_12345"}) as http,
            http.post(f"{gateway.address}/v1/chat/completions", json=body) as reply,
        ):
            assert (reply.status, reply.headers["X-Accel-Buffering"]) == (200, "no")
    finally:
        behind.held.set()


async def test_every_answer_has_the_headers_that_protect_a_browser(gateway: Service) -> None:
    async with aiohttp.ClientSession() as http:
        for path in ("/api/v1/me", "/nowhere", "/docs", "/livez", "/openapi.json", "/"):
            async with http.get(gateway.address + path, allow_redirects=False) as reply:
                assert reply.headers["X-Content-Type-Options"] == "nosniff"
                assert reply.headers["Content-Security-Policy"].startswith("default-src 'none'")
                assert "frame-ancestors 'none'" in reply.headers["Content-Security-Policy"]
                assert reply.headers["X-Request-Id"].startswith("req_")
                assert "Server" not in reply.headers
                assert "Access-Control-Allow-Origin" not in reply.headers


async def test_only_pages_of_a_named_origin_may_call(gateway: Service) -> None:
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    async with aiohttp.ClientSession() as http:
        for origin, status in (
            (ORIGIN, 204),
            ("https://evil.example", 405),
            ("null", 405),
            (f"{ORIGIN}.evil.example", 405),
        ):
            url = f"{gateway.address}/api/v1/questions"
            async with http.options(url, headers={"Origin": origin, **asks}) as reply:
                assert reply.status == status
                assert reply.headers.get("Access-Control-Allow-Origin") == (ORIGIN if status == 204 else None)
            async with http.get(f"{gateway.address}/api/v1/me", headers={"Origin": origin}) as reply:
                assert reply.headers.get("Access-Control-Allow-Origin") == (ORIGIN if status == 204 else None)
                assert "Access-Control-Allow-Credentials" not in reply.headers


async def test_whoever_asks_too_much_is_told_when_to_come_again(launch: Callable[..., Awaitable[Service]]) -> None:
    small = await launch(REQUESTS_PER_MINUTE="1", BURST="3")
    async with aiohttp.ClientSession() as http:

        async def me(user_id: str) -> tuple[int, dict[str, str]]:
            async with http.get(
                f"{small.address}/api/v1/me", headers={"Authorization": f"Bearer demo-{user_id}"}
            ) as reply:
                return reply.status, dict(reply.headers)

        answers = [await me("user_12345") for _ in range(5)]
        assert [status for status, _ in answers] == [200, 200, 200, 429, 429]
        assert answers[0][1]["ratelimit"].startswith('"caller";r=2;')
        assert answers[0][1]["ratelimit-policy"] == '"caller";q=1;w=60'
        assert 1 <= int(answers[3][1]["Retry-After"]) <= 60
        assert (await me("user_67890"))[0] == 200


async def test_whoever_comes_again_when_told_is_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("runtime.api.rates.time", SimpleNamespace(monotonic=lambda: now))
    limits = Limits(Rate(per_minute=60, burst=3), waiting=1, streams=1)
    for _ in range(3):
        await limits.take("a")
    with pytest.raises(Problem, match="too_many") as refused:
        await limits.take("a")
    assert refused.value.headers["Retry-After"] == "1"
    now += 1
    await limits.take("a")


async def test_one_caller_may_wait_for_so_many_questions_and_all_for_so_many_more(
    launch: Callable[..., Awaitable[Service]], behind: Behind
) -> None:
    small = await launch(WAITING_PER_CALLER="2", MAX_IN_FLIGHT="3", **WIDE_OPEN)
    async with aiohttp.ClientSession() as http:

        async def ask(user_id: str) -> tuple[int, str]:
            headers = {"Authorization": f"Bearer demo-{user_id}"}
            async with http.post(f"{small.address}/api/v1/questions", json={"message": "hi"}, headers=headers) as reply:
                return reply.status, reply.headers.get("Retry-After", "")

        behind.held.clear()
        before = behind.requests
        waiting = [asyncio.create_task(ask(user_id)) for user_id in ("user_12345", "user_12345")]
        try:
            while behind.requests < before + 2:
                await asyncio.sleep(0.01)
            assert await ask("user_12345") == (429, "1")
            waiting.append(asyncio.create_task(ask("user_67890")))
            while behind.requests < before + 3:
                await asyncio.sleep(0.01)
            assert await ask("user_67890") == (503, "1")
            async with http.get(f"{small.address}/livez") as reply:
                assert reply.status == 200
        finally:
            behind.held.set()
            answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert answers == [(200, "")] * 3


async def test_callers_that_are_forgotten_are_those_that_were_away_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.api.rates.KEPT_CALLERS", 2)
    limits = Limits(Rate(per_minute=1, burst=1), waiting=1, streams=1)
    for user_id in ("a", "b"):
        await limits.take(user_id)
    with pytest.raises(Problem, match="too_many"):
        await limits.take("a")
    await limits.take("c")
    await limits.take("b")
    with pytest.raises(Problem, match="too_many"):
        await limits.take("c")
