"""A call that needs a person's yes is made when that is given, and not otherwise; the conversation stays usable."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import jwt
import pytest

from standalone.approvals import ApprovalDesk
from standalone.ask import NoAnswer
from standalone.settings import AskSettings
from tests.conftest import ONCE
from tests.parts import desk
from tests.parts.board import Board, calls, start_board, text, until
from tests.parts.conversations import (
    ConversationsDatabase,
    Talk,
    conversations_database,
    open_back_door,
    start_conversations,
    through_back_door,
)
from tests.parts.desk import STAFF_KEY
from tests.parts.otlp import ReceivedSpan, Receiver
from tests.parts.postgres import PostgresServer
from tests.parts.restate import HttpReply, RestateServer
from tests.parts.service import Service

CALLER_KEY = "a-secret-of-32-bytes-for-the-tests"
EXPIRES_SECONDS = 12
staff_token = partial(desk.staff_token, roles=["approver"])
CLOCKS = 0.05
"""Seconds; the times of spans are written with fewer digits than ours."""
LONG = "I want to know everything about my invoices of the last year."


@pytest.fixture(scope="module")
async def database(postgres: PostgresServer) -> ConversationsDatabase:
    return await conversations_database(postgres, "approvals_test")


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("payments") / "ledger"
    path.touch()
    return path


@pytest.fixture(scope="module")
def rooms() -> dict[str, Service]:
    """Of the board, those that tests kill."""
    return {}


@pytest.fixture(scope="module")
async def collector() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    await receiver.start()
    yield receiver
    await receiver.stop()


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("policy") / "policy.toml"
    path.touch()
    return path


@pytest.fixture(scope="module")
async def hall(
    own_restate: RestateServer,
    service: Callable[..., Awaitable[Service]],
    database: ConversationsDatabase,
    ledger: Path,
    rooms: dict[str, Service],
    collector: Receiver,
    policy: Path,
) -> Board:
    """A board with the room of the conversations and with tools that a person has to approve."""
    tools = await service("tests.parts.approved_tools", LEDGER=str(ledger))
    await own_restate.register(tools.url)
    board = await start_board(
        own_restate,
        service,
        {"POLICY_FILE": str(policy)},
        CALLER_KEYS=CALLER_KEY,
        CONVERSATIONS_DATABASE_URL=database.router,
        APPROVAL_WAIT="2",
        APPROVAL_HOURS=str(EXPIRES_SECONDS / 3600),
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
    )
    settings = {"CALLER_KEYS": CALLER_KEY, "STAFF_KEYS": STAFF_KEY, "COALESCE_MS": "0"}
    rooms["conversations"] = await start_conversations(board, service, database, **settings)
    rooms["router"] = board.router
    await open_back_door(board)
    return board


@dataclass
class Order:
    """One customer's wish for money, and what becomes of it."""

    hall: Board
    database: ConversationsDatabase
    ledger: Path

    def __post_init__(self) -> None:
        self.name = uuid.uuid4().hex
        self.talk = Talk(self.hall, self.database)

    def wanted(self, euros: float = 5) -> tuple[str, dict[str, Any]]:
        return ("pay", {"order": self.name, "euros": euros})

    async def wish(self, *replies: dict[str, Any], euros: float = 5) -> str:
        """Says what makes the model ask for it; `replies` are what it says afterwards."""
        message = await self.hall.script(calls(self.wanted(euros)), *replies)
        await self.talk.say(message)
        return message

    async def row(self) -> dict[str, Any]:
        """The approval, once it is there."""
        return (await until(self.rows))[0]

    async def rows(self) -> list[dict[str, Any]]:
        query = "SELECT * FROM approvals WHERE arguments LIKE '%' || $1 || '%' ORDER BY asked_at, approval_id"
        return await self.database.rows(query, self.name)

    async def audit(self) -> list[tuple[str, str, str]]:
        rows = await self.database.rows(
            "SELECT what, by, why FROM approval_audit WHERE approval_id = ANY($1) ORDER BY at",
            [row["approval_id"] for row in await self.rows()],
        )
        return [(row["what"], row["by"], row["why"]) for row in rows]

    async def decide(self, choice: str, by: str = "anna", **more: Any) -> HttpReply:
        row = await self.row()
        told = {"staff_token": staff_token(by), "approval_id": row["approval_id"], "digest": row["digest"]}
        return await self.hall.restate.call("Approvals", "decide", told | {"choice": choice} | more)

    async def decided(self, choice: str, by: str = "anna", **more: Any) -> dict[str, Any]:
        reply = await self.decide(choice, by, **more)
        assert reply.status_code == 200, reply.text
        return reply.json()

    @property
    def paid(self) -> list[str]:
        """What was really done: order, amount and user."""
        lines = [line.split() for line in self.ledger.read_text().splitlines() if line.startswith(self.name)]
        return [f"{euros} {user}" for _, euros, user, _ in lines]

    async def asked(self) -> bool:
        return bool(await self.rows())

    async def told(self) -> list[str]:
        """What the customer was told of it afterwards, in lines of the transcript."""
        return [entry["body"]["text"] for entry in await self.talk.entries("approval") if "text" in entry["body"]]


@pytest.fixture
def order(hall: Board, database: ConversationsDatabase, ledger: Path) -> Order:
    return Order(hall, database, ledger)


async def test_a_yes_makes_the_call_and_the_run_goes_on_with_its_result(order: Order) -> None:
    message = await order.wish(text("It is paid."))
    await until(order.asked)
    assert order.paid == []

    ruling = await order.decided("approve", reason="a good customer")

    assert (ruling["status"], ruling["by"]) == ("approved", "anna")
    assert await order.talk.answers() == ["It is paid."]
    assert order.paid == [f"5 {order.talk.user_id}"]
    (result,) = await order.hall.told(message)
    assert (result["status"], result["untrusted_data"]["order"]) == ("ok", order.name)
    assert await order.audit() == [
        ("asked", order.talk.user_id, (await order.row())["why"]),
        ("approved", "anna", "a good customer"),
    ]
    assert await order.told() == []


async def test_a_no_is_told_with_its_reason(order: Order) -> None:
    message = await order.wish(text("They said no."))
    await order.decided("deny", reason="It was paid back before.")
    assert await order.talk.answers() == ["They said no."]
    (result,) = await order.hall.told(message)
    assert (result["status"], result["reason"]) == ("denied", "It was paid back before.")
    assert order.paid == []


async def test_an_edited_call_is_made_as_the_person_wrote_it(order: Order) -> None:
    message = await order.wish(text("Three."))
    await order.decided("edit", arguments={"order": order.name, "euros": 3})
    assert await order.talk.answers() == ["Three."]
    (result,) = await order.hall.told(message)
    assert result["arguments"] == {"order": order.name, "euros": 3, "user_id": order.talk.user_id}
    assert "instead" in result["edited"]
    assert order.paid == [f"3 {order.talk.user_id}"]
    reply = await order.hall.restate.call(
        "Approvals", "show", {"staff_token": staff_token(), "approval_id": (await order.row())["approval_id"]}
    )
    assert reply.json()["changes"] == [{"name": "euros", "before": 5, "after": 3}]


@pytest.mark.parametrize("choice", ["approve", "edit"])
async def test_a_yes_to_a_tool_that_was_switched_off_meanwhile_does_nothing(
    order: Order, policy: Path, choice: str
) -> None:
    async def is_off() -> bool:
        message = await order.hall.script(text("Nothing to do."))
        await order.hall.answer(message)
        return "pay" not in [tool["function"]["name"] for tool in (await order.hall.conversation(message))["tools"]]

    async def is_told() -> bool:
        """The model is, where its run still waits; else the customer is."""
        read = str((await order.hall.conversation(message))["messages"])
        return "the tool was switched off meanwhile" in read or "it could not be done" in str(await order.told())

    message = await order.wish(text("A person must say yes."))
    await until(order.asked)
    policy.write_text("[tools.pay]\nenabled = false")
    try:
        await until(is_off)
        edit: dict[str, Any] = {"arguments": {"order": order.name, "euros": 3}} if choice == "edit" else {}
        await order.decided(choice, **edit)
        await until(is_told)
    finally:
        policy.write_text("")
    await until(lambda: _negated(is_off))
    assert order.paid == []


async def _negated(condition: Callable[[], Awaitable[bool]]) -> bool:
    return not await condition()


UNFIT: dict[str, tuple[dict[str, Any], str]] = {
    "what the schema refuses": ({"order": "x", "euros": 5000}, "1000"),
    "what it does not know": ({"order": "x", "euros": 5, "more": 1}, "more"),
    "whose it is": ({"order": "x", "euros": 5, "user_id": "user_67890"}, "nobody may edit user_id"),
    "nothing": ({}, "order"),
    "no text": ({"order": "x\0", "euros": 5}, "are not text"),
}


@pytest.mark.parametrize(("arguments", "why"), UNFIT.values(), ids=UNFIT.keys())
async def test_an_edit_that_does_not_fit_is_refused_and_changes_nothing(
    order: Order, arguments: dict[str, Any], why: str
) -> None:
    await order.wish(text("no"))
    reply = await order.decide("edit", arguments=arguments)
    assert (reply.status_code, why in reply.json()["message"]) == (422, True), reply.text
    assert (await order.row())["status"] == "pending"
    assert order.paid == []


async def test_the_customer_is_told_that_a_person_decides_and_later_what_became_of_it(order: Order) -> None:
    message = await order.wish(text("A person must say yes."), text("It was done."))
    assert await order.talk.answers() == ["A person must say yes."]
    await order.talk.settled()
    (result,) = await order.hall.told(message)
    assert (result["status"], "nothing has been done yet" in result["note"]) == ("waiting_for_approval", True)

    await order.decided("approve")
    assert (await until(order.told)) == ["A person has approved “pay”, and it was done."]
    assert order.paid == [f"5 {order.talk.user_id}"]

    await order.talk.say("And what has become of that in the end, please tell me?")
    await order.talk.answers(2)
    read = str((await order.hall.conversation(message))["messages"])
    assert "what came of pay" in read
    assert order.name in read


async def test_what_nobody_decides_in_time_is_not_done_and_told_as_what_it_is(order: Order) -> None:
    await order.wish(text("A person must say yes."))
    await order.talk.answers()
    (told,) = await until(order.told, 2 * EXPIRES_SECONDS)
    assert told == "“pay” was not approved in time, so it was not done. Ask again if you still need it."
    assert ((await order.row())["status"], order.paid) == ("expired", [])
    late = await order.decide("approve")
    assert (late.status_code, late.json()["metadata"]["code"]) == (409, "decided")
    assert [what for what, _, _ in await order.audit()] == ["asked", "expired"]


async def test_several_wait_at_once_and_are_decided_one_by_one(order: Order) -> None:
    message = await order.hall.script(calls(order.wanted(1), order.wanted(2)), text("One of two."))
    await order.talk.say(message)
    rows = await until(lambda: _so_many(order.rows, 2))
    choices = {1: ("approve", {}), 2: ("deny", {"reason": "too much"})}
    for row in reversed(rows):
        choice, more = choices[json.loads(row["arguments"])["euros"]]
        told = {"staff_token": staff_token(), "approval_id": row["approval_id"], "digest": row["digest"]}
        reply = await order.hall.restate.call("Approvals", "decide", told | {"choice": choice} | more)
        assert reply.status_code == 200, reply.text
    assert await order.talk.answers() == ["One of two."]
    assert [result["status"] for result in await order.hall.told(message)] == ["ok", "denied"]
    assert order.paid == [f"1 {order.talk.user_id}"]


async def test_a_single_question_waits_too_and_its_task_tells_what_became_of_it(order: Order) -> None:
    task_id = await _task_of(order)
    assert (await _look_at(order, task_id))["state"] == "waiting_for_approval"
    assert order.paid == []
    await order.decided("approve")
    await until(lambda: _done(order))
    told = await _look_at(order, task_id)
    assert (told["state"], order.name in str(told)) == ("done", True)


ENDS: dict[str, tuple[dict[str, Any], str, str]] = {
    "denied": ({"choice": "deny", "reason": "It was paid back before."}, "denied", "It was paid back before."),
    "edited": ({"choice": "edit", "arguments": {"euros": 3}}, "done", "instead"),
    "made, and refused by the tool": ({"choice": "edit", "arguments": {"order": "refused"}}, "failed", "is refused"),
    "decided by nobody": ({}, "expired", "nobody approved it in time"),
}


@pytest.mark.parametrize(("decision", "state", "told"), ENDS.values(), ids=ENDS.keys())
async def test_a_task_says_what_a_person_made_of_it(
    order: Order, decision: dict[str, Any], state: str, told: str
) -> None:
    task_id = await _task_of(order)
    if "arguments" in decision:
        decision = decision | {"arguments": {"order": order.name, "euros": 5} | decision["arguments"]}
    if decision:
        await order.decided(**decision)

    async def settled() -> dict[str, Any] | None:
        seen = await _look_at(order, task_id)
        return None if seen["state"] in ("waiting_for_approval", "running") else seen

    seen = await until(settled, 2 * EXPIRES_SECONDS)
    assert (seen["state"], told in str(seen)) == (state, True), seen


async def _task_of(order: Order) -> str:
    """The task of a single question's call that waits for a person."""
    message = await order.hall.script(calls(order.wanted()), text("A person must say yes."))
    answer = await order.hall.answer(message)
    assert (answer["text"], answer["calls"][0]["status"]) == ("A person must say yes.", "unknown")
    return (await order.hall.told(message))[0]["task_id"]


async def _look_at(order: Order, task_id: str) -> dict[str, Any]:
    message = await order.hall.script(calls(("check_task", {"task_id": task_id})), text("Looked."))
    await order.hall.answer(message)
    return (await order.hall.told(message))[0]["untrusted_data"]


STOPS: dict[str, dict[str, Any]] = {
    "a stop": {"type": "stop", "text": ""},
    "an interruption": {"text": LONG, "when_busy": "interrupt"},
    "a rollback": {"text": LONG, "when_busy": "rollback"},
}


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS.keys())
async def test_what_is_called_off_is_never_done_however_late_the_yes(order: Order, stop: dict[str, Any]) -> None:
    await order.wish(text("never said"))
    await until(order.asked)
    sent = {"input_id": uuid.uuid4().hex, "user_id": order.talk.user_id} | stop
    assert (await order.talk.send(sent)).json()["disposition"] == "superseded"

    assert (await order.row())["status"] == "withdrawn"
    late = await order.decide("approve")
    assert (late.status_code, late.json()["metadata"]["code"]) == (409, "decided")
    await until(lambda: _ended(order))
    assert order.paid == []
    if stop.get("when_busy") != "interrupt":  # the next run of that reads the same script
        assert "never said" not in await order.talk.texts("answer")


async def test_a_stop_calls_off_what_a_run_before_it_has_asked(order: Order) -> None:
    await order.wish(text("A person must say yes."))
    await order.talk.answers()
    await order.talk.settled()
    await order.talk.stop()
    assert ((await order.row())["status"], (await order.decide("approve")).status_code) == ("withdrawn", 409)
    assert (await until(order.told)) == ["“pay” was called off, so it was not done."]
    assert order.paid == []


async def test_words_that_queue_call_nothing_off(order: Order) -> None:
    await order.wish(text("Paid."))
    await until(order.asked)
    await order.talk.say(LONG, when_busy="queue")
    await order.decided("approve")
    assert (await order.talk.answers(2))[0] == "Paid."
    assert len(order.paid) == 1


async def test_nothing_of_an_erased_conversation_is_done(order: Order) -> None:
    await order.wish(text("A person must say yes."))
    await order.talk.answers()
    row = await order.row()
    assert (await through_back_door(order.hall, "erase", order.talk.key)).status_code == 200
    told = {"staff_token": staff_token(), "approval_id": row["approval_id"], "digest": row["digest"]}
    late = await order.hall.restate.call("Approvals", "decide", told | {"choice": "approve"})
    assert (late.status_code, order.paid, await order.rows()) == (404, [], [])
    audit = await order.database.rows("SELECT what FROM approval_audit WHERE approval_id = $1", row["approval_id"])
    assert sorted(each["what"] for each in audit) == ["asked", "withdrawn"]


async def test_whoever_takes_over_sees_what_waits_and_may_still_approve_it(order: Order) -> None:
    await order.wish(text("never said"))
    row = await order.row()
    reply = await order.hall.restate.call(
        "Conversation", "take", {"staff_token": staff_token("ben")}, key=order.talk.key
    )
    assert reply.status_code == 200
    (packet,) = await order.talk.entries("packet")
    assert [each["approval"] for each in packet["body"]["approvals"]] == [row["approval_id"]]
    await order.decided("approve", by="ben")
    await until(lambda: _done(order))


async def test_a_customer_sees_that_a_person_decides_and_nothing_of_who(order: Order) -> None:
    await order.wish(text("Paid."))
    row = await order.row()
    await order.decided("approve", reason="an inner reason")
    await order.talk.answers()
    history = (await through_back_door(order.hall, "history", order.talk.key, user_id=order.talk.user_id)).text
    events = str(await order.database.rows("SELECT kind, body FROM events WHERE conversation_id = $1", order.talk.key))
    assert [kind in events for kind in ("approval_asked", "approval_decided")] == [True, True]
    for told in (history, events):
        assert [part for part in (row["approval_id"], row["digest"], "anna", "inner reason") if part in told] == []
    assert [line["body"]["status"] for line in json.loads(history)["entries"] if line["kind"] == "approval"] == [
        "pending",
        "approved",
    ]


@ONCE
async def test_the_command_lists_shows_edits_and_denies(
    order: Order, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "staff_key").write_text(STAFF_KEY)
    ingress = urlsplit(order.hall.restate.ingress_url).port
    settings = AskSettings(data_dir=tmp_path, restate_ingress_port=ingress or 0)
    await order.wish(text("Two."))
    key = (await order.row())["approval_id"]
    async with aiohttp.ClientSession() as http:
        desk = ApprovalDesk(settings, http, "anna")
        await desk.list_approvals(decided=False)
        await desk.show_approval(key)
        with pytest.raises(NoAnswer, match="status 422"):
            await desk.edit(key, ["euros=none"], "")
        with pytest.raises(NoAnswer, match="name=value"):
            await desk.edit(key, ["euros"], "")
        await desk.edit(key, ["euros=2"], "half of it")
        with pytest.raises(NoAnswer, match="edited already"):
            await desk.deny(key, "no")
        await desk.show_approval(key)
        await desk.list_approvals(decided=True)
    told = capsys.readouterr().out
    for part in (f"{key}  pending", f'user_id: "{order.talk.user_id}"  (fixed)', "euros: 5 became 2", f"{key}  edited"):
        assert part in told
    assert "edited by anna, with a token of the role approver that this command made itself" in told
    assert await order.talk.answers() == ["Two."]
    assert order.paid == [f"2 {order.talk.user_id}"]


async def test_the_same_decision_by_the_same_person_gets_the_same_answer(order: Order) -> None:
    await order.wish(text("Paid."))
    first = await order.decided("approve", reason="yes")
    assert await order.decided("approve", reason="yes") == first
    for choice, by, more in (
        ("approve", "ben", {"reason": "yes"}),
        ("approve", "anna", {"reason": "no"}),
        ("deny", "anna", {"reason": "yes"}),
    ):
        other = await order.decide(choice, by, **more)
        assert (other.status_code, other.json()["metadata"]["code"]) == (409, "decided")
    await order.talk.answers()
    assert len(order.paid) == 1


async def test_a_call_whose_workflow_an_operator_ends_has_failed_and_the_run_goes_on(order: Order) -> None:
    message = await order.wish(text("It cannot be done now."))
    await order.hall.restate.kill_invocation((await order.row())["invocation"])
    assert await order.talk.answers() == ["It cannot be done now."]
    (result,) = await order.hall.told(message)
    assert (result["status"], result["error"]) == ("error", "the tool failed")
    assert order.paid == []


async def test_that_a_call_is_woken_or_made_up_by_others_does_nothing(order: Order) -> None:
    """By a handler within Restate, which no client is."""
    await order.wish(text("A person must say yes."))
    row = await order.row()
    key = row["approval_id"]
    for handler, body in (("wake", {"approval_id": key}), ("leave", {"approval_id": key}), ("run", {"plan": {}})):
        through = {"service": "ApprovedCall", "handler": handler, "key": key, "body": body}
        await order.hall.restate.call("BackDoor", "call", through)
    assert ((await order.row())["status"], order.paid) == ("pending", [])
    await order.decided("approve")
    await until(lambda: _done(order))


async def _so_many(rows: Callable[[], Awaitable[list[Any]]], count: int) -> list[Any]:
    found = await rows()
    return found if len(found) == count else []


async def _done(order: Order) -> bool:
    return len(order.paid) == 1


async def _ended(order: Order) -> bool:
    """Whether nothing waits for the approval any more."""
    sql = f"select status from sys_invocation where target_service_key = '{(await order.row())['approval_id']}'"
    return all(row["status"] == "completed" for row in await order.hall.restate.query(sql))


async def _kill_and_start(room: Service) -> None:
    await room.kill()
    await room.start()


KILLS = ("proposed", "decided", "executed", "returned")


@pytest.mark.parametrize("when", KILLS)
async def test_a_kill_loses_no_decision_and_pays_once(order: Order, rooms: dict[str, Service], when: str) -> None:
    """Both rooms die at once, at each place between the proposal and the answer."""
    await order.wish(text("Paid."))
    both = [rooms["router"], rooms["conversations"]]
    await until(order.asked)
    if when == "proposed":
        await asyncio.gather(*map(_kill_and_start, both))
    deciding = asyncio.create_task(order.decide("approve"))
    if when == "decided":
        await until(lambda: _is(order, "approved"))
    if when in ("executed", "returned"):
        await until(lambda: _done(order))
    if when == "returned":
        await deciding
    if when != "proposed":
        await asyncio.gather(*map(_kill_and_start, both))
    assert (await deciding).status_code == 200
    await until(lambda: _done(order))
    await until(lambda: _ended(order))
    await order.talk.settled(40)
    assert len(order.paid) == 1
    assert [what for what, _, _ in await order.audit()] == ["asked", "approved"]


async def test_a_decision_whose_wake_was_lost_is_found_when_the_time_is_over(order: Order) -> None:
    """The row says approved, and nobody has told the call: the decision's handler was ended by force."""
    await order.wish(text("A person must say yes."))
    row = await order.row()
    await order.database.rows(
        "UPDATE approvals SET status = 'approved', decided_by = 'anna', decided_at = now() WHERE approval_id = $1",
        row["approval_id"],
    )
    await until(lambda: _done(order), 2 * EXPIRES_SECONDS)


async def _is(order: Order, status: str) -> bool:
    return (await order.row())["status"] == status


def hostile(order: dict[str, Any], other: dict[str, Any], number: int) -> tuple[str, str, dict[str, Any], str | None]:
    """One way to have the call made without a person's yes: service, handler, body and key."""
    key, digest, user = order["approval_id"], order["digest"], order["user_id"]
    arguments = json.loads(order["arguments"])
    mine = {name: value for name, value in arguments.items() if name != "user_id"}
    tokens = [
        "",
        "x" * 300,
        staff_token(key=CALLER_KEY),
        staff_token(aud="switchboard"),
        staff_token(iat=int(time.time()) - 700, exp=int(time.time()) - 400),
        staff_token(exp=int(time.time()) + 100_000),
        staff_token(iat=int(time.time()) + 200, exp=int(time.time()) + 300),
        staff_token(sub=None),
        staff_token(exp=None),
        staff_token("anna\x1b[2J"),
        staff_token(roles=[]),
        staff_token(roles=None),
        staff_token(roles=["approve", "Approver", "approver "]),
        staff_token(roles="approver"),
        staff_token(user),
        staff_token(user.upper()),
        jwt.encode({"sub": "anna", "aud": "switchboard-staff", "roles": ["approver"]}, "", "none"),
        staff_token() + "x",
        ".".join(
            [*staff_token(roles=[]).split(".")[:1], *staff_token().split(".")[1:2], staff_token("ben").split(".")[2]]
        ),
    ]
    good: dict[str, Any] = {"staff_token": staff_token(), "approval_id": key, "digest": digest}
    bodies: list[dict[str, Any]] = [
        good | {"choice": "approve", "digest": other["digest"]},
        good | {"choice": "approve", "digest": digest.upper()},
        good | {"choice": "approve", "digest": digest[:-1]},
        good | {"choice": "approve", "digest": ""},
        good | {"choice": "approve", "approval_id": other["approval_id"]},
        good | {"choice": "approve", "approval_id": f"appr_{uuid.uuid4().hex}"},
        good | {"choice": "approve", "approval_id": key.upper()},
        good | {"choice": "approve", "decided_by": "ben"},
        good | {"choice": "approve", "status": "approved"},
        good | {"choice": "approve", "arguments": mine},
        good | {"choice": "approved"},
        good | {"choice": ["approve"]},
        good | {"choice": "edit"},
        good | {"choice": "edit", "arguments": mine | {"user_id": "user_67890"}},
        good | {"choice": "edit", "arguments": mine | {"euros": 1e9}},
        good | {"choice": "edit", "arguments": mine | {"order": "../x"}},
        good | {"choice": "edit", "arguments": mine | {"more": 1}},
        good | {"choice": "deny"},
        {name: value for name, value in good.items() if name != "digest"} | {"choice": "approve"},
        {},
    ]
    ways = [("Approvals", "decide", good | {"choice": "approve", "staff_token": token}, None) for token in tokens]
    ways += [
        ("Approvals", "decide", good | {"choice": "edit", "arguments": mine, "staff_token": token}, None)
        for token in tokens
    ]
    ways += [("Approvals", "decide", body, None) for body in bodies]
    wanted = {"approval_id": key}
    ways += [("ApprovedCall", handler, wanted, key) for handler in ("run", "wake", "leave", "stands", "fits", "main")]
    ways += [("Approvals", handler, wanted, None) for handler in ("propose", "state", "forget")]
    ways += [("Conversation", "outcome", wanted | {"status": "approved"}, order["conversation_id"])]
    ways += [("Payments", "pay", arguments, None), ("RouterCalls", "make", arguments, None)]
    return ways[number % len(ways)]


HOSTILE = 500
AT_ONCE = 25


@ONCE
async def test_five_hundred_decisions_that_are_none_make_no_call(
    hall: Board, database: ConversationsDatabase, ledger: Path
) -> None:
    taken: list[str] = []
    for first in range(0, HOSTILE, AT_ONCE):
        order, other = Order(hall, database, ledger), Order(hall, database, ledger)
        await asyncio.gather(order.wish(text("x")), other.wish(text("x")))
        rows = (await order.row(), await other.row())
        ways = [hostile(*rows, number) for number in range(first, first + AT_ONCE)]
        replies = await asyncio.gather(*(hall.restate.call(*way[:3], key=way[3]) for way in ways))
        taken += [f"{way}: {reply.text}" for way, reply in zip(ways, replies, strict=True) if reply.status_code < 400]
        assert [taken, order.paid, other.paid] == [[], [], []]
        statuses = {(await each.row())["status"] for each in (order, other)}
        assert statuses <= {"pending", "expired"}
    last = Order(hall, database, ledger)
    await last.wish(text("Paid."))
    await last.decided("approve")
    await until(lambda: _done(last))


CHOICES: dict[str, tuple[dict[str, Any], str, bool]] = {
    "approved": ({"choice": "approve"}, "approved", True),
    "edited": ({"choice": "edit", "arguments": {"euros": 3}}, "edited", True),
    "denied": ({"choice": "deny", "reason": "no"}, "denied", False),
}


@pytest.mark.parametrize(("told", "status", "is_made"), CHOICES.values(), ids=CHOICES.keys())
async def test_one_trace_holds_the_wait_the_decision_and_the_call_that_was_made(
    order: Order, collector: Receiver, told: dict[str, Any], status: str, *, is_made: bool
) -> None:
    await order.wish(text("A person must say yes."))
    await order.talk.answers()
    await order.talk.settled()
    edit = {"arguments": {"order": order.name} | told["arguments"]} if "arguments" in told else {}
    decided_at = time.time()
    await order.decided(**told | edit)
    await until(order.told)

    spans = await until(lambda: _spans_of(collector, order.talk.key, 6 if is_made else 5))
    planned, *made = [span for span in spans if span.name == "execute_tool pay"]
    (wait,) = [span for span in spans if span.name == "wait_for_person pay"]
    assert (planned.attributes["switchboard.status"], planned.ended_at < decided_at) == ("unknown", True)
    assert (wait.attributes["switchboard.approval"], wait.parent) == (status, planned.span_id)
    assert wait.started_at <= planned.started_at
    assert wait.ended_at >= decided_at - CLOCKS
    assert [(span.parent, span.attributes["switchboard.status"]) for span in made] == [
        (planned.span_id, "ok")
    ] * is_made
    assert all(span.started_at >= wait.ended_at for span in made)


async def _spans_of(collector: Receiver, conversation: str, count: int) -> list[ReceivedSpan]:
    """All of the trace that this conversation's run is in, once there are so many, in the order of their begin."""
    run = [each for each in collector.spans if each.attributes.get("gen_ai.conversation.id") == conversation]
    spans = {each.id: each for each in collector.spans if run and each.trace_id == run[0].trace_id}
    return sorted(spans.values(), key=lambda span: span.started_at) if len(spans) >= count else []
