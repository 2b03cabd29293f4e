"""What a run did in the world, or may have done: told to its conversation, and kept beside every summary."""

from collections.abc import Iterable, Sequence

from contracts import Effect
from router.plan import EFFECTS
from router.turn import Result, Turn


def effects_of(turns: Iterable[Turn], results: Iterable[Sequence[Result]]) -> list[Effect]:
    """In order; of the last turn there may be no results."""
    return [
        Effect(
            tool=plan.tool,
            call=plan.call_id,
            status="started" if plan.kind == "started" and result.status == "ok" else result.status,
            ticket_id=result.ticket_id,
            task_id=plan.task_id if result.status == "unknown" or plan.kind == "started" else None,
        )
        for turn, ended in zip(turns, results, strict=False)
        for plan, result in zip(turn.plans, ended, strict=True)
        if plan.kind in EFFECTS
    ]


def told(effect: Effect) -> str:
    """One line: which tool, how it ended, and the ids that it left."""
    ids = [each for each in (effect.ticket_id, effect.task_id) if each]
    return " ".join([f"{effect.tool}: {effect.status}", *ids])
