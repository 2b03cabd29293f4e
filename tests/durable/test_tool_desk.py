"""An admin switches a tool off at the registry: the model loses it within seconds, and no kill gives it back."""

import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from standalone.ports import free_port
from tests.parts.board import Board, start_board, text
from tests.parts.desk import STAFF_KEY, staff_token
from tests.parts.polling import eventually
from tests.parts.restate import HttpReply, RestateServer, request
from tests.parts.service import Service

PORT = free_port()


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("policy") / "policy.toml"
    path.write_text("[tools.count]\nenabled = false\n")
    return path


@pytest.fixture(scope="module")
async def hall(
    own_restate: RestateServer,
    service: Callable[..., Awaitable[Service]],
    policy: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Board:
    """With the router's usual poll: what is printed here is what operators have."""
    record = tmp_path_factory.mktemp("record")
    desk = {"STAFF_KEYS": STAFF_KEY, "DESK_PORT": str(PORT), "RECORD_DIR": str(record)}
    return await start_board(own_restate, service, desk | {"POLICY_FILE": str(policy)}, CATALOGUE_SECONDS="2")


async def ask(path: str, roles: tuple[str, ...] = ("admin",), name: str = "carla", **body: Any) -> HttpReply:
    told = {"staff_token": staff_token(name, roles=roles)} | body
    return await request("POST", f"http://127.0.0.1:{PORT}/desk/{path}", told)


async def switch(tool: str, *, on: bool, **more: Any) -> HttpReply:
    told: dict[str, Any] = {"tool": tool, "on": on, "why": "It errs.", "act_id": uuid.uuid4().hex}
    return await ask("switch", **(told | more))


async def lines() -> Mapping[str, dict[str, Any]]:
    reply = await ask("tools", ("agent",))
    assert reply.status_code == 200, reply.text
    return {line["name"]: line for line in reply.json()["tools"]}


async def is_offered(hall: Board, tool: str) -> bool:
    """Whether the model of a new question is."""
    message = await hall.script(text("Nothing to do."))
    await hall.answer(message)
    return tool in [each["function"]["name"] for each in (await hall.conversation(message))["tools"]]


async def test_a_new_question_is_not_offered_the_tool_and_no_kill_gives_it_back(hall: Board) -> None:
    async def is_off() -> bool:
        return not await is_offered(hall, "run_job")

    async def is_on() -> bool:
        return await is_offered(hall, "run_job")

    async def offered() -> list[str] | None:
        reply = await request("GET", f"{hall.registry.url}/tools")
        return [tool["name"] for tool in reply.json()["tools"]] if reply.status_code == 200 else None

    await eventually(is_on, 30)
    since = time.monotonic()
    assert (await switch("run_job", on=False)).status_code == 200
    await eventually(is_off, 30)
    print(f"off after {time.monotonic() - since:.1f} s")
    await hall.registry.kill()
    await hall.registry.start()
    assert "run_job" not in await eventually(offered, 30)
    assert await is_off()
    assert ((await lines())["run_job"]["state"], (await lines())["run_job"]["act"]["who"]) == ("off", "carla")
    assert (await switch("run_job", on=True)).status_code == 200
    await eventually(is_on, 30)


async def test_a_tool_of_the_agents_own_is_switched_off_too(hall: Board) -> None:
    async def is_off() -> bool:
        return not await is_offered(hall, "search_help_articles")

    assert (await switch("search_help_articles", on=False)).status_code == 200
    await eventually(is_off, 30)
    assert (await lines())["search_help_articles"]["origin"] == "agent"
    assert (await switch("search_help_articles", on=True)).status_code == 200


async def test_the_same_act_is_done_once_and_told_as_it_was(hall: Board) -> None:
    act_id = uuid.uuid4().hex
    first = await switch("echo", on=False, act_id=act_id)
    assert (await switch("echo", on=True)).status_code == 200
    again = await switch("echo", on=False, act_id=act_id)
    assert (again.status_code, again.json()) == (200, first.json())
    assert (await lines())["echo"]["state"] == "on"
    other = await switch("run_job", on=False, act_id=act_id)
    assert (other.status_code, other.json()["metadata"]["code"]) == (409, "act_id_taken")


@pytest.mark.parametrize("roles", [(), ("agent",), ("approver",), ("agent", "approver"), ("king",)], ids=str)
async def test_whoever_is_no_admin_switches_nothing(hall: Board, roles: tuple[str, ...]) -> None:
    told: dict[str, Any] = {"tool": "echo", "on": False, "why": "I want to.", "act_id": uuid.uuid4().hex}
    assert (await ask("switch", roles, **told)).status_code == 403
    assert (await ask("audit", roles)).status_code == 403
    assert (await ask("tools", roles)).status_code == (200 if {"agent", "approver"} & set(roles) else 403)
    assert (await lines())["echo"]["state"] == "on"


WRONG: dict[str, tuple[dict[str, Any], int, str]] = {
    "no token of ours": ({"staff_token": "x"}, 401, "staff_token_invalid"),
    "signed by somebody else": ({"staff_token": staff_token(key="x" * 32, roles=["admin"])}, 401, "staff_token"),
    "over": ({"staff_token": staff_token(iat=0, exp=60, roles=["admin"])}, 401, "staff_token_expired"),
    "no reason": ({"why": " \n "}, 422, "invalid_request"),
    "too long a reason": ({"why": "x" * 301}, 422, "invalid_request"),
    "no name of a tool": ({"tool": "../echo"}, 422, "invalid_request"),
    "a tool that nobody knows": ({"tool": "nobody"}, 404, "unknown_tool"),
    "no name of an act": ({"act_id": "a/b"}, 422, "invalid_request"),
    "one more field": ({"who": "anna"}, 422, "invalid_request"),
    "on, what is on": ({"on": True}, 409, "stands_so"),
    "on, what the policy forbids": ({"on": True, "tool": "count"}, 409, "forbidden"),
    "off, what the policy forbids": ({"tool": "count"}, 409, "forbidden"),
}


@pytest.mark.parametrize(("wrong", "status", "code"), WRONG.values(), ids=WRONG)
async def test_what_is_wrong_is_refused_and_changes_nothing(
    hall: Board, wrong: dict[str, Any], status: int, code: str
) -> None:
    before = await lines()
    asked: dict[str, Any] = {"tool": "echo", "on": False} | wrong
    reply = await switch(**asked)
    assert (reply.status_code, code in reply.json()["metadata"]["code"]) == (status, True), reply.text
    assert await lines() == before


async def test_what_the_policy_forbids_later_stays_off_whatever_the_desk_says(hall: Board, policy: Path) -> None:
    async def state() -> str:
        return (await lines())["echo"]["state"]

    async def is_forbidden() -> bool:
        return await state() == "forbidden"

    async def is_on() -> bool:
        return await state() == "on"

    assert (await switch("echo", on=False)).status_code == 200
    policy.write_text("[tools.count]\nenabled = false\n[tools.echo]\nenabled = false\n")
    await eventually(is_forbidden)
    assert (await switch("echo", on=True)).status_code == 200  # the desk takes its own back
    assert (await switch("echo", on=True)).status_code == 409
    assert await is_forbidden()
    policy.write_text("[tools.count]\nenabled = false\n")
    await eventually(is_on)


async def test_an_admin_reads_who_switched_what_and_why(hall: Board) -> None:
    act_id = uuid.uuid4().hex
    await switch("refuse", on=False, act_id=act_id, why="It charges twice.")
    await switch("refuse", on=True)
    reply = await ask("audit", subject="refuse", limit=2)
    assert [line["action"] for line in reply.json()["lines"]] == ["switch_on", "switch_off"]
    off = reply.json()["lines"][1]
    assert (off["kind"], off["who"], off["note"]) == ("tool", "carla", "It charges twice.")
    assert off["cursor"].endswith(f"tool/{act_id}")
    assert (await ask("audit", kind="ticket")).json() == {"lines": []}


async def test_nothing_of_the_desk_is_at_the_port_of_the_rooms(hall: Board) -> None:
    told = {"staff_token": staff_token(roles=["admin"])}
    assert (await request("POST", f"{hall.registry.url}/desk/tools", told)).status_code == 404
    assert (await request("GET", f"http://127.0.0.1:{PORT}/tools")).status_code == 404
    journal = await request("DELETE", f"http://127.0.0.1:{PORT}/journals/inv_1")
    assert journal.status_code == 404
