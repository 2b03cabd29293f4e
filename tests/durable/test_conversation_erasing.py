"""What is left of a conversation that was erased, or in which nothing was said for long: nothing."""

from collections.abc import Awaitable, Callable

import aiohttp
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
from tests.parts.postgres import PostgresServer
from tests.parts.restate import RestateServer
from tests.parts.service import Service

TABLES = ("conversations", "runs", "entries", "inputs", "events", "live", "summaries")
RETENTION_SECONDS = 12


@pytest.fixture(scope="module")
async def database(postgres: PostgresServer) -> ConversationsDatabase:
    return await conversations_database(postgres, "conversation_erasing_test")


@pytest.fixture(scope="module")
async def hall(
    own_restate: RestateServer, service: Callable[..., Awaitable[Service]], database: ConversationsDatabase
) -> Board:
    board = await start_board(own_restate, service, CONVERSATIONS_DATABASE_URL=database.router)
    await start_conversations(board, service, database, RETENTION_DAYS=str(RETENTION_SECONDS / 86_400))
    await open_back_door(board)
    return board


@pytest.fixture
def talk(hall: Board, database: ConversationsDatabase) -> Talk:
    return Talk(hall, database)


async def left(talk: Talk) -> dict[str, int]:
    """The rows of a conversation, by table; those without any are left out."""
    counts = {
        table: len(await talk.database.rows(f"SELECT 1 FROM {table} WHERE conversation_id = $1", talk.key))
        for table in TABLES
    }
    return {table: count for table, count in counts.items() if count}


async def journals(talk: Talk, invocation: str) -> int:
    return len(await talk.board.restate.query(f"select id from sys_invocation where id = '{invocation}'"))


async def erase(talk: Talk) -> None:
    reply = await through_back_door(talk.board, "erase", talk.key)
    assert reply.status_code == 200, reply.text


async def test_a_page_of_history_is_its_owner_s_alone(hall: Board, talk: Talk) -> None:
    await talk.say(await hall.script(text("an answer")))
    await talk.answers()

    replies = [
        await through_back_door(hall, "history", talk.key, user_id=user_id) for user_id in (talk.user_id, "user_67890")
    ]

    assert [reply.status_code for reply in replies] == [200, 404]
    assert [each["kind"] for each in replies[0].json()["entries"]] == ["message", "answer"]


async def test_an_export_holds_all_that_is_kept(hall: Board, talk: Talk) -> None:
    await talk.say(await hall.script(calls(("large", {"size": 10})), text("an answer")))
    await talk.answers()
    await talk.settled()

    reply = await through_back_door(hall, "export", talk.key)

    assert reply.status_code == 200, reply.text
    told = reply.json()
    assert (told["conversation"], told["user_id"]) == (talk.key, talk.user_id)
    assert [each["kind"] for each in told["entries"]] == ["message", "effect", "answer"]
    assert [each["position"] for each in told["events"]] == list(range(1, len(told["events"]) + 1))
    assert [each["outcome"] for each in told["runs"]] == ["answered"]
    assert told["tickets"] == [told["entries"][1]["body"]["ticket_id"]]
    assert "inv_" not in reply.text


async def test_an_export_leaves_nothing_behind(hall: Board, talk: Talk) -> None:
    await talk.say(await hall.script(text("an answer")))
    await talk.answers()
    before = await kept_of(talk, "export")
    await through_back_door(hall, "export", talk.key)

    async def gone() -> bool:
        return await kept_of(talk, "export") == before

    await until(gone, 10)


async def kept_of(talk: Talk, handler: str) -> int:
    sql = f"select count(1) as kept from sys_invocation where target_handler_name = '{handler}'"
    return (await talk.board.restate.query(sql))[0]["kept"]


async def test_an_unknown_conversation_cannot_be_exported(hall: Board, talk: Talk) -> None:
    assert (await through_back_door(hall, "export", talk.key)).status_code == 404


async def test_erasing_leaves_neither_rows_nor_state_nor_journals(hall: Board, talk: Talk) -> None:
    await talk.say(await hall.script(text("an answer")))
    await talk.answers()
    await talk.settled()
    (run,) = await talk.database.rows("SELECT invocation FROM runs WHERE conversation_id = $1", talk.key)
    assert await journals(talk, run["invocation"]) == 1

    await erase(talk)

    assert (await left(talk), await talk.control()) == ({}, {})
    assert await journals(talk, run["invocation"]) == 0


async def test_erasing_ends_the_run_that_is_at_work_and_its_report_changes_nothing(hall: Board, talk: Talk) -> None:
    message = await hall.script(text("never said") | {"latency_seconds": 5})
    await talk.say(message)
    await until(lambda: hall.ledger(message))
    invocation = (await talk.control())["active"]["invocation"]

    await erase(talk)

    assert (await left(talk), await talk.control()) == ({}, {})
    assert await journals(talk, invocation) == 0


async def test_a_conversation_in_which_nothing_was_said_for_long_is_removed(hall: Board, talk: Talk) -> None:
    await talk.say(await hall.script(text("an answer")))
    await talk.answers()
    assert await left(talk)

    async def gone() -> bool:
        return not await left(talk) and not await talk.control()

    await until(gone, seconds=3 * RETENTION_SECONDS)


async def test_no_journal_but_that_of_a_conversation_s_run_can_be_removed(hall: Board) -> None:
    run = await hall.start_run(await hall.script(text("one shot")))
    await hall.transcript(run)

    async with aiohttp.ClientSession() as http, http.delete(f"{hall.registry.url}/journals/{run}") as reply:
        assert reply.status == 403
