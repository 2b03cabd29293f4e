"""A run of a conversation, seen while it is at work: by five watchers, through kills of everything."""

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.parts.board import USER, Board, calls, start_board, text, until
from tests.parts.conversations import ConversationsDatabase, Talk, conversations_database, start_conversations
from tests.parts.postgres import PostgresServer
from tests.parts.restate import RestateServer
from tests.parts.service import Service
from tests.parts.watcher import Watcher

ANSWER = "Nothing is down, “as far as” I can see.\n\n" + " ".join(f"Line {number}." for number in range(30))
SLOWLY = {"chunk_seconds": 0.1}
EVENTS = ["input", "run_started", "turn", "tool_started", "tool_finished", "turn", "answer", "run_ended"]


@pytest.fixture(scope="module")
async def database(own_postgres: PostgresServer) -> ConversationsDatabase:
    return await conversations_database(own_postgres, "streamed")


@pytest.fixture(scope="module")
async def hall(
    own_restate: RestateServer, service: Callable[..., Awaitable[Service]], database: ConversationsDatabase
) -> Board:
    return await start_board(own_restate, service, CONVERSATIONS_DATABASE_URL=database.router)


@pytest.fixture(scope="module")
async def room(hall: Board, service: Callable[..., Awaitable[Service]], database: ConversationsDatabase) -> Service:
    return await start_conversations(hall, service, database, COALESCE_MS="0")


@pytest.fixture
def talk(hall: Board, database: ConversationsDatabase) -> Talk:
    return Talk(hall, database)


@asynccontextmanager
async def watched(talk: Talk, room: Service, count: int = 5) -> AsyncGenerator[list[Watcher]]:
    url = f"http://127.0.0.1:{room.program.env['WATCH_PORT']}/conversations/{talk.key}/events"
    watchers = [Watcher(url, {"X-User-Id": talk.user_id}) for _ in range(count)]
    reading = [asyncio.create_task(each.run()) for each in watchers]
    try:
        yield watchers
    finally:
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)


async def all_see(watchers: list[Watcher], kind: str, times: int = 1) -> None:
    async def seen() -> bool:
        return all([each["kind"] for each in watcher.screen.events].count(kind) >= times for watcher in watchers)

    await until(seen, 40)


async def all_read(watchers: list[Watcher], characters: int) -> None:
    async def read() -> bool:
        return all(len(watcher.screen.live) >= characters for watcher in watchers)

    await until(read, 40)


async def check(watchers: list[Watcher], talk: Talk) -> None:
    """What each has in the end is the transcript, byte for byte; nothing is missing, nothing came twice."""
    entries = [(each["kind"], each["body"]["text"]) for each in await talk.entries("message", "answer")]
    for watcher in watchers:
        watcher.screen.check()
        assert watcher.screen.transcript == entries
        assert watcher.screen.live == ""


def kinds(watcher: Watcher) -> list[str]:
    return [each["kind"] for each in watcher.screen.events]


async def test_a_run_is_seen_while_it_is_at_work(hall: Board, room: Service, talk: Talk) -> None:
    message = await hall.script(
        {"text": "Let me look."} | calls(("echo", {"text": "secret"})) | SLOWLY, text(ANSWER) | SLOWLY
    )
    await talk.say(message)
    async with watched(talk, room) as watchers:
        await all_read(watchers, 40)
        await all_see(watchers, "run_ended")
        await check(watchers, talk)
    assert kinds(watchers[0]) == EVENTS
    bodies = {each["position"]: each["body"] for each in watchers[0].screen.events}
    assert bodies[3] == {"turn": 1, "text": "Let me look.", "tools": ["echo"], "last": False}
    assert bodies[5] == {"call": "call_1_1", "tool": "echo", "status": "ok"}
    assert len([each for each in watchers[0].screen.texts if each["turn"] == 2]) > 3
    assert "secret" not in json.dumps(bodies)
    assert await talk.database.rows("SELECT 1 FROM live WHERE conversation_id = $1", talk.key) == []


Mishap = Callable[[], Awaitable[None]]


async def survive(hall: Board, room: Service, talk: Talk, mishap: Mishap) -> list[Watcher]:
    message = await hall.script(calls(("echo", {"text": "a"})), text(ANSWER) | SLOWLY)
    await talk.say(message)
    async with watched(talk, room) as watchers:
        await all_read(watchers, 40)
        await mishap()
        await all_see(watchers, "run_ended")
        await check(watchers, talk)
    assert [kinds(each) for each in watchers] == [EVENTS] * len(watchers)
    return watchers


async def test_the_router_is_killed_in_the_middle_of_a_text(hall: Board, room: Service, talk: Talk) -> None:
    async def kill() -> None:
        await hall.router.kill()
        await hall.router.start()

    watchers = await survive(hall, room, talk, kill)
    for watcher in watchers:
        attempts = [each["attempt"] for each in watcher.screen.texts if each["turn"] == 2]
        assert len(set(attempts)) == 2
        assert attempts == sorted(attempts)
        first = next(each for each in watcher.screen.texts if each["attempt"] == attempts[-1])
        assert first["keep"] == 0


async def test_the_room_is_killed_in_the_middle_of_a_text(hall: Board, room: Service, talk: Talk) -> None:
    async def kill() -> None:
        await room.kill()
        await room.start()

    await survive(hall, room, talk, kill)


async def test_postgresql_is_killed_in_the_middle_of_a_text(
    hall: Board, room: Service, talk: Talk, own_postgres: PostgresServer
) -> None:
    async def kill() -> None:
        await own_postgres.kill()
        await own_postgres.start()

    await survive(hall, room, talk, kill)


async def test_postgresql_is_away_until_after_the_text(
    hall: Board, room: Service, talk: Talk, own_postgres: PostgresServer
) -> None:
    """A model call goes on without it."""

    async def away() -> None:
        await own_postgres.kill()
        await asyncio.sleep(2)
        await own_postgres.start()

    await survive(hall, room, talk, away)


async def test_a_model_that_breaks_off_takes_its_text_back(hall: Board, room: Service, talk: Talk) -> None:
    message = await hall.script(text(ANSWER) | {"chunk_seconds": 0.01})
    await hall.fault("half_body", message)
    await talk.say(message)
    async with watched(talk, room) as watchers:
        await all_see(watchers, "run_ended")
        await check(watchers, talk)
    assert await talk.answers() == [ANSWER]


async def test_text_of_a_stopped_run_goes_and_stays_away(hall: Board, room: Service, talk: Talk) -> None:
    message = await hall.script(text(ANSWER) | {"chunk_seconds": 0.05})
    await talk.say(message)
    async with watched(talk, room) as watchers:
        await all_read(watchers, 20)
        await talk.stop()
        await all_see(watchers, "run_stopped")
        assert {each.screen.live for each in watchers} == {""}
        await all_see(watchers, "run_ended")
        await check(watchers, talk)
    assert [kind for kind, _ in watchers[0].screen.transcript] == ["message"]


async def test_what_could_not_be_told_is_added_when_the_run_reports(
    hall: Board, room: Service, talk: Talk, database: ConversationsDatabase
) -> None:
    name = "FUNCTION conversations.append_events(text, jsonb)"
    await database.rows(f"REVOKE EXECUTE ON {name} FROM conversations_router")
    try:
        await talk.say(await hall.script(calls(("echo", {"text": "a"})), text(ANSWER)))
        async with watched(talk, room, 1) as watchers:
            await all_see(watchers, "run_ended")
            await check(watchers, talk)
    finally:
        await database.rows(f"GRANT EXECUTE ON {name} TO conversations_router")
    assert kinds(watchers[0]) == EVENTS


async def test_a_question_without_a_conversation_is_told_to_nobody(
    hall: Board, room: Service, database: ConversationsDatabase
) -> None:
    async def counts() -> Any:
        return await database.rows("SELECT (SELECT count(*) FROM events) AS e, (SELECT count(*) FROM live) AS l")

    before = await counts()
    answer = await hall.answer(await hall.script(calls(("echo", {"text": "a"})), text(ANSWER)), USER)
    assert answer["text"] == ANSWER
    assert await counts() == before


async def test_a_message_that_is_sent_twice_is_one_event(hall: Board, room: Service, talk: Talk) -> None:
    message = await hall.script(text("Once."))
    once = uuid.uuid4().hex
    await talk.say(message, input_id=once)
    await talk.say(message, input_id=once)
    async with watched(talk, room, 1) as watchers:
        await all_see(watchers, "run_ended")
        await check(watchers, talk)
    assert kinds(watchers[0]).count("input") == 1
