"""What whoever watches a conversation is told of its runs, outside the journal: events, and text while it is written.

Nobody waits for it. Events have keys, so that a repeat adds nothing; what a kill or an outage leaves out, the run's
report tells again. Text is state: only the latest counts.
"""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from itertools import zip_longest
from typing import Any, NamedTuple

import asyncpg

from contracts import ConversationRun, RunEvent
from router.plan import scrub
from router.signals import TABLE
from router.steps import Moment
from router.turn import Result, Turn
from runtime.postgres import UNUSABLE, Pool, is_passing
from runtime.telemetry.logs import get_logger

MAX_WAITING = 2000
"""Events that wait for the database, of all runs of this process; of more the oldest are left out."""
MAX_TEXT = 20_000
"""Characters of one text that are shown while it is written."""
LIVE_SECONDS = 0.1
FIRST_SECONDS = 0.02
"""The first text of an attempt is shown so long after the statement before it, at most."""
AWAY_SECONDS = 0.5
AT_ONCE = 50
"""Events of one run in one statement."""

_APPEND = "SELECT conversations.append_events($1, $2::jsonb)"
_SHOW = "SELECT conversations.set_live($1::jsonb)"

_left_out = TABLE.counter("switchboard_events_left_out_total")

log = get_logger(__name__)


class _Waiting(NamedTuple):
    run: str
    event: RunEvent


class _Text(NamedTuple):
    attempt: int
    text: str


class Told:
    """Tells of all runs of this process; without a database of none."""

    def __init__(self, pool: Pool | None = None) -> None:
        self._pool = pool
        self._events: deque[_Waiting] = deque()
        self._texts: dict[tuple[str, int], _Text] = {}
        self._telling: asyncio.Task[None] | None = None
        self._showing: asyncio.Task[None] | None = None
        self._first_text = asyncio.Event()
        self._away = False

    def tell(self, given: ConversationRun | None, events: Iterable[RunEvent]) -> None:
        """Add to the log of the conversation, some time soon."""
        if given is None or self._pool is None:
            return
        self._events.extend(_Waiting(given.run, event) for event in events)
        while len(self._events) > MAX_WAITING:
            self._events.popleft()
            _left_out.inc()
        if self._events and (self._telling is None or self._telling.done()):
            self._telling = asyncio.create_task(self._tell(self._pool))

    @contextmanager
    def writing(
        self, given: ConversationRun | None, former: Sequence[Turn], moment: Moment
    ) -> Generator[Callable[[str], None] | None]:
        """Around one attempt at the turn after the `former` ones: what shows its text while it is written, if anybody
        could watch. The text of an attempt before it is taken back at once."""
        pool = self._pool
        if given is None or pool is None:
            yield None
            return
        key = (given.run, len(former) + 1)
        attempt = int(moment.first_started_at * 1_000_000) + moment.attempt
        before = _written_before(former)
        has_begun = False

        def show(text: str) -> None:
            nonlocal has_begun
            if text and not has_begun:
                has_begun = True
                self._first_text.set()
            self._texts[key] = _Text(attempt, scrub(before + text)[:MAX_TEXT])
            if self._showing is None or self._showing.done():
                self._showing = asyncio.create_task(self._show(pool))

        show("")
        try:
            yield show
        finally:
            self._texts.pop(key, None)

    async def close(self) -> None:
        for task in (self._telling, self._showing):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _tell(self, pool: Pool) -> None:
        while self._events:
            run, events = self._next_events()
            body = json.dumps([event.model_dump() for event in events])
            if not await self._done(lambda body=body, run=run: pool.execute(_APPEND, run, body), len(events)):
                self._events.extendleft(_Waiting(run, event) for event in reversed(events))
                await asyncio.sleep(AWAY_SECONDS)

    def _next_events(self) -> tuple[str, list[RunEvent]]:
        """Those of the run that has waited longest, in order."""
        run = self._events[0].run
        events = [each.event for each in self._events if each.run == run][:AT_ONCE]
        taken = set(map(id, events))
        self._events = deque(each for each in self._events if id(each.event) not in taken)
        return run, events

    async def _show(self, pool: Pool) -> None:
        """At most every 100 ms one statement, for the texts of all runs, and sooner for the first of an attempt."""
        while self._texts:
            texts, self._texts = self._texts, {}
            self._first_text.clear()
            body = json.dumps(
                [
                    {"run": run, "turn": turn, "attempt": text.attempt, "text": text.text}
                    for (run, turn), text in texts.items()
                ]
            )
            if await self._done(lambda body=body: pool.execute(_SHOW, body)):
                await self._until_due()
            else:
                self._texts = texts | self._texts
                await asyncio.sleep(AWAY_SECONDS)

    async def _until_due(self) -> None:
        await asyncio.sleep(FIRST_SECONDS)
        with suppress(TimeoutError):
            async with asyncio.timeout(LIVE_SECONDS - FIRST_SECONDS):
                await self._first_text.wait()

    async def _done(self, send: Callable[[], Awaitable[Any]], events: int = 0) -> bool:
        """Whether it is over: told, or refused for good. False: the database is away."""
        try:
            await send()
        except asyncpg.PostgresError as error:
            if is_passing(error):
                return self._not_yet(f"SQLSTATE {error.sqlstate}")
            log.error("events_refused", extra={"sqlstate": error.sqlstate})
            _left_out.inc(events)
            return True
        except UNUSABLE as error:
            return self._not_yet(type(error).__name__)
        if self._away:
            log.info("events_told_again")
        self._away = False
        return True

    def _not_yet(self, reason: str) -> bool:
        if not self._away:
            log.warning("events_not_told", extra={"reason": reason})
        self._away = True
        return False


def events_of_turn(number: int, turn: Turn) -> list[RunEvent]:
    """What a watcher is told when a turn is decided: its text, and the calls that begin. Arguments are nobody's."""
    called = [plan for plan in turn.plans if plan.kind != "refused"]
    body = {
        "turn": number,
        "text": scrub(turn.text) if called and not turn.is_last else "",
        "tools": [scrub(plan.tool) for plan in called],
        "last": turn.is_last,
    }
    started = [
        RunEvent(key=f"tool/{plan.call_id}/started", kind="tool_started", body=_call(plan.call_id, plan.tool))
        for plan in called
    ]
    return [RunEvent(key=f"turn/{number}", kind="turn", body=body), *started]


def events_of_results(turn: Turn, results: Iterable[Result]) -> list[RunEvent]:
    """What is told when calls have ended; of one that was refused nothing began."""
    refused = {plan.call_id for plan in turn.plans if plan.kind == "refused"}
    return [
        RunEvent(
            key=f"tool/{result.call_id}/finished",
            kind="tool_finished",
            body=_call(result.call_id, result.tool)
            | {"status": result.status}
            | ({"ticket_id": result.ticket_id} if result.ticket_id else {}),
        )
        for result in results
        if result.call_id not in refused
    ]


def events_of(turns: Sequence[Turn], results: Sequence[list[Result]]) -> list[RunEvent]:
    """All that a run had to tell, in order; of its last turn there may be no results."""
    told: list[RunEvent] = []
    for number, (turn, ended) in enumerate(zip_longest(turns, results, fillvalue=None), start=1):
        if turn is not None:
            told += [*events_of_turn(number, turn), *events_of_results(turn, ended or [])]
    return told


def _written_before(former: Sequence[Turn]) -> str:
    """The beginning of an answer that goes on in the next turn, because it was cut off."""
    parts: list[str] = []
    for turn in reversed(former):
        if not turn.again:
            break
        if turn.again == "cut":
            parts.insert(0, turn.text)
    return "".join(parts)


def _call(call_id: str, tool: str) -> dict[str, Any]:
    return {"call": call_id, "tool": scrub(tool)}
