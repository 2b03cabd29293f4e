"""A conversation as its watcher sees it: the frames of its stream, each once, however often the connection breaks."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

AGAIN_SECONDS = 0.3
SILENT_SECONDS = 40
"""After so much silence, heartbeats among it, the connection is taken for broken."""

OVER_WITH = frozenset({"turn", "answer", "run_stopped", "run_ended"})
"""Events in whose place the text of their run stood that was being written."""


@dataclass(frozen=True)
class Frame:
    kind: str
    data: dict[str, Any]

    @property
    def run(self) -> str:
        return str(self.data.get("run", ""))

    @property
    def body(self) -> dict[str, Any]:
        return self.data.get("body", {})


@dataclass
class Written:
    """The text that a run is just writing; it can be taken back."""

    text: str = ""
    run: str = field(default="", repr=False)

    def take(self, frame: Frame) -> None:
        if frame.kind == "text":
            self.text = self.text[: frame.data["keep"]] + frame.data["text"]
            self.run = frame.run
        elif frame.kind in OVER_WITH and frame.run == self.run and not frame.body.get("last"):
            self.text = ""


async def frames(http: aiohttp.ClientSession, url: str, who: Mapping[str, str]) -> AsyncGenerator[Frame]:
    """All frames of a conversation from its beginning, without an end. Raises: ValueError if it may not be watched."""
    last = ""
    while True:
        headers = {**who, **({"Last-Event-ID": last} if last else {})}
        try:
            async with http.get(url, headers=headers, timeout=_timeout()) as reply:
                if 400 <= reply.status < 500 and reply.status != 429:
                    raise ValueError(f"refused with status {reply.status}")
                reply.raise_for_status()
                async for id_, frame in read_frames(reply.content):
                    last = id_ or last
                    yield frame
        except (aiohttp.ClientError, TimeoutError):
            pass
        await asyncio.sleep(AGAIN_SECONDS)


async def read_frames(content: aiohttp.StreamReader) -> AsyncGenerator[tuple[str, Frame]]:
    """A frame counts when it is there whole."""
    fields: dict[str, str] = {}
    rest = b""
    async for part in content.iter_any():
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            name, _, value = line.decode().partition(": ")
            if line and name:
                fields[name] = value
            elif not line and "data" in fields:
                yield fields.get("id", ""), Frame(fields["event"], json.loads(fields["data"]))
            if not line:
                fields = {}


def _timeout() -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=2, sock_read=SILENT_SECONDS)
