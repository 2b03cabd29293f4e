"""A conversation on the terminal: text while it is written, steps in plain words; Ctrl-C stops the run."""

import asyncio
import json
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Protocol

import aiohttp
from rich.live import Live
from rich.text import Text

from runtime.terminal import printable
from standalone.ask import NoAnswer, is_worth_another_try
from standalone.door import Door, find_door
from standalone.settings import AskSettings
from standalone.terminal import console, prompt, say
from standalone.watching import Frame, Written, frames

UNREACHABLE_SECONDS = 15
ROWS_BESIDE = 4
_READ = 65536
_NOTHING = "nothing answers there: is `make run` up? (GATEWAY_PORT, RESTATE_INGRESS_PORT)"

_ENDED: Mapping[str, str] = {
    "ok": "done",
    "error": "failed",
    "denied": "refused",
    "unknown": "not done yet; it goes on",
}


class Shows(Protocol):
    """Where lines go, and below them the text that is being written."""

    def line(self, text: str, style: str = "") -> None: ...

    def writing(self, text: str) -> None: ...


class Screen:
    """What of a stream is shown, and which runs are over."""

    def __init__(self, shows: Shows) -> None:
        self._shows = shows
        self._written = Written()
        self._ended: set[str] = set()
        self._changed = asyncio.Event()

    def take(self, frame: Frame) -> None:
        before = self._written.text
        self._written.take(frame)
        if self._written.text != before:
            self._shows.writing(self._written.text)
        for text, style in _told(frame):
            self._shows.line(text, style)
        if frame.kind == "run_ended":
            self._ended.add(frame.run)
            self._changed.set()

    async def until_ended(self, run: str) -> None:
        while run not in self._ended:
            self._changed.clear()
            await self._changed.wait()


def _told(frame: Frame) -> list[tuple[str, str]]:
    """The lines that tell of an event, in plain words."""
    body, tool = frame.body, str(frame.body.get("tool", "")).replace("_", " ")
    match frame.kind:
        case "turn" if body.get("text"):
            return [(body["text"], "dim")]
        case "tool_started":
            return [(f"  · {tool} ...", "cyan")]
        case "tool_finished":
            ticket = f", ticket {body['ticket_id']}" if body.get("ticket_id") else ""
            return [(f"  · {tool}: {_ENDED.get(body.get('status', ''), 'ended')}{ticket}", "cyan")]
        case "approval_asked":
            return [(f"  · {tool}: waiting for a person's approval", "yellow")]
        case "approval_decided":
            return [(f"  · {tool}: {body.get('status')}", "yellow")]
        case "answer":
            return [(body.get("text", ""), "")]
        case "person":
            return [(f"a person: {body.get('text', '')}", "green")]
        case "note":
            return [(body.get("text", ""), "")]
        case "owner":
            to_person = "a person was asked to come" if body.get("waiting") else "a person is here"
            return [(to_person if body.get("speaker") == "person" else "the agent is here again", "dim")]
        case "undone":
            return [(f"  · {tool}: {str(body.get('status')).replace('_', ' ')}", "cyan")]
        case "ticket":
            return [(f"ticket {body.get('ticket_id')} was made", "cyan")]
        case "run_stopped":
            return [("stopped", "yellow")]
        case "run_ended" if body.get("outcome") not in ("answered", "stopped", "handed_over"):
            return [(f"({str(body.get('outcome')).replace('_', ' ')})", "yellow")]
        case "gap":
            return [("(older steps are no longer kept)", "dim")]
        case _:
            return []


async def chat(settings: AskSettings, user_id: str) -> None:
    """Until the end of the input, or Ctrl-C while nothing is at work. Raises: `NoAnswer`."""
    lines = Lines()
    async with aiohttp.ClientSession() as http:
        door = await find_door(http, settings, user_id)
        conversation = await _open(http, door)
        say(f"{user_id}, conversation {conversation}. Ctrl-C stops the agent; once more, or Ctrl-D, ends this.", "dim")
        talk = Talk(http, door, conversation, Screen(_Terminal() if console.is_terminal else _Plain()))
        with suppress(asyncio.CancelledError), _ctrl_c(talk.stop):
            while (line := await lines.next()) is not None:
                if line.strip():
                    await talk.say(line.strip())
        await talk.leave()


async def _open(http: aiohttp.ClientSession, door: Door) -> str:
    try:
        return await door.open(http)
    except aiohttp.ClientResponseError as refused:
        raise NoAnswer(f"refused with status {refused.status}") from None
    except aiohttp.ClientError:
        raise NoAnswer(_NOTHING) from None


@contextmanager
def _ctrl_c(stop: Callable[[], bool]) -> Generator[None]:
    """In here it stops what is at work; where `stop` says that there is nothing to stop, it cancels this task."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def pressed() -> None:
        if not stop() and task is not None:
            task.cancel()

    loop.add_signal_handler(signal.SIGINT, pressed)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


class Talk:
    def __init__(self, http: aiohttp.ClientSession, door: Door, conversation: str, screen: Screen) -> None:
        self._http = http
        self._door = door
        self._conversation = conversation
        self._screen = screen
        self._watching: asyncio.Task[None] | None = None
        self._run = ""
        self._stopping: asyncio.Task[dict[str, Any]] | None = None

    async def say(self, text: str) -> None:
        """Returns when the run that answers is over."""
        told = await self._send({"type": "message", "text": text})
        self._run = told["run"] if told["disposition"] != "superseded" else ""
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        if self._run:
            ended = asyncio.create_task(self._screen.until_ended(self._run))
            await asyncio.wait([ended, self._watching], return_when=asyncio.FIRST_COMPLETED)
            ended.cancel()
        if self._watching.done():
            self._watching.result()
        if self._stopping is not None:
            await self._stopping
        self._run, self._stopping = "", None

    def stop(self) -> bool:
        """Stop what is at work; False if nothing is, or it was asked before."""
        if not self._run or self._stopping is not None:
            return False
        self._stopping = asyncio.create_task(self._send({"type": "stop"}))
        return True

    async def leave(self) -> None:
        for task in (self._watching, self._stopping):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])

    async def _watch(self) -> None:
        try:
            async for frame in frames(self._http, self._door.events(self._conversation), self._door.headers):
                self._screen.take(frame)
        except ValueError as problem:
            raise NoAnswer(f"the conversation cannot be watched: {problem}") from None

    async def _send(self, told: dict[str, str]) -> dict[str, Any]:
        """The same input until it is taken: it counts once."""
        url, body = self._door.input(self._conversation, told | {"input_id": uuid.uuid4().hex})
        began = time.monotonic()
        while True:
            try:
                async with self._http.post(url, json=body, headers=self._door.headers) as reply:
                    text = await reply.text()
                    if reply.status in (200, 202):
                        return json.loads(text)
                    if not is_worth_another_try(text):
                        raise NoAnswer(f"refused with status {reply.status}: {text[:200]}")
            except aiohttp.ClientConnectionError:
                pass
            if time.monotonic() - began > UNREACHABLE_SECONDS:
                raise NoAnswer(_NOTHING)
            await asyncio.sleep(0.5)


class Lines:
    """What is typed, line by line. A thread reads it, which holds up no end: it dies with the process."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    async def next(self) -> str | None:
        """None at the end."""
        if sys.stdin.isatty():
            prompt()
        return await self._lines.get()

    def _read(self) -> None:
        rest = b""
        while part := os.read(0, _READ):
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                self._put(line)
        self._put(rest)
        self._put(None)

    def _put(self, line: bytes | None) -> None:
        told = None if line is None else line.decode(errors="replace")
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._lines.put_nowait, told)


class _Plain:
    """No terminal: what is taken back was never shown."""

    def line(self, text: str, style: str = "") -> None:
        say(text, style)

    def writing(self, text: str) -> None:
        pass


class _Terminal(_Plain):
    """The text that is being written stands below all lines, and goes when it is over or taken back."""

    def __init__(self) -> None:
        self._live: Live | None = None

    def writing(self, text: str) -> None:
        shown = Text(latest(printable(text), console.width, console.height - ROWS_BESIDE))
        if text and self._live is None:
            self._live = Live(shown, console=console, transient=True, refresh_per_second=12)
            self._live.start()
        elif self._live is not None:
            self._live.update(shown)
        if not text and self._live is not None:
            self._live.stop()
            self._live = None


def latest(text: str, width: int, rows: int) -> str:
    """The end of a text, as much as fits into so many rows."""
    wrapped = [line[at : at + width] for line in text.split("\n") for at in range(0, max(len(line), 1), width)]
    return "\n".join(wrapped[-max(rows, 1) :])
