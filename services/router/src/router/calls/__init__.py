"""The calls of a turn: reads side by side, effects in the model's order, each waited for as long as its plan allows."""

from router.calls.asked import AskedCall
from router.calls.call import Call, LocalTools
from router.calls.effect import EffectCall, StartedCall
from router.calls.local import LocalCall
from router.calls.reading import ReadCall
from router.calls.refused import RefusedCall
from router.run import Run
from router.turn import CallKind, Plan, Result, Turn

KINDS: dict[CallKind, type[Call]] = {
    "refused": RefusedCall,
    "local": LocalCall,
    "read": ReadCall,
    "effect": EffectCall,
    "started": StartedCall,
}


async def settle(run: Run, turn: Turn, local: LocalTools) -> list[Result]:
    """What became of each call of the turn, in the model's order. The only place that waits for tools.

    Raises only our own cancellation (409), at once, and only for a question: Restate then cancels the reads, and what
    was sent goes on. A run of a conversation stays for some seconds, to tell what became of its effects.
    """
    calls = [kind_of(plan)(plan, run, local) for plan in turn.plans]
    with run.until_stopped():
        for number, group in enumerate(groups(calls)):
            await _settle_group(run, group, run.steps.ended_at if number == 0 else await run.ctx.time())
    if run.stopped:
        await _settle_stopped(run, [call for call in calls if call.settled is None])
    results = [call.settled for call in calls if call.settled is not None]
    run.steps.settled(turn, results)
    return results


def kind_of(plan: Plan) -> type[Call]:
    return KINDS[plan.kind] if plan.approval is None or plan.kind == "refused" else AskedCall


def groups(calls: list[Call]) -> list[list[Call]]:
    """What may run side by side, in the model's order: an effect that waits its turn is alone. Several that people
    decide wait for these together."""
    found: list[list[Call]] = []
    for call in calls:
        beside = found[-1][0] if found else None
        asked = beside is not None and beside.asks_person and call.asks_person
        if beside is None or not (asked or not (call.waits_its_turn or beside.waits_its_turn)):
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
    if any(call.asks_person for call in calls):
        run.waited += max(0.0, await run.ctx.time() - now)


async def _settle_stopped(run: Run, calls: list[Call]) -> None:
    """What was sent cannot be taken back and is waited for a while; all else is given up at once."""
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
