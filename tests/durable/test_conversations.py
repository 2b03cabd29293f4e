"""Conversations: what becomes of messages and stops, whatever runs, and what the model reads of it."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable

import pytest

from standalone.ports import free_port
from tests.parts.board import Board, calls, start_board, text, until
from tests.parts.conversations import (
    ConversationsDatabase,
    Talk,
    conversations_database,
    start_conversations,
)
from tests.parts.postgres import PostgresServer
from tests.parts.restate import RestateServer, request
from tests.parts.service import Service

SECRET = "a-secret-of-32-bytes-for-the-tests"
NEVER = {"latency_seconds": 60}
"""Of a reply for which nobody waits to the end."""
SLOW = {"latency_seconds": 6}
"""So long that what is said meanwhile finds the run at work."""


@pytest.fixture(scope="module")
async def database(postgres: PostgresServer) -> ConversationsDatabase:
    return await conversations_database(postgres, "conversations_test")


@pytest.fixture(scope="module")
def metrics_port() -> int:
    """Of the router."""
    return free_port()


@pytest.fixture(scope="module")
async def hall(
    own_restate: RestateServer,
    service: Callable[..., Awaitable[Service]],
    database: ConversationsDatabase,
    metrics_port: int,
) -> Board:
    """A board whose router reads what comes in, with the room of the conversations."""
    board = await start_board(
        own_restate,
        service,
        CALLER_KEYS=SECRET,
        CONVERSATIONS_DATABASE_URL=database.router,
        METRICS_PORT=str(metrics_port),
    )
    await start_conversations(board, service, database, CALLER_KEYS=SECRET, COALESCE_MS="300")
    return board


@pytest.fixture
def talk(hall: Board, database: ConversationsDatabase) -> Talk:
    return Talk(hall, database)


async def test_a_message_starts_a_run_and_its_answer_stands_in_the_transcript(hall: Board, talk: Talk) -> None:
    message = await hall.script(text("Hello yourself."))

    told = await talk.say(message)

    assert told["disposition"] == "started"
    assert await talk.answers() == ["Hello yourself."]
    assert [(each["kind"], each["run"]) for each in await talk.entries("answer")] == [("answer", told["run"])]
    assert told["position"] == 1


async def test_the_next_run_reads_what_was_said_before(hall: Board, talk: Talk) -> None:
    message = await hall.script(text("one"), text("two"))
    await talk.say(message)
    await talk.answers(1)

    await talk.say("And then? I want to know everything about it.")

    assert await talk.answers(2) == ["one", "two"]
    read = (await hall.conversation(message))["messages"]
    assert [(each["role"], each["content"]) for each in read[1:4]] == [
        ("user", message),
        ("assistant", "one"),
        ("user", "And then? I want to know everything about it."),
    ]


async def test_a_running_run_reads_a_message_before_its_next_turn(hall: Board, talk: Talk) -> None:
    message = await hall.script(calls(("echo", {"text": "a"})) | SLOW, text("both"))
    first = await talk.say(message)
    await until(lambda: hall.ledger(message))

    steered = await talk.say("It is the production account, by the way, not the sandbox.")

    assert (steered["disposition"], steered["run"]) == ("steered", first["run"])
    assert await talk.answers() == ["both"]
    read = (await hall.conversation(message))["messages"]
    assert read[-1] == {"role": "user", "content": "It is the production account, by the way, not the sandbox."}
    await talk.settled()
    assert len(await hall.ledger(message)) == 2


async def test_what_comes_too_late_is_the_next_question(hall: Board, talk: Talk) -> None:
    message = await hall.script(text("first") | SLOW, text("second"))
    first = await talk.say(message)
    await until(lambda: hall.ledger(message))

    late = await talk.say("Oh, and one more thing that I would like to know.")

    assert (late["disposition"], late["run"]) == ("steered", first["run"])
    assert await talk.answers(2) == ["first", "second"]


async def test_queued_questions_are_answered_one_by_one_in_order(hall: Board, talk: Talk) -> None:
    message = await hall.script(text("a") | SLOW, text("b"), text("c"))
    await talk.say(message)

    second = await talk.say("The second question, which has to wait for it.", when_busy="queue")
    third = await talk.say("The third question, which has to wait even more.", when_busy="queue")

    assert [second["disposition"], third["disposition"]] == ["queued", "queued"]
    assert await talk.answers(3) == ["a", "b", "c"]
    read = [each["content"] for each in (await hall.conversation(message))["messages"][1:]]
    assert read == [
        message,
        "a",
        "The second question, which has to wait for it.",
        "b",
        "The third question, which has to wait even more.",
    ]


async def test_a_busy_conversation_refuses_with_the_run_that_is_at_work(hall: Board, talk: Talk) -> None:
    first = await talk.say(await hall.script(text("a") | SLOW))
    body = {"text": "x", "input_id": "1", "when_busy": "reject", "user_id": talk.user_id}

    refused = [await talk.send(body), await talk.send(body)]

    assert [reply.status_code for reply in refused] == [409, 409]
    assert refused[0].json()["metadata"] == {"code": "busy", "run": first["run"]}
    await talk.answers()


async def test_an_interrupted_question_and_its_effects_are_seen_by_the_next_run(hall: Board, talk: Talk) -> None:
    message = await hall.script(calls(("run_job", {"text": "x"})), text("said at last") | SLOW)
    first = await talk.say(message)
    await until(lambda: _calls(hall, message, 2))

    told = await talk.say("No, wait, it is something else entirely.", when_busy="interrupt")

    assert (told["disposition"], told["run"]) == ("superseded", first["run"])
    assert await talk.answers() == ["said at last"]
    read = [each["content"] for each in (await hall.conversation(message))["messages"][1:]]
    assert read[0] == message
    assert "run_job: ok" in read[1]
    assert read[-1] == "No, wait, it is something else entirely."


async def test_a_question_that_is_rolled_back_leaves_the_model_s_view_and_its_effects_do_not(
    hall: Board, talk: Talk
) -> None:
    message = await hall.script(calls(("run_job", {"text": "x"})), text("never said") | NEVER)
    again = await hall.script(text("done"))
    await talk.say(message)
    await until(lambda: _calls(hall, message, 2))

    await talk.say(again, when_busy="rollback")

    assert await talk.answers() == ["done"]
    read = [each["content"] for each in (await hall.conversation(again))["messages"]]
    assert not any(message in str(each) for each in read)
    assert any("run_job: ok" in str(each) for each in read)


async def test_a_stop_silences_at_once_and_the_queue_waits_for_a_word(hall: Board, talk: Talk) -> None:
    message = await hall.script(text("never said") | NEVER, text("queued"), text("x"))
    await talk.say(message)
    await talk.say("This question waits until the first one is answered.", when_busy="queue")
    await until(lambda: hall.ledger(message))

    stopped = await talk.say("Stop!")

    assert (stopped["disposition"], stopped["paused"]) == ("superseded", True)
    await talk.settled()
    await asyncio.sleep(3.5)
    assert await talk.texts("answer", "late") == []
    assert len(await hall.ledger(message)) == 1
    assert (await talk.control())["queue"] != []


async def test_a_stop_breaks_off_the_model_call_at_its_connection(hall: Board, talk: Talk, metrics_port: int) -> None:
    message = await hall.script(text("never said") | {"latency_seconds": 20})
    before = await _broken_off(metrics_port)
    await talk.say(message)
    await until(lambda: hall.ledger(message))

    await talk.stop()

    async def broken_off() -> bool:
        return await _broken_off(metrics_port) > before

    await until(broken_off, seconds=15)
    await talk.settled(seconds=15)


async def test_a_stop_that_only_the_database_tells_is_obeyed(
    hall: Board, talk: Talk, database: ConversationsDatabase
) -> None:
    message = await hall.script(calls(("long_effect", {"seconds": 2})), text("never said"))
    await talk.say(message)
    await until(lambda: hall.ledger(message))

    await database.rows("UPDATE conversations SET run = '' WHERE conversation_id = $1", talk.key)

    await talk.settled()
    assert await talk.texts("answer") == []
    assert len(await hall.ledger(message)) == 1


async def test_a_message_after_a_stop_is_answered_when_the_run_has_settled(hall: Board, talk: Talk) -> None:
    message = await hall.script(calls(("long_effect", {"seconds": 2})), text("second"))
    await talk.say(message)
    await until(lambda: hall.ledger(message))
    await asyncio.sleep(0.3)
    await talk.stop()

    told = await talk.say("Now something else, as soon as you can answer it.")

    assert told["disposition"] == "queued"
    assert await talk.answers() == ["second"]
    assert [entry["body"]["status"] for entry in await talk.entries("effect")] == ["ok"]


async def test_short_lines_in_quick_succession_are_one_question(hall: Board, talk: Talk) -> None:
    first = await talk.say("hi")
    second = await talk.say("it is broken")

    assert (first["disposition"], second["disposition"]) == ("started", "steered")
    await talk.answers()
    await talk.settled()
    assert len(await talk.texts("answer")) == 1


async def test_a_stop_before_a_run_has_begun_costs_nothing(hall: Board, talk: Talk) -> None:
    message = (await hall.script(text("never said")))[:40]
    await talk.say(message)
    await talk.stop()
    await asyncio.sleep(0.6)

    assert await hall.ledger(message) == []
    assert not (await talk.control()).get("active")


async def test_an_input_is_taken_once_and_its_id_belongs_to_it(hall: Board, talk: Talk) -> None:
    message = await hall.script(text("once"))
    body = {"text": message, "input_id": "mine", "user_id": talk.user_id}

    replies = [await talk.send(body) for _ in range(3)]
    other = await talk.send(body | {"text": "something else"})

    assert len({reply.text for reply in replies}) == 1
    assert (other.status_code, other.json()["metadata"]["code"]) == (409, "input_id_taken")
    assert await talk.answers() == ["once"]
    await talk.settled()
    assert await talk.texts("message") == [message]


async def test_a_conversation_is_not_there_for_anybody_else(hall: Board, talk: Talk) -> None:
    await talk.say(await hall.script(text("mine")))
    await talk.answers()
    body = {"text": "let me in", "input_id": "1", "user_id": "user_67890"}

    refused = await talk.send(body)

    assert (refused.status_code, refused.json()["metadata"]["code"]) == (404, "unknown_conversation")
    assert "let me in" not in await talk.texts()


async def test_the_database_keeps_others_out_even_without_the_object(
    hall: Board, talk: Talk, database: ConversationsDatabase
) -> None:
    """The object has forgotten whose it is; the rows have not."""
    await talk.say(await hall.script(text("mine")))
    await talk.answers()
    await talk.settled()
    await hall.restate.forget("Conversation", talk.key)

    refused = await talk.send({"text": "let me in", "input_id": "1", "user_id": "user_67890"})

    assert refused.status_code == 404, refused.text


@pytest.mark.parametrize("handler", ["begin", "finished", "history"])
async def test_only_input_can_be_reached_from_outside(hall: Board, talk: Talk, handler: str) -> None:
    reply = await hall.restate.call("Conversation", handler, {}, key=talk.key)
    assert (reply.status_code, "not public" in reply.text) == (400, True)


async def test_nobody_at_the_ingress_can_speak_for_a_conversation(hall: Board) -> None:
    given = {"conversation": f"conv_{uuid.uuid4().hex}", "run": "run_1", "epoch": 1, "inputs": ["hi"]}
    forged = await hall.restate.call("ToolRouter", "converse", given | {"caller": {"user_id": "user_12345"}})
    assert (forged.status_code, "not public" in forged.text) == (400, True)


BAD = [
    ({"text": " "}, 422),
    ({"text": "x" * 8001}, 422),
    ({"text": "x", "when_busy": "now"}, 422),
    ({"text": "x", "type": "shout"}, 422),
    ({"type": "stop", "text": "x"}, 422),
    ({"text": "x", "input_id": ""}, 422),
    ({"text": "x", "input_id": "a b"}, 422),
    ({"text": "x", "more": 1}, 422),
    ({"text": "x\0"}, 422),
    ({"text": "x", "user_id": None}, 401),
    ({"text": "x", "caller_token": "x.y.z"}, 401),
    ({"text": "x", "expected_run": "run_1"}, 409),
]


@pytest.mark.parametrize(("wrong", "status"), BAD)
async def test_bad_input_changes_nothing(talk: Talk, wrong: dict[str, object], status: int) -> None:
    body = {"text": "x", "input_id": uuid.uuid4().hex, "user_id": talk.user_id} | wrong
    body = {name: value for name, value in body.items() if value is not None}
    if wrong.get("type") == "stop" and "text" not in wrong:
        del body["text"]
    reply = await talk.send(body)
    assert reply.status_code == status, reply.text
    assert await talk.entries() == []


@pytest.mark.parametrize("key", ["conv_1", "mine", "conv_" + "x" * 65, "conv_aaaaaaaaaaaaaaa%20a"])
async def test_a_key_that_could_be_guessed_is_refused(talk: Talk, key: str) -> None:
    reply = await talk.send({"text": "x", "input_id": "1", "user_id": talk.user_id}, key=key)
    assert reply.status_code == 422, reply.text


async def test_a_run_that_is_killed_is_reported_for_it(hall: Board, talk: Talk) -> None:
    message = await hall.script(text("never said") | NEVER)
    await talk.say(message)
    await until(lambda: hall.ledger(message))
    invocation = (await talk.control())["active"]["invocation"]

    await hall.restate.kill_invocation(invocation)

    (told,) = await talk.answers()
    assert "cannot answer" in told
    await talk.settled()


async def _calls(hall: Board, message: str, count: int) -> bool:
    return len(await hall.ledger(message)) >= count


async def _broken_off(port: int) -> float:
    """How many model calls were broken off, by the router's metrics."""
    page = (await request("GET", f"http://127.0.0.1:{port}/metrics")).text
    lines = [line for line in page.splitlines() if line.startswith("switchboard_model_calls_total")]
    return sum(float(line.split()[-1]) for line in lines if 'outcome="broken_off"' in line)
