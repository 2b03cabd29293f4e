"""`python -m registry register`: everything is routed as asked, or nothing is touched and one line says why."""

import asyncio
import time
from pathlib import Path
from typing import Any

from standalone.ports import free_port
from tests.conftest import ONCE
from tests.parts.registry import Launch
from tests.parts.registry_command import Ended, run
from tests.parts.restate import RestateServer, request
from tests.parts.service import Service

pytestmark = ONCE

OF_ANOTHER_RESTATE = "publickeyv1_w7YHemBctH5Ck2nQRQ47iBBqhNHy4FV7t2Usbye2A6f"


async def probe(launch: Launch, name: str, **env: Any) -> Service:
    return await launch("tests.parts.probe", SERVICE_NAME=name, DRAIN_SECONDS="0", **env)


async def register(restate: RestateServer, seconds: float = 30, *, force: bool = False, **urls: str) -> Ended:
    named = ",".join(f"{name}={url}" for name, url in urls.items())
    return await run(
        "register",
        RESTATE_ADMIN_URL=restate.admin_url,
        DEPLOYMENTS=named,
        REGISTER_SECONDS=str(seconds),
        FORCE=str(force),
    )


async def routed_to(restate: RestateServer, service: str) -> str:
    """The URL that new calls of a service reach."""
    about = (await request("GET", f"{restate.admin_url}/services/{service}")).json()
    found = await request("GET", f"{restate.admin_url}/deployments/{about['deployment_id']}")
    return found.json()["uri"].rstrip("/")


async def urls_known(restate: RestateServer) -> set[str]:
    rows = await restate.query("select endpoint from sys_deployment")
    return {row["endpoint"].rstrip("/") for row in rows}


async def test_each_deployment_is_registered_in_order_and_routed_to(restate: RestateServer, service: Launch) -> None:
    tool, agent = await probe(service, "OnceTool"), await probe(service, "OnceAgent")
    ended = await register(restate, tool=tool.url, agent=agent.url)
    assert ended.code == 0, ended.stderr
    assert [line["deployment"] for line in ended.events("deployment_registered")] == ["tool", "agent"]
    assert await routed_to(restate, "OnceTool") == tool.url
    assert await routed_to(restate, "OnceAgent") == agent.url


async def test_again_or_twice_at_once_changes_nothing(restate: RestateServer, service: Launch) -> None:
    deployed = await probe(service, "Repeated")
    first, second = await asyncio.gather(*(register(restate, it=deployed.url) for _ in range(2)))
    third = await register(restate, it=deployed.url)
    assert [first.code, second.code, third.code] == [0, 0, 0]
    rows = await restate.query(f"select id from sys_deployment where endpoint like '{deployed.url}%'")
    assert len(rows) == 1
    assert await routed_to(restate, "Repeated") == deployed.url


async def test_a_rollback_to_an_older_url_takes_effect(restate: RestateServer, service: Launch) -> None:
    old, new = await probe(service, "Upgraded", REVISION="old"), await probe(service, "Upgraded", REVISION="new")
    for url in (old.url, new.url, old.url):
        assert (await register(restate, it=url)).code == 0
        assert await routed_to(restate, "Upgraded") == url


async def test_a_refusal_is_told_at_once_and_nothing_is_registered(restate: RestateServer, service: Launch) -> None:
    former = await probe(service, "Refused", REVISION="former")
    assert (await register(restate, it=former.url)).code == 0
    sound, keyed = await probe(service, "Innocent"), await probe(service, "Refused", REVISION="next", KEYED="true")
    started = time.monotonic()

    ended = await register(restate, 300, sound=sound.url, it=keyed.url)

    assert time.monotonic() - started < 20
    assert ended.code == 1
    assert ended.last_line.startswith("register: it: [META0006] ")
    assert "Refused" in ended.last_line
    assert await routed_to(restate, "Refused") == former.url
    assert not {sound.url, keyed.url} & await urls_known(restate)


async def test_what_does_not_come_in_time_is_named_and_nothing_is_registered(
    restate: RestateServer, service: Launch
) -> None:
    sound = await probe(service, "Punctual")
    ended = await register(restate, 1, sound=sound.url, gone="http://127.0.0.1:1")
    assert ended.code == 1
    assert ended.last_line.startswith("register: gone: not within 1 s: [META0003]")
    assert "Connection refused" in ended.last_line
    assert sound.url not in await urls_known(restate)


async def test_what_restate_cannot_reach_is_told_in_its_own_words(restate: RestateServer, service: Launch) -> None:
    guarded = await probe(service, "Guarded", IDENTITY_KEYS=OF_ANOTHER_RESTATE)
    ended = await register(restate, 1, it=guarded.url)
    assert ended.code == 1
    assert "META0003" in ended.last_line
    assert "401" in ended.last_line


async def test_a_rollback_to_pods_that_restate_cannot_reach_changes_nothing(
    restate: RestateServer, service: Launch
) -> None:
    old, new = await probe(service, "Lost", REVISION="old"), await probe(service, "Lost", REVISION="new")
    for url in (old.url, new.url):
        assert (await register(restate, it=url)).code == 0
    await old.stop()
    await probe(service, "Lost", REVISION="old", port=old.port, IDENTITY_KEYS=OF_ANOTHER_RESTATE)
    ended = await register(restate, 1, it=old.url)
    assert ended.code == 1
    assert "META0003" in ended.last_line
    assert await routed_to(restate, "Lost") == new.url


async def test_it_waits_for_deployments_and_for_restate(tmp_path: Path, service: Launch) -> None:
    server, port = RestateServer(tmp_path), free_port()
    registering = asyncio.create_task(register(server, late=f"http://127.0.0.1:{port}"))
    await server.start()
    await probe(service, "LateComer", port=port)
    ended = await registering
    assert ended.code == 0, ended.stderr
    assert await routed_to(server, "LateComer") == f"http://127.0.0.1:{port}"
    await server.kill()


async def test_changed_code_behind_one_url_is_found_with_force_alone(restate: RestateServer, service: Launch) -> None:
    before = await probe(service, "Draft")
    assert (await register(restate, it=before.url)).code == 0
    await before.stop()
    await probe(service, "Revised", port=before.port)
    for force, status in ((False, 404), (True, 200)):
        assert (await register(restate, force=force, it=before.url)).code == 0
        reply = await request("GET", f"{restate.admin_url}/services/Revised")
        assert reply.status_code == status


async def test_a_command_that_does_not_exist_is_answered_with_those_that_do() -> None:
    ended = await run("bogus")
    assert (ended.code, ended.stderr) == (
        1,
        "usage: python -m registry [register | prune | remove | accept <tool>[=<digest>]...]\n",
    )
