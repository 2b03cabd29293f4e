"""The calls of a turn: started in the model's order, all at once, and each waited for as long as its plan allows."""

from router.calls.call import Call, LocalTools
from router.calls.effect import EffectCall, StartedCall
from router.calls.local import LocalCall
from router.calls.reading import ReadCall
from router.calls.refused import RefusedCall
from router.run import Run
from router.turn import CallKind, Result, Turn

KINDS: dict[CallKind, type[Call]] = {
    "refused": RefusedCall,
    "local": LocalCall,
    "read": ReadCall,
    "effect": EffectCall,
    "started": StartedCall,
}


async def settle(run: Run, turn: Turn, local: LocalTools) -> list[Result]:
    """What became of each call of the turn, in the model's order. The only place that waits for tools.

    Raises only our own cancellation (409), which leaves at once: Restate then cancels the reads, while effects, sent
    and attached to, go on.
    """
    calls = [KINDS[plan.kind](plan, run, local) for plan in turn.plans]
    for call in calls:
        call.start()
    for call in calls:
        await call.follow()
        _note(run, call)
    while waiting := [call for call in calls if call.settled is None]:
        await _wait(run, waiting)
    results = [call.settled for call in calls if call.settled is not None]
    run.steps.settled(turn, results)
    return results


async def _wait(run: Run, waiting: list[Call]) -> None:
    """Until one of them is done or has to be left."""
    first = min(call.deadline for call in waiting)
    done, passed = await run.alarm.wait([call.future for call in waiting], first, run.steps.ended_at)
    for call in waiting:
        if call.future in done:
            await call.take()
        elif call.deadline <= passed:
            await call.leave()
        _note(run, call)


def _note(run: Run, call: Call) -> None:
    if call.settled is not None:
        run.steps.saw(call.plan.call_id)
