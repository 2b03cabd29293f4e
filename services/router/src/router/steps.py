"""Durable steps: each is done once, whatever crashes, and its times are journaled with it.

Nothing else in a run reads the clock; whoever needs the time between two steps asks Restate, which journals it."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, Field
from restate import Context, TerminalError

from router.journal import journaled
from router.turn import Result, RunFacts, Turn
from runtime.steps import Attempt, Attempts

Value = TypeVar("Value", bound=BaseModel)

StepKind = Literal["begin", "turn", "summary", "end"]


class StepRecord(BaseModel, Generic[Value]):
    """What the journal keeps of a step: its value and its times.

    Times are seconds since the epoch, from the first of its `attempts` on, as far as one process saw them. `call_ms`
    holds, for each call that ended since the step before, the milliseconds from the end of that step to its own.
    `facts` are those of the run, in its first step only.
    """

    value: Value
    facts: RunFacts | None = None
    started_at: float
    ended_at: float
    attempts: int = 1
    call_ms: dict[str, int] = Field(default_factory=dict[str, int])


class Nothing(BaseModel):
    """The value of a step that is journaled for its times alone."""


@dataclass(frozen=True)
class Moment:
    """The clock, for the action of a step. Times are in seconds since the epoch."""

    first_started_at: float
    """When the first attempt at this step began, as far as this process knows."""
    attempt: int = 1
    """Which attempt this is, as far as this process knows."""
    spent: Counter[str] = field(default_factory=Counter[str])
    """What the attempts so far have used up, by its name; an action adds to it."""

    def seconds_until(self, at: float) -> float:
        """Below 0 when it has passed."""
        return at - time.time()


FixFacts = Callable[[Moment], Awaitable[RunFacts]]
Action = Callable[[RunFacts, Moment], Awaitable[Value]]


@dataclass(frozen=True)
class Patience(Generic[Value]):
    """How often a step is tried, within which time, and its value when every attempt has failed."""

    attempts: int
    within: timedelta
    fallback: Callable[[TerminalError, Moment], Value]


class Watcher(Protocol):
    """Whoever makes spans, counts and log lines of what happens."""

    def tried_again(self, kind: StepKind) -> None: ...

    def step_done(self, kind: StepKind, done: StepRecord[Any]) -> None: ...

    def call_ended(self, result: Result) -> None: ...

    def calls_settled(self, turn: Turn, results: list[Result], seconds: Mapping[str, float]) -> None: ...


class Steps:
    """The steps of one run, one after the other. Whichever comes first fixes the facts of the run."""

    def __init__(self, ctx: Context, attempts: Attempts, fix_facts: FixFacts, watcher: Watcher) -> None:
        self._ctx = ctx
        self._attempts = attempts
        self._fix_facts = fix_facts
        self._watcher = watcher
        self._seen: dict[str, float] = {}
        self._acting: asyncio.Task[Any] | None = None
        self.facts: RunFacts | None = None
        self.ended_at = 0.0
        """When the latest step ended: the latest time that the journal knows."""
        self.call_ms: dict[str, int] = {}
        """How long each call took, by its id, as far as the journal knows."""
        self.turn_ms: list[int] = []
        """How long each turn of the model took, all its attempts together."""

    async def step(
        self,
        name: str,
        kind: StepKind,
        action: Action[Value],
        journal_as: type[StepRecord[Value]],
        patience: Patience[Value] | None = None,
    ) -> Value:
        """The journaled value of this step. After a crash the action may run again, until its value is journaled.

        Raises: what the action refuses, and our own cancellation (409).
        """
        options = journaled(journal_as)
        if patience is not None:
            options = journaled(journal_as, patience.attempts, patience.within)
        key = (self._ctx.request().id, name)
        try:
            done = await self._ctx.run_typed(name, self._act, options, key, kind, action, journal_as)
        except TerminalError as error:
            if patience is None or error.status_code < 500:
                self._attempts.forget(key)
                self._break_off()
                raise
            giving_up = (f"{name} given up", self._give_up, journaled(journal_as))
            done = await self._ctx.run_typed(*giving_up, key, partial(patience.fallback, error), journal_as)
        self._attempts.forget(key)
        self.facts = self.facts or done.facts
        self.ended_at = done.ended_at
        self.call_ms |= done.call_ms
        if kind == "turn":
            self.turn_ms.append(round((done.ended_at - done.started_at) * 1000))
        self._seen.clear()
        self._watcher.step_done(kind, done)
        return done.value

    def saw(self, result: Result) -> None:
        """A call has just been seen to end; the next step journals how long it took."""
        self._seen[result.call_id] = max(0.0, time.time() - self.ended_at)
        self._watcher.call_ended(result)

    def settled(self, turn: Turn, results: list[Result]) -> None:
        """All calls of a turn have ended."""
        self._watcher.calls_settled(turn, results, self._seen)

    async def _act(
        self, key: tuple[str, str], kind: StepKind, action: Action[Value], journal_as: type[StepRecord[Value]]
    ) -> StepRecord[Value]:
        attempt = self._attempts.begin(key)
        if attempt.number > 1:
            self._watcher.tried_again(kind)
        self._acting = asyncio.create_task(self._done(action, attempt, journal_as))
        try:
            return await self._acting
        except asyncio.CancelledError:
            me = asyncio.current_task()
            if me is None or me.cancelling():  # Restate has ended this attempt
                self._break_off()
                raise
            raise TerminalError("broken off", status_code=409) from None

    def _break_off(self) -> None:
        """Cancel the action, so that no reply is paid for that nobody reads."""
        if self._acting is not None:
            self._acting.cancel()

    async def _give_up(
        self, key: tuple[str, str], fallback: Callable[[Moment], Value], journal_as: type[StepRecord[Value]]
    ) -> StepRecord[Value]:
        """If another process made the attempts, they are taken to have begun when the last call ended."""
        began = self.ended_at + max(self._seen.values(), default=0) if self.ended_at else time.time()
        attempt = self._attempts.of(key) or Attempt(began, 1, Counter())

        async def give_up(_facts: RunFacts, moment: Moment) -> Value:
            return fallback(moment)

        return await self._done(give_up, attempt, journal_as)

    async def _done(
        self, action: Action[Value], attempt: Attempt, journal_as: type[StepRecord[Value]]
    ) -> StepRecord[Value]:
        moment = Moment(*attempt)
        facts = self.facts or await self._fix_facts(moment)
        return journal_as(
            value=await action(facts, moment),
            facts=None if self.facts else facts,
            started_at=attempt.first_started_at,
            ended_at=time.time(),
            attempts=attempt.number,
            call_ms={call_id: round(seconds * 1000) for call_id, seconds in self._seen.items()},
        )
