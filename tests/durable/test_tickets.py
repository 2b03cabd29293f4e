"""Tickets on real parts: one ticket and one message id whatever crashes, callers kept apart, the staff's command."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from standardwebhooks import Webhook

from runtime.errors import Refused
from runtime.postgres import open_pool
from standalone.ports import free_port
from tests.parts.desk import STAFF_KEY, staff_token
from tests.parts.dying_tickets import POSITIONS
from tests.parts.polling import eventually
from tests.parts.postgres import PostgresServer
from tests.parts.restate import RestateServer, request
from tests.parts.service import Service
from tests.parts.tickets import (
    BUG,
    SECRET,
    TicketsDatabase,
    TicketServices,
    WebhookReceiver,
    command,
    staff,
    tickets_database,
    webhook_receiver,
)
from tickets.looking import by_staff, desk_transaction
from tickets.model import CreateSupportTicket, MadeTicket, Ticket
from tickets.store import TicketStore

Launch = Callable[..., Awaitable[Service]]


@pytest.fixture(scope="module")
async def database(postgres: PostgresServer) -> TicketsDatabase:
    return await tickets_database(postgres, "tickets_test")


@pytest.fixture(scope="module")
async def store(database: TicketsDatabase) -> AsyncIterator[TicketStore]:
    async with open_pool(database.app, "tickets") as pool:
        yield TicketStore(pool)


@pytest.fixture(scope="module")
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with webhook_receiver() as sink:
        yield sink


async def insert(store: TicketStore, key: str, new: CreateSupportTicket) -> Ticket:
    return await store.insert(new.user_id, key, new)


@pytest.fixture(scope="module")
async def process(service: Launch, database: TicketsDatabase, receiver: WebhookReceiver) -> AsyncIterator[Service]:
    hook = {"WEBHOOK_URL": receiver.url, "WEBHOOK_SECRET": SECRET}
    child = await service("tickets", DATABASE_URL=database.app, STAFF_KEYS=STAFF_KEY, **hook)
    yield child
    await child.stop()


@pytest.fixture
async def tickets(restate: RestateServer, process: Service) -> AsyncIterator[TicketServices]:
    services = TicketServices(restate)
    await services.register(process)
    yield services
    await restate.wait_idle()


def new(user_id: str = "user_1", **changes: str) -> CreateSupportTicket:
    return CreateSupportTicket.model_validate(BUG | {"user_id": user_id} | changes)


# --- the store ---------------------------------------------------------------------------------------------------


async def test_a_repeated_insert_changes_nothing_and_returns_the_same_ticket(
    store: TicketStore, database: TicketsDatabase
) -> None:
    key = uuid.uuid4().hex
    first = await insert(store, key, new())
    assert await insert(store, key, new(subject="Something else")) == first
    assert await database.count("tickets", key) == await database.count("audit", key) == 1


async def test_twenty_inserts_at_once_make_one_ticket(store: TicketStore, database: TicketsDatabase) -> None:
    key = uuid.uuid4().hex
    made = await asyncio.gather(*(insert(store, key, new()) for _ in range(20)))
    assert len({ticket.ticket_id for ticket in made}) == 1
    assert await database.count("tickets", key) == await database.count("audit", key) == 1


async def test_one_problem_is_one_ticket_in_a_conversation(store: TicketStore, database: TicketsDatabase) -> None:
    talk, keys = f"conv_{uuid.uuid4().hex}", [uuid.uuid4().hex for _ in range(3)]

    async def ask(key: str, **changes: str) -> MadeTicket:
        return await store.insert("user_1", key, new(**changes), conversation=talk)

    first = await ask(keys[0])
    again = [await ask(keys[1], subject="The dashboard is empty", description="Still empty.") for _ in range(2)]
    other = await ask(keys[2], subject="Refund for invoice 4711")

    assert [made.existing for made in (first, *again, other)] == [False, True, True, False]
    assert {made.ticket_id for made in again} == {first.ticket_id} != {other.ticket_id}
    details = await store.get("user_1", first.ticket_id)
    assert details is not None
    assert details.description.split("\n\n") == [BUG["description"], "Still empty."]
    assert await store.get("user_2", first.ticket_id) is None
    audit = await database.rows("SELECT action FROM audit WHERE ticket_id = $1 ORDER BY audit_id", first.ticket_id)
    assert [row["action"] for row in audit] == ["create", "add"]


async def test_twenty_workflows_of_a_conversation_make_one_ticket(store: TicketStore) -> None:
    talk = f"conv_{uuid.uuid4().hex}"
    made = await asyncio.gather(
        *(store.insert("user_1", uuid.uuid4().hex, new(), conversation=talk) for _ in range(20))
    )
    assert (len({ticket.ticket_id for ticket in made}), sum(not ticket.existing for ticket in made)) == (1, 1)


async def test_a_closed_ticket_and_that_of_another_conversation_are_left_alone(
    store: TicketStore, database: TicketsDatabase
) -> None:
    talks = [f"conv_{uuid.uuid4().hex}" for _ in range(2)]
    first = await store.insert("user_1", uuid.uuid4().hex, new(), conversation=talks[0])
    await database.rows("UPDATE tickets SET status = 'closed' WHERE ticket_id = $1", first.ticket_id)

    made = [await store.insert("user_1", uuid.uuid4().hex, new(), conversation=talk) for talk in talks]

    assert len({first.ticket_id, *(ticket.ticket_id for ticket in made)}) == 3


async def test_a_key_of_another_caller_is_refused(store: TicketStore) -> None:
    key = uuid.uuid4().hex
    await insert(store, key, new("user_1"))
    with pytest.raises(Refused, match="belongs to another caller"):
        await insert(store, key, new("user_2"))


async def test_the_due_time_counts_from_the_creation(store: TicketStore) -> None:
    ticket = await insert(store, uuid.uuid4().hex, new(description="Production is down"))
    assert ticket.priority == "urgent"
    assert (ticket.sla_due_at - ticket.created_at).total_seconds() == 4 * 3600


async def test_ids_grow_beyond_six_digits(store: TicketStore, database: TicketsDatabase) -> None:
    await database.rows("SELECT setval('tickets_number_seq', 1234566)")
    ticket = await insert(store, uuid.uuid4().hex, new())
    await database.rows("SELECT setval('tickets_number_seq', 1000)")
    assert ticket.ticket_id == "TCK-1234567"


# --- roles, migrations and row-level security -------------------------------------------------------------------


async def test_migrating_again_changes_nothing(database: TicketsDatabase) -> None:
    env = {"MIGRATION_DATABASE_URL": database.owner}
    code, _, said = await command("migrate", **env)
    assert (code, json.loads(said)["applied"]) == (0, [])


async def test_login_roles_are_neither_owner_nor_superuser(database: TicketsDatabase) -> None:
    roles = await database.rows(
        "SELECT rolname, rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb AS strong FROM pg_roles "
        "WHERE rolname IN ('tickets_app', 'tickets_staff') ORDER BY rolname"
    )
    owners = await database.rows("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'tickets'")
    assert [tuple(role) for role in roles] == [("tickets_app", False), ("tickets_staff", False)]
    assert [owner["tableowner"] for owner in owners] == ["tickets_owner"]


@pytest.mark.parametrize("user_id", [None, "", "user_3", "%"])
async def test_nobody_sees_the_tickets_of_others(
    store: TicketStore, database: TicketsDatabase, user_id: str | None
) -> None:
    await insert(store, uuid.uuid4().hex, new("user_1"))
    assert await in_role(database.app, "SELECT * FROM tickets", user_id) == []


async def test_the_owner_too_is_held_by_the_policies(store: TicketStore, database: TicketsDatabase) -> None:
    await insert(store, uuid.uuid4().hex, new("user_1"))
    assert await in_role(database.owner, "SELECT * FROM tickets", "user_1") == []


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("app", "UPDATE tickets SET status = 'closed'"),
        ("app", "DELETE FROM tickets"),
        ("app", "SELECT * FROM audit"),
        ("app", "DELETE FROM audit"),
        ("app", "TRUNCATE audit"),
        ("staff", "SELECT * FROM ticket_counts()"),
        (
            "app",
            "INSERT INTO tickets (workflow_key, user_id, subject, description, category, priority, sla_due_at) "
            "VALUES ('forged', 'user_2', 's', 'd', 'bug', 'low', now())",
        ),
        ("staff", "UPDATE tickets SET subject = 'other'"),
        ("staff", "UPDATE tickets SET user_id = 'other'"),
        ("staff", "DELETE FROM tickets"),
        ("staff", "UPDATE audit SET who = 'other'"),
        ("staff", "DELETE FROM audit"),
        ("app", "DELETE FROM notifications"),
        ("app", "UPDATE notifications SET message = 'other'"),
        (
            "app",
            "INSERT INTO notifications (message_id, ticket_id, user_id, message, reason, resends) "
            "VALUES ('msg_forged', 'TCK-000001', 'user_2', '{}', 'refused', 0)",
        ),
        ("staff", "SELECT message FROM notifications"),
        ("staff", "DELETE FROM notifications"),
        ("staff", "UPDATE notifications SET resends = 0"),
        ("staff", "SELECT * FROM notification_counts()"),
        ("staff", "SELECT * FROM wanted_notifications(1)"),
    ],
)
async def test_a_role_can_do_nothing_but_its_work(database: TicketsDatabase, role: str, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await in_role(getattr(database, role), statement, "user_1")


async def test_whom_row_level_security_holds_still_counts_every_ticket(
    store: TicketStore, database: TicketsDatabase
) -> None:
    await insert(store, uuid.uuid4().hex, new("user_1"))
    await insert(store, uuid.uuid4().hex, new("user_2"))
    truth = await database.rows(
        "SELECT status, priority, count(*), count(*) FILTER (WHERE status <> 'closed' AND sla_due_at < now()) "
        "FROM tickets GROUP BY status, priority"
    )
    for user_id in (None, "user_1"):
        counted = await in_role(database.app, "SELECT * FROM ticket_counts()", user_id)
        assert sorted(map(tuple, counted)) == sorted(map(tuple, truth))
    assert sum(row[2] for row in truth) >= 2


async def test_counting_cannot_be_made_to_read_another_table(store: TicketStore, database: TicketsDatabase) -> None:
    await insert(store, uuid.uuid4().hex, new("user_1"))
    connection = await asyncpg.connect(database.app, server_settings={"search_path": "pg_temp, tickets"})
    counts = await connection.fetch("SELECT * FROM tickets.ticket_counts() ORDER BY state, priority")
    await connection.execute("CREATE TEMP TABLE tickets (status text, priority text, sla_due_at timestamptz)")
    assert await connection.fetch("SELECT * FROM tickets.ticket_counts() ORDER BY state, priority") == counts
    await connection.close()


async def test_the_owner_counts_nothing_by_itself(store: TicketStore, database: TicketsDatabase) -> None:
    await insert(store, uuid.uuid4().hex, new("user_1"))
    assert await in_role(database.owner, "SELECT * FROM ticket_counts()", "user_1") == []


async def in_role(url: str, statement: str, user_id: str | None) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url, server_settings={"search_path": "tickets"})
    try:
        async with connection.transaction():
            if user_id is not None:
                await connection.execute("SELECT set_config('app.user_id', $1, true)", user_id)
            return await connection.fetch(statement)
    finally:
        await connection.close()


# --- the workflow ------------------------------------------------------------------------------------------------


async def test_a_ticket_is_made_and_returned(tickets: TicketServices, database: TicketsDatabase) -> None:
    key = uuid.uuid4().hex
    reply = await tickets.create(key)
    assert reply.status_code == 200, reply.text
    ticket = reply.json()
    assert ticket["ticket_id"].startswith("TCK-")
    assert (ticket["status"], ticket["category"], ticket["priority"]) == ("open", "bug", "normal")
    assert "description" not in ticket
    [audit] = await database.rows(
        "SELECT who, action, length(args_hash) FROM audit WHERE ticket_id = $1", ticket["ticket_id"]
    )
    assert tuple(audit) == ("user_1", "create", 64)


@pytest.mark.parametrize("prompt", [None, "", "0123456789ab", "0123456789AB", "0123456789abc", "'; DROP TABLE"])
async def test_a_ticket_says_which_prompt_made_it_if_that_is_a_digest(
    tickets: TicketServices, database: TicketsDatabase, prompt: str | None
) -> None:
    ticket = (await tickets.create(prompt=prompt)).json()
    [row] = await database.rows("SELECT prompt FROM tickets WHERE ticket_id = $1", ticket["ticket_id"])
    kept = prompt if prompt == "0123456789ab" else None
    assert (row["prompt"], "prompt" in ticket) == (kept, False)
    _, shown, _ = await staff(database, "show", ticket["ticket_id"])
    assert [line.split()[1] for line in shown.splitlines() if line.startswith("prompt ")] == ([kept] if kept else [])


async def test_no_handler_can_be_reached_from_outside(restate: RestateServer, process: Service) -> None:
    await restate.register(process.url, force=True)
    for service, handler, key in (
        ("SupportTicketWorkflow", "run", uuid.uuid4().hex),
        ("Tickets", "list_my_tickets", None),
        ("Tickets", "get_ticket", None),
        ("Notifier", "deliver", None),
        ("Resender", "look", "all"),
    ):
        reply = await restate.call(service, handler, {"user_id": "user_1"}, key=key)
        assert (reply.status_code, reply.json()["message"]) == (400, "the invoked service is not public")


async def test_without_the_routers_binding_row_level_security_alone_keeps_callers_apart(
    tickets: TicketServices, database: TicketsDatabase
) -> None:
    mine = (await tickets.create(body=BUG | {"user_id": "user_mine"})).json()["ticket_id"]
    assert (
        await tickets.tool("get_ticket", caller="user_other", user_id="user_mine", ticket_id=mine)
    ).status_code == 404
    listed = await tickets.tool("list_my_tickets", caller="user_other", user_id="user_mine")
    assert listed.json()["tickets"] == []
    forged = await tickets.create("forged-key", BUG | {"user_id": "user_mine"}, caller="user_other")
    assert forged.status_code >= 400
    assert await database.rows("SELECT 1 FROM tickets WHERE workflow_key = $1", "forged-key") == []


async def test_the_tool_says_what_it_is(tickets: TicketServices) -> None:
    reply = await request("GET", f"{tickets.restate.admin_url}/services/SupportTicketWorkflow/handlers/run")
    handler = reply.json()
    assert handler["metadata"]["tool.name"] == "create_support_ticket"
    assert handler["documentation"].startswith("Create a support ticket")
    schema = handler["input_json_schema"]
    assert set(schema["properties"]) == {"user_id", "subject", "description", "category", "urgency"}
    assert all(property_["description"] for property_ in schema["properties"].values())


async def test_the_receiver_can_verify_the_message(tickets: TicketServices, receiver: WebhookReceiver) -> None:
    ticket = (await tickets.create()).json()
    [(headers, body)] = await receiver.wait_for(ticket["ticket_id"], 1)
    message = Webhook(SECRET).verify(body, headers)
    assert message["type"] == "ticket.created"
    assert message["timestamp"] == ticket["created_at"]
    assert message["data"] == {
        "ticket_id": ticket["ticket_id"],
        "user_id": "user_1",
        "subject": BUG["subject"],
        "category": "bug",
        "priority": "normal",
        "sla_due_at": ticket["sla_due_at"],
    }


async def test_words_that_are_added_to_a_ticket_are_no_new_ticket_for_a_receiver(
    tickets: TicketServices, receiver: WebhookReceiver
) -> None:
    talk = f"conv_{uuid.uuid4().hex}"
    first, again = [(await tickets.create(conversation=talk)).json() for _ in range(2)]

    assert (again["ticket_id"], first["existing"], again["existing"]) == (first["ticket_id"], False, True)
    await tickets.restate.wait_idle()
    assert len(receiver.of(first["ticket_id"])) == 1


async def test_a_failing_receiver_gets_the_same_message_again(
    tickets: TicketServices, receiver: WebhookReceiver
) -> None:
    receiver.replies = [500, 429]
    ticket = (await tickets.create()).json()
    attempts = await receiver.wait_for(ticket["ticket_id"], 3)
    assert len({headers["webhook-id"] for headers, _ in attempts}) == 1
    assert len({body for _, body in attempts}) == 1
    for headers, body in attempts:
        Webhook(SECRET).verify(body, headers)


@pytest.mark.parametrize("status", [302, 400, 410])
async def test_a_receiver_that_refuses_is_not_asked_again(
    tickets: TicketServices, receiver: WebhookReceiver, database: TicketsDatabase, status: int
) -> None:
    receiver.replies = [status]
    ticket_id = (await tickets.create()).json()["ticket_id"]
    await tickets.restate.wait_idle()
    assert len(receiver.of(ticket_id)) == 1
    dropped = await staff(database, "drop", ticket_id, at=tickets.restate)
    assert dropped == (0, f"the notification of {ticket_id} is dropped\n", "")


async def test_without_a_webhook_nothing_is_sent(
    restate: RestateServer, service: Launch, database: TicketsDatabase
) -> None:
    services = TicketServices(restate)
    child = await service("tickets", DATABASE_URL=database.app)
    await services.register(child)
    key = uuid.uuid4().hex
    assert (await services.create(key)).status_code == 200
    [workflow] = await restate.query(f"select id from sys_invocation where target_service_key = '{key}'")
    started = await restate.query(
        f"select target_service_name as name from sys_invocation where invoked_by_id = '{workflow['id']}'"
    )
    assert {each["name"] for each in started} == {"TicketLife"}
    await restate.wait_idle()
    await child.stop()


@pytest.mark.parametrize("position", POSITIONS)
async def test_a_crash_leaves_one_ticket_and_one_message_id(
    restate: RestateServer,
    service: Launch,
    database: TicketsDatabase,
    receiver: WebhookReceiver,
    tmp_path: Path,
    position: str,
) -> None:
    key, died = uuid.uuid4().hex, tmp_path / "died"
    child = await service(
        "tests.parts.dying_tickets",
        DIE_AT=position,
        DIED=str(died),
        DATABASE_URL=database.app,
        WEBHOOK_URL=receiver.url,
        WEBHOOK_SECRET=SECRET,
    )
    services = TicketServices(restate)
    await services.register(child)
    answer = asyncio.create_task(services.create(key))
    await asyncio.wait_for(child.wait(), 30)
    assert died.read_text() == position
    await child.start()

    ticket = (await answer).json()
    messages = await receiver.wait_for(ticket["ticket_id"], 2 if position == "after post" else 1)
    await restate.wait_idle()
    assert await database.count("tickets", key) == await database.count("audit", key) == 1
    assert len({headers["webhook-id"] for headers, _ in messages}) == 1
    await child.stop()


async def test_a_ticket_is_made_when_the_database_comes_back(
    tickets: TicketServices, database: TicketsDatabase, postgres: PostgresServer
) -> None:
    key = uuid.uuid4().hex
    assert (await tickets.create()).status_code == 200
    await postgres.stop("immediate")
    answer = asyncio.create_task(tickets.create(key))
    reading = asyncio.create_task(tickets.tool("list_my_tickets", user_id="user_1"))
    await asyncio.sleep(0.5)
    await postgres.start()
    assert (await answer).status_code == (await reading).status_code == 200
    assert await database.count("tickets", key) == 1


@pytest.mark.parametrize(
    ("body", "status", "field_"),
    [
        (b"", 400, None),
        (b"{", 400, None),
        (b"[]", 422, None),
        (BUG | {"subject": "x" * 201}, 422, "subject"),
        (BUG | {"description": " "}, 422, "description"),
        (BUG | {"category": "gossip"}, 422, "category"),
        (BUG | {"user_id": ""}, 422, "user_id"),
        (BUG | {"status": "closed"}, 422, None),
        (json.dumps(BUG | {"subject": "nul \0 here"}).encode(), 422, None),
        (json.dumps(BUG | {"subject": "half \ud800 pair"}).encode(), 400, None),
        (BUG | {"description": "x" * 70_000}, 413, None),
    ],
)
async def test_bad_input_is_refused_at_once(
    tickets: TicketServices, body: Any, status: int, field_: str | None
) -> None:
    key = uuid.uuid4().hex
    reply = await tickets.create(key, body)
    assert reply.status_code == status, reply.text
    if body:
        assert reply.json()["metadata"].get("field") == field_
    rows = await tickets.restate.query(f"select status from sys_invocation where target_service_key = '{key}'")
    assert all(row["status"] == "completed" for row in rows)


# --- the reading tools -------------------------------------------------------------------------------------------


async def test_a_caller_reads_only_tickets_of_their_own(tickets: TicketServices) -> None:
    alice, bob = uuid.uuid4().hex, uuid.uuid4().hex
    made = [(await tickets.create(body=BUG | {"user_id": alice})).json()["ticket_id"] for _ in range(3)]
    listed = (await tickets.tool("list_my_tickets", user_id=alice, limit=2)).json()
    assert [ticket["ticket_id"] for ticket in listed["tickets"]] == [made[2], made[1]]
    assert (await tickets.tool("list_my_tickets", user_id=bob)).json() == {"tickets": []}

    got = (await tickets.tool("get_ticket", user_id=alice, ticket_id=made[0])).json()
    assert got["description"] == BUG["description"]


async def test_the_ticket_of_another_is_refused_like_one_that_never_was(tickets: TicketServices) -> None:
    ticket_id = (await tickets.create()).json()["ticket_id"]
    others = await tickets.tool("get_ticket", user_id="user_2", ticket_id=ticket_id)
    unknown = await tickets.tool("get_ticket", user_id="user_2", ticket_id="TCK-999999")
    assert others.status_code == unknown.status_code == 404
    assert others.json() == unknown.json()


# --- the staff's command -----------------------------------------------------------------------------------------


async def test_the_staff_list_assign_show_and_close(
    store: TicketStore, database: TicketsDatabase, tickets: TicketServices
) -> None:
    ticket_id, at = (await insert(store, uuid.uuid4().hex, new("user_9"))).ticket_id, tickets.restate

    _, listed, _ = await staff(database, "list", "--user", "user_9")
    assert ticket_id in listed
    assert "in 23h 59m" in listed
    assigned = await staff(database, "assign", ticket_id.lower(), "erik", at=at)
    assert assigned == (0, f"{ticket_id} is assigned to erik\n", "")
    closed = await staff(database, "close", ticket_id, "--note", "new chart", person="erik", at=at)
    assert closed == (0, f"{ticket_id} is closed\n", "")
    _, shown, _ = await staff(database, "show", ticket_id)
    assert "closed, assigned to erik" in shown
    assert [line.split("  ", 1)[1] for line in shown.splitlines()[-3:]] == [
        "user_9  create",
        "dana  assign  to erik",
        "erik  close  new chart",
    ]
    assert await staff(database, "list", "--user", "user_9") == (0, "no tickets\n", "")


WRITES = {
    "assign": "UPDATE tickets SET status = 'assigned', assignee = 'erik', updated_at = now()",
    "close": "UPDATE tickets SET status = 'closed', updated_at = now()",
    "resend": "UPDATE notifications SET state = 'wanted', changed_at = now()",
    "drop": "UPDATE notifications SET state = 'dropped', changed_at = now()",
    "say who did it": (
        "INSERT INTO audit (ticket_id, who, action, args_hash) SELECT ticket_id, 'erik', 'close', '' FROM tickets"
    ),
    "change the audit": "UPDATE audit SET who = 'erik'",
    "delete": "DELETE FROM audit",
}
"""What the command of a former version did by SQL, and what nobody ever might."""


@pytest.mark.parametrize("statement", WRITES.values(), ids=WRITES)
async def test_the_staffs_role_reads_and_writes_nothing(
    store: TicketStore, database: TicketsDatabase, statement: str
) -> None:
    ticket_id = (await insert(store, uuid.uuid4().hex, new())).ticket_id
    person = await database.login("dana")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await in_role(person, statement, None)
    assert await in_role(person, "SELECT 1 FROM tickets JOIN audit USING (ticket_id)", None)
    events = await database.rows("SELECT who, action FROM audit WHERE ticket_id = $1", ticket_id)
    assert [tuple(event) for event in events] == [("user_1", "create")]


async def test_nobody_can_say_that_another_did_it(store: TicketStore, database: TicketsDatabase) -> None:
    """Not even the services: it is the member of staff for whom the transaction acts."""
    ticket_id = (await insert(store, uuid.uuid4().hex, new())).ticket_id
    async with open_pool(database.app, "tickets") as pool, desk_transaction(pool, by_staff("dana")) as db:
        said = "INSERT INTO audit (ticket_id, who, action, args_hash) VALUES ($1, 'erik', 'close', '')"
        await db.execute(said, ticket_id)
    events = await database.rows("SELECT who, action FROM audit WHERE ticket_id = $1 ORDER BY audit_id", ticket_id)
    assert [tuple(event) for event in events] == [("user_1", "create"), ("dana", "close")]


FORGED = staff_token("erik", key="a-key-that-nobody-here-believes-in")


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("", "setting STAFF_TOKEN: whoever changes something needs a staff token of their own"),
        (FORGED, "{}: the staff_token is not valid"),
    ],
    ids=["none", "forged"],
)
async def test_whoever_has_no_good_token_reads_and_changes_nothing(
    store: TicketStore, database: TicketsDatabase, tickets: TicketServices, token: str, why: str
) -> None:
    ticket_id = (await insert(store, uuid.uuid4().hex, new())).ticket_id
    closed = await staff(database, "close", ticket_id, at=tickets.restate, STAFF_TOKEN=token)
    assert closed == (1, "", f"{why.format(ticket_id)}\n")
    assert "status    open\n" in (await staff(database, "show", ticket_id))[1]


async def test_a_change_that_cannot_be_made_is_one_clear_line(
    store: TicketStore, database: TicketsDatabase, tickets: TicketServices
) -> None:
    ticket_id, at = (await insert(store, uuid.uuid4().hex, new())).ticket_id, tickets.restate
    await staff(database, "assign", ticket_id, "erik", at=at)
    assert await staff(database, "assign", ticket_id, "fay", at=at) == (
        1,
        "",
        f"{ticket_id}: erik has this ticket; --reassign gives it to somebody else\n",
    )
    assert (await staff(database, "assign", ticket_id, "fay", "--reassign", at=at))[0] == 0
    await staff(database, "close", ticket_id, at=at)
    closed = (1, "", f"{ticket_id}: this ticket is closed\n")
    assert await staff(database, "close", ticket_id, at=at) == closed
    assert await staff(database, "assign", ticket_id, "erik", at=at) == closed
    assert await staff(database, "show", "TCK-999999") == (1, "", "no such ticket: TCK-999999\n")
    unknown = (1, "", "TCK-999999: there is no such ticket\n")
    assert await staff(database, "close", "TCK-999999", at=at) == unknown
    events = await database.rows("SELECT action FROM audit WHERE ticket_id = $1 ORDER BY audit_id", ticket_id)
    assert [event["action"] for event in events] == ["create", "assign", "assign", "close"]


async def test_two_people_who_take_a_ticket_at_once_do_not_both_get_it(
    store: TicketStore, database: TicketsDatabase, tickets: TicketServices
) -> None:
    ticket_id, at = (await insert(store, uuid.uuid4().hex, new())).ticket_id, tickets.restate
    taken = await asyncio.gather(*(staff(database, "assign", ticket_id, name, at=at) for name in ("a", "b")))
    assert sorted(code for code, _, _ in taken) == [0, 1]


async def test_a_restate_that_is_away_is_one_line_for_the_staff(database: TicketsDatabase) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    told = await staff(database, "close", "TCK-000001", RESTATE_INGRESS_URL=nowhere, STAFF_TOKEN=staff_token())
    assert told == (1, "", "setting RESTATE_INGRESS_URL: Restate does not answer there\n")


async def test_overdue_tickets_are_marked_and_stand_first(store: TicketStore, database: TicketsDatabase) -> None:
    user = uuid.uuid4().hex
    early, late = [(await insert(store, uuid.uuid4().hex, new(user))).ticket_id for _ in range(2)]
    await database.rows("UPDATE tickets SET sla_due_at = now() - interval '65 min' WHERE ticket_id = $1", late)
    _, out, _ = await staff(database, "list", "--user", user)
    assert [line.split()[0] for line in out.splitlines()] == ["ID", late, early]
    assert "OVERDUE 1h 05m" in out
    assert late in (await staff(database, "list", "--overdue", "--user", user))[1]
    assert early not in (await staff(database, "list", "--overdue", "--user", user))[1]


async def test_the_customers_text_cannot_command_the_terminal(store: TicketStore, database: TicketsDatabase) -> None:
    text = "\x1b]0;owned\x07\x1b[2J\u202e line"
    ticket_id = (await insert(store, uuid.uuid4().hex, new("user_8", subject=text, description=text))).ticket_id
    for arguments in (("show", ticket_id), ("list", "--user", "user_8")):
        _, out, _ = await staff(database, *arguments)
        assert "owned" in out
        assert all(character.isprintable() or character == "\n" for character in out)


async def test_a_database_that_is_away_is_one_line_for_the_staff(database: TicketsDatabase) -> None:
    away = TicketsDatabase("", "", "", f"postgresql://tickets_staff:secret@127.0.0.1:{free_port()}/x")
    code, out, err = await staff(away, "list")
    assert (code, out) == (1, "")
    assert err.startswith("setting STAFF_DATABASE_URL: ")
    assert err.count("\n") == 1


# --- a database that takes no writes -----------------------------------------------------------------------------


REFUSALS = {
    "a table that is missing": ("ALTER TABLE audit RENAME TO mislaid", "ALTER TABLE mislaid RENAME TO audit"),
    "a check that nothing passes": (
        "ALTER TABLE tickets ADD CONSTRAINT closed CHECK (subject = '') NOT VALID",
        "ALTER TABLE tickets DROP CONSTRAINT closed",
    ),
    "a column that is missing": (
        "ALTER TABLE tickets RENAME COLUMN prompt TO mislaid",
        "ALTER TABLE tickets RENAME COLUMN mislaid TO prompt",
    ),
}


@pytest.mark.parametrize(("broken", "mended"), REFUSALS.values(), ids=REFUSALS)
async def test_a_ticket_that_the_database_refuses_waits_until_that_is_mended(
    tickets: TicketServices, database: TicketsDatabase, process: Service, broken: str, mended: str
) -> None:
    key, before = uuid.uuid4().hex, process.log.read_text().count("statement_refused")

    async def refused_twice() -> bool:
        return process.log.read_text().count("statement_refused") >= before + 2

    await database.rows(broken)
    asked = asyncio.create_task(tickets.create(key))
    try:
        await eventually(refused_twice, 15)
    finally:
        await database.rows(mended)
    reply = await asked
    assert reply.status_code == 200, reply.text
    assert await database.count("tickets", key) == await database.count("audit", key) == 1


async def test_a_ticket_asked_for_while_the_database_is_read_only_is_made_once_when_it_is_not(
    tickets: TicketServices, database: TicketsDatabase, process: Service
) -> None:
    key, name = uuid.uuid4().hex, database.admin.rsplit("/", 1)[1]
    await database.rows(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await database.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'tickets_app'")
    asked = asyncio.create_task(tickets.create(key))

    async def refused_twice() -> bool:
        return process.log.read_text().count("SQLSTATE 25006") >= 2

    await eventually(refused_twice, 15)
    await writable(database, name)
    reply = await asked
    assert reply.status_code == 200, reply.text
    assert await database.count("tickets", key) == await database.count("audit", key) == 1


async def writable(database: TicketsDatabase, name: str) -> None:
    """As a connection that may still write: the database's own setting holds for whoever comes later."""
    connection = await asyncpg.connect(database.admin, server_settings={"default_transaction_read_only": "off"})
    await connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    await connection.close()
