"""A tool of the staff's own: it asks the desk's API by a key."""

from types import TracebackType
from typing import Any, NamedTuple, Self

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

from runtime.api.problems import KINDS


class Told(NamedTuple):
    status: int
    headers: CIMultiDictProxy[str]
    text: str
    body: Any

    @property
    def code(self) -> str:
        """Of a problem, which is one in every respect; else empty."""
        if self.status < 400:
            return ""
        assert self.headers["Content-Type"] == "application/problem+json", self.text
        code = self.body["type"].removeprefix("urn:switchboard:problem:")
        assert (self.body["status"], KINDS[code].status) == (self.status, self.status)
        assert self.body["request_id"] == self.headers["X-Request-Id"]
        return code


class Tool:
    """Without a key it says nothing about who asks."""

    def __init__(self, address: str, key: str = "") -> None:
        self._address, self._key = address, key

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        once: str = "",
        headers: dict[str, str] | None = None,
        data: Any = None,
    ) -> Told:
        """`path` is below `/api/v1`; `once` is its `Idempotency-Key`, `data` a body that is perhaps no JSON."""
        token = self._key if key is None else key
        told = {"Authorization": f"Bearer {token}"} if token else {}
        told |= ({"Idempotency-Key": once} if once else {}) | (headers or {})
        sent: dict[str, Any] = {"data": data} if data is not None else {} if body is None else {"json": body}
        url = URL(f"{self._address}/api/v1{path}", encoded=True)
        async with self._http.request(method, url, headers=told, allow_redirects=False, **sent) as reply:
            text = await reply.text()
            is_json = "json" in reply.headers.get("Content-Type", "")
            return Told(reply.status, reply.headers, text, await reply.json(content_type=None) if is_json else None)

    async def get(self, path: str, **more: Any) -> Told:
        return await self.ask("GET", path, **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> Told:
        return await self.ask("POST", path, body, **more)
