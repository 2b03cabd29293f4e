"""Notifications that their receiver refused: kept, shown, and sent again by command, whatever crashes meanwhile."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest

from runtime.postgres import open_pool
from tests.parts.desk import STAFF_KEY
from tests.parts.dying_tickets import UNDELIVERED
from tests.parts.polling import eventually
from tests.parts.postgres import PostgresServer
from tests.parts.restate import RestateServer, request
from tests.parts.service import Service
from tests.parts.tickets import (
    SECRET,
    TicketsDatabase,
    TicketServices,
    WebhookReceiver,
    staff,
    tickets_database,
    webhook_receiver,
)
from tickets.notification import Notification, TicketCreated
from tickets.undelivered import Undelivered

FINAL = (301, 302, 307, 308, 400, 401, 404, 410)

Launch = Callable[..., Awaitable[Service]]


@pytest.fixture(scope="module")
async def database(postgres: PostgresServer) -> TicketsDatabase:
    return await tickets_database(postgres, "undelivered_test")


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with webhook_receiver() as sink:
        yield sink


class Desk:
    """The ticket services in a process that may die, and the staff."""

    def __init__(self, restate: RestateServer, child: Service, database: TicketsDatabase) -> None:
        self.services = TicketServices(restate)
        self.child = child
        self.database = database

    async def create(self) -> str:
        reply = await self.services.create()
        assert reply.status_code == 200, reply.text
        return reply.json()["ticket_id"]

    async def rows(self) -> list[tuple[Any, ...]]:
        rows = await self.database.rows("SELECT state, reason, status, resends FROM notifications ORDER BY ticket_id")
        return [tuple(row) for row in rows]

    async def until(self, *rows: tuple[Any, ...]) -> None:
        """Waits until just these notifications are kept."""

        async def so() -> bool:
            return await self.rows() == list(rows)

        await eventually(so, 30)

    async def staff(self, *arguments: str) -> str:
        code, out, err = await staff(self.database, *arguments, at=self.services.restate)
        assert (code, err) == (0, "")
        return out

    async def start_with(self, **env: str) -> None:
        """The same services anew, told otherwise."""
        await self.child.stop()
        self.child.program = replace(self.child.program, env=dict(self.child.program.env) | env)
        await self.child.start()


@pytest.fixture
async def desk(
    restate: RestateServer, service: Launch, database: TicketsDatabase, receiver: WebhookReceiver, tmp_path: Path
) -> AsyncIterator[Desk]:
    await database.rows("TRUNCATE tickets, audit, notifications CASCADE")
    child = await service(
        "tests.parts.dying_tickets",
        DIE_AT="",
        DIED=str(tmp_path / "died"),
        DATABASE_URL=database.app,
        WEBHOOK_URL=receiver.url,
        WEBHOOK_SECRET=SECRET,
        STAFF_KEYS=STAFF_KEY,
    )
    made = Desk(restate, child, database)
    await made.services.register(child)
    yield made
    await database.rows("TRUNCATE notifications")
    await eventually(lambda: no_look(restate), 30)
    await restate.wait_idle()
    await made.child.stop()


async def no_look(restate: RestateServer) -> bool:
    """Whether the resender rests, as it does while nothing is undelivered."""
    query = "SELECT id FROM sys_invocation WHERE target_service_name = 'Resender' AND status <> 'completed'"
    return not await restate.query(query)


async def test_whatever_is_refused_is_kept_shown_and_sent_again_by_command(
    desk: Desk, receiver: WebhookReceiver
) -> None:
    receiver.replies = list(FINAL)
    tickets = [await desk.create() for _ in FINAL]

    async def all_kept() -> bool:
        return sorted(row[2] for row in await desk.rows()) == sorted(FINAL)

    await eventually(all_kept, 30)
    assert receiver.accepted == []
    assert f"undelivered notifications: {len(FINAL)} " in await desk.staff("list")
    shown = await desk.staff("undelivered")
    assert {line.split()[0] for line in shown.splitlines()[1:]} == set(tickets)
    assert len([line for line in shown.splitlines() if "refused  status 410" in line]) == 1

    await desk.staff("resend", tickets[0].lower())
    assert await eventually(lambda: accepted(receiver, 1), 30)
    await desk.staff("resend", "--all")
    await eventually(lambda: accepted(receiver, len(FINAL)), 30)
    await desk.until(*[("delivered", "refused", row[2], 1) for row in await desk.rows()])
    assert len(receiver.accepted) == len(set(receiver.accepted)) == len(FINAL)
    assert await desk.staff("undelivered") == "no undelivered notifications\n"
    assert "undelivered" not in await desk.staff("list")
    history = (await desk.staff("show", tickets[0])).splitlines()
    assert [line.split()[-2:] for line in history if "resend" in line] == [["dana", "resend"]]


async def accepted(receiver: WebhookReceiver, count: int) -> bool:
    return len(receiver.accepted) >= count


async def test_what_is_refused_again_waits_for_another_command(desk: Desk, receiver: WebhookReceiver) -> None:
    receiver.status = 404
    ticket = await desk.create()
    await desk.until(("refused", "refused", 404, 0))
    receiver.status = 410
    await desk.staff("resend", ticket)
    await desk.until(("refused", "refused", 410, 1))
    receiver.status = 204
    await desk.staff("resend", ticket)
    await desk.until(("delivered", "refused", 410, 2))
    assert len(receiver.of(ticket)) == 3
    assert len({headers["webhook-id"] for headers, _ in receiver.of(ticket)}) == 1
    assert len({body for _, body in receiver.of(ticket)}) == 1


async def test_without_an_address_any_more_it_is_kept_until_there_is_one(desk: Desk, receiver: WebhookReceiver) -> None:
    receiver.status = 503
    ticket = await desk.create()
    await receiver.wait_for(ticket, 1)
    await desk.start_with(WEBHOOK_URL="")
    await desk.until(("refused", "no_webhook", None, 0))
    receiver.status = 200
    await desk.start_with(WEBHOOK_URL=receiver.url)
    await desk.staff("resend", ticket)
    await desk.until(("delivered", "no_webhook", None, 1))
    assert len(receiver.accepted) == 1


async def test_a_delivery_that_somebody_cancels_is_kept(desk: Desk, receiver: WebhookReceiver) -> None:
    receiver.status = 503
    ticket = await desk.create()
    await receiver.wait_for(ticket, 1)
    restate = desk.services.restate
    query = "SELECT id FROM sys_invocation WHERE target_service_name = 'Notifier' AND status <> 'completed'"
    [delivery] = await restate.query(query)
    await request("PATCH", f"{restate.admin_url}/invocations/{delivery['id']}/cancel")
    await desk.until(("refused", "cancelled", None, 0))


async def test_one_that_nobody_needs_any_more_is_dropped_once(desk: Desk, receiver: WebhookReceiver) -> None:
    receiver.status = 410
    ticket = await desk.create()
    await desk.until(("refused", "refused", 410, 0))
    assert await desk.staff("drop", ticket, "--note", "known") == f"the notification of {ticket} is dropped\n"
    for command in (("drop", ticket), ("resend", ticket)):
        told = await staff(desk.database, *command, at=desk.services.restate)
        assert told == (1, "", f"{ticket}: no notification of it is undelivered\n")
    assert await desk.staff("resend", "--all") == "no undelivered notifications\n"
    assert (await desk.staff("show", ticket)).splitlines()[-1].endswith("dana  drop  known")
    await desk.until(("dropped", "refused", 410, 0))


async def test_no_delivery_and_no_look_is_ended_for_its_age(desk: Desk) -> None:
    for service, handler in (("Notifier", "deliver"), ("Resender", "look")):
        url = f"{desk.services.restate.admin_url}/services/{service}/handlers/{handler}"
        assert (await request("GET", url)).json()["metadata"]["switchboard.deadline"] == "none"


@pytest.mark.parametrize("position", UNDELIVERED)
async def test_a_crash_loses_no_refused_notification_and_doubles_none(
    desk: Desk, receiver: WebhookReceiver, tmp_path: Path, position: str
) -> None:
    died = tmp_path / "died"
    await desk.start_with(DIE_AT=position)
    receiver.status = 404
    ticket = await desk.create()
    resent = None
    while not died.exists():
        rows = await desk.rows()
        if [row[0] for row in rows] == ["refused"] and not resent:
            receiver.status, resent = 200, asyncio.create_task(desk.staff("resend", ticket))
        await asyncio.sleep(0.05)
    await asyncio.wait_for(desk.child.wait(), 30)
    await desk.child.start()
    await eventually(lambda: is_refused_or_more(desk), 30)
    receiver.status = 200
    told = await (resent or desk.staff("resend", ticket))
    assert told == f"the notification of {ticket} is going to be sent again\n"
    await desk.until(("delivered", "refused", 404, 1))
    await desk.services.restate.wait_idle()
    assert (died.read_text(), len(set(receiver.accepted))) == (position, 1)
    audited = await desk.database.rows("SELECT who FROM audit WHERE action = 'resend'")
    assert [row["who"] for row in audited] == ["dana"]
    posts = len(receiver.of(ticket))
    assert posts == len(receiver.accepted) + 1  # the one that was refused
    assert posts <= 3  # it may have died in the middle of a post


async def is_refused_or_more(desk: Desk) -> bool:
    return bool(await desk.rows())


# --- the words of former sendings --------------------------------------------------------------------------------

Step = tuple[Literal["keep", "resend", "sent", "delivered", "drop"], int]


@pytest.mark.parametrize(
    ("steps", "state"),
    [
        ([("keep", 0)], "refused"),
        ([("keep", 0), ("keep", 0)], "refused"),
        ([("keep", 0), ("resend", 0)], "wanted"),
        ([("keep", 0), ("resend", 0), ("keep", 0)], "wanted"),
        ([("keep", 0), ("resend", 0), ("sent", 1)], "sending"),
        ([("keep", 0), ("resend", 0), ("sent", 1), ("keep", 0)], "sending"),
        ([("keep", 0), ("resend", 0), ("sent", 1), ("keep", 1)], "refused"),
        ([("keep", 0), ("resend", 0), ("keep", 1), ("sent", 1)], "refused"),
        ([("keep", 0), ("resend", 0), ("sent", 1), ("keep", 1), ("resend", 0), ("keep", 1), ("sent", 1)], "wanted"),
        ([("keep", 0), ("resend", 0), ("sent", 1), ("delivered", 1)], "delivered"),
        ([("keep", 0), ("resend", 0), ("delivered", 1), ("sent", 1)], "delivered"),
        ([("keep", 0), ("resend", 0), ("sent", 1), ("delivered", 1), ("keep", 1), ("keep", 2)], "delivered"),
        ([("keep", 0), ("drop", 0), ("keep", 0), ("sent", 1)], "dropped"),
        ([("keep", 0), ("resend", 0), ("sent", 1), ("drop", 0), ("keep", 1)], "dropped"),
    ],
    ids=lambda value: "-".join(f"{word}{number}" for word, number in value) if isinstance(value, list) else value,
)
async def test_a_late_word_changes_nothing(database: TicketsDatabase, steps: list[Step], state: str) -> None:
    message = notification()
    async with open_pool(database.app, "tickets") as pool:
        undelivered = Undelivered(pool)
        for word, number in steps:
            sending = message.model_copy(update={"resends": number})
            match word:
                case "keep":
                    await undelivered.keep(sending, "refused", 410)
                case "sent":
                    await undelivered.sent(sending)
                case "delivered":
                    await undelivered.delivered(sending)
                case "resend" | "drop":
                    to = {"resend": "wanted", "drop": "dropped"}[word]
                    query = "UPDATE notifications SET state = $2 WHERE message_id = $1"
                    await database.rows(query, message.message_id, to)
    [row] = await database.rows("SELECT state FROM notifications WHERE message_id = $1", message.message_id)
    assert row["state"] == state


async def test_what_is_found_is_the_whole_message_as_its_next_sending(database: TicketsDatabase) -> None:
    message = notification()
    async with open_pool(database.app, "tickets") as pool:
        undelivered = Undelivered(pool)
        await undelivered.keep(message, "refused", 404)
        assert (await undelivered.find(100)).left
        await database.rows("UPDATE notifications SET state = 'wanted' WHERE message_id = $1", message.message_id)
        assert message.model_copy(update={"resends": 1}) in (await undelivered.find(100)).wanted
        await undelivered.delivered(message)
        assert message.message_id not in {each.message_id for each in (await undelivered.find(100)).wanted}


def notification() -> Notification:
    now = datetime.now(UTC)
    ticket = TicketCreated(
        ticket_id="TCK-000001", user_id="user_1", subject="s", category="bug", priority="low", sla_due_at=now
    )
    return Notification(message_id=f"msg_{uuid.uuid4().hex}", timestamp=now, data=ticket)
