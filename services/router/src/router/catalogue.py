"""The tools on offer: the router's own and, polled from the registry, everybody else's."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

import aiohttp
from pydantic import ValidationError

from contracts import Caller, Catalogue, Tool
from router.offer import Offer
from router.seen.metrics import catalogue_age, expect_approvals, expect_tools
from router.shelf import Shelf
from runtime.telemetry.logs import get_logger

FIRST_POLL_SECONDS = 0.1
POLL_TIMEOUT = aiohttp.ClientTimeout(total=5)

log = get_logger(__name__)


class NoCatalogue(Exception):
    """The registry has not said yet which tools there are."""


class Offers:
    """The last good catalogue with every schema compiled; the router's own tools win over a tool of the same name."""

    def __init__(self, own: Iterable[Tool] = ()) -> None:
        self._own: dict[str, Offer] = {}
        self.add_own(own)
        self._switched_off: frozenset[str] = frozenset()
        self._ready = asyncio.Event()
        self._heard_at = time.monotonic()
        catalogue_age.set_function(lambda: time.monotonic() - self._heard_at)

    def add_own(self, tools: Iterable[Tool]) -> None:
        """Tools of the router's own, before the first catalogue."""
        self._own |= {tool.name: Offer(tool) for tool in tools}
        self._shelf = Shelf(self._own)

    def heard(self) -> None:
        """The registry has answered, be it that nothing has changed."""
        self._heard_at = time.monotonic()

    def replace(self, catalogue: Catalogue) -> None:
        offers = {tool.name: Offer(tool) for tool in catalogue.tools} | self._own
        self._switched_off = frozenset(catalogue.switched_off)
        self._shelf = Shelf({name: offer for name, offer in offers.items() if name not in self._switched_off})
        expect_tools(self._shelf.offers)
        expect_approvals(offer.tool for offer in self._shelf.offers.values())
        self._ready.set()

    async def read(self) -> Shelf:
        """All tools, as soon as the first catalogue has come."""
        await self._ready.wait()
        return self._shelf

    async def within(self, seconds: float) -> Shelf:
        """The same. Raises `NoCatalogue` if that is too late."""
        try:
            async with asyncio.timeout(seconds):
                return await self.read()
        except TimeoutError:
            raise NoCatalogue from None

    async def forbid(self, tool: str, seconds: float) -> bool:
        """Whether the operators have switched this tool off. Raises `NoCatalogue` if they are not heard of in time."""
        await self.within(seconds)
        return tool in self._switched_off


def for_model(offers: dict[str, Offer], caller: Caller) -> list[str]:
    """The tools that this caller may use, each as JSON in OpenAI's form, in a stable order, as prompt caches want."""
    return [offers[name].for_model for name in sorted(offers) if offers[name].allowed_to(caller)]


@asynccontextmanager
async def polling(offers: Offers, session: aiohttp.ClientSession, url: str, seconds: float) -> AsyncGenerator[None]:
    """Keep `offers` fresh from the registry while the block runs."""
    task = asyncio.create_task(_poll(offers, session, url, seconds))
    try:
        yield
    finally:
        task.cancel()


async def _poll(offers: Offers, session: aiohttp.ClientSession, url: str, seconds: float) -> None:
    etag, trouble = "", ""
    while True:
        try:
            etag = await _fetch(offers, session, url, etag)
            offers.heard()
            problem = ""
        except (aiohttp.ClientError, TimeoutError, ValidationError, ValueError) as error:
            problem = type(error).__name__
        if problem and problem != trouble:
            log.warning("catalogue_unavailable", extra={"reason": problem, "mend": "CATALOGUE_URL or the registry"})
        trouble = problem
        await asyncio.sleep(seconds if etag else min(seconds, FIRST_POLL_SECONDS))


async def _fetch(offers: Offers, session: aiohttp.ClientSession, url: str, etag: str) -> str:
    async with session.get(url, headers={"If-None-Match": etag} if etag else {}, timeout=POLL_TIMEOUT) as response:
        if response.status == 304:
            return etag
        response.raise_for_status()
        catalogue = Catalogue.model_validate_json(await response.read())
        offers.replace(catalogue)
        log.info("catalogue_read", extra={"tools": [tool.name for tool in catalogue.tools]})
        return response.headers.get("ETag", "")
