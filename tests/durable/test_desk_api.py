"""The desk's API against the real rooms: what a key does is done once, by its name, and stands in the audit."""

import asyncio
import hashlib
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from standalone.ports import free_port
from tests.parts.board import USER, Board, calls, start_board, text, until
from tests.parts.conversations import ConversationsDatabase, Talk, conversations_database, start_conversations
from tests.parts.desk_api import Tool
from tests.parts.fake_rooms import OF_A_CONSOLE, STAFF_KEY
from tests.parts.postgres import PostgresServer
from tests.parts.restate import RestateServer
from tests.parts.service import Service
from tests.parts.tickets import tickets_database

CALLERS = {"CALLER_KEYS": "a-secret-of-32-bytes-for-the-tests"}


@dataclass(frozen=True)
class Desk:
    board: Board
    database: ConversationsDatabase
    console: Service
    ledger: Path

    async def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """`python -m conversations` with these words."""
        return await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "conversations", *words],
            env={**os.environ, "DATABASE_URL": self.database.app},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    async def key(self, name: str, roles: str, *more: str) -> str:
        done = await self.command("staff-key", "make", name, "--roles", roles, *more)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    async def approval(self, order: str) -> str:
        """The id of a call that waits for a yes: to pay five euros for this order."""
        await Talk(self.board, self.database).say(
            await self.board.script(calls(("pay", {"order": order, "euros": 5})), text("It waits."))
        )
        query = "SELECT approval_id FROM approvals WHERE arguments LIKE '%' || $1 || '%'"
        return (await until(lambda: self.database.rows(query, order)))[0]["approval_id"]

    async def ticket(self) -> str:
        """The id of a ticket of the customer."""
        talk = Talk(self.board, self.database, f"user_{uuid.uuid4().hex[:8]}")
        wanted = {"subject": "Nothing loads", "description": "It stays empty."}
        await talk.say(await self.board.script(calls(("create_support_ticket", wanted)), text("Passed on.")))
        await talk.answers()
        return next(each["body"]["ticket_id"] for each in await talk.entries("effect") if each["body"].get("ticket_id"))


@pytest.fixture(scope="module")
async def desk(
    own_restate: RestateServer,
    service: Callable[..., Awaitable[Service]],
    postgres: PostgresServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Desk:
    database = await conversations_database(postgres, "desk_api_test")
    kept, watch_port = await tickets_database(postgres, "desk_api_tickets_test"), free_port()
    ledger = tmp_path_factory.mktemp("payments") / "ledger"
    ledger.touch()
    for module, env in {
        "tests.parts.approved_tools": {"LEDGER": str(ledger)},
        "tickets": {"DATABASE_URL": kept.app, "STAFF_KEYS": STAFF_KEY, "TRUST_USER_ID": "true"},
    }.items():
        await own_restate.register((await service(module, **env)).url)
    stored = {"CONVERSATIONS_DATABASE_URL": database.router}
    board = await start_board(own_restate, service, **(CALLERS | stored | {"APPROVAL_WAIT": "0.5"}))
    told = CALLERS | {"STAFF_KEYS": STAFF_KEY, "COALESCE_MS": "0", "WATCH_PORT": str(watch_port)}
    await start_conversations(board, service, database, **told)
    rooms = {"RESTATE_INGRESS_URL": own_restate.ingress_url, "CONVERSATIONS_URL": f"http://127.0.0.1:{watch_port}"}
    console = await service("console", **rooms, **OF_A_CONSOLE, API_KEY_SECONDS="0.2", BURST="1000")
    return Desk(board, database, console, ledger)


@pytest.fixture
async def tool(desk: Desk) -> AsyncIterator[Tool]:
    async with Tool(desk.console.address) as tool:
        yield tool


async def audited(tool: Tool, desk: Desk, kind: str, subject: str) -> list[tuple[str, str]]:
    """Who did what to it, the oldest first, as an admin's tool reads it."""
    told = await tool.get(f"/audit?kind={kind}&subject={subject}", key=await desk.key("auditor", "admin"))
    assert told.status == 200, told.text
    return [(line["who"], line["action"]) for line in reversed(told.body["lines"])]


async def test_a_key_of_the_desk_is_shown_once_and_kept_as_a_digest(desk: Desk) -> None:
    done = await desk.command("staff-key", "make", "shown", "--roles", "agent,approver", "--scopes", "act")
    key = done.stdout.strip()
    assert "shown once" in done.stderr
    assert "read, act as key.shown" in done.stderr
    (row,) = await desk.database.rows("SELECT * FROM api_keys WHERE name = 'shown'")
    assert row["digest"] == hashlib.sha256(key.encode()).digest()
    assert (row["door"], row["roles"], row["scopes"]) == ("console", ["agent", "approver"], ["read", "act"])
    assert key.split("_")[2] not in str(row)
    listed = (await desk.command("staff-key", "list")).stdout
    assert (row["key_id"] in listed, key in listed) == (True, False)
    assert row["key_id"] not in (await desk.command("api-key", "list")).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("UPPER", "--roles", "agent"), "NAME"),
        (("a",), "ROLES"),
        (("a", "--roles", "king"), "ROLES"),
        (("a", "--roles", "agent", "--scopes", "everything"), "--scopes"),
        (("a", "--roles", "agent", "--scopes", "approve"), "approve needs the role approver"),
        (("a", "--roles", "agent", "--person", "key.b"), "--person"),
        (("a", "--roles", "agent", "--days", "0"), "--days"),
    ],
)
async def test_a_key_that_can_be_none_is_not_made(desk: Desk, words: tuple[str, ...], said: str) -> None:
    done = await desk.command("staff-key", "make", *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr


async def test_a_call_is_approved_by_a_key_and_made_and_audited(desk: Desk, tool: Tool) -> None:
    order = uuid.uuid4().hex
    approval, key = await desk.approval(order), await desk.key("payer", "approver")
    shown = (await tool.get(f"/approvals/{approval}", key=key)).body
    assert shown["arguments"]["order"] == order
    wrong = await tool.post(f"/approvals/{approval}/approve", {"digest": "0" * 64}, key=key)
    assert (wrong.code, desk.ledger.read_text().count(order)) == ("other_arguments", 0)
    told = [
        await tool.post(f"/approvals/{approval}/approve", {"digest": shown["digest"]}, key=key, once="a")
        for _ in range(2)
    ]
    assert [each.body["by"] for each in told] == ["key.payer", "key.payer"]
    assert told[0].body == told[1].body
    other = await tool.post(f"/approvals/{approval}/deny", {"digest": shown["digest"], "reason": "No."}, key=key)
    assert other.code == "decided"

    async def paid() -> bool:
        return order in desk.ledger.read_text()

    await until(paid)
    assert desk.ledger.read_text().count(order) == 1
    assert [who for who, _ in await audited(tool, desk, "approval", approval)] == [USER, "key.payer"]


async def test_the_customer_of_a_call_does_not_decide_it_by_a_key_either(desk: Desk, tool: Tool) -> None:
    order = uuid.uuid4().hex
    approval, key = await desk.approval(order), await desk.key("own", "approver", "--person", USER)
    shown = (await tool.get(f"/approvals/{approval}", key=key)).body
    told = await tool.post(f"/approvals/{approval}/approve", {"digest": shown["digest"]}, key=key)
    assert told.code == "own_approval"
    assert (await tool.get(f"/approvals/{approval}", key=key)).body["status"] == "pending"


async def test_a_reply_to_a_ticket_is_written_once_and_audited(desk: Desk, tool: Tool) -> None:
    ticket, key = await desk.ticket(), await desk.key("writer", "agent")
    path, reply = f"/tickets/{ticket}/reply", {"text": "It loads again.", "state": "solved"}
    told = [await tool.post(path, reply, key=key, once="a") for _ in range(3)]
    assert [(each.status, each.body["state"]) for each in told] == [(200, "solved")] * 3
    assert (await tool.post(path, {"text": "Other words."}, key=key, once="a")).code == "key_reused"
    assert (await tool.post(path, reply | {"seen": 0}, key=key, once="b")).code == "changed"
    shown = (await tool.get(f"/tickets/{ticket}", key=key)).body
    assert [(each["who"], each["text"]) for each in shown["messages"]] == [("key.writer", "It loads again.")]
    assert ("key.writer", "reply") in await audited(tool, desk, "ticket", ticket)


async def test_a_conversation_is_taken_answered_and_given_back_once(desk: Desk, tool: Tool) -> None:
    talk, key = Talk(desk.board, desk.database), await desk.key("phone", "agent", "--person", "anna")
    handed = calls(("hand_over_to_person", {"reason": "They want to talk to a human."}))
    await talk.say(await desk.board.script(handed, text("I am back.")))
    await talk.answers()
    await talk.settled()
    path = f"/conversations/{talk.key}"
    assert talk.key in (await tool.get("/queue?who=nobody&kind=conversations", key=key)).text
    taken = [await tool.post(f"{path}/take", key=key, once="a") for _ in range(2)]
    assert [each.body["person"] for each in taken] == ["anna", "anna"]
    said = [await tool.post(f"{path}/say", {"text": "Hello, this is Anna."}, key=key, once="a") for _ in range(2)]
    assert said[0].body == said[1].body
    assert (await tool.post(f"{path}/say", {"text": "Other words."}, key=key, once="a")).code == "key_reused"
    assert await talk.texts("person") == ["Hello, this is Anna."]
    assert (await tool.post(f"{path}/assign", {"to": "ben"}, key=key, once="a")).body["person"] == "ben"
    assert (await tool.post(f"{path}/take", key=key, once="a")).body["person"] == "anna", "what was told first"
    assert (await tool.post(f"{path}/take", key=key)).code == "taken", "ben has it"
    for _ in range(2):
        assert (await tool.post(f"{path}/return", {}, key=key, once="a")).status == 200
    assert [each["body"]["by"] for each in (await talk.entries("owner"))[1:]] == ["anna", "anna", "anna"]
    assert {who for who, _ in await audited(tool, desk, "conversation", talk.key) if who} == {"anna"}


async def test_a_key_that_is_revoked_opens_nothing_within_seconds(desk: Desk, tool: Tool) -> None:
    key = await desk.key("gone", "agent")
    assert (await tool.get("/me", key=key)).status == 200
    (row,) = await desk.database.rows("SELECT key_id, used_at FROM api_keys WHERE name = 'gone'")
    assert row["used_at"] is not None
    assert (await desk.command("api-key", "revoke", row["key_id"])).returncode == 1, "it is none of the gateway's"
    assert (await desk.command("staff-key", "revoke", row["key_id"])).returncode == 0

    async def refused() -> bool:
        return (await tool.get("/me", key=key)).code == "token_invalid"

    await until(refused)


async def test_a_key_of_one_door_does_not_open_the_other(desk: Desk, tool: Tool) -> None:
    machine = (await desk.command("api-key", "make", "backend")).stdout.strip()
    for key in (machine, f"sbd_{machine.removeprefix('sb_')}"):
        assert (await tool.get("/me", key=key)).code == "token_invalid"
    await desk.database.rows("UPDATE api_keys SET digest = $1 WHERE name = 'backend'", _digest("sbd_" + machine[3:]))
    told = await tool.get("/me", key=f"sbd_{machine[3:]}")
    assert told.code == "token_invalid", "the room knows for which door it was made"


def _digest(key: str) -> Any:
    return hashlib.sha256(key.encode()).digest()
