"""Defects of our own code end after three attempts, or keep what was accepted until they are mended; what may pass by
itself is tried again."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from standalone.ports import free_port
from tests.parts.board import Board, calls, start_board, text
from tests.parts.broken_rooms import DEFECTS, PASSING, WORDS
from tests.parts.polling import eventually
from tests.parts.restate import HttpReply, RestateServer, request
from tests.parts.scrape import scrape
from tests.parts.service import Service

Launch = Callable[..., Awaitable[Service]]

NEUTRAL = "something went wrong on our side; the people who run this service have been told"
LONGEST = 300


@pytest.fixture(scope="module")
def restate(own_restate: RestateServer) -> RestateServer:
    """Other services of the same names are registered here."""
    return own_restate


@pytest.fixture(scope="module")
def mended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("broken") / "mended"


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
async def rooms(restate: RestateServer, service: Launch, mended: Path, port: int) -> Service:
    started = await service("tests.parts.broken_rooms", BREAK_UNTIL=str(mended), METRICS_PORT=str(port))
    await open_up(restate, started)
    return started


async def open_up(restate: RestateServer, rooms: Service) -> None:
    """Registers them, and opens what is private to the test."""
    for name in await restate.register(rooms.url, force=True):
        reply = await request("PATCH", f"{restate.admin_url}/services/{name}", {"public": True})
        assert reply.status_code == 200, reply.text


@pytest.fixture
def still_broken(mended: Path) -> None:
    mended.unlink(missing_ok=True)


async def invocation_of(restate: RestateServer, reply: HttpReply) -> dict[str, Any]:
    query = f"select * from sys_invocation where id = '{reply.headers['x-restate-id']}'"
    return (await restate.query(query))[0]


async def failures(restate: RestateServer, invocation: str) -> list[str]:
    """What Restate was told about each failed attempt."""
    rows = await restate.query(
        f"select event_json from sys_journal_events where event_type = 'TransientError' and id = '{invocation}'"
    )
    return [row["event_json"] for row in rows]


def defect_lines(service: Service, invocation: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in service.tail(100_000).splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == "defect" and line.get("invocation") == invocation]


ENDED = [
    *(("Broken", place, kind) for kind in DEFECTS for place in ("in_a_step", "between_steps")),
    ("Broken", "in_a_step_of_a_thread", "TypeError"),
    ("Broken", "in_the_result_of_a_step", "PydanticSerializationError"),
    ("Broken", "in_the_result", "PydanticSerializationError"),
    ("UserDatabase", "query_user_database", "RecursionError"),
    ("Tickets", "list_my_tickets", "TypeError"),
]


@pytest.mark.usefixtures("still_broken")
@pytest.mark.parametrize(("name", "handler", "kind"), ENDED)
async def test_a_defect_ends_what_a_caller_waits_for(
    restate: RestateServer, rooms: Service, port: int, name: str, handler: str, kind: str
) -> None:
    before = (await scrape(port, "switchboard_defects_total")).get((handler, name), 0)
    body = {"kind": kind} if name == "Broken" else {"user_id": "user_1"}
    reply = await restate.call(name, handler, body, seconds=10)
    assert (reply.status_code, reply.json()["message"]) == (500, NEUTRAL)
    assert WORDS not in reply.text
    invocation = reply.headers["x-restate-id"]
    (line,) = defect_lines(rooms, invocation)
    assert line["exception"][0] == kind
    assert line["place"].startswith("parts/broken_rooms.py:") or kind == "PydanticSerializationError"
    assert WORDS not in json.dumps(line)
    after = (await scrape(port, "switchboard_defects_total"))[handler, name]
    assert after == before + 3
    for told in await failures(restate, invocation):
        assert WORDS not in told
        assert len(json.loads(told)["error_message"] + json.loads(told).get("error_stacktrace", "")) < LONGEST


@pytest.mark.parametrize("kind", PASSING)
@pytest.mark.parametrize("handler", ["in_a_step", "between_steps"])
async def test_what_may_pass_by_itself_is_tried_again(
    restate: RestateServer, rooms: Service, kind: str, handler: str
) -> None:
    reply = await restate.call("Broken", handler, {"kind": kind}, seconds=30)
    assert (reply.status_code, reply.json()) == (200, {"text": "done"})
    assert defect_lines(rooms, reply.headers["x-restate-id"]) == []


@pytest.mark.usefixtures("still_broken", "rooms")
@pytest.mark.parametrize("handler", ["in_a_step", "between_steps"])
async def test_work_that_was_accepted_waits_until_it_is_mended(
    restate: RestateServer, mended: Path, handler: str
) -> None:
    waiting = asyncio.create_task(restate.call("Kept", handler, {"kind": "TypeError"}))
    await has_failed(restate, "Kept", 4)
    mended.touch()
    assert (await waiting).json() == {"text": "done"}


@pytest.mark.usefixtures("still_broken", "rooms")
async def test_a_mended_version_at_another_place_takes_over_what_waits(
    restate: RestateServer, service: Launch, rooms: Service, tmp_path: Path
) -> None:
    """As the runbook says: paused, then resumed with the latest deployment."""
    waiting = asyncio.create_task(restate.call("Kept", "in_a_step", {"kind": "TypeError"}))
    await has_failed(restate, "Kept", 1)
    (tmp_path / "mended").touch()
    other = await service("tests.parts.broken_rooms", BREAK_UNTIL=str(tmp_path / "mended"))
    await restate.register(other.url)
    (row,) = await restate.open_invocations()
    url = f"{restate.admin_url}/invocations/{row['id']}"

    async def is_done(change: str) -> bool:
        return (await request("PATCH", f"{url}/{change}")).status_code in (200, 202)

    for change in ("pause", "resume?deployment=latest"):
        await eventually(partial(is_done, change))
    assert (await waiting).json() == {"text": "done"}
    await open_up(restate, rooms)


@pytest.mark.usefixtures("still_broken")
async def test_a_ticket_waits_until_it_is_mended(restate: RestateServer, rooms: Service, mended: Path) -> None:
    body = {"user_id": "user_1", "subject": "RecursionError", "description": WORDS}
    waiting = asyncio.create_task(restate.call("SupportTicketWorkflow", "run", body, key="a-key"))
    await has_failed(restate, "SupportTicketWorkflow", 4)
    mended.touch()
    reply = await waiting
    assert reply.json()["ticket_id"] == "TCK-000001"
    assert len(defect_lines(rooms, reply.headers["x-restate-id"])) == 1


async def has_failed(restate: RestateServer, service: str, attempts: int) -> None:
    async def failing() -> bool:
        rows = await restate.query(
            "select retry_count, last_failure from sys_invocation "
            f"where target_service_name = '{service}' and status <> 'completed'"
        )
        assert all(len(row.get("last_failure") or "") < LONGEST for row in rows)
        return any(row.get("retry_count", 0) >= attempts for row in rows)

    await eventually(failing, 30)


@pytest.fixture(scope="module")
async def board(own_restate: RestateServer, service: Launch, mended: Path) -> Board:
    broken = {"ROOM": "router", "BREAK_UNTIL": str(mended)}
    return await start_board(own_restate, service, router="tests.parts.broken_rooms", **broken)


@pytest.mark.usefixtures("still_broken")
@pytest.mark.parametrize("kind", ["RecursionError", "ValidationError"])
async def test_a_defect_in_a_turn_tells_what_was_done(board: Board, kind: str) -> None:
    message = await script(board, f"in a turn {kind}")
    assert (await board.answer(message))["outcome"] == "failed"


@pytest.mark.usefixtures("still_broken")
@pytest.mark.parametrize("where", ["between turns TypeError", "in the answer TypeError"])
async def test_a_defect_between_turns_ends_the_run_and_is_counted_once(board: Board, where: str) -> None:
    message = await script(board, where)
    reply = await board.ask(message, seconds=20)
    assert (reply.status_code, reply.json()["message"]) == (500, NEUTRAL)
    assert len(await board.ledger(message)) == 2 if "answer" in where else 1
    assert len(defect_lines(board.router, reply.headers["x-restate-id"])) == 1


async def script(board: Board, end: str) -> str:
    """Scripts one conversation with a call; returns a message that ends as the broken router wants it."""
    topic = await board.script(calls(("echo", {"text": "a"})), text("done"))
    return f"{topic} {end}"
