"""The chat page in a real browser, through the real gateway to a real Restate, PostgreSQL and router."""

import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from playwright.async_api import Browser, expect

from standalone.ports import free_port
from tests.browser.conftest import Visit
from tests.browser.injections import INJECTIONS
from tests.parts.board import calls, text
from tests.parts.chat_page import ChatPage
from tests.parts.embedding import embedding, policy_of_the_docs
from tests.parts.gateway import STAFF_KEY, Gate, start_gate
from tests.parts.postgres import PostgresServer
from tests.parts.restate import RestateServer
from tests.parts.service import Service

LONG = " ".join(f"This is sentence {number} of a story." for number in range(40))
SLOWLY = {"chunk_seconds": 0.03}


@pytest.fixture(scope="module")
def payments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a tool that needs a person's yes has really done."""
    path = tmp_path_factory.mktemp("payments") / "ledger"
    path.touch()
    return path


@pytest.fixture(scope="module")
async def gate(
    restate: RestateServer, service: Callable[..., Awaitable[Service]], postgres: PostgresServer, payments: Path
) -> Gate:
    tools = await service("tests.parts.approved_tools", LEDGER=str(payments))
    await restate.register(tools.url)
    return await start_gate(restate, service, postgres, "chat_page")


@pytest.fixture
async def page(gate: Gate, visit: Visit) -> ChatPage:
    page = await visit(f"{gate.service.address}/chat/")
    await expect(page.page.get_by_text("The assistant answers here")).to_be_visible()
    return page


async def conversation(gate: Gate) -> str:
    """The latest."""
    return (await gate.api("GET", "/conversations?limit=1"))["conversations"][0]["id"]


async def said(gate: Gate, *kinds: str) -> list[str]:
    page = await gate.api("GET", f"/conversations/{await conversation(gate)}")
    return [line["body"]["text"] for line in page["messages"] if line["kind"] in kinds]


async def test_a_question_is_asked_and_its_answer_seen_as_it_is_written(page: ChatPage, gate: Gate) -> None:
    question = await gate.board.script(calls(("echo", {"text": "a"})), text(LONG) | SLOWLY)
    await page.ask(question)
    await page.sees("Used echo")
    await page.sees("sentence 3 ")
    await page.sees_no("sentence 39 ")
    await page.sees("sentence 39 ")
    await expect(page.button("Stop")).to_be_hidden()
    await page.until_answers([LONG])
    await page.until_mine([question])


async def test_stop_ends_what_is_written(page: ChatPage, gate: Gate) -> None:
    question = await gate.board.script(text(LONG) | SLOWLY)
    await page.ask(question)
    await page.sees("sentence 3 ")
    await page.button("Stop").click()
    await page.sees("Stopped.")
    await page.sees_no("sentence 3 ")
    assert await said(gate, "answer") == []


async def test_several_lines_at_once_are_one_question(page: ChatPage, gate: Gate) -> None:
    lines = [f"{uuid.uuid4().hex[:8]} line {number}" for number in range(3)]
    for line in lines:
        await page.ask(line)
    await page.until(lambda: _has_answers(page, 1))
    await expect(page.button("Stop")).to_be_hidden()
    await page.until_mine(lines)
    assert await said(gate, "message") == lines


async def _has_answers(page: ChatPage, many: int) -> bool:
    return len(await page.answers()) >= many


async def test_the_gateway_dies_while_text_is_written_and_nothing_is_lost_or_doubled(
    page: ChatPage, gate: Gate, visit: Visit
) -> None:
    question = await gate.board.script(text(LONG) | SLOWLY)
    await page.ask(question)
    await page.sees("sentence 3 ")
    await gate.service.kill()
    await page.ask("And what I wrote meanwhile, which is a question of its own.")
    await page.sees("Waits to be sent")
    await gate.service.start()
    await expect(page.log.locator(".unsent .message")).to_have_count(0)
    await page.until(lambda: _has_answers(page, 2))
    await expect(page.button("Stop")).to_be_hidden()
    asked, answered = await said(gate, "message"), await said(gate, "answer")
    assert sorted(await page.mine()) == sorted(asked)
    await page.until_answers(answered)
    assert len(asked) == 2
    assert answered[0] == LONG

    second = await visit(f"{gate.service.address}/chat/", page.page.context)
    await second.sees("sentence 39 ")
    await page.page.reload()
    await page.sees("sentence 39 ")
    for each in (second, page):
        await each.until_answers(answered)


async def test_offline_and_back(page: ChatPage, gate: Gate) -> None:
    question = await gate.board.script(text("Here you are."))
    await page.page.context.set_offline(True)
    await page.ask(question)
    await page.sees("Waits to be sent")
    await page.page.context.set_offline(False)
    await page.sees("Here you are.")
    await page.until_mine([question])
    assert await said(gate, "message") == [question]


async def test_a_person_comes_speaks_and_goes(page: ChatPage, gate: Gate) -> None:
    question = await gate.board.script(
        calls(("hand_over_to_person", {"reason": "They want a person."})) | {"text": "Somebody comes."}
    )
    await page.ask(question)
    await page.sees("A person was asked to come")
    await page.until_answers(["Somebody comes."])
    key = await conversation(gate)
    await as_staff(gate, key, "take")
    await page.sees("A person has joined the conversation.")
    await as_staff(gate, key, "say", text="Hello, this is Anna.", say_id=uuid.uuid4().hex)
    await expect(page.log.get_by_role("article", name="A member of our team")).to_contain_text("Hello, this is Anna.")
    await as_staff(gate, key, "return")
    await page.sees("The assistant is here again.")


async def as_staff(gate: Gate, key: str, handler: str, **body: str) -> None:
    await ask_as_staff(gate, "Conversation", handler, body, key=key)


async def ask_as_staff(gate: Gate, service: str, handler: str, body: dict[str, Any], **more: Any) -> None:
    now = int(time.time())
    claims = {"sub": "anna", "aud": "switchboard-staff", "iat": now, "exp": now + 300, "roles": ["approver"]}
    told = {"staff_token": jwt.encode(claims, STAFF_KEY, "HS256"), **body}
    reply = await gate.board.restate.call(service, handler, told, **more)
    assert reply.status_code == 200, reply.text


@pytest.mark.parametrize(
    ("choice", "says", "paid"), [("approve", "A person said yes", 1), ("deny", "A person said no", 0)]
)
async def test_a_call_waits_for_a_person_whatever_happens_meanwhile(
    page: ChatPage, gate: Gate, payments: Path, choice: str, says: str, paid: int
) -> None:
    order = uuid.uuid4().hex
    question = await gate.board.script(calls(("pay", {"order": order, "euros": 5})), text("That was it."))
    await page.ask(question)
    card = page.log.locator(".approval")
    await expect(card).to_contain_text("Waits for a person's yes")
    await gate.service.kill()
    await gate.service.start()
    await page.page.reload()
    await expect(card).to_contain_text("Waits for a person's yes")
    assert order not in payments.read_text()

    waiting = "SELECT approval_id, digest FROM approvals WHERE arguments LIKE '%' || $1 || '%'"
    (row,) = await gate.database.rows(waiting, order)
    await ask_as_staff(gate, "Approvals", "decide", {**row, "choice": choice, "reason": "as asked"})
    await expect(card).to_contain_text(says)
    await page.sees("That was it.")
    await page.until_answers(["That was it."])
    assert payments.read_text().count(order) == paid


@pytest.mark.parametrize("victim", ["conversations", "restate"])
async def test_what_stands_behind_the_gateway_dies_while_text_is_written(
    page: ChatPage, gate: Gate, victim: str
) -> None:
    question = await gate.board.script(text(LONG) | SLOWLY)
    await page.ask(question)
    await page.sees("sentence 3 ")
    died = gate.board.restate if victim == "restate" else gate.rooms[victim]
    await died.kill()
    await died.start()
    await page.sees("sentence 39 ")
    await expect(page.button("Stop")).to_be_hidden()
    await page.until_answers([LONG])
    await page.until_mine([question])
    assert (await said(gate, "message"), await said(gate, "answer")) == ([question], [LONG])


async def test_injections_go_all_the_way_and_come_back_as_text(page: ChatPage, gate: Gate) -> None:
    words = "\n\n".join(each for each in INJECTIONS if "\x01" not in each)
    question = await gate.board.script(calls(("echo", {"text": words[:2000]})), text(words))
    await page.ask(f"{question} {words[:2000]}")
    await page.until(lambda: _has_answers(page, 1))
    await expect(page.button("Stop")).to_be_hidden()
    assert "<script>fetch(" in (await page.answers())[0]
    assert await page.log.locator("img, script, iframe, a").count() == 0


async def test_download_and_delete(page: ChatPage, gate: Gate) -> None:
    question = await gate.board.script(text("Here you are."))
    await page.ask(question)
    await page.sees("Here you are.")
    key = await conversation(gate)
    async with page.page.expect_download() as download:
        await page.choose("Download the conversation")
    assert question in (await (await download.value).path()).read_text()
    await page.choose("Delete the conversation …")
    await page.button("Delete").click()
    await expect(page.page.get_by_text("How can we help?")).to_be_visible()
    await gate.api("GET", f"/conversations/{key}", status=404)


async def test_another_site_may_embed_it_if_it_is_named(
    gate: Gate, visit: Visit, browser: Browser, service: Callable[..., Awaitable[Service]]
) -> None:
    port = free_port()
    named = await service("gateway", **gate.env, ALLOWED_ORIGINS=f"http://127.0.0.1:{port}")
    snippet = await (await visit(f"{named.address}/chat/embed.html")).page.locator("#snippet").inner_text()
    async with embedding(snippet, policy_of_the_docs(named.address), port) as site:
        context = await browser.new_context()
        page = ChatPage(await context.new_page())
        await page.page.goto(site)
        await page.ask(await gate.board.script(text("Welcome.")))
        await page.sees("Welcome.")
        await context.close()
