"""What a run did, step by step, as staff read it: bounded, and told once, in its report."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import BaseModel

from contracts import CallStep, TurnStep
from router.approval.asking import Unshowable, canonical
from router.plan import scrub
from router.turn import Plan, Result, Turn

MOST_CHARACTERS = 4000
"""Of one text: what the model wrote, the arguments of a call, its result."""

MOST_IN_ALL = 100_000
"""Of all texts of a run: what comes after is left out, and says so."""

MOST_SOURCES = 20
SOURCE_CHARACTERS = 200
LEFT_OUT = "(left out: the run did too much to keep all of it)"


class _Told(BaseModel):
    """What the model read of a result."""

    untrusted_data: dict[str, Any]


class _Room:
    """How much may still be told."""

    def __init__(self) -> None:
        self._left = MOST_IN_ALL

    def cut(self, text: str) -> str:
        told: str = scrub(text)
        if len(told) > MOST_CHARACTERS:
            told = f"{told[:MOST_CHARACTERS]}… [cut: {len(told)} characters]"
        self._left -= len(told)
        return told if self._left >= 0 else LEFT_OUT


def steps_of(
    turns: Sequence[Turn], results: Sequence[Sequence[Result]], turn_ms: Sequence[int], call_ms: Mapping[str, int]
) -> list[TurnStep]:
    """In order; a call that has no result was not waited for to its end."""
    room = _Room()
    told = zip(turns, turn_ms, strict=True)
    return [
        TurnStep(
            turn=number,
            text=room.cut(turn.text),
            model=scrub(turn.model or turn.endpoint),
            prompt_tokens=turn.prompt_tokens,
            completion_tokens=turn.completion_tokens,
            ms=ms,
            calls=[_call(plan, _result(plan, results, number), call_ms, room) for plan in turn.plans],
        )
        for number, (turn, ms) in enumerate(told, start=1)
    ]


def _result(plan: Plan, results: Sequence[Sequence[Result]], turn: int) -> Result | None:
    settled = results[turn - 1] if turn <= len(results) else ()
    return next((result for result in settled if result.call_id == plan.call_id), None)


def _call(plan: Plan, result: Result | None, call_ms: Mapping[str, int], room: _Room) -> CallStep:
    return CallStep(
        call=plan.call_id,
        tool=scrub(plan.tool),
        status=result.status if result else "unknown",
        target=f"{plan.service}/{plan.handler}" if plan.service else "",
        arguments=room.cut(_canonical(plan.body or plan.arguments)),
        result=room.cut(result.content) if result else "",
        sources=sources_in(result.content) if result else [],
        ms=call_ms.get(plan.call_id),
    )


def _canonical(arguments: str) -> str:
    """As people are shown arguments elsewhere; what is no JSON object stays as the model wrote it."""
    try:
        value = json.loads(arguments)
        return canonical(cast(dict[str, Any], value)) if isinstance(value, dict) else arguments
    except (ValueError, RecursionError, Unshowable):
        return arguments


def sources_in(content: str) -> list[str]:
    """What a result rests on: in its lists, each object that has a `title` and a `url` or `slug`."""
    try:
        told = _Told.model_validate_json(content).untrusted_data
    except ValueError:
        return []
    lists = [cast(list[Any], each) for each in told.values() if isinstance(each, list)]
    found = [_source(item) for items in lists for item in items]
    return [each for each in found if each][:MOST_SOURCES]


def _source(item: Any) -> str:
    if not isinstance(item, dict):
        return ""
    fields = cast(dict[str, Any], item)
    title, at = fields.get("title"), fields.get("url") or fields.get("slug")
    if not (isinstance(title, str) and isinstance(at, str)):
        return ""
    return cast(str, scrub(f"{title} ({at})"))[:SOURCE_CHARACTERS]
