"""Whoever cannot see it, cannot use a mouse, or needs it larger, darker or still, has the same chat."""

import asyncio
import re
import time

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Visit
from tests.parts.chat_page import ChatPage
from tests.parts.fake_gateway import FakeGateway, FakeTalk

LOOKS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "forced_colours": {"forced_colors": "active"},
    "narrow": {"viewport": {"width": 320, "height": 640}},
    "zoomed": {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2},
    "still": {"reduced_motion": "reduce"},
}
SENTENCES_SECONDS = 4
"""Between two times that a screen reader is told sentences, at least."""
LINK = "[the guide](https://help.nimbus.example/keys)"


async def full(page: ChatPage, gateway: FakeGateway) -> FakeTalk:
    """One of everything is on the page."""
    await page.ask("My API calls are failing, what is wrong with my account?")
    talk = await gateway.heard()
    talk.event("run_started", "run_1")
    talk.tool("run_1", "query_user_database", status="ok")
    talk.tool("run_1", "check_service_status", call="call_2", status="error")
    talk.tool("run_1", "create_support_ticket", call="call_3", status="ok", ticket_id="TKT-4711")
    talk.event("approval_asked", "run_1", call="call_4", tool="refund_invoice", status="pending")
    words = f"**Past due.** See {LINK}:\n\n1. Pay `INV-1`\n2. Wait\n\n```\ncurl -X POST /v1\n```\n"
    talk.answer("run_1", words, tickets=("TKT-4711",))
    talk.event("owner", "run_2", speaker="person", waiting=False)
    talk.event("person", "run_2", text="Hello, I am here now.")
    talk.event("owner", "run_2", speaker="agent")
    talk.event("run_started", "run_3")
    talk.tool("run_3", "get_ticket")
    talk.text("run_3", "I am just writ", turn=2)
    await page.sees("I am just writ")
    return talk


@pytest.mark.parametrize("look", LOOKS)
async def test_axe_finds_nothing_and_nothing_is_cut_off(visit: Visit, gateway: FakeGateway, look: str) -> None:
    page = await visit(gateway.page, **LOOKS[look])
    found = [await page.axe()]
    await full(page, gateway)
    found.append(await page.axe())
    await page.button("More").click()
    found.append(await page.axe())
    await page.button("Delete the conversation …").click()
    found.append(await page.axe())
    await page.button("Keep it").click()
    gateway.refuse = (422, "A value is not as it must be")
    await page.ask("refused")
    await page.sees("Not sent:")
    found.append(await page.axe())
    assert found == [[], [], [], [], []]
    wide = await page.page.evaluate(
        "[document.documentElement, document.querySelector('switchboard-chat').shadowRoot.querySelector('.log')]"
        ".map((each) => each.scrollWidth - each.clientWidth)"
    )
    assert wide == [0, 0]
    moving = await page.page.evaluate("document.getAnimations({subtree: true}).length")
    assert look != "still" or moving == 0


async def test_everything_is_done_by_the_keyboard_alone(visit: Visit, gateway: FakeGateway) -> None:
    page = await visit(gateway.page)
    keys = page.page.keyboard
    await expect(page.page.get_by_text("The assistant answers here")).to_be_visible()

    async def to(name: str) -> None:
        for _ in range(20):
            await keys.press("Tab")
            if await _focused(page) == name:
                return
        raise AssertionError(f"never at {name}: {await _focused(page)}")

    await to("Write a message")
    await keys.type("First line")
    await keys.press("Shift+Enter")
    await keys.type("second line")
    await keys.press("Enter")
    await gateway.heard()
    assert gateway.talk.said == ["First line\nsecond line"]
    gateway.talk.event("run_started", "run_1")
    await expect(page.button("Stop")).to_be_visible()
    await to("Stop")
    await keys.press("Enter")
    await gateway.heard(2)
    await _comes_to(page, "Write a message")
    gateway.talk.event("run_stopped", "run_1")

    await keys.press("Shift+Tab")
    await _comes_to(page, "Conversation")
    await keys.press("Shift+Tab")
    await _comes_to(page, "More")
    await keys.press("Enter")
    await keys.press("Tab")
    await _comes_to(page, "Ask for a person")
    await keys.press("Escape")
    await _comes_to(page, "More")
    await expect(page.button("Ask for a person")).to_be_hidden()
    await keys.press("Enter")
    for _ in range(3):
        await keys.press("Tab")
    await _comes_to(page, "Delete the conversation …")
    await keys.press("Enter")
    await _comes_to(page, "Keep it")
    await keys.press("Tab")
    await keys.press("Enter")
    await expect(page.box).to_be_focused()
    assert gateway.talk.gone


async def _comes_to(page: ChatPage, name: str) -> None:
    async def is_there() -> bool:
        return await _focused(page) == name

    await page.until(is_there)


async def _focused(page: ChatPage) -> str:
    return await page.page.evaluate(
        """() => {
          let at = document.activeElement;
          while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
          return at?.getAttribute("aria-label") ?? at?.textContent ?? "";
        }"""
    )


async def test_a_screen_reader_is_told_sentences_not_characters(visit: Visit, gateway: FakeGateway) -> None:
    page = await visit(gateway.page)
    await page.page.evaluate(
        """() => {
          const chat = document.querySelector("switchboard-chat").shadowRoot;
          window.told = [];
          const status = chat.querySelector("[role=status]");
          new MutationObserver(() => window.told.push(status.textContent)).observe(status, { childList: true });
        }"""
    )
    await page.ask("Tell me a story, please, a long one.")
    talk = await gateway.heard()
    talk.event("run_started", "run_1")
    whole, began = "", time.monotonic()
    for number in range(50):
        part = f"This is sentence {number}. "
        talk.text("run_1", part, keep=len(whole))
        whole += part
        await asyncio.sleep(0.1)
    talk.answer("run_1", whole)

    async def over() -> bool:
        return "End of the answer." in " ".join(await page.page.evaluate("window.told"))

    await page.until(over)
    told: list[str] = [each for each in await page.page.evaluate("window.told") if each]
    assert told[0].startswith("The assistant is writing.")
    assert len(told) <= 4 + (time.monotonic() - began) / SENTENCES_SECONDS, told
    assert re.findall(r"sentence (\d+)\.", " ".join(told)) == [str(number) for number in range(50)]
    assert await page.log.get_attribute("aria-live") == "off"
