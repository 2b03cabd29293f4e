"""All gateways count a caller's requests together where there is a Valkey, and go on while it is away."""

import asyncio
import json
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest

from gateway.settings import GatewaySettings
from gateway.valkey import RIGHTS
from standalone.ports import free_port
from tests.parts.board import USER
from tests.parts.gateway import OF_A_GATEWAY, OTHER
from tests.parts.polling import eventually
from tests.parts.scrape import scrape
from tests.parts.service import Service
from tests.parts.valkey import ValkeyServer, need_valkey

PATIENT = {"LIMITS_SECONDS": "10"}
"""So that a busy machine is no Valkey that is away."""
FEW = {"REQUESTS_PER_MINUTE": "1", "BURST": "4"}
"""Nothing to speak of comes back while a test runs."""
PASSWORD = "p@ss/word:1"

Launch = Callable[..., Awaitable[Service]]


class Told(NamedTuple):
    status: int
    left: int
    again: str


@pytest.fixture
async def valkey(tmp_path: Path) -> AsyncIterator[ValkeyServer]:
    async for server in started(tmp_path):
        yield server


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[ValkeyServer]:
    async for server in started(tmp_path, PASSWORD):
        yield server


async def started(folder: Path, password: str = "", tls: Path | None = None) -> AsyncIterator[ValkeyServer]:
    need_valkey()
    server = ValkeyServer(folder, password, tls)
    await server.start()
    yield server
    await server.kill()


async def a_gateway(service: Launch, url: str, **settings: str) -> Service:
    return await service("gateway", LIMITS_URL=url, **(OF_A_GATEWAY | PATIENT | FEW | settings))


async def ask(gateway: Service, user_id: str = USER) -> Told:
    headers = {"Authorization": f"Bearer demo-{user_id}"}
    async with aiohttp.ClientSession() as http, http.get(f"{gateway.address}/api/v1/me", headers=headers) as reply:
        left = re.fullmatch(r'"caller";r=(\d+);t=\d+', reply.headers["RateLimit"])
        assert left, reply.headers["RateLimit"]
        return Told(reply.status, int(left[1]), reply.headers.get("Retry-After", ""))


def events(gateway: Service, name: str) -> list[dict[str, str]]:
    lines = [json.loads(line) for line in gateway.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("event", line.get("message")) == name]


async def until_told(gateway: Service, name: str, times: int = 1) -> None:
    async def is_told() -> bool:
        return len(events(gateway, name)) >= times

    await eventually(is_told, 30)


async def test_two_gateways_let_pass_at_one_instant_what_one_would(service: Launch, valkey: ValkeyServer) -> None:
    gates = [await a_gateway(service, valkey.url, BURST="100") for _ in range(2)]
    told = await asyncio.gather(*(ask(gates[number % 2]) for number in range(200)))
    assert Counter(each.status for each in told) == {200: 100, 429: 100}
    assert sorted(each.left for each in told if each.status == 200) == list(range(100))
    assert {each.left for each in told if each.status == 429} == {0}
    assert all(30 < int(each.again) <= 60 for each in told if each.status == 429)
    assert (await ask(gates[0], OTHER)).status == 200


async def test_what_one_gateway_tells_the_other_goes_on_with(service: Launch, valkey: ValkeyServer) -> None:
    one, two = [await a_gateway(service, valkey.url) for _ in range(2)]
    assert [(await ask(gate)).left for gate in (one, two, one, two)] == [3, 2, 1, 0]
    assert (await ask(one)).status == (await ask(two)).status == 429


async def test_a_bucket_fills_up_again_by_the_clock(service: Launch, valkey: ValkeyServer) -> None:
    one, two = [await a_gateway(service, valkey.url, REQUESTS_PER_MINUTE="60", BURST="1") for _ in range(2)]

    async def passes() -> bool:
        return (await ask(two)).status == 200

    await ask(one)
    await eventually(passes)


async def test_a_request_is_one_question_to_it_and_no_key_tells_whose_it_is(
    service: Launch, valkey: ValkeyServer
) -> None:
    gate = await a_gateway(service, valkey.url)
    before = await valkey.calls()
    for _ in range(3):
        await ask(gate)
    after = await valkey.calls()
    assert after["eval"] - before["eval"] == 3
    rights = {each.removeprefix("+") for each in RIGHTS.split()}
    assert rights <= set(after) <= rights | {"info", "client|setinfo", "config|get"}
    async with valkey.opened() as server:
        keys = await server.keys("*")
        assert len(keys) == 2
        assert all(re.fullmatch(r"switchboard:limits:[0-9a-f]{32}", str(key)) for key in keys)
        assert all([0 < await server.pttl(key) <= 241_000 for key in keys])


async def test_while_it_is_away_each_counts_by_itself_and_goes_on_from_what_it_knew(
    service: Launch, valkey: ValkeyServer
) -> None:
    metrics = free_port()
    one, two = await a_gateway(service, valkey.url, METRICS_PORT=str(metrics)), await a_gateway(service, valkey.url)
    for _ in range(3):
        await ask(one)
    await valkey.kill()
    assert [(await ask(one)).status for _ in range(3)] == [200, 429, 429]
    assert [(await ask(two)).status for _ in range(6)] == [200] * 4 + [429] * 2
    for gate in (one, two):
        (told,) = events(gate, "limits_away")
        assert (told["reason"], told["mend"]) == ("it is not reached", "LIMITS_URL")
    assert await scrape(metrics, "switchboard_gateway_counted_alone_total") == {(): 3}
    await valkey.start()
    for gate in (one, two):
        await until_told(gate, "limits_back")
    assert [(await ask(gate, OTHER)).left for gate in (one, two, one, two)] == [3, 2, 1, 0]
    await valkey.kill()
    assert (await ask(two, OTHER)).status == 429
    assert len(events(two, "limits_away")) == 2


async def test_one_that_hangs_is_not_asked_by_every_request(service: Launch, valkey: ValkeyServer) -> None:
    gate = await a_gateway(service, valkey.url, LIMITS_SECONDS="0.5", BURST="1000")
    before = (await valkey.calls())["eval"]
    valkey.send(signal.SIGSTOP)
    try:
        assert {(await ask(gate)).status for _ in range(300)} == {200}
        (told,) = events(gate, "limits_away")
        assert told["reason"] == "it does not answer in time"
    finally:
        valkey.send(signal.SIGCONT)
    await until_told(gate, "limits_back")
    assert (await valkey.calls())["eval"] - before < 150
    assert (await ask(gate, OTHER)).left == 999


async def test_requests_in_flight_as_it_hangs_are_answered(service: Launch, valkey: ValkeyServer) -> None:
    gate = await a_gateway(service, valkey.url, LIMITS_SECONDS="0.5", BURST="1000")
    valkey.send(signal.SIGSTOP)
    try:
        told = await asyncio.gather(*(ask(gate) for _ in range(50)))
    finally:
        valkey.send(signal.SIGCONT)
    assert {each.status for each in told} == {200}
    assert len(events(gate, "limits_away")) == 1


async def test_a_gateway_starts_without_it_and_is_ready_all_the_same(service: Launch) -> None:
    gate = await a_gateway(service, f"valkey://127.0.0.1:{free_port()}")
    assert len(events(gate, "limits_away")) == 1
    async with aiohttp.ClientSession() as http, http.get(f"{gate.address}/readyz") as reply:
        assert set(await reply.json()) == {"ready", "restate", "conversations", "issuers"}
    assert (await ask(gate)).status == 200


@pytest.mark.parametrize("password", ["", "another"])
async def test_a_wrong_password_is_told_at_start_without_it(
    service: Launch, guarded: ValkeyServer, password: str
) -> None:
    gate = await a_gateway(service, guarded.url, LIMITS_PASSWORD=password)
    (told,) = events(gate, "limits_away")
    assert told["reason"] == "it takes no such user or password"
    assert told["mend"] == "LIMITS_PASSWORD, or user and password in LIMITS_URL"
    assert "another" not in gate.log.read_text()
    assert (await ask(gate)).status == 200


async def test_a_password_stands_in_the_url_or_beside_it(service: Launch, guarded: ValkeyServer) -> None:
    beside = await a_gateway(service, guarded.url, LIMITS_PASSWORD=PASSWORD)
    within = await a_gateway(service, f"redis://:p%40ss%2Fword%3A1@127.0.0.1:{guarded.port}/0")
    assert [(await ask(gate)).left for gate in (beside, within)] == [3, 2]


async def test_a_user_who_may_do_what_the_readme_says_is_enough(service: Launch, valkey: ValkeyServer) -> None:
    readme = (Path(__file__).parents[2] / "services/gateway/README.md").read_text()
    (rights,) = re.findall(r"ACL SETUSER switchboard on '>secret' (.+)", readme)
    assert RIGHTS in rights
    async with valkey.opened() as server:
        await server.execute_command("ACL", "SETUSER", "switchboard", "on", ">secret", *rights.split())
        await server.execute_command("ACL", "SETUSER", "nobody", "on", ">secret", "+info")
    gate = await a_gateway(service, f"valkey://switchboard:secret@127.0.0.1:{valkey.port}")
    assert (await ask(gate)).left == 3
    assert events(gate, "limits_away") == []
    other = await a_gateway(service, f"valkey://nobody:secret@127.0.0.1:{valkey.port}")
    (told,) = events(other, "limits_away")
    assert told["reason"] == "its user may not do this"


async def test_by_tls_it_is_believed_by_the_ca_that_is_named_alone(service: Launch, tmp_path: Path) -> None:
    async for valkey in started(tmp_path, tls=tmp_path):
        url = f"valkeys://127.0.0.1:{valkey.port}"
        believing = await a_gateway(service, url, LIMITS_CA_FILE=str(tmp_path / "cert.pem"))
        assert events(believing, "limits_away") == []
        assert (await ask(believing)).left == 3
        (told,) = events(await a_gateway(service, url), "limits_away")
        assert (told["reason"], told["mend"]) == (
            "no TLS with it, or its certificate is not believed",
            "LIMITS_URL, LIMITS_CA_FILE",
        )


@pytest.mark.parametrize(
    "url",
    [
        "valkey.example.com:6379",
        "http://valkey.example.com",
        "valkey://",
        "valkey://user:secret@host:port",
        "valkey://:secret@host/name",
        "valkey://:secret@host/0?ssl_cert_reqs=none",
        "valkey://:sec/ret@host",
    ],
)
def test_a_url_that_is_none_is_one_line_without_its_password(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    for name, value in (OF_A_GATEWAY | {"LIMITS_URL": url}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        GatewaySettings.read()
    said = str(ended.value)
    assert said.startswith("setting LIMITS_URL: like valkey://host:6379/0")
    assert "secret" not in said


def test_a_file_of_certificates_has_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (OF_A_GATEWAY | {"LIMITS_CA_FILE": "/nowhere/ca.pem"}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match=r"setting LIMITS_CA_FILE: it names /nowhere/ca.pem, which cannot be read"):
        GatewaySettings.read()
