"""One request to an endpoint, and what has come back of its reply."""

import asyncio
import re
from dataclasses import dataclass

import httpx2

from router.model.live import Live
from router.model.reply import BYTES_PER_TOKEN, MAX_REPLY_BYTES
from router.settings import ModelTimeouts

AFTER_THE_END_SECONDS = 0.2
"""How long a stream that has said its last word may take to end: its connection can be used again then."""

_ENDED = re.compile(rb"(?:\A|[\r\n])data: ?\[DONE\]\s*\Z")
_LONGEST_END = 32


@dataclass(frozen=True)
class Address:
    """Where an endpoint is, what it is asked for, and how long it may take."""

    name: str
    model: str
    url: str
    headers: dict[str, str]
    timeouts: ModelTimeouts


class Exchange:
    """What came back is here even when the rest of it never comes; `spent` are the tokens of prompt and reply."""

    def __init__(self, body: bytes, *, streamed: bool = False, live: Live | None = None) -> None:
        self.body = body
        self.streamed = streamed
        self.live = live
        self.status = 0
        self.headers: dict[str, str] = {}
        self.content = bytearray()
        self.spent: tuple[int, int] = (0, 0)

    @property
    def estimate(self) -> tuple[int, int]:
        """Tokens, where nobody counted them."""
        return len(self.body) // BYTES_PER_TOKEN, len(self.content) // BYTES_PER_TOKEN

    async def run(self, http: httpx2.AsyncClient, address: Address) -> None:
        """Past the client's own `post`, which builds URL and headers anew: that takes half of a call's CPU.

        Of a stream each part has as long to come as the first byte. Whoever cancels this closes the connection.
        Raises: `httpx2.HTTPError`, `OSError`, `TimeoutError`.
        """
        extensions = {"timeout": httpx2.Timeout(None, connect=address.timeouts.connect).as_dict()}
        request = httpx2.Request("POST", address.url, headers=address.headers, content=self.body, extensions=extensions)
        try:
            async with asyncio.timeout(address.timeouts.first_byte) as patience:
                response = await http.send(request, stream=True)
                try:
                    self.status, self.headers = response.status_code, dict(response.headers)
                    await self._read(response, patience, address.timeouts.first_byte)
                finally:
                    await response.aclose()
        except (httpx2.HTTPError, OSError, TimeoutError):
            if not self._has_ended():
                raise

    async def _read(self, response: httpx2.Response, patience: asyncio.Timeout, between: float) -> None:
        now = asyncio.get_running_loop().time
        if not self.streamed:
            patience.reschedule(None)
        async for part in response.aiter_bytes():
            self.content += part
            if self.live is not None:
                self.live.add(part)
            if len(self.content) > MAX_REPLY_BYTES:
                return
            if self.streamed:
                patience.reschedule(now() + (AFTER_THE_END_SECONDS if self._has_ended() else between))

    def _has_ended(self) -> bool:
        return _ENDED.search(self.content[-_LONGEST_END:]) is not None
