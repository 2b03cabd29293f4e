"""Staff find conversations by what was said in them; nobody else does, and what was erased is not found."""

import shutil
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from contracts import Caller, Input, Say, StandingPage, WaitingQuery
from conversations.control import Control, Message, assign, take_message
from conversations.people_store import StaffStore
from conversations.store import MIGRATIONS
from runtime.postgres import migrate, open_pool, provision
from tests.conftest import ONCE
from tests.parts.conversations import ROLES, ConversationsDatabase, conversations_database
from tests.parts.postgres import PostgresServer

pytestmark = ONCE

ALICE = Caller(user_id="user_alice")
PATIENCE = timedelta(minutes=15)


@pytest.fixture(scope="module")
async def database(postgres: PostgresServer) -> ConversationsDatabase:
    return await conversations_database(postgres, "conversation_search_test")


@pytest.fixture
async def store(database: ConversationsDatabase) -> AsyncIterator[StaffStore]:
    async with open_pool(database.app, "conversations") as pool:
        yield StaffStore(pool)


async def said(store: StaffStore, text: str, caller: Caller = ALICE) -> tuple[str, Control]:
    """A new conversation in which a customer has said this."""
    key, came = f"conv_{uuid.uuid4().hex}", Input(text=text, input_id="1")
    decision = take_message(Control(owner=caller), Message("1", "steer", f"run_{uuid.uuid4().hex}"))
    await store.take_in(key, caller, uuid.uuid4().hex, came, lambda _: decision, 0)
    return key, decision.control


async def taken(store: StaffStore, text: str, name: str, caller: Caller = ALICE) -> tuple[str, Control]:
    key, control = await said(store, text, caller)
    decision = assign(control, name, f"run_{uuid.uuid4().hex}")
    await store.hand(key, caller, decision, uuid.uuid4().hex, name or "ben")
    return key, decision.control


async def found(store: StaffStore, **asked: object) -> StandingPage:
    query = WaitingQuery.model_validate({"staff_token": "", **asked})
    return await store.standing(query, "anna", PATIENCE)


def keys(page: StandingPage) -> list[str]:
    return [each.conversation for each in page.conversations]


async def test_words_of_customer_and_person_are_found_with_the_line_that_has_them(store: StaffStore) -> None:
    key, control = await taken(store, "The Kingfisher is blue.", "anna")
    assert control.person is not None
    told = (control.person.run, control.person.epoch)
    await store.say(key, ALICE, *told, Say(staff_token="", text="A heron, rather.", say_id="1"), "anna")
    await said(store, "The sparrow is brown.")
    by_customer, by_person = await found(store, search="kingfisher blue"), await found(store, search="heron")
    assert keys(by_customer) == keys(by_person) == [key]
    assert by_customer.conversations[0].found == "The Kingfisher is blue."
    assert by_person.conversations[0].found == "A heron, rather."
    assert keys(await found(store, search=key)) == [key]
    for nothing in ("kingfisher sparrow", "anna took it", "' OR 1=1 --", "!!! & | :*"):
        assert keys(await found(store, search=nothing)) == [], nothing


async def test_a_search_keeps_to_its_filters_and_comes_in_pages(store: StaffStore) -> None:
    bob = Caller(user_id="user_bob")
    mine = (await taken(store, "an osprey", "anna"))[0]
    waiting = (await taken(store, "an osprey", ""))[0]
    of_bob = (await said(store, "an osprey", bob))[0]
    assert keys(await found(store, search="osprey", who="mine")) == [mine]
    assert keys(await found(store, search="osprey", who="nobody")) == [waiting]
    assert keys(await found(store, search="osprey", user_id="user_bob")) == [of_bob]
    assert keys(await found(store, search="osprey", overdue=True)) == []
    whole = await found(store, search="osprey")
    assert keys(whole)[0] == waiting
    assert set(keys(whole)) == {mine, waiting, of_bob}
    paged, more, cursor = list[str](), True, ""
    while more:
        page = await found(store, search="osprey", limit=1, cursor=cursor)
        paged, more, cursor = paged + keys(page), page.more, page.conversations[-1].place
    assert paged == keys(whole)


async def test_who_waits_longest_is_due_first_and_is_counted(
    store: StaffStore, database: ConversationsDatabase
) -> None:
    before = (await found(store)).counts
    late, soon = [(await taken(store, "a person, please", ""))[0] for _ in range(2)]
    has = (await taken(store, "a person, please", "anna"))[0]
    age = "UPDATE conversations SET handed_at = now() - $2::interval WHERE conversation_id = $1"
    await database.rows(age, late, timedelta(hours=400))
    await database.rows(age, soon, timedelta(hours=300))
    page = await found(store)
    assert keys(page)[:2] == [late, soon]
    assert has in keys(page)
    assert page.counts.waiting - before.waiting == 2
    assert page.counts.mine - before.mine == 1
    assert page.counts.overdue - before.overdue == 2
    assert keys(await found(store, overdue=True)) == [late, soon]


async def test_what_was_erased_is_not_found_and_leaves_no_words(
    store: StaffStore, database: ConversationsDatabase
) -> None:
    key, _ = await said(store, "A peregrine.")
    assert keys(await found(store, search="peregrine")) == [key]
    await store.erase(key, ALICE, "")
    assert keys(await found(store, search="peregrine")) == []
    assert await database.rows("SELECT 1 FROM words WHERE conversation_id = $1", key) == []


@pytest.mark.parametrize("role", ["app", "router"])
async def test_no_role_reads_the_words_themselves(database: ConversationsDatabase, role: str) -> None:
    connection = await asyncpg.connect(getattr(database, role))
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("SELECT * FROM conversations.words")
        if role == "router":
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch("SELECT * FROM conversations.standing_counts('anna', '1 min')")
    finally:
        await connection.close()


async def test_what_was_said_before_there_was_a_search_is_found(postgres: PostgresServer, tmp_path: Path) -> None:
    admin = postgres.database("conversation_search_before")
    await provision(admin, "conversations", dict.fromkeys(ROLES, "secret"))
    address = admin.split("@", 1)[1]
    owner, app, _ = (f"postgresql://conversations_{role}:secret@{address}" for role in ROLES)
    for file in sorted(MIGRATIONS.glob("*.sql"))[:11]:
        shutil.copy(file, tmp_path)
    await migrate(owner, "conversations", tmp_path)
    async with open_pool(app, "conversations") as pool:
        store = StaffStore(pool)
        key, _ = await said(store, "A cormorant.")
        await migrate(owner, "conversations", MIGRATIONS)
        assert keys(await found(store, search="cormorant")) == [key]
    connection = await asyncpg.connect(owner)
    try:
        assert await connection.fetch("SELECT * FROM conversations.entries") == []
    finally:
        await connection.close()
