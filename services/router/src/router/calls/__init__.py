"""The calls of a turn: reads side by side, effects in the model's order, each waited for as long as its plan allows."""

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
    and attached to, go on. A run of a conversation stays, to tell what became of its effects.
    """
    calls = [KINDS[plan.kind](plan, run, local) for plan in turn.plans]
    with run.until_stopped():
        for number, group in enumerate(groups(calls)):
            await _settle_group(run, group, run.steps.ended_at if number == 0 else await run.ctx.time())
    if run.stopped:
        await _settle_stopped(run, [call for call in calls if call.settled is None])
    results = [call.settled for call in calls if call.settled is not None]
    run.steps.settled(turn, results)
    return results


def groups(calls: list[Call]) -> list[list[Call]]:
    """What may run side by side, in the model's order: an effect that waits its turn is alone."""
    found: list[list[Call]] = []
    for call in calls:
        if not found or call.waits_its_turn or found[-1][0].waits_its_turn:
            found.append([])
        found[-1].append(call)
    return found


async def _settle_group(run: Run, calls: list[Call], now: float) -> None:
    for call in calls:
        call.started_at, call.begun = now, True
        call.start()
    for call in calls:
        await call.follow()
        _note(run, call)
    while waiting := [call for call in calls if call.settled is None]:
        await _wait(run, waiting, now)


async def _settle_stopped(run: Run, calls: list[Call]) -> None:
    """What was begun and cannot be taken back is waited for, for a while; of all else nothing more is wanted."""
    now = await run.ctx.time() if calls else 0
    for call in calls:
        await call.outlast(now)
        _note(run, call)


async def _wait(run: Run, waiting: list[Call], now: float) -> None:
    """Until one of them is done or has to be left."""
    first = min(call.deadline for call in waiting)
    done, passed = await run.alarm.wait([call.future for call in waiting], first, now)
    for call in waiting:
        if call.future in done:
            await call.take()
        elif call.deadline <= passed:
            await call.leave()
        _note(run, call)


def _note(run: Run, call: Call) -> None:
    if call.settled is not None:
        run.steps.saw(call.settled)
