"""Staff read what a run did, step by step; nobody else does, and it goes with the conversation."""

from collections.abc import Awaitable, Callable

import pytest

from tests.parts.board import Board, calls, start_board, text
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
from tests.parts.restate import RestateServer
from tests.parts.service import Service


@pytest.fixture(scope="module")
async def database(postgres: PostgresServer) -> ConversationsDatabase:
    return await conversations_database(postgres, "steps_test")


@pytest.fixture(scope="module")
async def hall(
    own_restate: RestateServer, service: Callable[..., Awaitable[Service]], database: ConversationsDatabase
) -> Board:
    board = await start_board(own_restate, service, CONVERSATIONS_DATABASE_URL=database.router)
    await start_conversations(board, service, database, STAFF_KEYS=STAFF_KEY, COALESCE_MS="0")
    await open_back_door(board)
    return board


@pytest.fixture
async def talk(hall: Board, database: ConversationsDatabase) -> Talk:
    """One in which a run has searched, asked for a tool that is not there, and answered."""
    talk = Talk(hall, database)
    searched = calls(("search_help_articles", {"query": "limits", "limit": 2}), ("no_such_tool", {"a": 1}))
    await talk.say(await hall.script(searched, text("Here it is.")))
    await talk.answers()
    await talk.settled()
    return talk


async def the_run(talk: Talk) -> str:
    [run] = await talk.database.rows("SELECT run FROM runs WHERE conversation_id = $1", talk.key)
    return run["run"]


async def test_staff_are_told_each_turn_and_call_a_page_at_a_time(talk: Talk) -> None:
    run = await the_run(talk)
    told = await done(talk, "steps", run=run)
    assert (told["state"], told["outcome"], told["next"]) == ("ended", "answered", None)
    assert told["invocation"].startswith("inv_")
    first, last = told["turns"]
    assert (last["turn"], last["text"], last["calls"]) == (2, "Here it is.", [])
    assert all(turn["prompt_tokens"] and turn["completion_tokens"] and turn["ms"] >= 0 for turn in (first, last))
    search, unknown = first["calls"]
    assert (search["tool"], search["status"]) == ("search_help_articles", "ok")
    assert search["arguments"] == '{"limit":2,"query":"limits"}'
    assert len(search["sources"]) == 2
    assert search["result"].startswith('{"status": "ok"')
    assert (unknown["tool"], unknown["status"], unknown["ms"] >= 0) == ("no_such_tool", "error", True)

    page = await done(talk, "steps", run=run, limit=1)
    assert ([turn["turn"] for turn in page["turns"]], page["next"]) == ([1], 1)
    page = await done(talk, "steps", run=run, limit=1, after=1)
    assert ([turn["turn"] for turn in page["turns"]], page["next"]) == ([2], None)


async def test_the_transcript_of_staff_says_whose_it_is(talk: Talk) -> None:
    assert (await done(talk, "show"))["user_id"] == "user_12345"


async def test_nobody_else_is_told(talk: Talk) -> None:
    run = await the_run(talk)
    no_token = await talk.board.restate.call("Conversation", "steps", {"run": run}, key=talk.key)
    assert no_token.status_code == 422
    forged = {"staff_token": "e30.e30.e30", "run": run}
    assert (await talk.board.restate.call("Conversation", "steps", forged, key=talk.key)).status_code == 401
    seen = await through_back_door(talk.board, "history", talk.key, user_id="user_12345")
    assert "search_help_articles" not in seen.text


async def test_a_run_of_another_conversation_is_not_there(talk: Talk, hall: Board) -> None:
    other = Talk(hall, talk.database)
    await other.say(await hall.script(text("Hello.")))
    await other.answers()
    reply = await ask(talk, "steps", run=await the_run(other))
    assert (reply.status_code, reply.json()["metadata"]["code"]) == (404, "unknown_run")


async def test_a_run_of_older_code_has_no_steps(talk: Talk) -> None:
    """It is as if its report had none."""
    run = await the_run(talk)
    await talk.database.rows("DELETE FROM steps WHERE run = $1", run)
    told = await done(talk, "steps", run=run)
    assert (told["state"], told["turns"]) == ("ended", [])


async def test_they_go_with_the_conversation(talk: Talk) -> None:
    assert (await through_back_door(talk.board, "erase", talk.key)).status_code == 200
    assert await talk.database.rows("SELECT FROM steps WHERE conversation_id = $1", talk.key) == []
