"""Staff see the agent's runs and stop one: it is silent at once, and what it had begun to do is settled and told."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from contracts import Caller, StopRun
from conversations.control import Control
from conversations.people_store import STOPPED, StaffStore
from conversations.store import ConversationStore
from conversations.watch.reading import shown_to_customer
from runtime.postgres import open_pool
from tests.parts.board import Board, calls, start_board, text, until
from tests.parts.conversations import (
    ConversationsDatabase,
    Talk,
    conversations_database,
    open_back_door,
    start_conversations,
    through_back_door,
)
from tests.parts.desk import STAFF_KEY, ask, staff_token
from tests.parts.postgres import PostgresServer
from tests.parts.restate import HttpReply, RestateServer
from tests.parts.service import Service

SLOW = {"latency_seconds": 20}
LONG = "I want to know everything about my invoices of the last year."
WHY = "It goes round in circles."


@pytest.fixture(scope="module")
async def database(postgres: PostgresServer) -> ConversationsDatabase:
    return await conversations_database(postgres, "staff_stop_test")


@pytest.fixture(scope="module")
def rooms() -> dict[str, Service]:
    """Of the board, that which a test kills."""
    return {}


@pytest.fixture(scope="module")
async def hall(
    own_restate: RestateServer,
    service: Callable[..., Awaitable[Service]],
    database: ConversationsDatabase,
    rooms: dict[str, Service],
    tmp_path_factory: pytest.TempPathFactory,
) -> Board:
    ledger: Path = tmp_path_factory.mktemp("payments") / "ledger"
    ledger.touch()
    await own_restate.register((await service("tests.parts.approved_tools", LEDGER=str(ledger))).url)
    told = {"CONVERSATIONS_DATABASE_URL": database.router, "APPROVAL_WAIT": "60"}
    board = await start_board(own_restate, service, **told)
    rooms["conversations"] = await start_conversations(board, service, database, STAFF_KEYS=STAFF_KEY, COALESCE_MS="0")
    await open_back_door(board)
    return board


@pytest.fixture
def talk(hall: Board, database: ConversationsDatabase) -> Talk:
    return Talk(hall, database, f"user_{uuid.uuid4().hex[:12]}")


async def at_work(talk: Talk, *replies: dict[str, Any]) -> tuple[str, str]:
    """A run whose model was asked, and the message that it answers."""
    message = await talk.board.script(*replies)
    told = await talk.say(message)
    await until(lambda: talk.board.ledger(message))
    return told["run"], message


async def asks_again(talk: Talk, message: str, model_calls: int) -> str:
    """The next run of the conversation, whose model was asked."""
    told = await talk.say(LONG)

    async def asked() -> bool:
        return len(await talk.board.ledger(message)) >= model_calls

    await until(asked)
    return told["run"]


async def stop(
    talk: Talk, run: str, act_id: str = "", name: str = "anna", roles: tuple[str, ...] = ("agent",)
) -> HttpReply:
    told = {"act_id": act_id or uuid.uuid4().hex, "expected_run": run, "why": WHY}
    return await ask(talk, "stop", **told, staff_token=staff_token(name, roles=list(roles)))


async def stopped(talk: Talk, run: str, act_id: str = "") -> dict[str, Any]:
    reply = await stop(talk, run, act_id)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def asked_of_desk(talk: Talk, handler: str, **body: Any) -> dict[str, Any]:
    told = {"staff_token": staff_token(roles=["admin"])} | body
    reply = await talk.board.restate.call("ConversationDesk", handler, told)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def runs(talk: Talk, **wanted: Any) -> list[dict[str, Any]]:
    return (await asked_of_desk(talk, "runs", user_id=talk.user_id, **wanted))["runs"]


async def test_a_stopped_run_is_silent_and_its_customer_reads_who_did_it_by_no_name(hall: Board, talk: Talk) -> None:
    run, message = await at_work(talk, text("never said") | SLOW, text("I am back."))
    await talk.say("This question waits until the first one is answered.", when_busy="queue")

    told = await stopped(talk, run)

    await talk.settled()
    assert told["run"] == run
    assert await talk.texts("answer", "late") == []
    assert len(await hall.ledger(message)) == 1
    [note] = await talk.entries("note")
    assert (note["position"], note["body"]) == (told["position"], {"text": STOPPED, "by": "anna", "reason": WHY})
    [seen] = [
        each
        for each in (await through_back_door(hall, "history", talk.key, user_id=talk.user_id)).json()["entries"]
        if each["kind"] == "note"
    ]
    assert seen["body"] == {"text": STOPPED}
    assert (await talk.control())["queue"] != [], "it waits for a word of the customer"
    assert (await talk.say("Please go on with what I asked you before."))["disposition"] == "started"
    assert set(await talk.answers(2)) == {"I am back."}, "what had waited is answered, too"


async def test_what_it_had_begun_is_waited_for_and_told(hall: Board, talk: Talk) -> None:
    run, message = await at_work(talk, calls(("long_effect", {"seconds": 3})), text("never said"))
    begun = "select id from sys_invocation where target_handler_name = 'long_effect' and status <> 'completed'"
    await until(lambda: hall.restate.query(begun))

    await stopped(talk, run)

    await talk.settled()
    assert await talk.texts("answer") == []
    assert len(await hall.ledger(message)) == 1
    assert [each["body"]["status"] for each in await talk.entries("effect")] == ["ok"]


async def test_a_call_that_waits_for_a_yes_is_withdrawn_by_the_name_of_who_stopped_it(talk: Talk) -> None:
    order = uuid.uuid4().hex
    run, _ = await at_work(talk, calls(("pay", {"order": order, "euros": 5})), text("never said"))
    query = "SELECT approval_id, status FROM approvals WHERE conversation_id = $1"
    await until(lambda: talk.database.rows(query, talk.key))

    await stopped(talk, run)

    [approval] = await talk.database.rows(query, talk.key)
    assert approval["status"] == "withdrawn"
    audit = "SELECT by FROM approval_audit WHERE approval_id = $1 AND what = 'withdrawn'"
    assert await talk.database.rows(audit, approval["approval_id"]) == [{"by": "anna"}]
    await talk.settled()


async def test_the_same_stop_is_made_once_whatever_came_after_it(talk: Talk) -> None:
    run, _ = await at_work(talk, text("never said") | SLOW, text("I am back.") | {"latency_seconds": 2})
    first = await stopped(talk, run, "mine")
    await talk.settled()
    following = await talk.say(LONG)

    assert await stopped(talk, run, "mine") == first
    assert await talk.answers() == ["I am back."]
    assert len(await talk.entries("note")) == 1
    other = await stop(talk, following["run"], "mine")
    assert (other.status_code, other.json()["metadata"]["code"]) == (409, "act_id_taken")


async def test_another_run_than_the_one_that_was_shown_is_not_stopped(talk: Talk) -> None:
    run, _ = await at_work(talk, text("one"), text("two") | {"latency_seconds": 2})
    await talk.answers()
    await talk.settled()
    await talk.say(LONG)

    for shown in (run, "run_of_nobody"):
        reply = await stop(talk, shown)
        assert (reply.status_code, reply.json()["metadata"]["code"]) == (409, "run_changed")
    assert await talk.answers(2) == ["one", "two"]


async def test_of_two_who_stop_one_run_the_second_is_told_so(talk: Talk) -> None:
    run, _ = await at_work(talk, calls(("long_effect", {"seconds": 2})), text("never said"))
    replies = await asyncio.gather(*(stop(talk, run, name=name) for name in ("anna", "ben")))
    assert sorted(reply.status_code for reply in replies) == [200, 409]
    assert len(await talk.entries("note")) == 1
    await talk.settled()


@pytest.mark.parametrize(("roles", "status"), [((), 403), (("approver",), 403), (("agent",), 200), (("admin",), 200)])
async def test_only_who_has_the_role_stops_it(talk: Talk, roles: tuple[str, ...], status: int) -> None:
    run, _ = await at_work(talk, text("never said") | {"latency_seconds": 3})
    assert (await stop(talk, run, roles=roles)).status_code == status
    assert len(await talk.entries("note")) == (status == 200)
    await talk.settled()


async def test_nobody_but_staff_reads_or_stops(talk: Talk) -> None:
    for told, status in (({}, 422), ({"staff_token": "e30.e30.e30"}, 401)):
        body = {"act_id": "a", "expected_run": "run_1", "why": WHY} | told
        assert (await talk.board.restate.call("Conversation", "stop", body, key=talk.key)).status_code == status
        assert (await talk.board.restate.call("ConversationDesk", "runs", told)).status_code == status


@pytest.mark.parametrize("moment", [0.0, 0.01, 0.03, 0.06])
async def test_a_kill_of_the_conversations_meanwhile_loses_no_stop(
    talk: Talk, rooms: dict[str, Service], moment: float
) -> None:
    run, message = await at_work(talk, calls(("long_effect", {"seconds": 1})), text("never said"))
    stopping = asyncio.create_task(stopped(talk, run))
    await asyncio.sleep(moment)
    await rooms["conversations"].kill()
    await rooms["conversations"].start()

    assert (await stopping)["run"] == run
    await talk.settled()
    assert await talk.texts("answer") == []
    assert len(await talk.entries("note")) == 1
    assert len(await talk.board.ledger(message)) == 1


async def test_written_down_again_after_a_crash_it_is_the_same(talk: Talk, database: ConversationsDatabase) -> None:
    """The step that writes it down was done, and Restate does not know: it is done once more."""
    run, _ = await at_work(talk, text("never said") | {"latency_seconds": 3})
    control, caller = Control.model_validate(await talk.control()), Caller(user_id=talk.user_id)
    asked = StopRun(staff_token="", act_id="a", expected_run=run, why=WHY)
    async with open_pool(database.app, "conversations") as pool:
        first, again = [await StaffStore(pool).stop(talk.key, caller, control, asked, "anna") for _ in range(2)]
    assert first == again
    assert len(await talk.entries("note")) == 1
    assert (await stopped(talk, run, "a"))["position"] == first.told.position, "the object had not heard of it"
    await talk.settled()
    assert await talk.texts("answer") == []


async def test_the_list_tells_how_each_run_stands_and_no_stretch_of_a_person(hall: Board, talk: Talk) -> None:
    first, message = await at_work(talk, text("Here it is, all of it."), text("never") | SLOW, text("nor this") | SLOW)
    await talk.answers()
    await talk.settled()
    await ask(talk, "take", staff_token=staff_token())
    await ask(talk, "return", staff_token=staff_token())
    lost = await asks_again(talk, message, 2)
    await hall.restate.kill_invocation((await talk.control())["active"]["invocation"])
    await talk.answers(2)
    await talk.settled()
    last = await asks_again(talk, message, 3)

    listed = await runs(talk)

    assert [(each["run"], each["state"], each["outcome"]) for each in listed] == [
        (last, "running", ""),
        (lost, "failed", "failed"),
        (first, "ended", "answered"),
    ]
    assert {(each["conversation"], each["user_id"]) for each in listed} == {(talk.key, talk.user_id)}
    assert (listed[2]["turns"], listed[2]["prompt_tokens"] > 0, listed[2]["completion_tokens"] > 0) == (1, True, True)
    assert (listed[1]["turns"], listed[1]["prompt_tokens"]) == (None, None)
    assert [each["run"] for each in await runs(talk, kind="running")] == [last]
    assert [each["run"] for each in await runs(talk, kind="failed")] == [lost]
    steps = await ask(talk, "steps", run=last, staff_token=staff_token())
    assert steps.json()["invocation"] == (await talk.control())["active"]["invocation"]

    await stopped(talk, last)
    [stopping] = [each for each in await runs(talk) if each["run"] == last]
    assert (stopping["stopped_by"], stopping["why"]) == ("anna", WHY)
    await talk.settled()
    assert await runs(talk, kind="running") == []
    [ended] = [each for each in await runs(talk) if each["run"] == last]
    assert (ended["state"], ended["outcome"]) == ("ended", "stopped")
    assert (await through_back_door(hall, "erase", talk.key)).status_code == 200
    assert await runs(talk) == []


async def test_page_after_page_each_run_is_told_once(talk: Talk) -> None:
    _, message = await at_work(talk, *(text(f"{number}") for number in range(5)))
    for number in range(1, 5):
        await talk.answers(number)
        await talk.settled()
        await asks_again(talk, message, number + 1)
    await talk.settled()
    told, cursor = list[str](), ""
    while True:
        page = await asked_of_desk(talk, "runs", user_id=talk.user_id, limit=2, cursor=cursor)
        told += [each["run"] for each in page["runs"]]
        if not (cursor := page["next"]):
            break
    rows = await talk.database.rows("SELECT run FROM runs WHERE conversation_id = $1 ORDER BY epoch DESC", talk.key)
    assert told == [row["run"] for row in rows]


async def test_the_audit_tells_who_stopped_what_and_why(talk: Talk) -> None:
    run, _ = await at_work(talk, text("never said") | SLOW)
    await stopped(talk, run)
    [line] = (await asked_of_desk(talk, "audit", subject=talk.key))["lines"]
    told = {name: line[name] for name in ("kind", "who", "action", "subject", "about", "note")}
    assert told == {
        "kind": "conversation",
        "who": "anna",
        "action": "stop",
        "subject": talk.key,
        "about": talk.user_id,
        "note": WHY,
    }
    await talk.settled()


async def test_a_customer_s_export_names_nobody_of_the_staff(talk: Talk, database: ConversationsDatabase) -> None:
    run, _ = await at_work(talk, text("never said") | SLOW)
    await stopped(talk, run)
    await talk.settled()
    async with open_pool(database.app, "conversations") as pool:
        kept = await ConversationStore(pool).export(talk.key, Caller(user_id=talk.user_id))
    assert kept.runs[0]["stopped_by"] == "anna"
    told = shown_to_customer(kept).model_dump_json()
    assert ("anna" in told, WHY in told, STOPPED in told) == (False, False, True)
