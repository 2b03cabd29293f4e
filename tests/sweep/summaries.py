"""The crash sweep of compaction: kill everything while what is older in a conversation is summarised and kept.

Five long questions. The first run makes a ticket and looks things up; what it did first is summarised before its end.
After the fourth answer the first question is summarised, after the fifth the second one, with that summary.
"""

from collections import Counter
from functools import partial
from typing import Any

from tests.parts.restate import HttpReply
from tests.sweep.points import Position
from tests.sweep.sweep import Case
from tests.sweep.talks import Act, Talks, key_of

SETTINGS = {"COMPACT_TOKENS": "300"}
"""Of the router: an older part of more is summarised."""
QUESTIONS = 5
FIRST_KEPT_AFTER = 4
"""The question behind whose answer something of the past is summarised for the first time."""
SUMMARIES = 3
LONG = " It is a long story, and every part of it matters." * 30

_KEPT = "SELECT count(*) FROM conversations.summaries WHERE conversation_id = '{}' AND upto = {}"


class Summaries(Talks):
    """Holds one long conversation after the other, each with its fault."""

    async def positions(self) -> list[Position]:
        """Those at which something is summarised, sent on, and kept."""
        return [
            moment
            for moment in await super().positions()
            if "run summary" in moment.label or "summarised" in moment.label
        ]

    async def _hold(self, case: Case) -> list[HttpReply]:
        told = await super()._hold(case)
        await self._over(QUESTIONS, case)
        return told

    def _acts(self) -> list[Act]:
        numbers = range(1, QUESTIONS + 1)
        return [Act(partial(self._ask, number), partial(self._over, number - 1)) for number in numbers]

    async def _ask(self, number: int, case: Case, _: str) -> HttpReply:
        return await self._tell(case, number - 1)

    async def _over(self, questions: int, case: Case) -> None:
        """So many questions are answered, and what is to be summarised by then is."""
        await self._world.settled(key_of(case), questions)
        if questions >= FIRST_KEPT_AFTER:
            kept = _KEPT.format(key_of(case), questions - FIRST_KEPT_AFTER + 1)
            await self._world.until_counted(1, kept, "a summary is kept")

    async def _check_model_calls(self, case: Case) -> None:
        """Each turn and each summary was asked for once, or again in the same words; the last run read the summary."""
        calls, turns = await self._world.model_calls(case.subject), self._seen(case)["turn"]
        asked = {call["digest"] for call in calls if call["outcome"] == "summary"}
        case.extra_paid_calls = len(calls) - turns - len(asked)
        extra, allowed = case.extra_paid_calls, case.allowed_extra_calls
        case.require(0 <= extra <= allowed, f"{extra} extra model calls, {allowed} allowed")
        wanted = {SUMMARIES, SUMMARIES - self._may_be_given_up(case)}
        case.require(len(asked) in wanted, f"{len(asked)} summaries")
        different = len({call["digest"] for call in calls})
        case.require(different == turns + len(asked), f"{turns} turns, {len(asked)} summaries, {different} questions")
        read = await self._world.told_the_model(case.subject)
        words = "\n".join(message["content"] for message in read if message["role"] == "user")
        texts = [body["text"] for body in self._inputs(case)]
        self._compare(
            case, "the model's input", Counter({text: words.count(text) for text in texts}), Counter(texts[1:])
        )

    def _may_be_given_up(self, case: Case) -> bool:
        """Within a run, which looks before whether it was stopped; it does without when the database stays away."""
        return case.victim == "postgres" and case.position is not None and "run summary" in case.position.label

    def _inputs(self, case: Case) -> list[dict[str, Any]]:
        sender = {"user_id": f"customer_{case.number}"}
        return [
            sender | {"text": f"{case.subject}, question {number}.{LONG}", "input_id": f"input_{number}"}
            for number in range(1, QUESTIONS + 1)
        ]

    def _script(self, case: Case) -> list[dict[str, Any]]:
        """By how often the assistant has spoken, summarised turns left out: so the first run looks twice."""
        ticket = {"subject": case.subject, "description": "Every call is answered 429."}
        first = [{"name": "create_support_ticket", "arguments": ticket}, {"name": "query_user_database"}]
        look = [{"name": "check_service_status", "arguments": {"component": "API"}}]
        return [{"tool_calls": first}, {"tool_calls": look}, {"text": case.words}]
