"""What a run did is undone: on a rollback, or when staff want it; the conversation is told of each effect."""

import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.parts.board import Board, calls, start_board, text, until
from tests.parts.conversations import (
    ConversationsDatabase,
    Talk,
    conversations_database,
    open_back_door,
    start_conversations,
    through_back_door,
)
from tests.parts.desk import STAFF_KEY, ask, done
from tests.parts.postgres import PostgresServer
from tests.parts.restate import RestateServer, request
from tests.parts.service import Service
from tests.parts.undo_tools import CANARY

NEVER = {"latency_seconds": 60}
"""Of a reply for which nobody waits to the end."""


@pytest.fixture(scope="module")
async def database(postgres: PostgresServer) -> ConversationsDatabase:
    return await conversations_database(postgres, "undo_test")


@pytest.fixture(scope="module")
async def hall(
    own_restate: RestateServer, service: Callable[..., Awaitable[Service]], database: ConversationsDatabase
) -> Board:
    board = await start_board(own_restate, service, CONVERSATIONS_DATABASE_URL=database.router)
    await start_conversations(board, service, database, STAFF_KEYS=STAFF_KEY, COALESCE_MS="0")
    await own_restate.register((await service("tests.parts.undo_tools")).url)
    await open_back_door(board)

    async def offered() -> bool:
        tools = (await request("GET", f"{board.registry.url}/tools")).json()["tools"]
        return "mark" in [tool["name"] for tool in tools]

    await until(offered)
    message = await board.script(calls(("mark", {"name": "known"})), text("known"))

    async def known_to_the_router() -> bool:
        return [call["status"] for call in (await board.answer(message))["calls"]] == ["ok"]

    await until(known_to_the_router)
    return board


@pytest.fixture
def talk(hall: Board, database: ConversationsDatabase) -> Talk:
    return Talk(hall, database)


def named(*what: str) -> list[str]:
    """Names that no other test uses."""
    return [f"{each}-{uuid.uuid4().hex[:8]}" for each in what]


def marking(name: str, **more: Any) -> tuple[str, dict[str, Any]]:
    return "mark", {"name": name} | more


async def marks(hall: Board, *names: str) -> dict[str, dict[str, Any]]:
    """What became of these, in the order in which they were undone."""
    rows = await hall.restate.query("select value_utf8 from state where service_name = 'Marks' and key = 'standing'")
    found = [json.loads(row["value_utf8"]) for row in rows]
    found.sort(key=lambda each: each.get("undone_at", 0))
    return {each["name"]: each for each in found if each["name"] in names}


async def undone(talk: Talk, count: int) -> list[tuple[str, str]]:
    """What the transcript tells of undoing, once there are so many lines of it: the call and how it stands."""

    async def enough() -> list[dict[str, Any]]:
        lines = await talk.entries("undone")
        return lines if len(lines) >= count else []

    lines = await until(enough)
    assert len(lines) == count, lines
    return [(line["body"].get("call", line["body"]["tool"]), line["body"]["status"]) for line in lines]


async def test_a_rollback_undoes_the_latest_effect_first_and_the_next_run_hears_of_it(hall: Board, talk: Talk) -> None:
    first, second = named("first", "second")
    message = await hall.script(calls(marking(first)), calls(marking(second)), text("never said") | NEVER)
    await talk.say(message)

    async def both() -> bool:
        return len(await hall.ledger(message)) == 3

    await until(both)
    instead = await hall.script(text("never"), text("instead"), text("later"))
    assert (await talk.say(instead, when_busy="rollback"))["disposition"] == "superseded"

    assert await talk.answers() == ["instead"]
    lines = await undone(talk, 4)
    assert lines[:2] == [("call_2_1", "undoing"), ("call_1_1", "undoing")]
    assert lines[2:] == [("call_2_1", "undone"), ("call_1_1", "undone")]
    made = await marks(hall, first, second)
    assert list(made) == [second, first]
    assert [(each["state"], each["made"], each["undone"]) for each in made.values()] == [("undone", 1, 1)] * 2
    read = (await hall.conversation(instead))["messages"]
    told = "\n".join(str(each["content"]) for each in read)
    assert told.count("mark is being undone") == 2
    assert message not in told

    await talk.say("And what else has been done for me since?")
    await talk.answers(2)
    told = "\n".join(str(each["content"]) for each in (await hall.conversation(instead))["messages"])
    assert told.count("mark was undone") == 2


async def test_staff_undo_a_run_that_is_over_and_are_told_what_nothing_undoes(hall: Board, talk: Talk) -> None:
    [name] = named("done")
    message = await hall.script(calls(marking(name)), calls(("count", {"name": name})), text("done"))
    await talk.say(message)
    await talk.answers()
    await talk.settled()

    told = await done(talk, "undo")
    assert (told["effects"], told["left"], told["stopping"]) == (["mark"], ["count"], False)
    assert await undone(talk, 3) == [("call_1_1", "undoing"), ("count", "not_undone"), ("call_1_1", "undone")]
    assert (await marks(hall, name))[name]["state"] == "undone"

    again = await done(talk, "undo", run=told["run"])
    assert (again["effects"], again["left"]) == ([], ["count"])
    assert len(await undone(talk, 3)) == 3
    events = await talk.database.rows(
        "SELECT body FROM events WHERE conversation_id = $1 AND kind = 'undone'", talk.key
    )
    assert [json.loads(event["body"])["status"] for event in events] == ["undoing", "not_undone", "undone"]


async def test_staff_undo_a_run_at_work_as_soon_as_it_has_settled(hall: Board, talk: Talk) -> None:
    [name] = named("at-work")
    message = await hall.script(calls(marking(name)), text("never said") | NEVER)
    await talk.say(message)

    async def asked_again() -> bool:
        return len(await hall.ledger(message)) == 2

    await until(asked_again)
    assert (await done(talk, "undo"))["stopping"]
    assert await undone(talk, 2) == [("call_1_1", "undoing"), ("call_1_1", "undone")]
    assert (await marks(hall, name))[name]["state"] == "undone"
    assert await talk.texts("answer") == []
    assert len(await hall.ledger(message)) == 2


async def test_an_effect_whose_outcome_is_unknown_is_undone_too(hall: Board, talk: Talk) -> None:
    [name] = named("unknown")
    message = await hall.script(calls(marking(name, seconds=4)), text("it goes on"))
    await talk.say(message)
    await talk.answers()
    await talk.settled()
    assert [entry["body"]["status"] for entry in await talk.entries("effect")] == ["unknown"]

    assert (await done(talk, "undo"))["effects"] == ["mark"]
    assert (await undone(talk, 2))[1] == ("call_1_1", "undone")
    standing = (await marks(hall, name))[name]
    assert (standing["state"], standing["made"], standing["undone"]) == ("undone", 1, 1)


async def test_what_refuses_to_be_undone_is_told_and_can_be_tried_again(hall: Board, talk: Talk) -> None:
    first, second = named("refuses", "undoes")
    both = calls(marking(second), marking(first, undo="refuse"))
    message = await hall.script(both, text("done"), text("later"))
    await talk.say(message)
    await talk.answers()
    await talk.settled()

    run = (await done(talk, "undo"))["run"]
    assert sorted((await undone(talk, 4))[2:]) == [("call_1_1", "undone"), ("call_1_2", "not_undone")]
    made = await marks(hall, first, second)
    assert (made[first]["state"], made[second]["state"]) == ("made", "undone")
    shown = json.dumps((await done(talk, "show"))["entries"])
    assert CANARY in shown
    rows = await talk.database.rows("SELECT body FROM events WHERE conversation_id = $1", talk.key)
    assert CANARY not in str(rows)
    await talk.say("And what else has been done for me since?")
    await talk.answers(2)
    told = str((await hall.conversation(message))["messages"])
    assert "mark could not be undone" in told
    assert CANARY not in told

    again = await done(talk, "undo", run=run)
    assert again["effects"] == ["mark"]
    assert [status for _, status in (await undone(talk, 6))[4:]] == ["undoing", "not_undone"]


async def test_what_cannot_be_undone_now_is_undone_later(hall: Board, talk: Talk) -> None:
    [name] = named("later")
    message = await hall.script(calls(marking(name, undo="later")), text("done"))
    await talk.say(message)
    await talk.answers()
    await talk.settled()
    await done(talk, "undo")
    assert (await undone(talk, 2))[1] == ("call_1_1", "undone")
    assert (await marks(hall, name))[name]["undone"] == 1


async def test_a_kill_of_the_router_while_it_undoes_loses_nothing(hall: Board, talk: Talk) -> None:
    first, second = named("before-kill", "while-killed")
    message = await hall.script(calls(marking(first), marking(second, undo="later")), text("done"))
    await talk.say(message)
    await talk.answers()
    await talk.settled()
    await done(talk, "undo")
    await hall.router.kill()
    await hall.router.start()
    assert sorted((await undone(talk, 4))[2:]) == [("call_1_1", "undone"), ("call_1_2", "undone")]
    made = await marks(hall, first, second)
    assert {each["undone"] for each in made.values()} == {1}


async def test_a_run_that_is_killed_is_undone_by_what_was_noted_before(hall: Board, talk: Talk) -> None:
    [name] = named("killed")
    message = await hall.script(calls(marking(name)), text("never said") | NEVER)
    await talk.say(message)

    async def marked() -> bool:
        return bool(await marks(hall, name))

    await until(marked)
    await hall.restate.kill_invocation((await talk.control())["active"]["invocation"])
    await talk.settled()
    assert (await done(talk, "undo"))["effects"] == ["mark"]
    assert (await undone(talk, 2))[1] == ("call_1_1", "undone")


async def test_only_staff_undo_and_only_what_is_there(hall: Board, talk: Talk) -> None:
    await talk.say(await hall.script(text("one")))
    await talk.answers()
    await talk.settled()
    refused = await ask(talk, "undo", staff_token="forged")
    nothing = await ask(talk, "undo")
    unknown = await ask(talk, "undo", run="run_unknown")
    codes = [(each.status_code, each.json()["metadata"]["code"]) for each in (refused, nothing, unknown)]
    assert codes == [(401, "staff_token_invalid"), (409, "nothing_to_undo"), (404, "unknown_run")]


async def test_what_was_noted_to_be_undone_is_erased_with_its_conversation(hall: Board, talk: Talk) -> None:
    [name] = named("erased")
    await talk.say(await hall.script(calls(marking(name)), text("done")))
    await talk.answers()
    await talk.settled()
    rows = "SELECT run FROM effects WHERE conversation_id = $1"

    async def noted() -> bool:
        return len(await talk.database.rows(rows, talk.key)) == 1

    await until(noted)
    assert (await through_back_door(hall, "erase", talk.key)).status_code == 200
    assert await talk.database.rows(rows, talk.key) == []
