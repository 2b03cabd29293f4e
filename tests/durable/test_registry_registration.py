"""The registry registers what its settings name, and what it says is so."""

import shutil
from pathlib import Path
from typing import Any

from standalone.ports import free_port
from tests.conftest import ONCE
from tests.parts.polling import eventually
from tests.parts.registry import Launch, Registry
from tests.parts.restate import RestateServer, request
from tests.parts.service import Service

pytestmark = ONCE


async def probe(launch: Launch, name: str, **env: Any) -> Service:
    return await launch("tests.parts.probe", SERVICE_NAME=name, DRAIN_SECONDS="0", **env)


async def route(restate: RestateServer, service: str) -> str:
    return (await request("GET", f"{restate.admin_url}/services/{service}")).json()["deployment_id"]


async def test_a_deployment_is_registered_over_http2_and_routed_to(restate: RestateServer, service: Launch) -> None:
    deployed = await probe(service, "Plain")
    registry = await Registry.start(service, restate, DEPLOYMENTS=f"plain={deployed.url}")
    registered = await registry.registered("plain")
    assert registered == {"deployment_id": await route(restate, "Plain"), "services": ["Plain"]}
    details = await request("GET", f"{restate.admin_url}/deployments/{registered['deployment_id']}")
    assert details.json()["http_version"] == "HTTP/2.0"
    await registry.process.stop()


async def test_a_deployment_that_starts_late_is_named_and_then_registered(
    restate: RestateServer, service: Launch
) -> None:
    port = free_port()
    registry = await Registry.start(service, restate, DEPLOYMENTS=f"late=http://127.0.0.1:{port}", HEALTH_SECONDS="0.1")
    await registry.failure("late", "Connection refused")
    await probe(service, "Late", port=port)
    await registry.registered("late")
    assert (await registry.status())["failed"] == {}
    await registry.logged('"WARNING"')
    await registry.process.stop()


async def test_a_refusal_is_told_in_restates_own_words_and_stops_nobody_else(
    restate: RestateServer, service: Launch
) -> None:
    no_restate_service, deployed = await service("demo_model"), await probe(service, "Sound")
    registry = await Registry.start(
        service, restate, DEPLOYMENTS=f"model={no_restate_service.url},sound={deployed.url}"
    )
    await registry.failure("model", "META0")
    await registry.registered("sound")
    await registry.process.stop()


async def test_a_rollback_to_an_old_url_takes_effect(restate: RestateServer, service: Launch) -> None:
    old = await probe(service, "Rolled", REVISION="old")
    new = await probe(service, "Rolled", REVISION="new")
    for url in (old.url, new.url):
        await restate.register(url)
    newest = await route(restate, "Rolled")
    registry = await Registry.start(service, restate, DEPLOYMENTS=f"rolled={old.url}")
    registered = await registry.registered("rolled")
    assert await route(restate, "Rolled") == registered["deployment_id"] != newest
    await registry.process.stop()


async def test_a_later_registration_by_others_is_reported_and_not_fought(
    restate: RestateServer, service: Launch
) -> None:
    ours = await probe(service, "Disputed", REVISION="ours")
    theirs = await probe(service, "Disputed", REVISION="theirs")
    registry = await Registry.start(service, restate, DEPLOYMENTS=f"ours={ours.url}")
    await registry.registered("ours")
    await restate.register(theirs.url)
    taken = await route(restate, "Disputed")
    await registry.failure("ours", taken)
    assert await route(restate, "Disputed") == taken
    await registry.process.stop()


async def test_what_restate_has_forgotten_is_registered_again(tmp_path: Path, service: Launch) -> None:
    server = RestateServer(tmp_path)
    await server.start()
    deployed = await probe(service, "Forgotten")
    registry = await Registry.start(service, server, DEPLOYMENTS=f"forgotten={deployed.url}")
    await registry.tool("look")
    await server.kill()
    shutil.rmtree(server.folder)

    assert "look" in await registry.tools()  # the last good catalogue stays on offer
    await server.start()

    async def routed() -> bool:
        return (await request("GET", f"{server.admin_url}/services/Forgotten")).status_code == 200

    await eventually(routed, 15)
    await registry.tool("look")
    assert registry.process.tail().count("registration_restored") == 1
    await registry.process.stop()
    await server.kill()


async def test_what_others_registered_is_registered_again_when_restate_has_lost_it(
    tmp_path: Path, service: Launch
) -> None:
    """As on Kubernetes, where a Job registers and the registry reads what is wanted."""
    server, wanted = RestateServer(tmp_path), tmp_path / "wanted"
    await server.start()
    deployed = await probe(service, "Lost")
    wanted.write_text(f"lost={deployed.url}")
    await server.register(deployed.url)
    registry = await Registry.start(service, server, WANTED_DEPLOYMENTS_FILE=str(wanted))
    await registry.tool("look")
    await server.kill()
    shutil.rmtree(server.folder)
    await server.start()

    async def routed() -> bool:
        return (await request("GET", f"{server.admin_url}/services/Lost")).status_code == 200

    async def told() -> bool:
        return "registration_restored" in registry.process.tail()

    await eventually(routed, 30)
    await eventually(told)

    (deployment,) = (await request("GET", f"{server.admin_url}/deployments")).json()["deployments"]
    await request("DELETE", f"{server.admin_url}/deployments/{deployment['id']}?force=true")
    await eventually(routed, 30)
    await registry.process.stop()
    await server.kill()


async def test_unfinished_runs_of_former_code_are_ended_and_counted(restate: RestateServer, service: Launch) -> None:
    former = await probe(service, "Changing", REVISION="former")
    await restate.register(former.url)
    for _ in range(3):
        assert (await restate.call("Changing", "wait", send=True)).status_code == 202
    await eventually(lambda: pinned(restate, "Changing", 3))
    await former.stop()

    current = await probe(service, "Changing", REVISION="current", port=former.port)
    env = {"END_FORMER": "true", "METRICS_PORT": str(free_port())}
    registry = await Registry.start(service, restate, DEPLOYMENTS=f"changing={current.url}", **env)
    await registry.registered("changing")

    assert (await registry.status())["ended_former"] == 3
    told = await registry.scrape()
    assert told.value("invocations_ended_total", service="Changing", reason="former code") == 3
    assert not await pinned(restate, "Changing", 1)
    uris = [row["endpoint"] for row in await restate.query("select endpoint from sys_deployment")]
    assert [uri for uri in uris if str(former.port) in uri] == [current.url]
    await registry.process.stop()


async def pinned(restate: RestateServer, service: str, at_least: int) -> bool:
    rows = await restate.query(
        "select id from sys_invocation_status where status <> 'completed' and pinned_deployment_id is not null"
        f" and target_service_name = '{service}'"
    )
    return len(rows) >= at_least


async def test_former_code_is_left_alone_unless_told_otherwise(restate: RestateServer, service: Launch) -> None:
    former = await probe(service, "Draining", REVISION="former")
    await restate.register(former.url)
    await restate.call("Draining", "wait", send=True)
    await eventually(lambda: pinned(restate, "Draining", 1))
    current = await probe(service, "Draining", REVISION="current")
    registry = await Registry.start(service, restate, DEPLOYMENTS=f"draining={current.url}")
    await registry.registered("draining")
    assert await pinned(restate, "Draining", 1)
    await registry.process.stop()
    for row in await restate.query("select id from sys_invocation where target_service_name = 'Draining'"):
        await request("PATCH", f"{restate.admin_url}/invocations/{row['id']}/kill")


async def test_a_sigterm_ends_the_registry_soon(restate: RestateServer, service: Launch) -> None:
    registry = await Registry.start(service, restate, DEPLOYMENTS="gone=http://127.0.0.1:1")
    await registry.failure("gone", "Connection refused")
    await registry.process.stop(seconds=30)
    assert await registry.process.wait() == 0
