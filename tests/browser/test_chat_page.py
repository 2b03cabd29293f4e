"""The chat page in a real browser, against a gateway that tells it what the test wants."""

import asyncio

import pytest
from playwright.async_api import Browser, expect

from tests.browser.conftest import VIOLATIONS, Visit
from tests.parts.chat_page import ChatPage
from tests.parts.embedding import embedding, policy_of_the_docs
from tests.parts.fake_gateway import FakeGateway, FakeTalk

QUESTION = "My API calls are failing, what is wrong with my account?"


@pytest.fixture
async def page(gateway: FakeGateway, visit: Visit) -> ChatPage:
    page = await visit(gateway.page)
    await expect(page.page.get_by_text("The assistant answers here")).to_be_visible()
    return page


async def asked(page: ChatPage, gateway: FakeGateway, text: str = QUESTION) -> FakeTalk:
    """A question that a run is at work on: `run_1`."""
    await page.ask(text)
    await gateway.heard()
    gateway.talk.event("run_started", "run_1")
    await expect(page.button("Stop")).to_be_visible()
    return gateway.talk


async def test_text_is_shown_as_it_is_written_with_steps_in_plain_words(page: ChatPage, gateway: FakeGateway) -> None:
    talk = await asked(page, gateway)
    talk.tool("run_1", "query_user_database")
    await page.sees("Looking at your account …")
    talk.tool("run_1", "query_user_database", status="ok")
    await page.sees("Looked at your account")
    talk.tool("run_1", "a_tool_of_others", call="call_2", status="error")
    await page.sees("Using a tool of others: did not work")
    talk.text("run_1", "Your account is 🦊 **past", turn=2)
    await page.sees("Your account is 🦊 **past")
    talk.text("run_1", " due**: pay.", keep=24, turn=2)
    await expect(page.log.locator("strong", has_text="past due")).to_be_visible()
    talk.answer("run_1", "Your account is 🦊 **past due**: pay.")
    await expect(page.button("Stop")).to_be_hidden()
    await page.until_answers(["Your account is 🦊 past due: pay."])
    await page.until_mine([QUESTION])


async def test_text_of_an_attempt_that_broke_off_is_taken_back(page: ChatPage, gateway: FakeGateway) -> None:
    talk = await asked(page, gateway)
    talk.text("run_1", "This will be wrong")
    await page.sees("This will be wrong")
    talk.text("run_1", "", attempt=2)
    await page.sees_no("This will be wrong")
    await expect(page.page.get_by_text("The assistant is at work", exact=True)).to_be_visible()
    talk.text("run_1", "Now it is right", attempt=2)
    await page.sees("Now it is right")
    talk.text("run_1", "And once more", attempt=3)
    await page.sees_no("Now it is right")
    talk.answer("run_1", "And once more.")
    await page.sees("And once more.")
    await page.until_answers(["And once more."])


async def test_what_is_said_beside_calls_stays_and_goes_before_the_steps(page: ChatPage, gateway: FakeGateway) -> None:
    talk = await asked(page, gateway)
    talk.text("run_1", "Let me look.")
    talk.event("turn", "run_1", turn=1, text="Let me look.", tools=["get_ticket"], last=False)
    talk.tool("run_1", "get_ticket", status="ok")
    talk.answer("run_1", "It is open.")
    await page.sees("It is open.")
    await page.until_answers(["Let me look.", "It is open."])


async def test_stop_stops_the_run_that_is_seen(page: ChatPage, gateway: FakeGateway) -> None:
    talk = await asked(page, gateway)
    talk.text("run_1", "A long story")
    await page.sees("A long story")
    await page.button("Stop").click()
    await gateway.heard(2)
    talk.event("run_stopped", "run_1")
    talk.event("run_ended", "run_1", outcome="stopped", superseded=False)
    await page.sees("Stopped.")
    await page.sees_no("A long story")
    await expect(page.button("Stop")).to_be_hidden()
    assert [each.get("expected_run") for each in talk.inputs if each["type"] == "stop"] == ["run_1"]
    await expect(page.box).to_be_focused()


async def test_several_lines_at_once_go_out_in_order_each_once(page: ChatPage, gateway: FakeGateway) -> None:
    lines = ["My card was charged twice", "on Monday", "the other one is fine"]
    for line in lines:
        await page.ask(line)
    await gateway.heard(3)
    await page.sees(lines[-1])
    gateway.talk.event("run_started", "run_1")
    gateway.talk.answer("run_1", "All three read.")
    await page.sees("All three read.")
    await page.until_mine(lines)
    assert gateway.talk.said == lines


async def test_a_person_joins_and_leaves(page: ChatPage, gateway: FakeGateway) -> None:
    talk = await asked(page, gateway)
    talk.event("turn", "run_1", turn=1, text="Somebody comes.", tools=["hand_over_to_person"], last=False)
    talk.tool("run_1", "hand_over_to_person", status="ok")
    talk.answer("run_1", "Somebody comes.", outcome="handed_over")
    talk.event("owner", "run_2", speaker="person", waiting=True)
    await page.sees("A person was asked to come")
    await page.until_answers(["Somebody comes."])
    await page.ask("Are you there?")
    await page.sees("Are you there?")
    await expect(page.button("Stop")).to_be_hidden()
    talk.event("owner", "run_2", speaker="person", waiting=False)
    talk.event("person", "run_2", text="Hello, how can I help?")
    await page.sees("A person has joined the conversation.")
    await expect(page.log.get_by_role("article", name="A member of our team")).to_contain_text("Hello, how can I help?")
    talk.event("note", "run_2", text="Nobody is free now.")
    talk.event("ticket", "run_2", ticket_id="TKT-1")
    talk.event("owner", "run_2", speaker="agent")
    await page.sees("The assistant is here again.")
    await page.sees("Nobody is free now.")
    await page.sees("TKT-1")


async def test_an_approval_waits_and_is_decided_and_what_is_not_known_disturbs_nothing(
    page: ChatPage, gateway: FakeGateway
) -> None:
    talk = await asked(page, gateway)
    talk.event("something_of_next_year", "run_1", call={"deep": []})
    for number, (status, says) in enumerate(
        [
            ("approved", "A person said yes"),
            ("edited", "A person said yes"),
            ("denied", "A person said no"),
            ("expired", "Nobody decided in time; nothing was done"),
            ("withdrawn", "No longer wanted; nothing was done"),
        ]
    ):
        talk.event("approval_asked", "run_1", call=f"call_{number}", tool="refund_invoice", status="pending")
        card = page.log.locator(".approval").nth(number)
        await expect(card).to_contain_text("Waits for a person's yes")
        await expect(card).to_contain_text("Refunding an invoice")
        talk.event("approval_decided", "run_1", call=f"call_{number}", tool="refund_invoice", status=status)
        await expect(card).to_contain_text(says)


async def test_a_reload_and_a_second_tab_go_on(page: ChatPage, gateway: FakeGateway, visit: Visit) -> None:
    talk = await asked(page, gateway)
    talk.tool("run_1", "create_support_ticket", status="ok", ticket_id="TKT-77")
    talk.text("run_1", "I have opened", turn=2)
    await page.sees("I have opened")
    await page.page.reload()
    await page.sees("I have opened")
    second = await visit(gateway.page, page.page.context)
    await second.sees("I have opened")
    talk.text("run_1", " a ticket.", keep=13, turn=2)
    talk.answer("run_1", "I have opened a ticket.", tickets=("TKT-77",))
    for each in (page, second):
        await each.sees("I have opened a ticket.")
        await each.until_mine([QUESTION])
        await expect(each.log.locator(".item.ticket")).to_have_count(1)
    await second.ask("Thanks")
    await gateway.heard(2)
    await page.sees("Thanks")
    assert talk.said == [QUESTION, "Thanks"]


async def test_what_is_older_than_the_log_is_read_from_the_transcript(page: ChatPage, gateway: FakeGateway) -> None:
    talk = await asked(page, gateway)
    talk.answer("run_1", "It is mended.")
    await page.sees("It is mended.")
    old = "2026-01-01T10:00:00.000001Z"
    talk.past = [
        {"position": 1, "kind": "message", "run": "run_0", "at": old, "body": {"text": "An old question"}},
        {"position": 2, "kind": "answer", "run": "run_0", "at": old, "body": {"text": "An old answer"}},
        {"position": 3, "kind": "effect", "run": "run_0", "at": old, "body": {"ticket_id": "TKT-OLD"}},
        *({"position": 4, "kind": "message", "run": "r", "at": each["data"]["at"], "body": {"text": "twice"}}
          for each in talk.frames[:1]),
    ]  # fmt: skip
    talk.frames.insert(0, {"event": "gap", "data": {"after": 0, "before": 9}})
    for number, frame in enumerate(talk.frames[1:], start=9):
        frame["data"]["position"] = number
        if frame["event"] == "input":
            frame["data"]["body"]["position"] = 4
    await page.page.reload()
    await page.sees("An old answer")
    await page.sees("TKT-OLD")
    await page.until_mine(["An old question", QUESTION])
    await page.until_answers(["An old answer", "It is mended."])

    talk.frames.clear()
    await page.page.reload()
    await page.sees("An old answer")


async def test_a_gateway_that_dies_in_the_middle_of_a_text_and_comes_back(page: ChatPage, gateway: FakeGateway) -> None:
    talk = await asked(page, gateway)
    talk.text("run_1", "The first half")
    await page.sees("The first half")
    await gateway.stop()
    await expect(page.page.get_by_role("alert")).to_contain_text("The connection was lost")
    await page.ask("Written meanwhile")
    await page.sees("Waits to be sent")
    talk.text("run_1", ", and the second", keep=14)
    await gateway.start()
    await page.sees("The first half, and the second")
    talk.answer("run_1", "The first half, and the second.")
    await page.sees("second.")
    await gateway.heard(2)
    await expect(page.page.get_by_role("alert")).to_be_hidden()
    await expect(page.log.locator(".unsent .message")).to_have_count(0)
    await page.until_mine([QUESTION, "Written meanwhile"])
    await page.until_answers(["The first half, and the second."])
    first, *again = gateway.places
    assert not first
    assert again
    assert all(again)


async def test_offline_and_back_sends_once_and_in_order(page: ChatPage, gateway: FakeGateway) -> None:
    await page.page.context.set_offline(True)
    await expect(page.page.get_by_role("alert")).to_contain_text("You are offline")
    for line in ("one", "two", "three"):
        await page.ask(line)
    await page.until_mine(["one", "two", "three"])
    await expect(page.log.get_by_text("Waits to be sent")).to_have_count(3)
    await page.page.context.set_offline(False)
    await gateway.heard(3)
    await expect(page.log.locator(".unsent .message")).to_have_count(0)
    await page.until_mine(["one", "two", "three"])
    assert gateway.talk.said == ["one", "two", "three"]
    assert len(gateway.talks) == 1


async def test_a_message_whose_answer_was_lost_is_there_once(page: ChatPage, gateway: FakeGateway) -> None:
    await page.ask("first")
    await gateway.heard()
    gateway.lose_replies = 2
    await page.ask("second")
    await gateway.heard(2)
    await page.until(page.has_sent_all)
    assert gateway.lose_replies == 0
    await page.until_mine(["first", "second"])
    assert gateway.talk.said == ["first", "second"]


async def test_a_message_whose_answer_breaks_off_is_there_once(page: ChatPage, gateway: FakeGateway) -> None:
    await page.ask("first")
    await gateway.heard()
    gateway.cut_replies = 1
    await page.ask("second")
    await page.ask("third")
    await gateway.heard(3)
    await page.until(page.has_sent_all)
    await page.until_mine(["first", "second", "third"])
    assert gateway.talk.said == ["first", "second", "third"]


async def test_a_connection_that_comes_about_at_the_second_try_is_not_called_lost(
    gateway: FakeGateway, visit: Visit
) -> None:
    gateway.away = 1
    page = (await visit(gateway.page)).page
    await expect(page.get_by_text("The assistant answers here")).to_be_visible()
    await page.wait_for_timeout(2000)
    await expect(page.get_by_text("The connection was lost")).to_be_hidden()


async def test_other_words_of_the_site_stand_in_what_was_drawn_before(page: ChatPage, gateway: FakeGateway) -> None:
    talk = await asked(page, gateway)
    talk.tool("run_1", "query_user_database", status="ok")
    talk.event("run_stopped", "run_1")
    await page.sees("Looked at your account")
    await page.sees("Stopped.")
    chat = page.page.locator("switchboard-chat")
    await chat.evaluate("chat => { chat.words = { stopped: 'Halted.' }; }")
    await page.sees("Halted.")
    await chat.evaluate("chat => { chat.steps = { query_user_database: ['Reading', 'Have read'] }; }")
    await page.sees("Have read")
    await page.sees_no("Looked at your account")


async def test_what_was_not_sent_survives_a_reload_and_is_of_its_customer_alone(
    page: ChatPage, gateway: FakeGateway
) -> None:
    gateway.refuse = (503, "Come again in a moment")
    await page.ask("mine alone")
    await page.sees("mine alone")
    await page.page.reload()
    await page.sees("mine alone")
    await page.page.get_by_role("radio", name="Ben Ito").check()
    await page.sees_no("mine alone")
    gateway.refuse = None
    await asyncio.sleep(1)
    assert not gateway.talks or not gateway.talk.inputs
    await page.page.get_by_role("radio", name="Ada Park").check()
    await gateway.heard()
    assert [talk.user_id for talk in gateway.talks.values() if talk.inputs] == ["user_12345"]


async def test_a_message_that_is_refused_says_why_and_can_be_sent_again(page: ChatPage, gateway: FakeGateway) -> None:
    gateway.refuse = (422, "A value is not as it must be")
    await page.ask("hm")
    await page.sees("Not sent: A value is not as it must be")
    gateway.refuse = None
    await page.button("Send again").click()
    await gateway.heard()
    await expect(page.log.locator(".unsent .message")).to_have_count(0)


async def test_ask_for_a_person_download_and_delete(page: ChatPage, gateway: FakeGateway) -> None:
    await page.choose("Ask for a person")
    await gateway.heard()
    talk = gateway.talk
    assert talk.said == ["I want to talk to a human"]
    await page.sees("I want to talk to a human")

    async with page.page.expect_download() as download:
        await page.choose("Download the conversation")
    assert (await download.value).suggested_filename == f"{talk.key}.json"

    await page.choose("Delete the conversation …")
    await page.button("Keep it").click()
    await page.sees("I want to talk to a human")
    assert not talk.gone
    await page.choose("Delete the conversation …")
    await expect(page.button("Keep it")).to_be_focused()
    await page.button("Delete").click()
    await page.sees_no("I want to talk to a human")
    await expect(page.page.get_by_text("How can we help?")).to_be_visible()
    assert talk.gone
    await page.ask("A new beginning")
    await gateway.heard(2)
    assert len(gateway.talks) == 2
    await page.until_mine(["A new beginning"])


async def test_a_conversation_that_another_tab_has_deleted_is_gone_here(
    page: ChatPage, gateway: FakeGateway, visit: Visit
) -> None:
    await asked(page, gateway)
    second = await visit(gateway.page, page.page.context)
    await second.sees(QUESTION)
    await second.choose("Delete the conversation …")
    await second.button("Delete").click()
    await page.sees_no(QUESTION)
    await page.ask("Still there?")
    await gateway.heard(2)
    await second.sees("Still there?")


async def test_a_long_answer_stays_where_it_is_being_read(page: ChatPage, gateway: FakeGateway) -> None:
    talk = await asked(page, gateway)
    lines = "\n\n".join(f"Paragraph {number} of a long answer." for number in range(60))
    talk.text("run_1", lines)
    await page.sees("Paragraph 59")
    await expect(page.log.get_by_text("Paragraph 59")).to_be_in_viewport()
    await page.log.hover()
    await page.page.mouse.wheel(0, -2000)
    await expect(page.button("Latest")).to_be_visible()
    before = await page.log.evaluate("(log) => log.scrollTop")
    talk.text("run_1", "\n\nAnd more.", keep=len(lines))
    await page.sees("And more.")
    assert await page.log.evaluate("(log) => log.scrollTop") == before
    await page.button("Latest").click()
    await expect(page.log.get_by_text("And more.")).to_be_in_viewport()
    await expect(page.button("Latest")).to_be_hidden()


async def test_another_site_embeds_it_by_its_hash_under_the_policy_of_the_docs(
    gateway: FakeGateway, visit: Visit, browser: Browser
) -> None:
    snippet = await (await visit(f"{gateway.page}embed.html")).page.locator("#snippet").inner_text()
    async with embedding(snippet, policy_of_the_docs(gateway.url)) as site:
        context = await browser.new_context()
        await context.add_init_script(VIOLATIONS)
        page = ChatPage(await context.new_page())
        await page.page.goto(site)
        await page.ask(QUESTION)
        talk = await gateway.heard()
        talk.answer("run_1", "See https://help.example.com/a.")
        await expect(page.log.get_by_role("link")).to_have_attribute("href", "https://help.example.com/a")
        colour = "(bubble) => getComputedStyle(bubble).backgroundColor"
        assert await page.log.locator(".message .text").evaluate(colour) == "rgb(1, 2, 3)"
        assert await page.page.evaluate("window.violations") == []
        await context.close()
