"""What the desk is told of all conversations: which changed, from where it was on, and no word of what was said."""

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import asyncpg
import pytest

from conversations.watch.changes import MOST
from standalone.ports import free_port
from tests.conftest import ONCE
from tests.parts.conversations import ConversationsDatabase, conversations_database
from tests.parts.desk import staff_token
from tests.parts.fake_rooms import STAFF_KEY
from tests.parts.polling import eventually
from tests.parts.postgres import PostgresServer
from tests.parts.service import Service
from tests.parts.watcher import read_frames

pytestmark = ONCE

OPEN = "INSERT INTO conversations (conversation_id, user_id, run, epoch) VALUES ($1, 'user_12345', $2, 1)"
SAID = "UPDATE conversations SET next_entry = next_entry + 1, next_event = next_event + 2 WHERE conversation_id = $1"
WAITS = "UPDATE conversations SET stretch = 'run_x', next_event = next_event + 1 WHERE conversation_id = $1"
ASKED = """
INSERT INTO approvals (approval_id, conversation_id, user_id, run, call, invocation, tool, arguments, digest, fixed,
                       parameters, message, why, needs_role, expires_at)
SELECT $1, $2, 'user_12345', 'run_x', $1, 'inv_x', 'pay', told, encode(sha256(convert_to(told, 'UTF8')), 'hex'), '{}',
       '{}', 'a secret of the customer', 'why', 'approver', now() + interval '1 hour'
FROM (VALUES ('{"secret":"of the customer"}')) AS each (told)
"""
LONG_AGO, OF_ANOTHER_SERVER = "1-1:1:", "99999999999-9999999999999:9999999999999:"


@pytest.fixture(scope="module")
async def database(own_postgres: PostgresServer) -> ConversationsDatabase:
    return await conversations_database(own_postgres, "desk_events")


@pytest.fixture
async def room(service: Callable[..., Awaitable[Service]], database: ConversationsDatabase) -> Service:
    told = {"DATABASE_URL": database.app, "TRUST_USER_ID": "true", "STAFF_KEYS": STAFF_KEY}
    return await service("conversations", WATCH_PORT=str(free_port()), **told)


async def until(seen: Callable[[], object]) -> None:
    async def look() -> bool:
        return bool(seen())

    await eventually(look)


class Told:
    """What one console has been told."""

    def __init__(self) -> None:
        self.body = b""

    @property
    def frames(self) -> list[dict[str, Any]]:
        return read_frames(self.body)

    @property
    def last_id(self) -> str:
        return [each["id"] for each in self.frames if each["id"]][-1]

    def of(self, event: str) -> list[dict[str, Any]]:
        return [each["data"] for each in self.frames if each["event"] == event]

    def latest(self, kind: str, of: str) -> tuple[int, int] | None:
        found = [each for each in self.of("change") if (each["kind"], each["id"]) == (kind, of)]
        return (found[-1]["entries"], found[-1]["events"]) if found else None

    async def read(self, content: aiohttp.StreamReader) -> None:
        async for part in content.iter_any():
            self.body += part


def address(room: Service) -> str:
    return f"http://127.0.0.1:{room.program.env['WATCH_PORT']}/desk/events"


@asynccontextmanager
async def watching(room: Service, after: str = "") -> AsyncGenerator[Told]:
    told = Told()
    headers = {"Authorization": f"Bearer {staff_token(roles=['agent'])}"} | ({"Last-Event-ID": after} if after else {})
    async with aiohttp.ClientSession() as http, http.get(address(room), headers=headers) as reply:
        assert reply.status == 200, await reply.text()
        reading = asyncio.create_task(told.read(reply.content))
        await until(lambda: told.of("here"))
        try:
            yield told
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def opened(database: ConversationsDatabase) -> str:
    key = f"conv_{uuid.uuid4().hex}"
    await database.rows(OPEN, key, f"run_{uuid.uuid4().hex}")
    return key


async def test_it_tells_which_conversations_waits_and_approvals_changed_and_nothing_of_what_they_say(
    room: Service, database: ConversationsDatabase
) -> None:
    key, other, approval = await opened(database), await opened(database), f"appr_{uuid.uuid4().hex}"
    async with watching(room) as told:
        await database.rows(SAID, key)
        await until(lambda: told.latest("conversation", key) == (1, 2))
        await database.rows(WAITS, key)
        await until(lambda: told.latest("wait", key) and told.latest("conversation", key) == (1, 3))
        await database.rows(ASKED, approval, key)
        await until(lambda: told.latest("approval", approval))
        await database.rows("DELETE FROM conversations WHERE conversation_id = $1", key)
        await until(lambda: len([each for each in told.of("change") if each["kind"] == "wait"]) == 2)
    assert {name for each in told.of("change") for name in each} == {"kind", "id", "entries", "events"}
    assert other not in told.body.decode()
    assert b"user_12345" not in told.body
    assert b"secret" not in told.body


async def test_what_ended_later_than_what_began_after_it_is_told_too(
    room: Service, database: ConversationsDatabase
) -> None:
    slow, quick = await opened(database), await opened(database)
    connection = await asyncpg.connect(database.app, server_settings={"search_path": "conversations"})
    async with watching(room) as told:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SELECT set_config('app.user_id', 'user_12345', true)")
        await connection.execute(SAID, slow)
        await database.rows(SAID, quick)
        await until(lambda: told.latest("conversation", quick))
        assert told.latest("conversation", slow) is None
        await transaction.commit()
        await until(lambda: told.latest("conversation", slow))
        assert len(told.of("change")) == 2
    await connection.close()


async def test_who_comes_again_is_told_what_they_missed_and_of_too_much_that_all_may_have_changed(
    room: Service, database: ConversationsDatabase
) -> None:
    first, second = await opened(database), await opened(database)
    async with watching(room) as told:
        await database.rows(SAID, first)
        await until(lambda: told.latest("conversation", first))
    await database.rows(SAID, second)
    async with watching(room, told.last_id) as again:
        await until(lambda: again.latest("conversation", second))
        assert again.latest("conversation", first) is None
    many = [await opened(database) for _ in range(MOST + 1)]
    await database.rows(SAID.replace("= $1", "= ANY($1)"), many)
    async with watching(room, again.last_id) as all_of_it:
        await until(lambda: all_of_it.of("all"))
    assert all_of_it.of("change") == []


@pytest.mark.parametrize(
    "after", ["1-1:1:", "99999999999-9999999999999:9999999999999:"], ids=["too long ago", "another"]
)
async def test_at_a_place_that_is_no_more_known_everything_may_have_changed(room: Service, after: str) -> None:
    async with watching(room, after) as told:
        await until(lambda: told.of("all"))


@pytest.mark.parametrize(
    ("token", "status", "code"),
    [
        (None, 401, "staff_token_invalid"),
        ({}, 403, "staff_role"),
        ({"roles": ["customer"]}, 403, "staff_role"),
        ({"key": "x" * 32, "roles": ["agent"]}, 401, "staff_token_invalid"),
        ({"aud": "switchboard", "roles": ["agent"]}, 401, "staff_token_invalid"),
    ],
    ids=["none", "no role", "another role", "another key", "a caller"],
)
async def test_who_has_no_role_at_the_desk_is_told_nothing(
    room: Service, token: dict[str, Any] | None, status: int, code: str
) -> None:
    proof = {"X-User-Id": "user_12345"} if token is None else {"Authorization": f"Bearer {staff_token(**token)}"}
    async with aiohttp.ClientSession() as http, http.get(address(room), headers=proof) as reply:
        assert (reply.status, (await reply.json())["code"]) == (status, code)


@pytest.mark.parametrize("after", ["1", "1-1:2:3", "1-2:1:", "1-1:5:3,2", "1-0:1:", "1-1:1:; DROP TABLE changes"])
async def test_what_is_no_place_is_refused(room: Service, after: str) -> None:
    headers = {"Authorization": f"Bearer {staff_token(roles=['agent'])}", "Last-Event-ID": after}
    async with aiohttp.ClientSession() as http, http.get(address(room), headers=headers) as reply:
        assert (reply.status, (await reply.json())["code"]) == (422, "invalid_place")


async def test_at_the_end_of_the_process_it_says_when_to_come_again(room: Service) -> None:
    async with watching(room) as told:
        leaving = asyncio.create_task(room.stop())
        await until(lambda: told.of("end"))
        await leaving
    assert told.of("end") == [{"reason": "restart"}]
    assert json.loads(told.body.rpartition(b"retry: ")[2].split(b"\n")[0]) >= 1000
