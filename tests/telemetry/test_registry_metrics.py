"""The registry tells as metrics what only Restate knows, and nothing while it is away."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from standalone.ports import free_port
from tests.parts.polling import eventually
from tests.parts.registry import Launch, Registry, Scrape
from tests.parts.restate import RestateServer, request
from tests.parts.service import Service

SECRET = "words of a customer"
WHY = "RT0007 ValueError"
FROM_RESTATE = ("invocations", "invocation_oldest_seconds", "deployment_invocations", "deployment_registered")


@pytest.fixture(scope="module")
async def own(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RestateServer]:
    """A Restate that knows nothing else, and that may be killed."""
    server = RestateServer(tmp_path_factory.mktemp("metrics"))
    await server.start()
    yield server
    await server.kill()


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wanted") / "deployments"


@pytest.fixture(scope="module")
def refused_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
async def registry(own: RestateServer, service: Launch, wanted: Path, refused_port: int) -> Registry:
    deployed = await probe(service, "Seen")
    wanted.write_text("unknown=http://127.0.0.1:1/rev/1")
    started = await Registry.start(
        service,
        own,
        DEPLOYMENTS=f"seen={deployed.url},refused=http://127.0.0.1:{refused_port}",
        WANTED_DEPLOYMENTS_FILE=str(wanted),
        METRICS_PORT=str(free_port()),
        METRICS_POLL_SECONDS="0.1",
        STUCK_POLL_SECONDS="0.2",
        PAUSED_GRACE_SECONDS="600",
    )
    await started.registered("seen")
    return started


async def probe(launch: Launch, name: str, **env: Any) -> Service:
    return await launch("tests.parts.probe", SERVICE_NAME=name, DRAIN_SECONDS="0", **env)


async def start(own: RestateServer, service: str, handler: str, delay: str = "") -> str:
    body = None if handler == "wait" else {"words": SECRET}
    reply = await own.call(service, f"{handler}?delay={delay}" if delay else handler, body, send=True)
    assert "invocationId" in reply.json(), reply.text
    return reply.json()["invocationId"]


async def cancel(own: RestateServer, invocation_id: str) -> None:
    await request("PATCH", f"{own.admin_url}/invocations/{invocation_id}/cancel")


async def test_work_is_told_by_status_and_age(own: RestateServer, registry: Registry) -> None:
    waiting = await start(own, "Seen", "wait")
    await start(own, "Seen", "give_up", delay="1h")
    await registry.told(1, "invocations", service="Seen", handler="wait", status="running")
    told = await registry.told(1, "invocations", service="Seen", handler="give_up", status="scheduled")
    assert told.value("invocations", service="Seen", handler="give_up", status="running") == 0
    assert told.value("invocation_oldest_seconds", service="Seen", handler="give_up") == 0  # not due yet

    async def aged() -> bool:
        scrape = await registry.scrape()
        return 1 < (scrape.value("invocation_oldest_seconds", service="Seen", handler="wait") or 0) < 60

    await eventually(aged)
    await cancel(own, waiting)
    told = await registry.told(0, "invocations", service="Seen", handler="wait", status="running")
    assert told.value("invocation_oldest_seconds", service="Seen", handler="wait") == 0


async def test_what_is_stuck_is_told_with_the_reason_and_never_with_a_customers_words(
    own: RestateServer, registry: Registry
) -> None:
    stuck = {"paused": "give_up", "backing-off": "fail_patiently"}
    for status, handler in stuck.items():
        each = await start(own, "Seen", handler)
        about: dict[str, Any] = {"service": "Seen", "handler": handler, "status": status}
        told = await registry.told(1, "invocations_stuck", **about, reason=WHY)
        assert told.value("invocations", **about) == 1
        assert SECRET not in told.text
        await request("PATCH", f"{own.admin_url}/invocations/{each}/kill")
        told = await registry.told(None, "invocations_stuck", **about)
        assert told.value("invocations", **about) == 0


async def test_what_the_registry_ends_is_counted_from_0(own: RestateServer, registry: Registry) -> None:
    await start(own, "Seen", "keep_failing")
    await registry.told(0, "invocations_ended_total", service="Seen", reason=WHY)
    await registry.told(1, "invocations_ended_total", service="Seen", reason=WHY)


async def test_a_replaced_deployment_drains_until_its_last_run_ends(
    own: RestateServer, service: Launch, registry: Registry, wanted: Path
) -> None:
    old, new = await probe(service, "Moved", REVISION="old"), await probe(service, "Moved", REVISION="new")
    wanted.write_text(f"moved={new.url}")
    await own.register(old.url)
    running = await start(own, "Moved", "wait")
    told = await registry.told(1, "deployment_invocations", address=old.url, state="current")
    assert told.value("deployment_registered", deployment="moved") == 0
    assert told.of("deployment_draining_seconds") == []

    await own.register(new.url)
    told = await registry.told(1, "deployment_invocations", address=old.url, state="draining")
    assert told.value("deployment_invocations", address=old.url, state="current") is None
    assert told.value("deployment_invocations", address=new.url, state="current") == 0
    assert told.value("deployment_registered", deployment="moved") == 1
    since = told.value("deployment_draining_seconds", address=old.url)
    assert since is not None
    assert since < 30

    async def goes_on() -> bool:
        return ((await registry.scrape()).value("deployment_draining_seconds", address=old.url) or 0) > since

    await eventually(goes_on)
    await cancel(own, running)
    told = await registry.told(None, "deployment_draining_seconds", address=old.url)
    assert told.of("deployment_invocations", address=old.url) == []


async def test_a_refused_registration_is_told_until_it_is_mended(
    own: RestateServer, service: Launch, registry: Registry, refused_port: int
) -> None:
    changed = await probe(service, "Seen", KEYED="true", port=refused_port)
    await registry.failure("refused", "META0006", 15)
    told = await registry.told(0, "deployment_registered", deployment="refused")
    assert told.value("deployment_registered", deployment="seen") == 1
    assert told.value("registration_failures_total", deployment="seen") == 0
    assert (told.value("registration_failures_total", deployment="refused") or 0) >= 1
    await changed.stop()
    await probe(service, "Mended", port=refused_port)
    await registry.told(1, "deployment_registered", deployment="refused")


async def test_while_restate_is_away_nothing_is_told_that_came_from_it(own: RestateServer, registry: Registry) -> None:
    await start(own, "Seen", "wait")
    before = await registry.told(1, "invocations", service="Seen", handler="wait", status="running")
    assert before.value("restate_reachable") == 1
    await own.kill()
    told = await registry.told(0, "restate_reachable")
    assert [name for name in FROM_RESTATE if not before.of(name)] == []
    assert [name for name in FROM_RESTATE if told.of(name)] == []
    assert told.value("tools", state="offered") == before.value("tools", state="offered")
    failures = told.of("registration_failures_total")
    await registry.logged('"loop": "metrics"')
    assert registry.process.log.read_text().count('"loop": "metrics"') == 1

    await own.start()
    told = await registry.told(1, "restate_reachable")
    assert unfinished(told) == unfinished(before)
    assert told.of("registration_failures_total") == failures  # Restate was away, and has refused nothing


def unfinished(told: Scrape) -> dict[str, float]:
    found: dict[str, float] = {}
    for labels, value in told.of("invocations", service="Seen"):
        found[labels["handler"]] = found.get(labels["handler"], 0) + value
    return found


async def test_the_registry_tells_of_its_own_loop_and_its_tools(registry: Registry) -> None:
    told = await registry.told(1, "tools", state="offered")
    assert told.value("tools", state="left_out") is not None
    assert (told.value("event_loop_lag_seconds_count") or 0) > 0
