"""A member of staff at a console, over plain HTTP: what a browser without script does."""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from html import unescape
from ssl import SSLContext
from typing import Any, Self
from urllib.parse import urlencode, urljoin

import aiohttp

from tests.parts.polling import eventually
from tests.parts.watcher import read_frames

FIELD = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"[^>]*>')


class Seen:
    """An answer, as far as a test looks at it."""

    def __init__(self, status: int, path: str, text: str, headers: Any) -> None:
        self.status, self.path, self.text, self.headers = status, path, text, headers

    @property
    def fields(self) -> dict[str, str]:
        """The hidden fields of its first forms; of several with a name, the last."""
        return {name: unescape(value) for name, value in FIELD.findall(self.text)}


class Followed:
    """The stream of one open page."""

    def __init__(self) -> None:
        self.body = b""

    async def read(self, content: aiohttp.StreamReader) -> None:
        async for part in content.iter_any():
            self.body += part

    async def began(self) -> bool:
        return b"event: all" in self.body

    async def of(self, of: str, entries: int = 0) -> bool:
        changes = [each["data"] for each in read_frames(self.body) if each["event"] == "change"]
        return any(each["id"] == of and each["entries"] >= entries for each in changes)


class StaffBrowser:
    """Cookies of its own. `trusted` is whom it believes at https."""

    def __init__(self, address: str, trusted: SSLContext | bool = True) -> None:
        self.address = address
        connector = aiohttp.TCPConnector(ssl=trusted)
        self.http = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), connector=connector)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.close()

    async def get(self, path: str, **more: Any) -> Seen:
        async with self.http.get(urljoin(self.address, path), **more) as reply:
            return Seen(reply.status, reply.url.path_qs, await reply.text(), reply.headers)

    async def post(self, path: str, site: str | None = "same-origin", **fields: str) -> Seen:
        headers = {} if site is None else {"Sec-Fetch-Site": site}
        async with self.http.post(urljoin(self.address, path), data=fields, headers=headers) as reply:
            return Seen(reply.status, reply.url.path_qs, await reply.text(), reply.headers)

    @asynccontextmanager
    async def following(self, *topics: str) -> AsyncGenerator["Followed"]:
        """What an open page is told that shows this, once it follows."""
        followed, url = Followed(), f"{self.address}/changes?{urlencode([('on', each) for each in topics])}"
        async with AsyncExitStack() as stack:

            async def opened() -> aiohttp.ClientResponse | None:
                reply = await stack.enter_async_context(self.http.get(url))
                return reply if reply.status == 200 else None

            reading = asyncio.create_task(followed.read((await eventually(opened)).content))
            await eventually(followed.began)
            try:
                yield followed
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    async def sign_in(self, name: str, next_page: str = "") -> Seen:
        page = await self.get(f"/login?next={next_page}")
        return await self.post("/login", **(page.fields | {"name": name}))

    async def send(self, path: str, at: str = "", **fields: str) -> Seen:
        """Sends a form of the page `at`, or of the same address."""
        page = await self.get(at or path)
        return await self.post(path, **(page.fields | fields))

    def cookie(self, name: str = "desk") -> str:
        return next((each.value for each in self.http.cookie_jar if each.key == name), "")
