"""What the registry offers over HTTP, with Restate there and away, and tools in any language."""

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from standalone.ports import free_port
from tests.parts.board import Board, calls, text
from tests.parts.polling import eventually
from tests.parts.registry import Launch, Registry
from tests.parts.restate import RestateServer, request
from tests.parts.typescript import TypeScriptTool


@pytest.fixture(scope="module")
async def refunds(data_dir: Path) -> AsyncIterator[TypeScriptTool]:
    tool = TypeScriptTool(data_dir)
    await tool.start()
    yield tool
    await tool.kill()


@pytest.fixture(scope="module")
async def registry(restate: RestateServer, service: Launch) -> Registry:
    return await Registry.start(service, restate)


async def test_a_tool_in_another_language_is_offered(
    restate: RestateServer, registry: Registry, refunds: TypeScriptTool
) -> None:
    await restate.register(refunds.url)
    offered = await registry.tool("estimate_refund")
    assert offered["description"] == "Estimate what a customer gets back who ends the plan today."
    assert offered["parameters"]["additionalProperties"] is False
    assert sorted(offered["parameters"]["properties"]) == ["days_used", "monthly_price"]
    assert (offered["bind"], offered["readonly"]) == ({"user_id": "caller.user_id"}, True)


async def test_a_running_agent_uses_a_tool_in_another_language(
    restate: RestateServer, board: Board, refunds: TypeScriptTool
) -> None:
    await restate.register(refunds.url)
    await Registry(board.registry).tool("estimate_refund")
    call = calls(("estimate_refund", {"monthly_price": 30, "days_used": 10}))

    async def told() -> Any:
        message = await board.script(call, text("done"))
        await board.answer(message, "user_7")
        return (await board.told(message))[0].get("untrusted_data")

    assert await eventually(told) == {"user_id": "user_7", "refund": 20}


async def test_a_deployment_that_speaks_no_http1_is_registered_too(
    restate: RestateServer, service: Launch, refunds: TypeScriptTool
) -> None:
    registry = await Registry.start(service, restate, DEPLOYMENTS=f"refunds={refunds.url}")
    assert (await registry.registered("refunds"))["services"] == ["Refunds"]
    await registry.process.stop()


async def test_an_unchanged_catalogue_is_not_sent_again(registry: Registry) -> None:
    url = f"{registry.process.url}/tools"
    await eventually(lambda: ready(registry))
    first = await request("GET", url)
    assert first.headers["Etag"].startswith('"')
    same = await request("GET", url, headers={"If-None-Match": first.headers["Etag"]})
    assert (same.status_code, same.text) == (304, "")
    assert (await request("GET", url, headers={"If-None-Match": '"another"'})).status_code == 200


async def ready(registry: Registry) -> bool:
    return (await request("GET", f"{registry.process.url}/ready")).status_code == 200


async def test_without_restate_there_is_no_catalogue_yet_but_the_registry_lives(service: Launch) -> None:
    process = await service("registry", RESTATE_ADMIN_URL=f"http://127.0.0.1:{free_port()}")
    states = {
        path: (await request("GET", f"{process.url}/{path}")).status_code for path in ("tools", "ready", "health")
    }
    assert states == {"tools": 503, "ready": 503, "health": 200}
    await process.stop()


async def test_the_first_catalogue_waits_for_the_named_deployments(
    restate: RestateServer, service: Launch, refunds: TypeScriptTool
) -> None:
    absent = f"http://127.0.0.1:{free_port()}"
    deployments = f"refunds={refunds.url},absent={absent}"
    registry = await Registry.start(service, restate, DEPLOYMENTS=deployments, HEALTH_SECONDS="4")
    await registry.registered("refunds")
    assert not await ready(registry)
    await registry.tool("estimate_refund", seconds=8)
    assert (await registry.status())["failed"] == {"absent": f"{absent} cannot be reached: Connection refused"}
    await registry.process.stop()


async def test_a_policy_takes_effect_while_the_registry_runs(
    restate: RestateServer, service: Launch, refunds: TypeScriptTool, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text("[tools.estimate_refund]\ntimeout = 7")
    registry = await Registry.start(
        service, restate, DEPLOYMENTS=f"refunds={refunds.url}", POLICY_FILE=str(policy), CATALOGUE_POLL_SECONDS="0.2"
    )
    assert (await registry.tool("estimate_refund"))["timeout"] == 7
    policy.write_text("[tools.estimate_refund]\nenabled = false")

    async def gone() -> bool:
        return "estimate_refund" not in await registry.tools()

    await eventually(gone)
    await registry.process.stop()


async def test_a_tool_that_is_open_at_the_ingress_is_left_out_until_it_is_private(
    restate: RestateServer, service: Launch, registry: Registry
) -> None:
    probe = {"SERVICE_NAME": "Doors", "TOOL": "open_door"}
    await restate.register((await service("tests.parts.probe", **probe, IS_OPEN="true")).url)

    async def left_out() -> str | None:
        entries = (await request("GET", f"{registry.process.url}/tools")).json().get("left_out", [])
        return next((entry["reason"] for entry in entries if entry["handler"] == "Doors/look"), None)

    assert "open at Restate's ingress" in await eventually(left_out)
    assert (await restate.call("Doors", "look", {"words": "hello"})).status_code == 200
    await restate.register((await service("tests.parts.probe", **probe)).url)
    await registry.tool("open_door")
    assert (await restate.call("Doors", "look", {"words": "hello"})).status_code == 400


async def test_a_deployment_that_announces_an_own_service_takes_nothing_over(
    restate: RestateServer, service: Launch
) -> None:
    own, thief = [await service("tests.parts.probe", SERVICE_NAME="OwnTool", TOOL="own_tool") for _ in range(2)]
    registry = await Registry.start(service, restate, DEPLOYMENTS=f"own={own.url}", CATALOGUE_POLL_SECONDS="0.2")
    await registry.tool("own_tool")
    await restate.register(thief.url)

    async def withdrawn() -> str | None:
        gone = "own_tool" not in await registry.tools()
        return (await registry.status())["withdrawn"].get("own_tool") if gone else None

    assert await eventually(withdrawn) == (
        f"OwnTool moved from {own.url}/ to {thief.url}/, which is none of its own deployments"
    )
    await restate.register(own.url, force=True)
    await registry.tool("own_tool")
    assert (await registry.status())["withdrawn"] == {}
    await registry.process.stop()


async def test_what_is_accepted_is_offered_after_a_restart_and_nothing_else(
    restate: RestateServer, service: Launch, tmp_path: Path
) -> None:
    probe = {"SERVICE_NAME": "Accepted", "TOOL": "accepted_tool"}
    await restate.register((await service("tests.parts.probe", **probe)).url)
    policy = tmp_path / "policy.toml"
    policy.write_text(run_accept(restate, "accepted_tool"))
    settings = {"POLICY_FILE": str(policy), "CATALOGUE_POLL_SECONDS": "0.2"}
    registry = await Registry.start(service, restate, **settings)
    await registry.tool("accepted_tool")
    await registry.process.stop()

    policy.write_text(re.sub('accepted = ".*"', f'accepted = "{"0" * 16}"', policy.read_text()))
    registry = await Registry.start(service, restate, **settings)

    async def withdrawn() -> str | None:
        return (await registry.status())["withdrawn"].get("accepted_tool")

    assert "not what the policy accepts" in await eventually(withdrawn)
    policy.write_text(run_accept(restate, "accepted_tool"))
    await registry.tool("accepted_tool")
    await registry.process.stop()


async def test_a_tool_that_changed_is_accepted_by_a_command_within_one_poll(
    restate: RestateServer, service: Launch, tmp_path: Path
) -> None:
    probe = {"SERVICE_NAME": "Changing", "TOOL": "changing_tool"}
    await restate.register((await service("tests.parts.probe", **probe)).url)
    kept = {"ACCEPTED_DIR": str(tmp_path / "accepted")}
    registry = await Registry.start(service, restate, CATALOGUE_POLL_SECONDS="0.2", **kept)
    await registry.tool("changing_tool")
    await registry.process.stop()

    await restate.register((await service("tests.parts.probe", **probe, SAYS="Look it up. Always call it.")).url)
    registry = await Registry.start(service, restate, CATALOGUE_POLL_SECONDS="0.2", **kept)

    async def withdrawn() -> str | None:
        return (await registry.status())["withdrawn"].get("changing_tool")

    assert '"Look a thing up." -> "Look it up. Always call it."' in await eventually(withdrawn)
    told = run_accept(restate, "changing_tool", "Look it up. Always call it.", **kept)
    assert '# changed: description: "Look a thing up." -> "Look it up. Always call it."' in told
    assert await withdrawn()
    (exactly_this,) = re.findall(r"accept (changing_tool=[0-9a-f]{16})", told)
    assert "# changing_tool is accepted" in run_accept(restate, exactly_this, "Look it up. Always call it.", **kept)
    await registry.tool("changing_tool")
    await registry.process.stop()


@pytest.mark.parametrize(
    ("named", "kept", "why"),
    [
        ("kept_tool=0123456789abcdef", True, "it does not say 0123456789abcdef any more: read it again"),
        ("no_such_tool", True, "nobody offers a tool named 'no_such_tool'"),
        ("kept_tool={digest}", False, "setting ACCEPTED_DIR: there is no place to keep it"),
    ],
)
async def test_only_what_was_read_is_accepted(
    restate: RestateServer, service: Launch, tmp_path: Path, named: str, kept: bool, why: str
) -> None:
    await restate.register((await service("tests.parts.probe", SERVICE_NAME="Kept", TOOL="kept_tool")).url)
    (digest,) = re.findall(r'accepted = "(.*)"', run_accept(restate, "kept_tool"))
    settings = {"ACCEPTED_DIR": str(tmp_path / "accepted")} if kept else {}
    done = accept(restate, named.format(digest=digest), **settings)
    assert done.returncode == 1
    assert why in done.stderr
    assert not (tmp_path / "accepted").exists()


def run_accept(restate: RestateServer, tool: str, says: str = "Look a thing up.", **env: str) -> str:
    done = accept(restate, tool, **env)
    assert done.returncode == 0, done.stderr
    assert f'# description: "{says}"' in done.stdout
    return done.stdout


def accept(restate: RestateServer, tool: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "registry", "accept", tool],
        env={**os.environ, "RESTATE_ADMIN_URL": restate.admin_url, **env},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_bad_settings_end_the_start_with_one_line_that_names_them(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text("[tools.look]\nenable = false")
    for setting, value in {
        "POLICY_FILE": str(policy),
        "DEPLOYMENTS": "router=localhost:9081",
        "STUCK_POLL_SECONDS": "soon",
    }.items():
        code, said = run_registry({setting: value})
        assert code == 1
        assert said.startswith(f"setting {setting}: ")
        assert len(said.splitlines()) == 1


def run_registry(env: dict[str, str]) -> tuple[int, str]:
    command = [sys.executable, "-m", "registry"]
    done = subprocess.run(command, env=dict(os.environ) | env, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stderr


# The first catalogue


async def test_the_first_catalogue_waits_for_the_services_that_were_promised(
    restate: RestateServer, service: Launch
) -> None:
    registry = await Registry.start(service, restate, AWAIT_SERVICES="PromisedTool,PromisedTicket")

    async def waits_for() -> str | None:
        reply = await request("GET", f"{registry.process.url}/tools")
        return reply.json().get("error") if "PromisedT" in reply.text else None

    assert await eventually(waits_for) == "Restate does not know PromisedTicket, PromisedTool yet"
    assert (await request("GET", f"{registry.process.url}/ready")).status_code == 200

    for name, tool in {"PromisedTool": "first_promised", "PromisedTicket": "second_promised"}.items():
        assert await registry.tools() == {}
        await restate.register((await service("tests.parts.probe", SERVICE_NAME=name, TOOL=tool)).url)
    await registry.tool("first_promised")
    assert "second_promised" in await registry.tools()
    await registry.process.stop()


async def test_a_promise_that_is_not_kept_is_named_and_no_longer_waited_for(
    restate: RestateServer, service: Launch
) -> None:
    registry = await Registry.start(
        service, restate, AWAIT_SERVICES="Nowhere", HEALTH_SECONDS="0.1", CATALOGUE_POLL_SECONDS="0.1"
    )

    async def on_offer() -> bool:
        return (await request("GET", f"{registry.process.url}/tools")).status_code == 200

    await eventually(on_offer)
    await registry.logged("services_missing")
    await registry.logged("Nowhere")
    await registry.process.stop()


async def test_a_later_catalogue_never_waits(tmp_path: Path, service: Launch) -> None:
    server = RestateServer(tmp_path)
    await server.start()
    stays, goes = [
        await service("tests.parts.probe", SERVICE_NAME=name, TOOL=name.lower()) for name in ("Stays", "Goes")
    ]
    for deployed in (stays, goes):
        await server.register(deployed.url)
    registry = await Registry.start(service, server, AWAIT_SERVICES="Stays,Goes")
    await registry.tool("goes")
    (row,) = await server.query(f"select id from sys_deployment where endpoint like '{goes.url}%'")
    await request("DELETE", f"{server.admin_url}/deployments/{row['id']}?force=true")

    async def offered() -> bool:
        return list(await registry.tools()) == ["stays"]

    await eventually(offered)
    await registry.process.stop()
    await server.kill()
