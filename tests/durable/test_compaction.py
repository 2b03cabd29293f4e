"""A conversation that grows long is summarised: once, in time, whatever crashes; the transcript keeps every word."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.parts.board import Board, calls, start_board, text, until
from tests.parts.conversations import (
    ConversationsDatabase,
    Talk,
    conversations_database,
    open_back_door,
    start_conversations,
    through_back_door,
)
from tests.parts.postgres import PostgresServer
from tests.parts.restate import RestateServer, request
from tests.parts.service import Service

LONG = " It is a long story, and every part of it matters." * 12
"""With it three questions are past the threshold of these tests."""
COMPACT_TOKENS = 150
LATE = 8.0
"""So long that what is read meanwhile is read before."""

Mishap = Callable[[], Awaitable[None]]


@pytest.fixture(scope="module")
async def database(own_postgres: PostgresServer) -> ConversationsDatabase:
    return await conversations_database(own_postgres, "compacted")


@pytest.fixture(scope="module")
async def hall(
    own_restate: RestateServer, service: Callable[..., Awaitable[Service]], database: ConversationsDatabase
) -> Board:
    settings = {"COMPACT_TOKENS": str(COMPACT_TOKENS), "CONVERSATIONS_DATABASE_URL": database.router}
    return await start_board(own_restate, service, **settings)


@pytest.fixture(scope="module")
async def room(hall: Board, service: Callable[..., Awaitable[Service]], database: ConversationsDatabase) -> Service:
    room = await start_conversations(hall, service, database, COALESCE_MS="0")
    await open_back_door(hall)
    return room


@pytest.fixture
def talk(hall: Board, room: Service, database: ConversationsDatabase) -> Talk:
    return Talk(hall, database)


async def summaries(talk: Talk) -> list[dict[str, Any]]:
    return await talk.database.rows("SELECT upto, text FROM summaries WHERE conversation_id = $1", talk.key)


async def asked_for(hall: Board, message: str) -> int:
    """How often the model was asked for a summary of what holds the message."""
    return sum(call["outcome"] == "summary" for call in await hall.ledger(message))


def question(message: str, number: int) -> str:
    return f"{message} {number}.{LONG}"


async def grown(talk: Talk, message: str) -> None:
    """Four questions and answers: after the last one the first is summarised."""
    for number in range(1, 5):
        await talk.say(question(message, number))
        await talk.answers(number)


async def test_what_was_said_long_ago_is_read_as_a_summary(hall: Board, talk: Talk) -> None:
    message = await hall.script(text("Noted."))
    await grown(talk, message)
    (summary,) = await until(lambda: summaries(talk))
    assert summary["upto"] == 1
    assert message in summary["text"]

    await talk.say(f"{message} 5.")
    await talk.answers(5)

    read = [each["content"] for each in (await hall.conversation(message))["messages"]]
    assert json.loads(read[1].split("\n", 1)[1]) == {"status": "ok", "untrusted_data": summary["text"]}
    assert read[3:] == [
        *(each for number in (2, 3, 4) for each in (question(message, number), "Noted.")),
        f"{message} 5.",
    ]
    assert await asked_for(hall, message) >= 1
    assert await talk.texts("message") == [*(question(message, number) for number in range(1, 5)), f"{message} 5."]


async def test_no_customer_waits_for_a_summary(hall: Board, talk: Talk) -> None:
    message = await hall.script(text("Noted."), summary=text("They talked.") | {"latency_seconds": LATE})
    await grown(talk, message)
    await until(lambda: asked_for(hall, message))
    assert (await talk.answers(4), await summaries(talk)) == (["Noted."] * 4, [])
    assert (await until(lambda: summaries(talk)))[0]["text"] == "They talked."


async def test_tasks_of_what_was_summarised_are_still_known(hall: Board, talk: Talk) -> None:
    message = await hall.script(calls(("start_export", {"seconds": 0})), text("Noted."))
    await grown(talk, message)
    await until(lambda: summaries(talk))
    await talk.say(f"{message} 5.")
    await talk.answers(5)
    read = (await hall.conversation(message))["messages"][0]
    assert (
        read["content"]
        .rsplit("\n\n", 1)[1]
        .startswith("Calls of this conversation that may go on: start_export: started task_")
    )


async def test_without_a_summary_the_past_stays_as_it_is_and_the_next_run_tries_again(hall: Board, talk: Talk) -> None:
    message = await hall.script(text("Noted."), summary={"fault": "bad_request"})
    await grown(talk, message)
    await talk.say(f"{message} 5.")
    await talk.answers(5)
    assert len((await hall.conversation(message))["messages"]) == 10
    assert await summaries(talk) == []


async def test_a_run_that_was_stopped_asks_for_no_summary(hall: Board, talk: Talk) -> None:
    message = await hall.script(text("1"), text("2"), text("3"), text("never") | {"latency_seconds": 10})
    for number in range(1, 4):
        await talk.say(question(message, number))
        await talk.answers(number)
    await talk.say(question(message, 4))
    await until(lambda: served(hall, message, 4))

    await talk.stop()
    await talk.settled()

    await until(lambda: all_over(hall))
    assert await asked_for(hall, message) == 0


async def all_over(hall: Board) -> bool:
    """Whether every run has ended, with all that it does behind its report."""
    sql = (
        "select count(1) as going from sys_invocation where target_handler_name = 'converse' and status <> 'completed'"
    )
    return (await hall.restate.query(sql))[0]["going"] == 0


async def served(hall: Board, message: str, count: int) -> bool:
    return len(await hall.ledger(message)) >= count


async def killed(service: Service) -> None:
    await service.kill()
    await service.start()


@pytest.mark.parametrize("victim", ["router", "conversations", "postgres", "restate"])
async def test_a_kill_during_a_summary_changes_nothing_in_the_end(
    hall: Board, room: Service, talk: Talk, own_postgres: PostgresServer, victim: str
) -> None:
    victims: dict[str, Any] = {
        "router": hall.router,
        "conversations": room,
        "postgres": own_postgres,
        "restate": hall.restate,
    }
    message = await hall.script(text("Noted."), summary={"natural": True, "latency_seconds": 1})
    await grown(talk, message)
    await until(lambda: asked_for(hall, message))

    await killed(victims[victim])

    (summary,) = await until(lambda: summaries(talk), 60)
    assert message in summary["text"]
    assert await asked_for(hall, message) == (2 if victim in ("router", "restate") else 1)
    await talk.say(f"{message} 5.")
    assert await talk.answers(5, 60) == ["Noted."] * 5


async def test_a_summary_that_is_told_twice_or_too_late_changes_nothing(hall: Board, talk: Talk) -> None:
    message = await hall.script(text("Noted."))
    for number in range(1, 4):
        await talk.say(f"{message} {number}.")
        await talk.answers(number)
    for upto, told in ((2, "two"), (2, "two again"), (1, "one"), (99, "of no run")):
        reply = await through_back_door(hall, "summarised", talk.key, upto=upto, text=told)
        assert reply.status_code == 200, reply.text
    assert await summaries(talk) == [{"upto": 2, "text": "two"}]
    reply = await through_back_door(hall, "summarised", talk.key, upto=3, text="three")
    assert reply.status_code == 200
    assert await summaries(talk) == [{"upto": 3, "text": "three"}]


async def test_a_question_that_waited_is_never_parted_from_its_answer(hall: Board, talk: Talk) -> None:
    """It stands in the transcript before the answer to the question before it."""
    message = await hall.script(text("First.") | {"latency_seconds": 1}, text("Second."), text("Third."))
    await talk.say(f"{message} 1.")
    await talk.say(f"{message} 2.", when_busy="queue")
    await talk.answers(2)
    await through_back_door(hall, "summarised", talk.key, upto=1, text=f"The first, {message}.")

    await talk.say(f"{message} 3.")
    await talk.answers(3)

    read = [each["content"] for each in (await hall.conversation(message))["messages"]]
    assert read[2:] == ["[noted]", f"{message} 2.", "Second.", f"{message} 3."]


# --- within one run -------------------------------------------------------------------------------------------------


LARGE, LARGER = (calls(("large", {"size": size})) for size in (880, 890))


async def then(hall: Board, words: str, *replies: dict[str, Any]) -> None:
    """What the model replies once it reads a summary with these words."""
    script = {"match": words, "replies": list(replies)}
    assert (await request("POST", f"{hall.model.url}/admin/script", script)).status_code == 200


async def test_a_run_that_grows_long_goes_on_with_a_summary_of_its_turns(hall: Board) -> None:
    message = await hall.script(LARGE, LARGER, text("never"), summary=text("Something large was found."))
    await then(hall, "Something large was found.", text("Found."))
    answer = await hall.answer(message)
    assert (answer["text"], answer["usage"]["turns"], len(answer["calls"])) == ("Found.", 3, 2)
    read = (await hall.conversation(message))["messages"]
    assert [each["role"] for each in read] == ["system", "user", "assistant", "tool"]
    question, _, note = read[1]["content"].partition("\n\n")
    assert question == message
    _, fenced, made = note.split("\n")
    assert json.loads(fenced) == {"status": "ok", "untrusted_data": "Something large was found."}
    assert made == f"Already done, not to be repeated: large: ok {answer['tickets'][0]}."


async def test_what_a_model_finds_too_long_is_summarised_and_asked_again(hall: Board) -> None:
    small = [calls(("echo", {"text": word})) for word in "abc"]
    message = await hall.script(*small, text("never"), summary=text("Three words were said."))
    await then(hall, "Three words were said.", text("Found."))
    await hall.fault("context_length", message, turn=3)
    answer = await hall.answer(message)
    assert (answer["outcome"], answer["text"]) == ("answered", "Found.")
    assert await asked_for(hall, message) == 1


async def test_where_nothing_can_be_summarised_the_answer_is_polite(hall: Board) -> None:
    message = await hall.script(calls(("echo", {"text": "a"})), calls(("echo", {"text": "b"})), text("never"))
    await hall.fault("context_length", message, times=2, turn=0)
    answer = await hall.answer(message)
    assert (answer["outcome"], answer["usage"]["turns"]) == ("tokens_exhausted", 1)
    assert answer["text"] == "The question grew larger than I may handle at once."


async def test_a_stop_during_a_summary_ends_the_run_and_no_model_is_asked_any_more(hall: Board, talk: Talk) -> None:
    message = await hall.script(LARGE, LARGER, text("never"), summary=text("late") | {"latency_seconds": 20})
    await talk.say(message)
    await until(lambda: asked_for(hall, message))

    await talk.stop()
    await talk.settled(seconds=15)

    calls_made = len(await hall.ledger(message))
    await asyncio.sleep(1)
    assert len(await hall.ledger(message)) == calls_made == 3
    assert await talk.texts("answer", "late") == []


# --- what is larger than a customer's request -----------------------------------------------------------------------


async def test_an_answer_as_long_as_a_model_can_write_is_reported_and_read_again(hall: Board, talk: Talk) -> None:
    long = "A very long answer. " * 6000
    message = await hall.script(text(long), text("And on."))
    await talk.say(message)
    assert [len(each) for each in await talk.answers()] == [len(long)]
    await talk.say(f"{message} again")
    assert (await talk.answers(2))[1] == "And on."
    read = (await hall.conversation(message))["messages"]
    assert [each["role"] for each in read] == ["system", "user", "assistant", "user"]
    assert read[2]["content"].endswith("[cut]")
