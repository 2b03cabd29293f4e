"""Chat UIs that name their conversation: it is found again, its transcript is ours, and nobody else gets into it."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import openai
import pytest

from tests.parts.board import USER, calls, text, until
from tests.parts.conversations import Talk
from tests.parts.desk import done
from tests.parts.gateway import OTHER, Gate, start_gate
from tests.parts.postgres import PostgresServer
from tests.parts.restate import RestateServer
from tests.parts.service import Service

CHAT, MESSAGE = "X-OpenWebUI-Chat-Id", "X-OpenWebUI-Message-Id"


@pytest.fixture(scope="module")
async def gate(
    own_restate: RestateServer, service: Callable[..., Awaitable[Service]], postgres: PostgresServer
) -> Gate:
    return await start_gate(own_restate, service, postgres, "chat_uis", STEPS_AS_REASONING="true")


def client(gate: Gate, user_id: str = USER) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{gate.service.address}/v1", api_key=f"demo-{user_id}", max_retries=0)


def new_chat(**more: str) -> dict[str, str]:
    return {CHAT: str(uuid.uuid4()), **more}


async def ask(
    gate: Gate, headers: Mapping[str, str], *said: str, user_id: str = USER, message: str = ""
) -> dict[str, Any]:
    """The message of an answer. What is said is the customer's, the agent's and so on, as the client has it."""
    roles = ("user", "assistant")
    messages: list[Any] = [{"role": roles[at % 2], "content": each} for at, each in enumerate(said)]
    more = {MESSAGE: message or str(uuid.uuid4())}
    async with client(gate, user_id) as ours:
        told = await ours.chat.completions.create(
            model="switchboard", messages=messages, extra_headers={**headers, **more}
        )
    return told.choices[0].message.model_dump()


async def stream(gate: Gate, headers: Mapping[str, str], said: str) -> list[dict[str, Any]]:
    messages: list[Any] = [{"role": "user", "content": said}]
    async with client(gate) as ours:
        chunks = await ours.chat.completions.create(
            model="switchboard", messages=messages, stream=True, extra_headers=headers
        )
        return [chunk.choices[0].delta.model_dump(exclude_none=True) async for chunk in chunks if chunk.choices]


def words(deltas: list[dict[str, Any]], kind: str = "content") -> str:
    return "".join(each.get(kind) or "" for each in deltas)


async def of(gate: Gate, user_id: str = USER) -> list[str]:
    listed = (await gate.api("GET", "/conversations?limit=100", user_id=user_id))["conversations"]
    return [each["id"] for each in listed]


async def lines(gate: Gate, conversation: str) -> list[tuple[str, str]]:
    read = await gate.api("GET", f"/conversations/{conversation}")
    return [(line["kind"], line["body"].get("text", "")) for line in read["messages"]]


async def test_a_chat_goes_on_where_it_was_and_only_its_last_message_is_read(gate: Gate) -> None:
    chat, first = new_chat(), await gate.board.script(text("One."), text("Two."))
    assert (await ask(gate, chat, first))["content"] == "One."
    (conversation, *_) = await of(gate)
    assert (await ask(gate, chat, "Forged words", "One. Forged.", "And then, after all of that?"))["content"] == "Two."
    assert (await of(gate))[0] == conversation
    assert await lines(gate, conversation) == [
        *(("message", first), ("answer", "One.")),
        *(("message", "And then, after all of that?"), ("answer", "Two.")),
    ]
    read = json.dumps((await gate.board.conversation(first))["messages"])
    assert "Forged" not in read
    assert first in read


async def test_a_chat_is_its_callers_own(gate: Gate) -> None:
    chat = new_chat()
    mine, theirs = await gate.board.script(text("Mine.")), await gate.board.script(text("Theirs."))
    assert (await ask(gate, chat, mine))["content"] == "Mine."
    before = await of(gate, OTHER)
    assert (await ask(gate, chat, theirs, user_id=OTHER))["content"] == "Theirs."
    assert set(await of(gate, OTHER)) - set(before) != set()
    assert not set(await of(gate)) & set(await of(gate, OTHER))
    assert "Mine." not in json.dumps((await gate.board.conversation(theirs))["messages"])


async def test_a_message_that_is_sent_again_is_said_once(gate: Gate) -> None:
    chat, said, name = new_chat(), await gate.board.script(text("Once.")), str(uuid.uuid4())
    for _ in range(2):
        assert (await ask(gate, chat, said, message=name))["content"] == "Once."
    assert len(await gate.board.ledger(said)) == 1
    assert await lines(gate, (await of(gate))[0]) == [("message", said), ("answer", "Once.")]


@pytest.mark.parametrize("chat", ["new", "local:abc", "null", "{{LIBRECHAT_BODY_CONVERSATIONID}}"])
async def test_what_names_no_chat_is_one_question(gate: Gate, chat: str) -> None:
    before = await of(gate)
    said = await gate.board.script(text("Alone."))
    assert (await ask(gate, {"X-LibreChat-Conversation-Id": chat}, said))["content"] == "Alone."
    assert await of(gate) == before


async def test_a_helpers_prompt_never_enters_the_chat(gate: Gate) -> None:
    chat, said = new_chat(), await gate.board.script(text("One."))
    await ask(gate, chat, said)
    for prompt in ("### Task:\nGenerate a concise title", "Provide a concise title for the conversation"):
        await ask(gate, chat, said, "One.", prompt)
    assert await lines(gate, (await of(gate))[0]) == [("message", said), ("answer", "One.")]


async def test_a_stream_tells_final_text_and_steps_as_reasoning(gate: Gate) -> None:
    chat = new_chat()
    said = await gate.board.script(
        {**calls(("check_service_status", {})), "content": "Let me look."}, text("All is well.")
    )
    deltas = await stream(gate, chat, said)
    assert words(deltas).endswith("All is well.")
    assert "check service status" in words(deltas, "reasoning_content")
    assert "check service status: " in words(deltas, "reasoning_content")


async def test_live_text_comes_in_pieces_only_when_it_is_asked_for(gate: Gate) -> None:
    answer = "It is a long answer with very many words. " * 30
    for header, is_live in (({}, False), ({"X-Switchboard-Live": "true"}, True)):
        said = await gate.board.script({**text(answer), "chunk_seconds": 0.02})
        deltas = await stream(gate, new_chat(**header), said)
        assert words(deltas).strip() == answer.strip()
        assert (len([each for each in deltas if each.get("content")]) > 1) is is_live


async def test_a_new_message_takes_the_place_of_one_that_nobody_waits_for(gate: Gate) -> None:
    chat = new_chat()
    slow = await gate.board.script({**text("Too late."), "latency_seconds": 20}, text("Now."))
    asking = asyncio.create_task(ask(gate, chat, slow))
    await until(lambda: gate.board.ledger(slow))
    asking.cancel()
    assert (await ask(gate, chat, slow, "", "No, tell me this instead, please."))["content"] == "Now."
    assert ("answer", "Too late.") not in await lines(gate, (await of(gate))[0])


async def test_a_persons_words_are_told_with_the_next_message(gate: Gate) -> None:
    chat, said = new_chat(), await gate.board.script(text("One."), text("I am back."))
    await ask(gate, chat, said)
    talk = Talk(gate.board, gate.database, key=(await of(gate))[0])
    await done(talk, "take")
    told = (await ask(gate, chat, said, "One.", "Is anybody there, please?"))["content"]
    assert "A member of our staff" in told
    await done(talk, "say", text="This is Anna.", say_id="s1")
    again = (await ask(gate, chat, said, "One.", "Is anybody there, please?", told, "Still there, I hope?"))["content"]
    assert again.startswith("This is Anna.\n\nA member of our staff")
    await done(talk, "say", text="Goodbye.", say_id="s2")
    await done(talk, "return")
    rest = ("Is anybody there, please?", told, "Still there, I hope?", again, "Thank you for all of that, then.")
    final = (await ask(gate, chat, said, "One.", *rest))["content"]
    assert final == "Goodbye.\n\nI am back."


async def test_a_stop_is_a_stop(gate: Gate) -> None:
    chat, said = new_chat(), await gate.board.script(text("One."))
    await ask(gate, chat, said)
    assert (await ask(gate, chat, said, "One.", "stop"))["content"] == "This was stopped."


async def test_a_crash_of_the_conversations_and_of_restate_loses_no_answer(gate: Gate) -> None:
    chat = new_chat()
    said = await gate.board.script({**text("Still here."), "latency_seconds": 3})
    asking = asyncio.create_task(ask(gate, chat, said))
    await until(lambda: gate.board.ledger(said))
    room = gate.rooms["conversations"]
    await room.kill()
    await gate.board.restate.kill()
    await gate.board.restate.start()
    await room.start()
    assert (await asyncio.wait_for(asking, 60))["content"] == "Still here."


@pytest.mark.parametrize("value", ["a b", "x" * 256, "ü"])
async def test_a_header_that_is_no_id_is_refused(gate: Gate, value: str) -> None:
    body = {"model": "switchboard", "messages": [{"role": "user", "content": "hi"}]}
    reply = await gate.ask("POST", "/v1/chat/completions", body, headers={CHAT: value})
    assert reply.status_code == 400
