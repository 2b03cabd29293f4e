"""A real browser: Debian's Chromium, driven by Playwright."""

import json
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urljoin

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Request, async_playwright, expect

from tests.parts.chat_page import ChatPage
from tests.parts.fake_gateway import FakeGateway

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 45_000
"""How long a page may take for anything, on a machine that does other things too."""
expect.set_options(timeout=PATIENCE_MS)

CUSTOMERS = {"user_12345": "Ada Park", "user_22222": "Ben Ito"}

VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sample}`);
});
"""


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        missing = "there is no Chromium: install your system's package `chromium`"
        pytest.fail(missing, pytrace=False) if os.environ.get("REQUIRE_CHROMIUM") else pytest.skip(missing)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture
async def gateway() -> AsyncIterator[FakeGateway]:
    fake = FakeGateway(CUSTOMERS)
    await fake.start()
    yield fake
    await fake.stop()


Visit = Callable[..., Awaitable[ChatPage]]


@pytest.fixture
async def visit(browser: Browser) -> AsyncIterator[Visit]:
    """Opens a page in a browser of its own, or in that of `context`. At the end nothing may have been blocked, gone
    elsewhere, or failed in a script."""
    pages: list[tuple[Page, str]] = []
    wrong: list[str] = []

    async with AsyncExitStack() as stack:

        async def visit(url: str, context: BrowserContext | None = None, **options: Any) -> ChatPage:
            if context is None:
                context = await browser.new_context(locale="en-GB", **options)
                stack.push_async_callback(context.close)
                await context.add_init_script(VIOLATIONS)
            page = await context.new_page()
            page.set_default_timeout(PATIENCE_MS)
            pages.append((page, url))

            def asked(request: Request) -> None:
                if not request.url.startswith((urljoin(url, "/"), "data:", "blob:")):
                    wrong.append(f"asked for {request.url}")

            page.on("request", asked)
            page.on("pageerror", lambda error: wrong.append(f"failed: {error}"))
            await page.goto(url)
            return ChatPage(page)

        yield visit
        for page, _ in pages:
            if not page.is_closed():
                wrong += [f"blocked: {each}" for each in await page.evaluate("window.violations ?? []")]
    assert not wrong, json.dumps(wrong, indent=2)
