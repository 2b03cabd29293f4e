"""What the other rooms tell of changes, read once for all staff who look.

The conversations have a stream of it; the tickets are asked, every two seconds while anybody looks at some.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp

from console.desk import Desk
from console.following import Change, Following
from console.members import Member
from console.restate import Refusal
from console.tokens import Signer
from runtime.defects import expect, tell
from runtime.ingress import Away
from runtime.telemetry.logs import get_logger

PATIENCE_SECONDS = 3.0
"""For how long a stream that was cut may stay away before pages are told to look by themselves."""
RETRY_SECONDS = 0.5
SILENCE_SECONDS = 40
"""Longer than heartbeats take: what is silent for so long is gone."""
TICKETS_SECONDS = 2.0
MAX_FRAME_BYTES = 1 << 16
BY = Member("console", "", ("agent",))
"""For whom this process follows; what each member of staff may see is decided page by page."""

log = get_logger(__name__)
expect("console", "following")

CUT = (aiohttp.ClientError, TimeoutError, OSError)

Frame = tuple[str, str, dict[str, Any]]
"""Its event, its id, its data."""


class Upstream:
    def __init__(self, http: aiohttp.ClientSession, url: str, signer: Signer, following: Following) -> None:
        self._http, self._url, self._signer = http, f"{url}/desk/events", signer
        self._following = following
        self._place = ""
        self._turning_off: asyncio.TimerHandle | None = None
        self._is_told = False

    async def follow(self) -> None:
        """Until cancelled. Each stream goes on where the last one ended."""
        while True:
            reason = "ended"
            try:
                await self._read()
            except Exception as error:  # noqa: BLE001 - told, and followed again: others look here
                reason = type(error).__name__
                if not isinstance(error, CUT):
                    tell("console", "following", error)
            self._lost(reason)
            await asyncio.sleep(RETRY_SECONDS)

    async def _read(self) -> None:
        headers = {"Authorization": f"Bearer {self._signer.token(BY)}"}
        if self._place:
            headers["Last-Event-ID"] = self._place
        waits = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=SILENCE_SECONDS)
        async with self._http.get(self._url, headers=headers, timeout=waits) as reply:
            if reply.status == 422:
                self._place = ""
            reply.raise_for_status()
            async for event, place, data in _frames(reply.content):
                self._take(event, data)
                self._place = place or self._place
                if event == "end":
                    return

    def _take(self, event: str, data: dict[str, Any]) -> None:
        if event == "here":
            self._found()
        elif event == "change":
            self._following.tell([Change(data["kind"], data["id"], data["entries"], data["events"])])
        elif event == "all":
            self._following.lose()

    def _found(self) -> None:
        if self._turning_off:
            self._turning_off.cancel()
            self._turning_off = None
        if not self._place:  # the first of all: nobody knows what was before
            self._following.lose()
        self._following.turn(on=True)
        if self._is_told:
            log.info("changes_followed_again")
        self._is_told = False

    def _lost(self, reason: str) -> None:
        if self._turning_off is None and self._following.is_on:
            self._turning_off = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._turn_off, reason)
        elif not self._following.is_on:
            self._say(reason)

    def _turn_off(self, reason: str) -> None:
        self._following.turn(on=False)
        self._say(reason)

    def _say(self, reason: str) -> None:
        if not self._is_told:
            log.warning("changes_not_followed", extra={"reason": reason})
        self._is_told = True


async def follow_tickets(desk: Desk, following: Following) -> None:
    """Until cancelled."""
    seen = ""
    while True:
        await asyncio.sleep(TICKETS_SECONDS)
        if not following.is_looked_at("ticket"):
            continue
        try:
            told = await desk.tickets_changed(seen)
        except Exception as error:  # noqa: BLE001 - told, and asked again: others look here
            if not isinstance(error, (Away, Refusal)):
                tell("console", "following", error)
            continue
        following.tell([Change("ticket", each) for each in told.tickets] if told.is_whole else [Change("ticket", "")])
        seen = told.seen


async def _frames(content: aiohttp.StreamReader) -> AsyncGenerator[Frame]:
    """Raises: `ValueError` for what is no stream of ours."""
    rest = b""
    async for part in content.iter_any():
        *whole, rest = (rest + part).split(b"\n\n")
        if len(rest) > MAX_FRAME_BYTES:
            raise ValueError("a frame that does not end")
        for each in whole:
            told = dict(line.split(": ", 1) for line in each.decode().split("\n") if ": " in line)
            if "data" in told:
                yield told.get("event", ""), told.get("id", ""), json.loads(told["data"])
