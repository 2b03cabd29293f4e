"""Chromium without a window, driven over its debugging protocol."""

import asyncio
import base64
import contextlib
import itertools
import json
import shutil
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.cluster.parts.settings import TOOL_ENVIRONMENT
from tests.parts.polling import eventually

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
SIZE = {"width": 1400, "height": 900}
QUIET_SECONDS = 1.5

_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--no-proxy-server",
    "--remote-debugging-port=0",
)

_EVERYTHING = """
const everything = function* (root) {
  for (const element of root.querySelectorAll('*')) {
    yield element;
    if (element.shadowRoot) yield* everything(element.shadowRoot);
  }
};
"""
"""The UI hides half of itself in shadow roots."""


class Page:
    """One page; what the browser tells of its requests is kept."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._replies: dict[int, asyncio.Future[Any]] = {}
        self.answers: list[tuple[str, str, int]] = []
        """Method, URL and status of every answered request."""
        self._methods: dict[str, str] = {}
        self._heard_at = 0.0

    async def listen(self) -> None:
        async for message in self._socket:
            told = json.loads(message.data)
            self._heard_at = time.monotonic()
            if "id" in told:
                self._replies.pop(told["id"]).set_result(told)
            elif told["method"] == "Network.requestWillBeSent":
                self._methods[told["params"]["requestId"]] = told["params"]["request"]["method"]
            elif told["method"] == "Network.responseReceived":
                response = told["params"]["response"]
                method = self._methods.get(told["params"]["requestId"], "")
                self.answers.append((method, response["url"], response["status"]))

    async def command(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        self._replies[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        told = await asyncio.wait_for(self._replies[number], 30)
        assert "error" not in told, told
        return told["result"]

    async def begin(self) -> None:
        for domain in ("Page", "Network", "Runtime"):
            await self.command(f"{domain}.enable")
        await self.command("Emulation.setDeviceMetricsOverride", **SIZE, deviceScaleFactor=1, mobile=False)

    async def open(self, url: str, *words: str) -> None:
        """Returns once the page shows all these words, and has nothing left to load."""
        await self.command("Page.navigate", url=url)
        await self.shows(*words)

        async def quiet() -> bool:
            return time.monotonic() - self._heard_at > QUIET_SECONDS

        await eventually(quiet, 30)

    async def shows(self, *words: str) -> None:
        text = ""

        async def all_there() -> bool:
            nonlocal text
            text = await self.evaluate("return document.body ? document.body.innerText + shadows() : ''")
            return all(word.lower() in text.lower() for word in words)

        try:
            await eventually(all_there, 30)
        except AssertionError:
            raise AssertionError(f"{words} are not all on the page: {text}") from None

    async def click(self, label: str) -> None:
        """Clicks the button that says this."""
        script = (
            "const wanted = [...everything(document)].find("
            f"e => e.tagName === 'BUTTON' && e.innerText.trim() === {json.dumps(label)});"
            "if (wanted) wanted.click(); return Boolean(wanted);"
        )
        await eventually(lambda: self.evaluate(script), 30)

    async def evaluate(self, body: str) -> Any:
        shadows = "const shadows = () => [...everything(document)].map(e => e.shadowRoot ? text(e) : '').join(' ');"
        text = "const text = e => [...e.shadowRoot.children].map(c => c.innerText || '').join(' ');"
        result = await self.command(
            "Runtime.evaluate", expression=f"(() => {{{_EVERYTHING}{text}{shadows}{body}}})()", returnByValue=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def screenshot(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        image = await self.command("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(image["data"]))


@asynccontextmanager
async def chromium(folder: Path) -> AsyncGenerator[Page]:
    """A browser with one empty page."""
    nowhere = asyncio.subprocess.DEVNULL
    assert CHROMIUM
    child = await asyncio.create_subprocess_exec(
        CHROMIUM,
        *_OPTIONS,
        f"--user-data-dir={folder}",
        "about:blank",
        env=TOOL_ENVIRONMENT,
        stdout=nowhere,
        stderr=nowhere,
    )
    try:
        async with aiohttp.ClientSession() as http:
            address = await _page_address(http, folder)
            async with http.ws_connect(address, max_msg_size=0) as socket:
                page = Page(socket)
                listener = asyncio.create_task(page.listen())
                await page.begin()
                yield page
                listener.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await listener
    finally:
        child.terminate()
        await child.wait()


async def _page_address(http: aiohttp.ClientSession, folder: Path) -> str:
    written = folder / "DevToolsActivePort"

    async def port() -> str | None:
        lines = written.read_text().split() if written.exists() else []
        return lines[0] if lines else None

    url = f"http://127.0.0.1:{await eventually(port, 60)}/json/list"

    async def address() -> str | None:
        async with http.get(url) as reply:
            pages = [each for each in await reply.json() if each["type"] == "page"]
        return pages[0]["webSocketDebuggerUrl"] if pages else None

    return await eventually(address, 30)
