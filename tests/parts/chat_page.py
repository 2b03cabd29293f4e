"""The chat page as a person has it: by what is written on it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from playwright.async_api import Locator, Page, expect

AXE = Path(__file__).parents[2] / ".tools" / "page" / "node_modules" / "axe-core" / "axe.min.js"


class ChatPage:
    def __init__(self, page: Page) -> None:
        self.page = page
        self.log = page.get_by_role("log")
        self.box = page.get_by_role("textbox")
        self.status = page.locator("switchboard-chat").get_by_role("status")

    async def ask(self, text: str) -> None:
        await self.box.fill(text)
        await self.box.press("Enter")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    async def choose(self, entry: str) -> None:
        """Something from the menu."""
        await self.button("More").click()
        await self.button(entry).click()

    async def sees(self, text: str) -> None:
        await expect(self.log).to_contain_text(text)

    async def sees_no(self, text: str) -> None:
        await expect(self.log).not_to_contain_text(text)

    async def mine(self) -> list[str]:
        """What the customer said, as it stands there."""
        return await self.log.locator(".message .text").all_inner_texts()

    async def answers(self) -> list[str]:
        return await self.log.locator(".agent .text").all_inner_texts()

    async def until_mine(self, lines: Sequence[str]) -> None:
        """What the customer said is just this, in this order, and soon."""
        await expect(self.log.locator(".message .text")).to_have_text(list(lines))

    async def until_answers(self, texts: Sequence[str]) -> None:
        """The same of the agent."""
        await expect(self.log.locator(".agent .text")).to_have_text(list(texts))

    async def has_sent_all(self) -> bool:
        """Nothing is kept any more that would be sent again."""
        return await self.page.evaluate("!Object.keys(localStorage).some((name) => name.includes(':out:'))")

    async def axe(self) -> list[str]:
        """What is against WCAG 2.2 AA or good practice."""
        await self.page.evaluate(AXE.read_text())
        found: list[dict[str, Any]] = await self.page.evaluate("axe.run(document).then((told) => told.violations)")
        return [f"{each['id']}: {node['html']} {node['failureSummary']}" for each in found for node in each["nodes"]]

    async def until(self, holds: Callable[[], Awaitable[Any]], seconds: float = 60) -> Any:
        deadline = time.monotonic() + seconds
        while not (value := await holds()):
            assert time.monotonic() < deadline, f"not true after {seconds} s"
            await asyncio.sleep(0.05)
        return value
