"""A member of staff stops a run: it is silent at once, and what it does is waited for and told, as after a stop of the
customer's."""

import restate
from restate import ObjectContext, RunOptions

from contracts import RunStopped, StopRun
from conversations.acting import Parts, act, wake
from conversations.control import stop_run
from conversations.people import opened
from runtime.checked import RAW, checked
from runtime.telemetry.logs import get_logger

STOPPERS = frozenset({"agent", "admin"})
"""Roles that stop runs."""

log = get_logger(__name__)


def add_stopping(service: restate.VirtualObject, parts: Parts) -> None:
    """The handler that has to do with it, which Restate's ingress lets in."""

    @service.handler("stop", input_serde=RAW)
    @checked
    async def stop(ctx: ObjectContext, asked: StopRun) -> RunStopped:  # pyright: ignore[reportUnusedFunction]
        """Stop a run, if it is still the one at work. The customer is told that staff did it."""
        before, owner, name = await opened(ctx, asked, parts, STOPPERS)
        told = (ctx.key(), owner, before, asked, name)
        made = await ctx.run_typed("stop", parts.store.stop, RunOptions(), *told)
        decision = stop_run(before, made.told.run)
        if not decision.why:  # else it was stopped before, and this is a repeat
            await act(ctx, decision, None)
            for approval in made.withdrawn:
                wake(ctx, approval)
            log.info("run_stopped_by_staff", extra={"conversation": ctx.key(), "by": name})
        return made.told
