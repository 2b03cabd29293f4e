"""The watch over one run: all of its spans, counts and log lines, made here from what its steps journal."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from restate import TerminalError

from contracts import Answer
from router.run import Run
from router.seen.metrics import (
    count_approvals,
    count_broken_off,
    count_calls,
    count_compaction,
    count_model_retry,
    count_run,
    label,
)
from router.seen.spans import RunSpans
from router.steps import StepKind, StepRecord
from router.told import Told, events_of_results, events_of_turn
from router.turn import Result, Summary, Turn
from runtime.defects import Guard
from runtime.errors import Refused
from runtime.telemetry.logs import get_logger
from runtime.telemetry.tracing import spans_sent

log = get_logger(__name__)


class Watch:
    """Told of each step by `Steps`, and of the end by `over`."""

    def __init__(self, spans: RunSpans, model: str, told: Told) -> None:
        self._spans = spans
        self._model = model
        self._told = told
        self._run: Run
        self._decided_at = 0.0
        """When the latest turn was decided, from which its calls are timed."""

    @asynccontextmanager
    async def over(self, run: Run) -> AsyncGenerator[None]:
        """Around all work on a run, which leaves its answer in it. An attempt that is suspended or breaks down tells
        nothing: it comes again."""
        self._run = run
        try:
            with Guard(run.ctx).told_shortly():
                yield
        except TerminalError as error:
            if run.has_begun:
                await self._broken_off(error)
            raise
        if run.answer is not None:
            await self._ended(run.answer)

    def tried_again(self, kind: StepKind) -> None:
        if kind == "turn":
            count_model_retry(self._model)

    def step_done(self, kind: StepKind, done: StepRecord[Any]) -> None:
        """With each step it is known how long the calls before it took."""
        if kind == "begin":
            return
        self._spans.calls_ended(self._run, self._decided_at, done.call_ms)
        if kind == "summary":
            self._summarised(done)
        if kind == "turn":
            turn: Turn = done.value
            self._decided_at = done.ended_at
            self._spans.turn_decided(self._run, done)
            self._told.tell(self._run.conversation, events_of_turn(len(self._run.turns) + 1, turn))
            count_approvals(turn)
            number, calls = len(self._run.turns) + 1, [label(plan) for plan in turn.plans]
            log.info("turn_decided", extra={"turn": number, "calls": calls})
            if turn.prompt and self._run.prompt not in ("", turn.prompt):
                log.warning("prompt_changed", extra={"turn": number, "former": self._run.prompt, "prompt": turn.prompt})

    def _summarised(self, done: StepRecord[Summary]) -> None:
        summary = done.value
        self._spans.summarised(self._run, done)
        count_compaction(summary)
        if summary.text:
            log.info("conversation_summarised", extra={"part": summary.part})
        else:
            log.warning("conversation_not_summarised", extra={"part": summary.part})

    def call_ended(self, result: Result) -> None:
        run = self._run
        self._told.tell(run.conversation, events_of_results(run.turns[-1], [result]))

    def calls_settled(self, turn: Turn, results: list[Result], seconds: Mapping[str, float]) -> None:
        count_calls(turn, results, seconds)
        for plan, result in zip(turn.plans, results, strict=True):
            log.info("call_settled", extra={"call": plan.call_id, "tool": label(plan), "status": result.status})

    async def _broken_off(self, error: TerminalError) -> None:
        """Cancelled, failed by a fault that is not of the question's making, or refused before the first turn."""
        run = self._run
        outcome = "cancelled" if error.status_code == 409 else "failed"
        if isinstance(error, Refused):
            outcome = error.code
        else:
            count_broken_off(outcome)
            log.info("run_ended", extra={"outcome": outcome, "turns": len(run.turns)})
        at = await run.ctx.time()
        self._spans.calls_left(run, self._decided_at, at)
        self._spans.run_broken_off(run, outcome, at)
        await spans_sent()

    async def _ended(self, answer: Answer) -> None:
        run = self._run
        sent = run.trace.hex_id if run.trace and run.trace.sampled else ""
        count_run(answer, run.steps.ended_at - run.facts.started_at, run.id, sent)
        log.info("run_ended", extra={"outcome": answer.outcome, "turns": len(run.turns)})
        self._spans.run_ended(run, answer)
        await spans_sent()
