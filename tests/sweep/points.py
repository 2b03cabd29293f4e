"""Kill points around what every service stands on: Restate's journal, HTTP requests and answers, SQL commits.

Nothing here knows the product: a new journal entry or effect becomes a new position by itself. A position is where a
handler stands, by name and by how often it passed there in this attempt; a fault fires once in all, ever.
"""

import asyncio
import contextlib
import functools
import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from asyncpg.transaction import Transaction
from restate.server_context import ServerInvocationContext
from restate.vm import NotReady, Suspended, VMWrapper
from starlette.applications import Starlette

IN_FLIGHT_SECONDS = 0.03
"""A request that was sent this long ago has arrived; the servers of the sweep answer later than that."""

DEATH_SECONDS = 5.0

_PROBES = frozenset({"/health", "/livez", "/readyz"})
_ID = re.compile(r"(?<=/)(conv|q)_\w+")
_BETWEEN = b"\n\n"
"""What stands between two frames of a stream."""
_KIND = re.compile(rb"^(?:event: (\w+)|(data): )", re.MULTILINE)


@dataclass(frozen=True)
class Position:
    """Where something stands in one question: `service` is the process, `label` the place, `nth` the pass there."""

    service: str
    label: str
    nth: int = 1

    def __str__(self) -> str:
        return self.label + (f" #{self.nth}" if self.nth > 1 else "")


@dataclass(frozen=True)
class Fault:
    """One signal to one process at one position; `pid` 0 is the process that stands there."""

    position: Position
    signal: int
    pid: int = 0


class Orders:
    """The folder where the sweep and the processes under test meet: what is armed, what fired, what was passed."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._fault, self._fired, self._passed = folder / "fault.json", folder / "fired", folder / "passed.jsonl"

    def arm(self, fault: Fault) -> None:
        self._fired.unlink(missing_ok=True)
        draft = self._fault.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(fault)))
        draft.replace(self._fault)

    def disarm(self) -> None:
        self._fault.unlink(missing_ok=True)

    def fired_at(self) -> float | None:
        """When the armed fault fired, in seconds since the epoch."""
        return float(self._fired.read_text()) if self._fired.exists() else None

    def record(self) -> None:
        self._passed.touch()

    def recorded(self) -> list[Position]:
        """What was passed since `record`, in order, each position once; ends the recording."""
        lines = self._passed.read_text().splitlines()
        self._passed.unlink()
        return list(dict.fromkeys(Position(**json.loads(line)) for line in lines))

    def passing(self, position: Position) -> None:
        """Called at each position by the process that stands there."""
        if self._passed.exists():
            with self._passed.open("a") as passed:
                passed.write(json.dumps(asdict(position)) + "\n")
        fault = self._armed()
        if fault and fault.position == position and self._claim():
            _act(fault)

    def _armed(self) -> Fault | None:
        try:
            fault = json.loads(self._fault.read_text())
        except FileNotFoundError:
            return None
        return Fault(Position(**fault["position"]), fault["signal"], fault["pid"])

    def _claim(self) -> bool:
        """The proof that a fault fired stands before it acts; who cannot write it comes too late, or again."""
        try:
            with self._fired.open("x") as fired:
                fired.write(str(time.time()))
        except FileExistsError:
            return False
        return True


def _act(fault: Fault) -> None:
    """Send the signal; go on only once the other process is dead, so that all that follows really follows."""
    os.kill(fault.pid or os.getpid(), fault.signal)
    if fault.pid:
        _wait_until_dead(fault.pid)


def _wait_until_dead(pid: int) -> None:
    deadline = time.monotonic() + DEATH_SECONDS
    with contextlib.suppress(psutil.NoSuchProcess):
        victim = psutil.Process(pid)
        while victim.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {pid} survived its signal")
            time.sleep(0.002)


class _Attempt:
    """One attempt of one invocation, or one request of a client, as it passes its positions."""

    def __init__(self, handler: str) -> None:
        self.handler = handler
        self.entries: dict[int, str] = {}
        """Journal entries whose results are awaited, by handle."""
        self._passes: Counter[str] = Counter()

    def passes(self, place: str) -> None:
        label = ", ".join(part for part in (self.handler, _inside_run.get(), place) if part)
        self._passes[label] += 1
        _report(label, self._passes[label])


_attempt: ContextVar[_Attempt | None] = ContextVar("attempt", default=None)
_inside_run: ContextVar[str] = ContextVar("inside_run", default="")
_report: Callable[[str, int], None] = lambda _label, _nth: None  # noqa: E731


def _passing(place: str) -> None:
    """Outside of both (a pool that opens, a poll of the catalogue) there is no position."""
    if attempt := _attempt.get():
        attempt.passes(place)


def install(service: str, orders: Orders) -> None:
    """Put the kill points into the libraries of this process, for good."""
    global _report
    _report = lambda label, nth: orders.passing(Position(service, label, nth))  # noqa: E731
    _replace(ServerInvocationContext, "enter", _enter)
    _replace(ServerInvocationContext, "create_run_coroutine", _run)
    _replace(VMWrapper, "sys_run", _run_entry)
    _replace(VMWrapper, "sys_end", _end)
    _replace(VMWrapper, "take_notification", _take)
    for name in vars(VMWrapper):
        if name.startswith(("sys_", "attach_")) and name not in ("sys_input", "sys_run", "sys_end"):
            _replace(VMWrapper, name, functools.partial(_entry, name.removeprefix("sys_")))
        if name.startswith("propose_run_completion"):
            _replace(VMWrapper, name, _ran)
    _replace(aiohttp.ClientSession, "_request", _request)
    _replace(Transaction, "__aexit__", _commit)
    _replace(Starlette, "__call__", _answer)


def _replace(owner: type, name: str, wrapper: Callable[..., Any]) -> None:
    """`wrapper` gets the original as its first argument."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return wrapper(original, *args, **kwargs)

    setattr(owner, name, wrapped)


# --- Restate: attempts and their journal entries ---


async def _enter(original: Callable[..., Any], context: ServerInvocationContext) -> None:
    handler = context.handler
    _attempt.set(_Attempt(f"{handler.service_tag.name}/{handler.name}"))
    _passing("entered")
    await original(context)


def _end(original: Callable[..., Any], vm: VMWrapper) -> None:
    """The output is written but not sent: the attempt has done all its work, and Restate does not know."""
    original(vm)
    _passing("ended")


def _entry(kind: str, original: Callable[..., Any], vm: VMWrapper, *args: Any, **kwargs: Any) -> Any:
    """Any entry but a run: a call, a send, a timer, state. The position is behind it."""
    result = original(vm, *args, **kwargs)
    if (attempt := _attempt.get()) and not kind.startswith("write_output"):
        name = _name(kind, [value for value in (*args, *kwargs.values()) if isinstance(value, str)])
        handle = getattr(result, "result_handle", result)
        if isinstance(handle, int):
            attempt.entries[handle] = name
        attempt.passes(name)
    return result


def _name(kind: str, texts: list[str]) -> str:
    """As a person would call this entry, and the same each time: ids, which differ, are left out."""
    if kind in ("call", "send"):
        return f"{kind} {texts[0]}/{texts[1]}"
    with_ids = kind.startswith(("attach", "cancel", "resolve", "reject", "awakeable"))
    return kind if with_ids else " ".join([kind, *texts[:1]])


def _run_entry(original: Callable[..., Any], vm: VMWrapper, name: str) -> Any:
    """No position of its own: the run begins right behind it, or was read from the journal."""
    run = original(vm, name)
    if attempt := _attempt.get():
        attempt.entries[run.handle] = f"run {name}"
    return run


async def _run(original: Callable[..., Any], context: ServerInvocationContext, handle: int, *args: Any) -> None:
    if attempt := _attempt.get():
        _inside_run.set(attempt.entries[handle])
        attempt.passes("begins")
    await original(context, handle, *args)


def _ran(original: Callable[..., Any], vm: VMWrapper, handle: int, *args: Any, **kwargs: Any) -> None:
    """The effect of a run is done, and its result is not journaled."""
    _passing("done")
    original(vm, handle, *args, **kwargs)


def _take(original: Callable[..., Any], vm: VMWrapper, handle: int) -> Any:
    """The handler reads a journaled result."""
    result = original(vm, handle)
    attempt = _attempt.get()
    if attempt and handle in attempt.entries and not isinstance(result, NotReady | Suspended):
        attempt.passes(f"{attempt.entries.pop(handle)} read")
    return result


# --- effects: requests and commits ---


async def _request(original: Callable[..., Any], session: Any, method: str, url: Any, **kwargs: Any) -> Any:
    """While a request is in flight: its receiver works on it, and its sender has no reply yet."""
    request = asyncio.ensure_future(original(session, method, url, **kwargs))
    if _attempt.get():
        await asyncio.wait([request], timeout=IN_FLIGHT_SECONDS)
        _passing(f"{method} {_ID.sub('id', str(url)).rpartition('/')[2]} in flight")
    return await request


async def _commit(original: Callable[..., Any], transaction: Transaction, kind: Any, *rest: Any) -> None:
    if kind is None:
        _passing("before COMMIT")
    await original(transaction, kind, *rest)
    if kind is None:
        _passing("after COMMIT")


# --- requests of clients ---


async def _answer(original: Callable[..., Any], app: Starlette, scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http" or scope["path"] in _PROBES:
        await original(app, scope, receive, send)
        return
    _attempt.set(_Attempt(f"{scope['method']} {_ID.sub('id', scope['path'])}"))
    _passing("entered")
    await original(app, scope, receive, functools.partial(_send, send))


async def _send(send: Callable[[Any], Any], message: dict[str, Any]) -> None:
    """Of an answer the client has nothing yet, or all. A stream stands in the middle and behind each of its frames."""
    if message["type"] == "http.response.start":
        _passing("answer ready")
    body = message.get("body", b"")
    if message.get("more_body") and body.endswith(_BETWEEN):
        for frame in body.split(_BETWEEN)[:-1]:
            await _send_frame(send, message, frame)
        return
    await send(message)
    if message["type"] == "http.response.body" and not message.get("more_body"):
        _passing("answered")


async def _send_frame(send: Callable[[Any], Any], message: dict[str, Any], frame: bytes) -> None:
    half, kind = len(frame) // 2, _KIND.search(frame)
    name = (kind[1] or kind[2]).decode() if kind else "comment"
    await send({**message, "body": frame[:half]})
    _passing(f"half of {name}")
    await send({**message, "body": frame[half:] + _BETWEEN})
    _passing(f"{name} sent")
