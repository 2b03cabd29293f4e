"""The conversations' tables and published functions: who may do what, and what a repeat changes (nothing)."""

import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from contracts import Caller, Input, RunReport
from conversations.control import Control, Message, take_message, take_stop
from conversations.control import Stop as StopWanted
from conversations.store import ConversationStore
from runtime.postgres import open_pool
from tests.conftest import ONCE
from tests.parts.conversations import ConversationsDatabase, conversations_database
from tests.parts.postgres import PostgresServer

pytestmark = ONCE

ALICE = Caller(user_id="user_alice")
TABLES = ("conversations", "runs", "entries", "inputs", "events", "live", "summaries")


@pytest.fixture(scope="module")
async def database(postgres: PostgresServer) -> ConversationsDatabase:
    return await conversations_database(postgres, "conversation_store_test")


@pytest.fixture
async def store(database: ConversationsDatabase) -> AsyncIterator[ConversationStore]:
    async with open_pool(database.app, "conversations") as pool:
        yield ConversationStore(pool)


@pytest.fixture
async def router(database: ConversationsDatabase) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database.router)
    yield connection
    await connection.close()


class Held:
    """A conversation whose object is here."""

    def __init__(self, store: ConversationStore) -> None:
        self.store = store
        self.key = f"conv_{uuid.uuid4().hex}"
        self.control = Control()

    async def say(self, text: str, input_id: str = "", run: str = "") -> str:
        """Returns the run that the message has started, or is for."""
        came = Input(text=text, input_id=input_id or uuid.uuid4().hex)
        decision = take_message(self.control, Message(came.input_id, "steer", run or f"run_{uuid.uuid4().hex}"))
        await self.store.take_in(self.key, ALICE, uuid.uuid4().hex, came, lambda _: decision, 0)
        self.control = decision.control
        return decision.run

    async def stop(self) -> None:
        came = Input(type="stop", input_id=uuid.uuid4().hex)
        decision = take_stop(self.control, StopWanted())
        await self.store.take_in(self.key, ALICE, uuid.uuid4().hex, came, lambda _: decision, 0)
        self.control = decision.control


@pytest.fixture
def held(store: ConversationStore) -> Held:
    return Held(store)


async def take(router: Any, run: str, turn: int) -> tuple[bool, list[str]]:
    rows = await router.fetch("SELECT * FROM conversations.take_inputs($1, $2)", run, turn)
    return all(row["is_active"] for row in rows), [row["text"] for row in rows if row["input_id"]]


async def append(router: Any, run: str, *events: dict[str, Any]) -> int:
    return await router.fetchval("SELECT conversations.append_events($1, $2)", run, json.dumps(events))


async def test_a_repeat_of_a_turn_reads_the_same_messages(held: Held, router: Any) -> None:
    run = await held.say("a question")
    await held.say("more of it")

    first = await take(router, run, 1)
    await held.say("and more")

    assert first == (True, ["more of it"])
    assert await take(router, run, 1) == first
    assert await take(router, run, 2) == (True, ["and more"])
    assert await take(router, run, 3) == (True, [])


async def test_a_run_that_was_stopped_reads_nothing_and_what_it_did_not_read_waits(held: Held, router: Any) -> None:
    run = await held.say("a question")
    await held.say("more of it", input_id="unread")
    await held.stop()

    assert await take(router, run, 1) == (False, [])
    assert await take(router, "run_unknown", 1) == (False, [])
    settled = await held.store.settle(
        held.key, ALICE, held.control, RunReport(run=run, epoch=1, outcome="stopped"), "run_next"
    )
    assert (settled.control.queue, settled.control.paused) == (["unread"], True)


async def test_a_repeated_report_changes_nothing(held: Held, database: ConversationsDatabase) -> None:
    run = await held.say("a question")
    report = RunReport(run=run, epoch=1, outcome="answered", text="an answer")

    settled = [await held.store.settle(held.key, ALICE, held.control, report, "run_next") for _ in range(2)]

    assert settled[0] == settled[1]
    rows = await database.rows("SELECT kind FROM entries WHERE conversation_id = $1 ORDER BY position", held.key)
    assert [row["kind"] for row in rows] == ["message", "answer"]


async def test_what_a_stopped_run_says_is_kept_and_shown_to_nobody(held: Held) -> None:
    run = await held.say("a question")
    await held.stop()
    report = RunReport(run=run, epoch=1, outcome="answered", text="too late")

    await held.store.settle(held.key, ALICE, held.control, report, "run_next")

    history = await held.store.history(held.key, ALICE, 0, 50)
    assert [line.kind for line in history.entries] == ["message", "stop"]


async def test_history_comes_in_pages(held: Held) -> None:
    for number in range(5):
        await held.say(f"line {number}")

    first = await held.store.history(held.key, ALICE, 0, 3)
    rest = await held.store.history(held.key, ALICE, first.next or 0, 3)

    assert [line.position for line in (*first.entries, *rest.entries)] == [1, 2, 3, 4, 5]
    assert (first.next, rest.next) == (3, None)


async def test_events_are_added_once_without_gaps_and_to_a_stopped_run_only_the_ends_of_its_tools(
    held: Held, router: Any, database: ConversationsDatabase
) -> None:
    run = await held.say("a question")
    turn = {"key": "turn/1", "kind": "turn", "body": {"turn": 1}}
    tool = {"key": "call_1_1/end", "kind": "tool_finished"}

    assert [await append(router, run, turn), await append(router, run, turn, tool)] == [1, 1]
    await held.stop()
    late = [{"key": "turn/2", "kind": "turn"}, {"key": "call_2_1/end", "kind": "tool_finished"}]
    assert await append(router, run, *late) == 1
    assert await append(router, "run_unknown", turn) == 0
    rows = await database.rows("SELECT position FROM events WHERE conversation_id = $1 ORDER BY position", held.key)
    assert [row["position"] for row in rows] == list(range(1, len(rows) + 1))


async def test_live_text_is_that_of_the_latest_attempt_and_of_a_run_that_is_listened_to(
    held: Held, router: Any, database: ConversationsDatabase
) -> None:
    run = await held.say("a question")

    async def write(attempt: int, text: str) -> list[str]:
        told = json.dumps([{"run": run, "turn": 1, "attempt": attempt, "text": text}])
        return [row["set_live"] for row in await router.fetch("SELECT conversations.set_live($1)", told)]

    assert [await write(1, "old"), await write(2, "new"), await write(1, "older")] == [[], [], []]
    await held.stop()
    assert await write(2, "after the stop") == [run]
    rows = await database.rows("SELECT attempt, text FROM live WHERE run = $1", run)
    assert rows == [{"attempt": 2, "text": "new"}]


@pytest.mark.parametrize("table", TABLES)
async def test_the_router_may_touch_no_table(table: str, router: Any) -> None:
    for statement in (f"SELECT * FROM conversations.{table}", f"DELETE FROM conversations.{table}"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await router.execute(statement)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("role", ["app", "owner"])
async def test_whoever_says_no_caller_sees_nothing(
    held: Held, role: str, table: str, database: ConversationsDatabase
) -> None:
    await held.say("a question")
    connection = await asyncpg.connect(getattr(database, role))
    try:
        assert await connection.fetchval(f"SELECT count(*) FROM conversations.{table}") == 0
    finally:
        await connection.close()


async def test_only_the_router_may_execute_what_is_published(database: ConversationsDatabase) -> None:
    connection = await asyncpg.connect(database.app)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("SELECT conversations.take_inputs('run', 1)")
    finally:
        await connection.close()


async def test_no_line_can_be_added_to_the_conversation_of_another(held: Held, database: ConversationsDatabase) -> None:
    await held.say("mine")
    connection = await asyncpg.connect(database.app)
    await connection.execute("SELECT set_config('app.user_id', 'user_bob', false)")
    try:
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await connection.execute(
                "INSERT INTO conversations.entries (conversation_id, position, user_id, key, kind, body)"
                " VALUES ($1, 99, 'user_bob', 'x', 'message', '{}')",
                held.key,
            )
    finally:
        await connection.close()
