"""Decisions at one instant, and what the room's own database role may not write."""

import asyncio
import hashlib
import json
import random
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from contracts import Caller, Decide, Effect, Input, Proposal, RunReport, Undo, UndoNoted
from conversations.approvals import forgotten_after
from conversations.approvals_store import ApprovalStore
from conversations.control import Control, Message, Stop, take_message, take_stop
from conversations.undo_store import UndoStore
from runtime.errors import Refused
from runtime.postgres import open_pool
from runtime.proof import Staff
from tests.conftest import ONCE
from tests.parts.conversations import ConversationsDatabase, conversations_database
from tests.parts.postgres import PostgresServer

pytestmark = ONCE

ALICE = Caller(user_id="user_alice")
RACES = 60
"""Of the 2,000 that are asked for; `python -m tests.races` makes them all."""


@pytest.fixture(scope="module")
async def database(postgres: PostgresServer) -> ConversationsDatabase:
    return await conversations_database(postgres, "approval_store_test")


@pytest.fixture
async def raced(database: ConversationsDatabase) -> AsyncIterator["Raced"]:
    async with open_pool(database.app, "conversations") as pool:
        yield Raced(UndoStore(pool), ApprovalStore(pool))


class Raced:
    """Conversations with a call that waits, and who decides it at one instant."""

    def __init__(self, store: UndoStore, approvals: ApprovalStore) -> None:
        self.store = store
        self.approvals = approvals

    async def ask(self, key: str) -> tuple[Proposal, Control]:
        """A run that asks a person."""
        came = Input(text="pay", input_id=uuid.uuid4().hex)
        decision = take_message(Control(), Message(came.input_id, "steer", f"run_{uuid.uuid4().hex}"))
        await self.store.take_in(key, ALICE, uuid.uuid4().hex, came, lambda _: decision, 0)
        wanted = proposal(key, decision.run, decision.control.epoch)
        await self.approvals.propose(wanted)
        return wanted, decision.control

    async def decide(self, wanted: Proposal, name: str, choice: str, seconds: float) -> str:
        """The status that this person has brought about; empty if another was first."""
        await asyncio.sleep(seconds)
        body = {"staff_token": "", "approval_id": wanted.approval_id, "digest": wanted.digest, "choice": choice}
        told = Decide.model_validate(body | {"reason": name})
        try:
            return (await self.approvals.decide(told, None, Staff(name=name, roles=["approver"]))).status
        except Refused as refused:
            if refused.code != "decided":
                raise
            return ""

    async def stop(self, key: str, control: Control, seconds: float) -> str:
        await asyncio.sleep(seconds)
        came = Input(type="stop", input_id=uuid.uuid4().hex)
        taken = await self.store.take_in(key, ALICE, uuid.uuid4().hex, came, lambda _: take_stop(control, Stop()), 0)
        return "withdrawn" if taken.withdrawn else ""

    async def race(self, chance: random.Random) -> str:
        """Two people and a stop at one instant: one wins, and all that is written says the same."""
        key = f"conv_{uuid.uuid4().hex}"
        wanted, control = await self.ask(key)
        pauses = [chance.random() * most for most in (0.004, 0.004, 0.03)]  # to decide takes longer than to stop
        won = await asyncio.gather(
            self.decide(wanted, "anna", "approve", pauses[0]),
            self.decide(wanted, "ben", chance.choice(("approve", "deny")), pauses[1]),
            self.stop(key, control, pauses[2]),
        )
        (winner,) = filter(None, won)
        assert (await self.approvals.state(wanted.approval_id)).status == winner
        return winner


def proposal(key: str | None, run: str, epoch: int, **changed: Any) -> Proposal:
    arguments = json.dumps({"order": uuid.uuid4().hex}, separators=(",", ":"))
    told: dict[str, Any] = {
        "approval_id": f"appr_{uuid.uuid4().hex}",
        "conversation": key,
        "run": run,
        "epoch": epoch,
        "call": "call_1_1",
        "invocation": "inv_1",
        "caller": ALICE,
        "tool": "pay",
        "arguments": arguments,
        "digest": hashlib.sha256(arguments.encode()).hexdigest(),
        "parameters": "{}",
        "why": "because",
        "role": "approver",
        "expires_in": 60,
    }
    return Proposal.model_validate(told | changed)


async def test_of_two_people_and_a_stop_at_one_instant_one_wins(raced: Raced, database: ConversationsDatabase) -> None:
    chance = random.Random(7)
    winners = [await raced.race(chance) for _ in range(RACES)]
    assert {"approved", "withdrawn"} <= set(winners)
    rows = await database.rows(
        "SELECT approval_id, count(*) AS many FROM approval_audit WHERE what <> 'asked' GROUP BY approval_id"
    )
    assert (len(rows), {row["many"] for row in rows}) == (RACES, {1})


async def test_what_is_asked_after_a_stop_is_called_off_at_once(raced: Raced) -> None:
    key = f"conv_{uuid.uuid4().hex}"
    first, control = await raced.ask(key)
    await raced.stop(key, control, 0)
    late = proposal(key, first.run, first.epoch)
    assert (await raced.approvals.propose(late)).status == "withdrawn"
    assert await raced.decide(late, "anna", "approve", 0) == ""
    report = RunReport(run=first.run, epoch=first.epoch, outcome="answered", text="late")
    await raced.store.settle(key, ALICE, control, report, "run_next")
    assert (await raced.approvals.propose(proposal(key, first.run, first.epoch))).status == "withdrawn"


async def test_a_decision_that_comes_before_the_row_decides_nothing(raced: Raced) -> None:
    wanted = proposal(None, "inv_1", 0)
    with pytest.raises(Refused) as refused:
        await raced.decide(wanted, "anna", "approve", 0)
    assert refused.value.status_code == 404
    assert (await raced.approvals.propose(wanted)).status == "pending"


async def test_a_repeated_proposal_changes_nothing_and_another_under_its_id_is_refused(raced: Raced) -> None:
    wanted = proposal(None, "inv_1", 0)
    states = [await raced.approvals.propose(wanted) for _ in range(2)]
    assert [(state.status, state.digest) for state in states] == [("pending", wanted.digest)] * 2
    other = proposal(None, "inv_1", 0, approval_id=wanted.approval_id)
    with pytest.raises(Refused):
        await raced.approvals.propose(other)
    with pytest.raises(Refused):
        await raced.approvals.propose(wanted.model_copy(update={"digest": other.digest}))


async def test_time_is_up_by_the_clock_of_the_database_whoever_looks_first(
    raced: Raced, database: ConversationsDatabase
) -> None:
    wanted = proposal(None, "inv_1", 0)
    await raced.approvals.propose(wanted)
    query = "UPDATE approvals SET expires_at = now() WHERE approval_id = $1"
    await database.rows(query, wanted.approval_id)
    told = {"staff_token": "", "approval_id": wanted.approval_id, "digest": wanted.digest, "choice": "approve"}
    with pytest.raises(Refused) as refused:
        await raced.approvals.decide(Decide.model_validate(told), None, Staff(name="anna", roles=["approver"]))
    assert refused.value.code == "expired"
    assert (await raced.approvals.shown(wanted.approval_id)).status == "expired"
    assert (await raced.approvals.state(wanted.approval_id)).status == "expired"


REFUSED: dict[str, tuple[dict[str, Any], Staff, str]] = {
    "no role": ({}, Staff(name="anna"), "approval_role"),
    "another role": ({}, Staff(name="anna", roles=["Approver", "admin"]), "approval_role"),
    "the customer": ({}, Staff(name="user_alice", roles=["approver"]), "own_approval"),
    "the customer, otherwise written": ({}, Staff(name="USER_Alice", roles=["approver"]), "own_approval"),
    "other arguments": ({"digest": "0" * 64}, Staff(name="anna", roles=["approver"]), "other_arguments"),
}


@pytest.mark.parametrize(("changed", "by", "code"), REFUSED.values(), ids=REFUSED.keys())
async def test_only_another_with_the_role_decides_what_they_were_shown(
    raced: Raced, changed: dict[str, Any], by: Staff, code: str
) -> None:
    wanted = proposal(None, "inv_1", 0)
    await raced.approvals.propose(wanted)
    body = {"staff_token": "", "approval_id": wanted.approval_id, "digest": wanted.digest, "choice": "approve"}
    with pytest.raises(Refused) as refused:
        await raced.approvals.decide(Decide.model_validate(body | changed), None, by)
    assert refused.value.code == code
    assert (await raced.approvals.state(wanted.approval_id)).status == "pending"


@pytest.mark.parametrize("is_noted", [False, True], ids=["nothing undoes it", "something does"])
@pytest.mark.parametrize(("choice", "is_made"), {"approve": True, "deny": False, "stop": False}.items())
async def test_of_what_a_run_left_waiting_only_what_was_approved_is_told_as_undone(
    raced: Raced, choice: str, *, is_made: bool, is_noted: bool
) -> None:
    key = f"conv_{uuid.uuid4().hex}"
    wanted, control = await raced.ask(key)
    if is_noted:
        undo = Undo(call=wanted.call, run_id="inv_1", tool="pay", service="Pay", handler="take_back", body="{}")
        await raced.store.note_effect(key, ALICE, UndoNoted(run=wanted.run, undo=undo))
    left = Effect(tool="pay", call=wanted.call, status="unknown")
    report = RunReport(run=wanted.run, epoch=wanted.epoch, outcome="answered", text="It waits.", effects=[left])
    control = (await raced.store.settle(key, ALICE, control, report, "run_next")).control
    if choice == "stop":
        await raced.stop(key, control, 0)
    else:
        await raced.decide(wanted, "anna", choice, 0)

    asked = await raced.store.undo(key, ALICE, control, wanted.run, "change_1", "anna")

    assert asked.undoing.effects == ["pay"] * (is_made and is_noted)
    assert asked.undoing.left == ["pay"] * (is_made and not is_noted)
    assert bool(asked.wanted) is is_noted  # what undoes it keeps it from being made later


async def test_a_conversation_that_is_erased_leaves_no_journal_of_a_call_that_waited(
    raced: Raced, database: ConversationsDatabase
) -> None:
    key = f"conv_{uuid.uuid4().hex}"
    wanted, _ = await raced.ask(key)
    await database.rows("UPDATE approvals SET expires_at = now() WHERE approval_id = $1", wanted.approval_id)
    before = await raced.store.outside(key, ALICE, "inv_active")
    assert (before.invocations, before.approvals) == (["inv_1", "inv_active"], [])
    assert await raced.store.erase(key, ALICE, "inv_active") == before
    assert (await raced.store.erase(key, ALICE, "")).invocations == []


@pytest.mark.parametrize("is_over", [False, True])
async def test_the_approval_of_a_single_question_is_removed_once_nobody_can_decide_it(
    raced: Raced, database: ConversationsDatabase, *, is_over: bool
) -> None:
    wanted = proposal(None, "inv_1", 0)
    await raced.approvals.propose(wanted)
    if is_over:  # and the workflow that would have read it was ended
        await database.rows("UPDATE approvals SET expires_at = now() WHERE approval_id = $1", wanted.approval_id)
    await raced.approvals.forget(wanted.approval_id)
    assert len(await database.rows("SELECT 1 FROM approvals WHERE approval_id = $1", wanted.approval_id)) == 1 - is_over


def test_an_approval_that_may_be_decided_for_longer_is_kept_for_longer() -> None:
    wanted, minute = proposal(None, "inv_1", 0, expires_in=3 * 86_400), timedelta(minutes=1)
    assert forgotten_after(wanted, timedelta(days=1)) == timedelta(days=3) + minute
    assert forgotten_after(wanted, timedelta(days=30)) == timedelta(days=30) + minute


FORBIDDEN = {
    "a decision without anybody": "UPDATE approvals SET status = 'approved', decided_at = now() WHERE approval_id = $1",
    "one's own": "UPDATE approvals SET status = 'approved', decided_by = 'User_Alice', decided_at = now()"
    " WHERE approval_id = $1",
    "after its time": "UPDATE approvals SET status = 'approved', decided_by = 'anna',"
    " decided_at = now() + interval '1 year' WHERE approval_id = $1",
    "other arguments": "UPDATE approvals SET arguments = '{}' WHERE approval_id = $1",
    "another time": "UPDATE approvals SET expires_at = now() + interval '1 year' WHERE approval_id = $1",
    "another role": "UPDATE approvals SET needs_role = 'none' WHERE approval_id = $1",
    "a row that is approved": "INSERT INTO approvals SELECT * FROM approvals WHERE approval_id = $1",
    "the audit, changed": "UPDATE approval_audit SET by = 'ben' WHERE approval_id = $1",
    "the audit, gone": "DELETE FROM approval_audit WHERE approval_id = $1",
}


@pytest.mark.parametrize("statement", FORBIDDEN.values(), ids=FORBIDDEN.keys())
async def test_even_the_rooms_own_role_cannot_write(
    raced: Raced, database: ConversationsDatabase, statement: str
) -> None:
    wanted = proposal(None, "inv_1", 0)
    await raced.approvals.propose(wanted)
    await _refuses(database.app, statement, wanted.approval_id)


async def test_a_decision_is_final_even_for_the_rooms_own_role(raced: Raced, database: ConversationsDatabase) -> None:
    wanted = proposal(None, "inv_1", 0)
    await raced.approvals.propose(wanted)
    assert await raced.decide(wanted, "anna", "deny", 0) == "denied"
    for status in ("pending", "approved"):
        statement = f"UPDATE approvals SET status = '{status}', decided_by = 'ben' WHERE approval_id = $1"
        await _refuses(database.app, statement, wanted.approval_id)


async def test_the_router_and_other_callers_see_no_approval(raced: Raced, database: ConversationsDatabase) -> None:
    wanted = proposal(None, "inv_1", 0)
    await raced.approvals.propose(wanted)
    await _refuses(database.router, "SELECT * FROM approvals WHERE approval_id = $1", wanted.approval_id)
    await _refuses(database.router, "SELECT approval_owner($1)", wanted.approval_id)
    connection = await asyncpg.connect(database.app, server_settings={"search_path": "conversations"})
    try:
        for user_id in ("", "user_bob"):
            await connection.execute("SELECT set_config('app.user_id', $1, false)", user_id)
            assert await connection.fetch("SELECT * FROM approvals") == []
            assert await connection.fetch("SELECT * FROM approval_audit") == []
    finally:
        await connection.close()


async def _refuses(url: str, statement: str, approval_id: str) -> None:
    connection = await asyncpg.connect(url, server_settings={"search_path": "conversations"})
    try:
        await connection.execute("SELECT set_config('app.user_id', $1, false)", ALICE.user_id)
        with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.CheckViolationError)):
            await connection.execute(statement, approval_id)
    finally:
        await connection.close()
