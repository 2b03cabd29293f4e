"""A watcher of a conversation, as a careful client is one: it counts what it saw, and cuts itself off."""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

REPLACE_TEXT = ("turn", "answer", "run_stopped", "run_ended")


def read_frames(body: bytes) -> list[dict[str, Any]]:
    """The frames that are there whole: `id`, `event`, `data`."""
    frames: list[dict[str, Any]] = []
    for block in body.decode("utf-8", "ignore").split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
        if "data" in fields:
            frames.append({"id": fields.get("id", ""), "event": fields["event"], "data": json.loads(fields["data"])})
    return frames


@dataclass
class Screen:
    """What a client has: events in the order in which they came, and the text that is being written."""

    events: list[dict[str, Any]] = field(default_factory=list)
    gaps: list[dict[str, Any]] = field(default_factory=list)
    texts: list[dict[str, Any]] = field(default_factory=list)
    live: str = ""
    of: tuple[str, int, int] = ("", 0, 0)
    last_id: str = ""
    ended: str = ""
    _rest: bytes = b""

    def connect(self) -> None:
        self._rest, self.ended = b"", ""

    def feed(self, part: bytes) -> None:
        whole, found, self._rest = (self._rest + part).rpartition(b"\n\n")
        for frame in read_frames(whole + found):
            self._take(frame["event"], frame["data"])
            self.last_id = frame["id"] or self.last_id

    def _take(self, event: str, data: dict[str, Any]) -> None:
        if event == "text":
            self.texts.append(data | {"at": time.time()})
            self.live = self.live[: data["keep"]] + data["text"]
            self.of = (data["run"], data["turn"], data["attempt"])
        elif event == "gap":
            self.gaps.append(data)
        elif event == "end":
            self.ended = data["reason"]
        else:
            self.events.append(data | {"kind": event})
            if event in REPLACE_TEXT and data["run"] == self.of[0]:
                self.live = ""

    @property
    def transcript(self) -> list[tuple[str, str]]:
        """What was said, in order."""
        kinds = {"input": "message", "answer": "answer"}
        said = [each for each in self.events if each["kind"] in kinds and each["body"].get("type") != "stop"]
        return [(kinds[each["kind"]], each["body"]["text"]) for each in said]

    def check(self) -> None:
        """Nothing is missing and nothing came twice."""
        positions = [each["position"] for each in self.events]
        assert positions == list(range(1, len(positions) + 1)), positions
        assert not self.gaps


@dataclass
class Watcher:
    """Reads until it is ended, and comes again whenever it was cut off: by the other side, or by itself after `cut`
    bytes of each connection."""

    url: str
    headers: Mapping[str, str]
    cut: int | None = None
    screen: Screen = field(default_factory=Screen)
    connections: int = 0
    statuses: list[int] = field(default_factory=list)

    async def run(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, sock_connect=2)) as http:
            while True:
                try:
                    await self._connect(http)
                except (aiohttp.ClientError, OSError, TimeoutError):
                    await asyncio.sleep(0.05)

    async def _connect(self, http: aiohttp.ClientSession) -> None:
        more = {"Last-Event-ID": self.screen.last_id} if self.screen.last_id else {}
        async with http.get(self.url, headers={**self.headers, **more}) as reply:
            self.statuses.append(reply.status)
            if reply.status != 200:
                await asyncio.sleep(0.1)
                return
            self.connections += 1
            self.screen.connect()
            await self._read(reply)

    async def _read(self, reply: aiohttp.ClientResponse) -> None:
        left = self.cut
        async for part in reply.content.iter_any():
            self.screen.feed(part[:left])
            if left is not None:
                left -= len(part)
                if left <= 0:
                    reply.close()
                    return
