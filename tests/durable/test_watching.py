"""Watching a conversation: the log and the live text of a real PostgreSQL, over real connections that are cut."""

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import aiohttp
import asyncpg
import pytest

from standalone.ports import free_port
from tests.conftest import ONCE
from tests.parts.conversations import ConversationsDatabase, conversations_database
from tests.parts.polling import eventually
from tests.parts.postgres import PostgresServer
from tests.parts.service import Service
from tests.parts.watcher import Screen, Watcher

pytestmark = ONCE

USER = "user_12345"
WATCHERS = 5


@pytest.fixture(scope="module")
async def database(own_postgres: PostgresServer) -> ConversationsDatabase:
    return await conversations_database(own_postgres, "watched")


@pytest.fixture(scope="module")
async def room(service: Callable[..., Awaitable[Service]], database: ConversationsDatabase) -> Service:
    return await service(
        "conversations",
        DATABASE_URL=database.app,
        TRUST_USER_ID="true",
        WATCH_PORT=str(free_port()),
        MAX_WATCHERS="40",
    )


@dataclass
class Talking:
    """A conversation with an active run; what its router and its room write of it."""

    database: ConversationsDatabase
    room: Service
    user_id: str = USER
    key: str = field(default_factory=lambda: f"conv_{uuid.uuid4().hex}")
    run: str = field(default_factory=lambda: f"run_{uuid.uuid4().hex}")

    async def open(self) -> None:
        open_it = "INSERT INTO conversations (conversation_id, user_id, run, epoch) VALUES ($1, $2, $3, 1)"
        await self.database.rows(open_it, self.key, self.user_id, self.run)
        begin = "INSERT INTO runs (run, conversation_id, user_id, epoch) VALUES ($1, $2, $3, 1)"
        await self.database.rows(begin, self.run, self.key, self.user_id)

    async def told(self, kind: str, key: str = "", **body: object) -> None:
        """As the router tells it: again and again until the database takes it."""
        event = json.dumps([{"key": key or uuid.uuid4().hex, "kind": kind, "body": body}])
        await self._until_done("SELECT conversations.append_events($1, $2)", self.run, event)

    async def writes(self, text: str, turn: int = 1, attempt: int = 1) -> None:
        live = json.dumps([{"run": self.run, "turn": turn, "attempt": attempt, "text": text}])
        await self._until_done("SELECT conversations.set_live($1)", live)

    async def stops(self) -> None:
        await self._loses_the_word("run_stopped")

    async def ends(self, text: str) -> None:
        await self._loses_the_word("answer", "run_ended", text=text)

    async def _loses_the_word(self, *kinds: str, **body: object) -> None:
        """As the room writes it: in one transaction."""
        await self.database.rows(
            """
            WITH over AS (
                UPDATE conversations SET run = '', next_event = next_event + cardinality($2::text[])
                WHERE conversation_id = $1 RETURNING *
            )
            INSERT INTO events (conversation_id, position, user_id, key, run, epoch, kind, body)
            SELECT $1, next_event - cardinality($2::text[]) + place - 1, user_id, kind, $3, 1, kind, $4::jsonb
            FROM over, unnest($2::text[]) WITH ORDINALITY AS told (kind, place)
            """,
            self.key,
            kinds,
            self.run,
            json.dumps(body),
        )

    async def _until_done(self, statement: str, *arguments: str) -> None:
        async def done() -> bool:
            try:
                connection = await asyncpg.connect(self.database.router)
                try:
                    await connection.execute(statement, *arguments)
                finally:
                    await connection.close()
            except (OSError, asyncpg.PostgresError):
                return False
            return True

        await eventually(done)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.room.program.env['WATCH_PORT']}/conversations/{self.key}/events"

    @property
    def headers(self) -> dict[str, str]:
        return {"X-User-Id": self.user_id}

    @asynccontextmanager
    async def watched(self, count: int = 1, cut: int | None = None) -> AsyncGenerator[list[Watcher]]:
        watchers = [Watcher(self.url, self.headers, cut) for _ in range(count)]
        reading = [asyncio.create_task(each.run()) for each in watchers]
        try:
            yield watchers
        finally:
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)


@pytest.fixture
async def talking(database: ConversationsDatabase, room: Service) -> Talking:
    talking = Talking(database, room)
    await talking.open()
    return talking


def position(screen: Screen) -> int:
    return screen.events[-1]["position"] if screen.events else 0


async def all_at(watchers: list[Watcher], end: int) -> None:
    async def there() -> bool:
        return all(position(each.screen) >= end for each in watchers)

    await eventually(there)


async def all_show(watchers: list[Watcher], text: str) -> None:
    async def shown() -> bool:
        return all(each.screen.live == text for each in watchers)

    await eventually(shown)


async def tell_a_story(talking: Talking, watchers: list[Watcher], mishap: Callable[[], Awaitable[None]]) -> None:
    """An attempt that breaks off in the middle of its text, and another one that does not."""
    await talking.told("input", text="Is it down?\n\nPléase “look” \\ ☎")
    await talking.told("run_started")
    await talking.writes("I will")
    await all_show(watchers, "I will")
    await mishap()
    await talking.writes("", attempt=2)
    await talking.writes("Let me lóok", attempt=2)
    await all_show(watchers, "Let me lóok")
    await talking.told("turn", "turn/1", turn=1, text="Let me lóok", calls=[{"tool": "check_service_status"}])
    await talking.told("tool_finished", tool="check_service_status", status="ok")
    for length in range(1, 40, 3):
        await talking.writes("Nothing is down, as far as I can see."[:length], turn=2, attempt=3)
    await talking.ends("Nothing is down, as far as I can see.")
    await all_at(watchers, 6)
    for watcher in watchers:
        watcher.screen.check()
        assert watcher.screen.live == ""
        assert watcher.screen.transcript == [
            ("message", "Is it down?\n\nPléase “look” \\ ☎"),
            ("answer", "Nothing is down, as far as I can see."),
        ]


async def nothing() -> None:
    pass


async def test_five_watchers_see_text_while_it_is_written_and_each_event_once(talking: Talking) -> None:
    async with talking.watched(WATCHERS) as watchers:
        await tell_a_story(talking, watchers, nothing)
    assert all(each.connections == 1 for each in watchers)
    seen = [each["text"] for each in watchers[0].screen.texts if each["attempt"] == 2]
    assert "".join(seen) == "Let me lóok"


async def test_a_watcher_that_is_cut_off_again_and_again_ends_with_the_same(talking: Talking) -> None:
    cuts = range(400, 1200, 67)
    watchers = [Watcher(talking.url, talking.headers, cut) for cut in cuts]
    reading = [asyncio.create_task(each.run()) for each in watchers]
    await tell_a_story(talking, watchers, nothing)
    for task in reading:
        task.cancel()
    await asyncio.gather(*reading, return_exceptions=True)
    assert sum(each.connections for each in watchers) > 2 * len(watchers)


async def test_the_room_is_killed_in_the_middle_of_a_text(talking: Talking, room: Service) -> None:
    async def kill() -> None:
        await room.kill()
        await room.start()

    async with talking.watched(WATCHERS) as watchers:
        await tell_a_story(talking, watchers, kill)
        assert all(each.connections == 2 for each in watchers)


async def test_postgresql_is_killed_in_the_middle_of_a_text(talking: Talking, own_postgres: PostgresServer) -> None:
    async def kill() -> None:
        await own_postgres.process.kill()
        await own_postgres.start()

    async with talking.watched(WATCHERS) as watchers:
        await tell_a_story(talking, watchers, kill)


async def test_a_new_attempt_takes_the_text_of_the_former_back(talking: Talking) -> None:
    async with talking.watched() as watchers:
        await talking.writes("The answer is 4", attempt=7)
        await all_show(watchers, "The answer is 4")
        await talking.writes("", attempt=8)
        await all_show(watchers, "")
        await talking.writes("The answer is 41", attempt=7)  # what a dying process still writes
        await talking.writes("The", attempt=8)
        await all_show(watchers, "The")
        assert {each["attempt"] for each in watchers[0].screen.texts} == {7, 8}


async def test_text_of_a_stopped_run_goes(talking: Talking) -> None:
    async with talking.watched() as watchers:
        await talking.writes("I am just")
        await all_show(watchers, "I am just")
        await talking.stops()
        await all_show(watchers, "")
        await talking.writes("I am just about")
    async with talking.watched() as watchers:
        await all_at(watchers, 1)
        await asyncio.sleep(0.3)
        assert watchers[0].screen.texts == []


async def test_text_of_a_turn_that_is_decided_is_shown_no_more(talking: Talking) -> None:
    await talking.writes("Let me look")
    await talking.told("turn", "turn/1", turn=1, text="Let me look")
    async with talking.watched() as watchers:
        await all_at(watchers, 1)
        await talking.writes("Let me look again")
        await talking.writes("So", turn=2)
        await all_show(watchers, "So")
    assert {each["turn"] for each in watchers[0].screen.texts} == {2}


async def test_who_comes_late_reads_a_long_log_to_its_end(talking: Talking) -> None:
    for number in range(3):
        told = [{"key": f"{number}/{each}", "kind": "note", "body": {"n": each}} for each in range(250)]
        await talking._until_done("SELECT conversations.append_events($1, $2)", talking.run, json.dumps(told))
    async with talking.watched() as watchers:
        await all_at(watchers, 750)
        async with talking.watched(2) as late:
            await talking.told("note")
            await all_at([*watchers, *late], 751)
            for watcher in [*watchers, *late]:
                watcher.screen.check()


async def test_what_is_no_more_kept_is_told_as_a_gap(talking: Talking) -> None:
    for _ in range(4):
        await talking.told("note")
    await talking.database.rows("DELETE FROM events WHERE conversation_id = $1 AND position < 3", talking.key)
    async with talking.watched() as watchers:
        await all_at(watchers, 4)
    assert watchers[0].screen.gaps == [{"after": 0, "before": 3}]
    assert [each["position"] for each in watchers[0].screen.events] == [3, 4]


async def test_a_reader_that_takes_nothing_slows_nobody_and_is_shown_how_it_stands(talking: Talking) -> None:
    port = int(talking.room.program.env["WATCH_PORT"])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**10)
    path = talking.url.split(str(port), 1)[1]
    writer.write(f"GET {path} HTTP/1.1\r\nHost: here\r\nX-User-Id: {USER}\r\n\r\n".encode())
    await reader.readline()
    async with talking.watched() as watchers:
        for number in range(60):
            await talking.writes(f"{number:04} " + "many words " * 20_000, attempt=number + 1)
        await talking.writes("short", attempt=100)
        await all_show(watchers, "short")
    taken = b""
    with suppress(TimeoutError):
        while b'"attempt": 100' not in taken[-5000:]:
            taken += await asyncio.wait_for(reader.read(2**20), 20)
    writer.close()
    assert b'"attempt": 100' in taken
    assert taken.count(b"event: text") < 50


async def test_a_room_that_leaves_tells_its_watchers_to_come_again(talking: Talking, room: Service) -> None:
    async with talking.watched(WATCHERS) as watchers:
        await talking.told("note")
        await all_at(watchers, 1)
        leaving = asyncio.create_task(room.stop())

        async def told() -> bool:
            return all(each.screen.ended == "restart" for each in watchers)

        await eventually(told)
        await leaving
        await room.start()
        await talking.told("note")
        await all_at(watchers, 2)
        assert watchers[0].screen.last_id == "2"


async def test_who_watches_what_is_erased_is_told_that_it_is_gone(talking: Talking) -> None:
    async with talking.watched() as watchers:
        await talking.told("note")
        await all_at(watchers, 1)
        await talking.database.rows("DELETE FROM conversations WHERE conversation_id = $1", talking.key)

        async def gone() -> bool:
            return watchers[0].screen.ended == "gone" and watchers[0].statuses[-1] == 404

        await eventually(gone)


async def test_old_events_are_forgotten_and_new_ones_stay(talking: Talking) -> None:
    for _ in range(3):
        await talking.told("note")
    await talking.writes("left behind")
    old = "UPDATE {} SET at = now() - interval '25 hours' WHERE conversation_id = $1"
    await talking.database.rows(old.format("live"), talking.key)
    await talking.database.rows(old.format("events") + " AND position < 3", talking.key)
    app = await asyncpg.connect(talking.database.app, server_settings={"search_path": "conversations"})
    try:
        assert await app.fetchval("SELECT forget_events(now() - interval '24 hours', 5000)") == 2
    finally:
        await app.close()
    rows = await talking.database.rows("SELECT position FROM events WHERE conversation_id = $1", talking.key)
    assert [row["position"] for row in rows] == [3]
    assert await talking.database.rows("SELECT 1 FROM live WHERE conversation_id = $1", talking.key) == []


REFUSED = [
    ("nobody", {}, 401, "caller_unknown"),
    ("another", {"X-User-Id": "user_10001"}, 404, "unknown_conversation"),
    ("a bad token", {"Authorization": "Bearer x.y.z"}, 401, "caller_token_invalid"),
    ("no place", {"X-User-Id": USER, "Last-Event-ID": "1 OR 1=1"}, 422, "invalid_place"),
]


@pytest.mark.parametrize(
    ("headers", "status", "code"), [each[1:] for each in REFUSED], ids=[each[0] for each in REFUSED]
)
async def test_who_may_not_read_reads_nothing(
    talking: Talking, headers: dict[str, str], status: int, code: str
) -> None:
    await talking.told("note")
    async with aiohttp.ClientSession() as http, http.get(talking.url, headers=headers) as reply:
        assert (reply.status, (await reply.json())["code"]) == (status, code)


async def test_no_caller_and_no_crowd_takes_all_places(talking: Talking, database: ConversationsDatabase) -> None:
    others = [Talking(database, talking.room, user_id=f"user_1000{number}") for number in range(2)]
    async with talking.watched(20) as mine, aiohttp.ClientSession() as http:
        await eventually_connected(mine)
        async with http.get(talking.url, headers=talking.headers) as reply:
            assert (reply.status, reply.headers["Retry-After"]) == (429, "2")
        for other in others:
            await other.open()
        async with others[0].watched(20) as theirs:
            await eventually_connected(theirs)
            async with http.get(others[1].url, headers=others[1].headers) as reply:
                assert reply.status == 503


async def eventually_connected(watchers: list[Watcher]) -> None:
    async def connected() -> bool:
        return all(each.connections for each in watchers)

    await eventually(connected)


async def test_no_statement_of_the_room_reads_for_another_customer(talking: Talking) -> None:
    await talking.told("note")
    await talking.writes("secret")
    app = await asyncpg.connect(talking.database.app, server_settings={"search_path": "conversations"})
    try:
        ask = "SELECT kind FROM watched($1, $2, $3, $4, 10)"
        mine = [row["kind"] for row in await app.fetch(ask, [talking.key], [USER], [0], [None])]
        theirs = [row["kind"] for row in await app.fetch(ask, [talking.key], ["user_10001"], [0], [None])]
        assert (mine, theirs) == (["note", "text"], ["gone"])
        assert await app.fetch("SELECT * FROM events") == []
    finally:
        await app.close()
    router = await asyncpg.connect(talking.database.router, server_settings={"search_path": "conversations"})
    try:
        for statement in ("SELECT * FROM live", "SELECT * FROM with_news('{}', '{}', '{}')"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await router.fetch(statement)
    finally:
        await router.close()
