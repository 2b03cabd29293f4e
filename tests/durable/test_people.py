"""A person takes a conversation over, speaks in it and gives it back; the agent is silent meanwhile."""

import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import jwt
import pytest

from contracts import Caller
from conversations.control import Control
from conversations.people_store import StaffStore
from runtime.postgres import open_pool
from tests.parts.board import USER, Board, calls, start_board, text, until
from tests.parts.conversations import (
    ConversationsDatabase,
    Talk,
    conversations_database,
    open_back_door,
    start_conversations,
    through_back_door,
)
from tests.parts.desk import STAFF_KEY, ask, done, staff_token
from tests.parts.postgres import PostgresServer
from tests.parts.restate import RestateServer
from tests.parts.service import Service
from tests.parts.tickets import TicketsDatabase, tickets_database

CALLER_KEY = "a-secret-of-32-bytes-for-the-tests"
NEVER = {"latency_seconds": 60}
"""Of a reply for which nobody waits to the end."""
LONG = "I want to know everything about my invoices of the last year."
REASON = "They want to talk to a human."


@pytest.fixture(scope="module")
async def database(postgres: PostgresServer) -> ConversationsDatabase:
    return await conversations_database(postgres, "people_test")


@pytest.fixture(scope="module")
async def tickets(postgres: PostgresServer) -> TicketsDatabase:
    return await tickets_database(postgres, "people_tickets_test")


@pytest.fixture(scope="module")
async def hall(
    own_restate: RestateServer,
    service: Callable[..., Awaitable[Service]],
    database: ConversationsDatabase,
    tickets: TicketsDatabase,
) -> Board:
    """A board with the rooms of the conversations and of the tickets."""
    await own_restate.register((await service("tickets", DATABASE_URL=tickets.app)).url)
    board = await start_board(own_restate, service, CALLER_KEYS=CALLER_KEY, CONVERSATIONS_DATABASE_URL=database.router)
    settings = {"CALLER_KEYS": CALLER_KEY, "STAFF_KEYS": STAFF_KEY, "COALESCE_MS": "0", "PERSON_MINUTES": "0.05"}
    await start_conversations(board, service, database, **settings)
    await open_back_door(board)
    return board


@pytest.fixture
def talk(hall: Board, database: ConversationsDatabase) -> Talk:
    return Talk(hall, database)


async def say(talk: Talk, words: str, name: str = "anna") -> dict[str, Any]:
    return await done(talk, "say", name, text=words, say_id=uuid.uuid4().hex)


async def listed(talk: Talk) -> dict[str, Any] | None:
    reply = await talk.board.restate.call("ConversationDesk", "list", {"staff_token": staff_token()})
    assert reply.status_code == 200, reply.text
    rows = [row for row in reply.json()["conversations"] if row["conversation"] == talk.key]
    return rows[0] if rows else None


async def test_the_model_hands_over_and_the_agent_is_silent_until_the_person_gives_back(
    hall: Board, talk: Talk
) -> None:
    message = await hall.script(
        calls(("echo", {"text": "a"})),
        calls(("hand_over_to_person", {"reason": REASON, "promised": "a call today"})) | {"text": "Somebody comes."},
        text("I am back."),
    )
    await talk.say(message)
    assert await talk.answers() == ["Somebody comes."]
    await talk.settled()

    waiting = await talk.say(LONG)
    assert (waiting["disposition"], waiting["person"], waiting.get("run", "")) == ("queued", True, "")
    row = await listed(talk)
    assert row is not None
    assert (row["person"], row["reason"], row["user_id"]) == ("", REASON, talk.user_id)
    packet = (await talk.entries("packet"))[0]["body"]
    assert (packet["promised"], packet["asked"]) == ("a call today", [message])
    assert [(each["tool"], each["status"]) for each in packet["tried"]] == [("echo", "ok")]

    assert await done(talk, "take") == {"person": "anna", "waiting": False}
    await say(talk, "Hello, this is Anna.")
    await talk.say("And what about the invoice of May, which I paid twice?")
    assert await done(talk, "return") == {"person": "", "waiting": False}

    assert await talk.answers(2) == ["Somebody comes.", "I am back."]
    read = (await hall.conversation(message))["messages"]
    assert read[-1] == {"role": "user", "content": "And what about the invoice of May, which I paid twice?"}
    before = "\n".join(str(each["content"]) for each in read[1:-1])
    assert before.index("handed over to a person") < before.index(LONG) < before.index("this is Anna")
    assert "gave the conversation back to you after 0 min and 1 messages" in before
    assert await listed(talk) is None
    assert len(await hall.ledger(message)) == 3


async def test_whoever_lost_the_conversation_finishes_its_tools_and_posts_nothing(hall: Board, talk: Talk) -> None:
    message = await hall.script(calls(("count", {"key": uuid.uuid4().hex})) | NEVER, text("never said"))
    await talk.say(message)
    await until(lambda: hall.ledger(message))

    assert await done(talk, "take") == {"person": "anna", "waiting": False}
    await talk.settled()

    assert await talk.texts("answer") == []
    assert len(await hall.ledger(message)) == 1
    assert (await talk.control())["person"]["name"] == "anna"
    assert [entry["body"]["reason"] for entry in await talk.entries("packet")] == ["anna took it"]


async def test_given_back_with_nothing_left_to_answer_the_agent_waits_for_the_customer(hall: Board, talk: Talk) -> None:
    message = await hall.script(text("one"), text("two"))
    await talk.say(message)
    await talk.answers()
    await talk.settled()
    await done(talk, "take")
    await talk.say(LONG)
    await say(talk, "Done for you.")
    await done(talk, "return", "ben")

    assert "active" not in {name for name, value in (await talk.control()).items() if value}
    assert (await talk.say("Thank you. Is there anything else that I have to do now?"))["disposition"] == "started"
    assert await talk.answers(2) == ["one", "two"]


async def test_given_back_again_after_a_crash_the_agent_is_asked_the_same(
    hall: Board, talk: Talk, database: ConversationsDatabase
) -> None:
    """The step that writes it down was done, and Restate does not know: it is done once more."""
    await talk.say(await hall.script(text("one")))
    await talk.answers()
    await talk.settled()
    await done(talk, "take")
    await talk.say(LONG)
    control, caller, change = Control.model_validate(await talk.control()), Caller(user_id=USER), uuid.uuid4().hex
    async with open_pool(database.app, "conversations") as pool:
        first, again = [await StaffStore(pool).give_back(talk.key, caller, control, change, "anna") for _ in range(2)]
    assert first.given is not None
    assert first.given.inputs == [LONG]
    assert again == first


async def test_one_has_it_and_another_gets_it_only_by_assignment(hall: Board, talk: Talk) -> None:
    message = await hall.script(text("one"))
    await talk.say(message)
    await talk.answers()
    await done(talk, "take")

    refused = await ask(talk, "take", "ben")
    spoken = await ask(talk, "say", "ben", text="me", say_id="1")
    assert (refused.status_code, refused.json()["message"]) == (409, "anna has this conversation")
    assert (spoken.status_code, spoken.json()["metadata"]["code"]) == (409, "not_yours")

    assert await done(talk, "assign", "anna", to="ben") == {"person": "ben", "waiting": False}
    await say(talk, "Now I am here.", "ben")
    assert await talk.texts("person") == ["Now I am here."]
    shown = await done(talk, "show")
    assert {"packet", "owner", "person"} <= {entry["kind"] for entry in shown["entries"]}


async def test_the_same_words_are_said_once_and_others_under_their_name_are_refused(hall: Board, talk: Talk) -> None:
    await talk.say(await hall.script(text("one")))
    await talk.answers()
    await done(talk, "take")
    first = await done(talk, "say", text="Hello.", say_id="1")
    assert await done(talk, "say", text="Hello.", say_id="1") == first
    other = await ask(talk, "say", text="Goodbye.", say_id="1")
    assert (other.status_code, other.json()["metadata"]["code"]) == (409, "say_id_taken")
    assert await talk.texts("person") == ["Hello."]


async def test_a_customer_for_whom_nobody_comes_is_told_and_gets_a_ticket_once(
    hall: Board, talk: Talk, tickets: TicketsDatabase
) -> None:
    await talk.say(await hall.script(calls(("hand_over_to_person", {"reason": REASON}))))

    async def told() -> list[str]:
        return await talk.texts("note")

    assert "Nobody of the support staff is free" in (await until(told))[0]
    again = await through_back_door(hall, "nobody_came", talk.key, run=(await talk.control())["person"]["run"])
    assert again.status_code == 200
    assert len(await told()) == 1

    async def made() -> list[dict[str, Any]]:
        return await talk.entries("effect")

    ticket_id = (await until(made))[0]["body"]["ticket_id"]
    rows = await tickets.rows("SELECT user_id, description, conversation FROM tickets")
    assert [(row["user_id"], row["conversation"]) for row in rows] == [(talk.user_id, talk.key)]
    assert rows[0]["description"].startswith(REASON)
    assert ticket_id.startswith("TCK-")
    assert (await talk.texts("answer"))[0].startswith("I have asked a person")


FORGED: dict[str, Callable[[], str]] = {
    "no token": lambda: "",
    "the customers' key": lambda: staff_token(key=CALLER_KEY),
    "the customers' audience": lambda: staff_token(aud="switchboard"),
    "a caller's token": lambda: staff_token("user_12345", CALLER_KEY, aud="switchboard"),
    "expired": lambda: staff_token(iat=int(time.time()) - 700, exp=int(time.time()) - 400),
    "of too long a life": lambda: staff_token(exp=int(time.time()) + 100_000),
    "without a name": lambda: staff_token(sub=None),
    "a name that is none": lambda: staff_token("anna\x1b[2J"),
    "unsigned": lambda: jwt.encode({"sub": "anna", "aud": "switchboard-staff"}, "", "none"),
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
async def test_nobody_but_staff_gets_in(hall: Board, talk: Talk, forged: Callable[[], str]) -> None:
    await talk.say(await hall.script(text("one")))
    await talk.answers()
    await talk.settled()
    before, token = await talk.control(), forged()
    bodies: dict[str, dict[str, Any]] = {
        "take": {},
        "return": {},
        "show": {},
        "assign": {"to": "ben"},
        "say": {"text": "x", "say_id": "1"},
    }
    for handler, body in bodies.items():
        reply = await hall.restate.call("Conversation", handler, body | {"staff_token": token}, key=talk.key)
        assert (reply.status_code, reply.json()["metadata"]["field"]) == (401, "staff_token"), (handler, reply.text)
    reply = await hall.restate.call("ConversationDesk", "list", {"staff_token": token})
    assert reply.status_code == 401
    assert await talk.control() == before


async def test_what_only_staff_may_see_is_not_in_the_customers_history(hall: Board, talk: Talk) -> None:
    await talk.say(await hall.script(calls(("hand_over_to_person", {"reason": REASON}))))
    await talk.answers()
    await talk.settled()
    await done(talk, "take")
    await say(talk, "Hello.")
    history = (await through_back_door(hall, "history", talk.key, user_id=talk.user_id)).json()
    assert "packet" not in {entry["kind"] for entry in history["entries"]}
    assert REASON not in str(history)
    assert [entry["body"] for entry in history["entries"] if entry["kind"] == "person"] == [{"text": "Hello."}]
    assert "anna" not in str(history)


async def test_a_conversation_that_is_not_there_cannot_be_taken(hall: Board, talk: Talk) -> None:
    assert (await ask(talk, "take")).status_code == 404
    assert (await ask(talk, "show")).status_code == 404


async def test_staff_read_a_conversation_from_its_end(hall: Board, talk: Talk) -> None:
    await talk.say(await hall.script(calls(("hand_over_to_person", {"reason": REASON}))))
    await talk.answers()
    await talk.settled()
    await done(talk, "take")
    for number in range(4):
        await say(talk, f"Line {number}.")
    positions = [each["position"] for each in await talk.entries()]
    last = await done(talk, "show", latest=True, limit=3)
    assert [line["position"] for line in last["entries"]] == positions[-3:]
    assert (last["earlier"], last["held"]) == (positions[-3], {"person": "anna", "waiting": False})
    assert last["packet"]["reason"] == REASON
    assert last["of_people"] == [last["entries"][0]["run"]]
    first = await done(talk, "show", latest=True, before=last["earlier"], limit=200)
    assert [line["position"] for line in first["entries"]] == positions[:-3]
    assert first["earlier"] is None
