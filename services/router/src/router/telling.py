"""What a run leaves to be seen when it ends: its own span, its counts, and the certainty that its spans have left."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from restate import Context, TerminalError

from router.metrics import count_broken_off, count_run
from router.run import Run
from router.spans import RunSpans
from runtime.telemetry.logs import get_logger
from runtime.telemetry.tracing import spans_sent

log = get_logger(__name__)


async def tell_refusal(run: Run, spans: RunSpans, code: str, at: float) -> None:
    """The span of a question that is no run, below which hangs what was asked about its customer."""
    spans.run_broken_off(run, code, at)
    await spans_sent()


@asynccontextmanager
async def told(ctx: Context, run: Run, spans: RunSpans) -> AsyncGenerator[None]:
    """Around the work on a run, which leaves its answer in it. A suspended or broken attempt tells nothing: it comes
    again."""
    try:
        yield
    except TerminalError as error:
        outcome = "cancelled" if error.status_code == 409 else "failed"
        count_broken_off(outcome)
        log.info("run_ended", extra={"outcome": outcome, "turns": len(run.turns) + bool(run.pending)})
        spans.run_broken_off(run, outcome, await ctx.time())
        await spans_sent()
        raise
    if run.answer is not None:
        sent = run.trace.hex_id if run.trace and run.trace.sampled else ""
        count_run(run.answer, run.ended_at - run.begun.started_at, run.id, sent)
        log.info("run_ended", extra={"outcome": run.answer.outcome, "turns": len(run.turns)})
        if run.closed is not None:
            spans.calls_settled(run, run.closed.call_ms)
        spans.run_ended(run, run.answer)
        await spans_sent()
