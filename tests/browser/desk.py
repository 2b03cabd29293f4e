"""The desk as a member of staff has it."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from playwright.async_api import Locator, Page

from tests.browser.conftest import Visit
from tests.parts.chat_page import ChatPage
from tests.parts.fake_rooms import OF_A_CONSOLE, FakeRooms, fake_rooms
from tests.parts.polling import eventually
from tests.parts.service import Service


class DeskPage:
    def __init__(self, address: str, visited: ChatPage) -> None:
        self.address, self.page = address, visited.page
        self.axe = visited.axe

    async def go(self, path: str) -> None:
        await self.page.goto(self.address + path)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    async def is_cut_off(self) -> int:
        """By how many pixels the page is wider than the window."""
        return await self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


LINKS = {
    "RESTATE_UI_URL": "https://restate.example.com/ui/invocations/{invocation}",
    "TRACE_URL": "https://traces.example.com/trace/{trace_id}",
}
SignIn = Callable[..., Awaitable[DeskPage]]


async def focused(page: Page) -> str:
    return await page.evaluate("document.activeElement?.innerText?.trim() || document.activeElement?.name || ''")


async def comes_to(page: Page, name: str) -> None:
    """The focus is at what has this in its name, and soon."""

    async def is_there() -> bool:
        return name in await focused(page)

    await eventually(is_there)


@pytest.fixture(scope="module")
async def rooms() -> AsyncIterator[FakeRooms]:
    async with fake_rooms() as rooms:
        yield rooms


@pytest.fixture(scope="module")
async def console(rooms: FakeRooms, service: Callable[..., Awaitable[Service]]) -> Service:
    told = OF_A_CONSOLE | LINKS | {"CONVERSATIONS_URL": rooms.url, "REGISTRY_URL": rooms.url}
    return await service("console", RESTATE_INGRESS_URL=rooms.url, **told)


@pytest.fixture
async def sign_in(visit: Visit, console: Service) -> SignIn:
    """Signs somebody in by the pages, in a browser of their own, and goes to a page."""

    async def sign_in(name: str = "Ben Osei", path: str = "/", **options: object) -> DeskPage:
        desk = DeskPage(console.address, await visit(f"{console.address}/login", **options))
        await desk.page.get_by_role("button", name=name).click()
        await desk.page.wait_for_url(lambda url: "/login" not in url)
        if path != "/":
            await desk.go(path)
        return desk

    return sign_in
