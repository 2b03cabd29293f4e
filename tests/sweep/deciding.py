"""The crash sweep of what people do: kill everything while a call waits for a yes, is made and answered; while a person
takes the conversation, speaks in it and gives it back; and while what was done is undone.
"""

from collections import Counter
from typing import Any

from tests.parts.restate import HttpReply
from tests.sweep.sweep import Case
from tests.sweep.talks import Act, Talks, key_of

ROOMS = ("conversations", "router", "users")

WANTED = Counter(
    {"message": 2, "answer": 2, "effect": 1, "approval": 2, "owner": 2, "packet": 1, "person": 1, "undone": 2}
)
"""The lines of a transcript, whatever was killed."""

EVENTS = Counter({"input": 2, "answer": 2, "person": 1, "approval_asked": 1, "approval_decided": 1, "undone": 2})

_OPEN = "SELECT count(*) FROM conversations.approvals WHERE conversation_id = '{}' AND status = 'pending'"
_APPROVAL = "SELECT approval_id || '|' || digest FROM conversations.approvals WHERE conversation_id = '{}'"
_FIRST_RUN = "SELECT run FROM conversations.runs WHERE conversation_id = '{}' ORDER BY epoch LIMIT 1"
_AT_WORK = "SELECT count(*) FROM conversations.runs WHERE conversation_id = '{}' AND state <> 'ended'"
_ANSWERS = "SELECT count(*) FROM conversations.entries WHERE conversation_id = '{}' AND kind = 'answer'"
_UNDONE = (
    "SELECT count(*) FROM conversations.entries "
    "WHERE conversation_id = '{}' AND kind = 'undone' AND body ->> 'status' = 'undone'"
)
_REFUNDS = "SELECT status, invoice_id FROM users.refunds WHERE user_id = 'customer_{}'"


class Deciding(Talks):
    """A refund that a person approves, who takes the conversation, speaks and gives it back; then it is undone."""

    first_number = 501
    rooms = ROOMS

    async def ask(self, case: Case, script: list[dict[str, Any]] | None = None) -> None:
        """Let all of it happen, and check every ledger."""
        await self._world.script(case.subject, script or _script(case))
        try:
            told = await self._hold(case)
            await self._world.until_counted(1, _UNDONE.format(key_of(case)), "the refund is undone")
            await self._world.idle()
        except TimeoutError as error:
            case.lost += 1
            case.violations.append(str(error))
            return
        self._passed(len(told))
        await self._world.healthy()
        await self._check_repeats(case, told)
        self._check_transcript(case)
        self._check_events(case)
        self._check_refunds(case)
        await self._check_model_calls(case)
        await self._check_failures(case)

    def audit(self) -> list[Case]:
        for case in self._cases:
            if not case.violations:
                self._check_refunds(case)
        return [case for case in self._cases if case.violations]

    def _acts(self) -> list[Act]:
        return [
            Act(lambda case, once: self._say(case, once, case.subject)),
            Act(self._approve, lambda case: self._count(case, 1, _OPEN, "the call waits for a yes")),
            Act(lambda case, once: self._staff(case, once, "take"), lambda case: self._over(case, 1)),
            Act(lambda case, once: self._staff(case, once, "say", text="Hello, this is Anna.", say_id="1")),
            Act(lambda case, once: self._say(case, once, f"Is it really on its way, all of it? ({case.number})")),
            Act(lambda case, once: self._staff(case, once, "return")),
            Act(self._undo, lambda case: self._over(case, 2)),
        ]

    async def _say(self, case: Case, once: str, text: str) -> HttpReply:
        body = {"user_id": f"customer_{case.number}", "text": text, "input_id": once}
        return await self._world.tell(key_of(case), body)

    async def _staff(self, case: Case, once: str, handler: str, **body: Any) -> HttpReply:
        return await self._world.ask_as_staff(f"Conversation/{handler}", body, key=key_of(case), once=once)

    async def _approve(self, case: Case, once: str) -> HttpReply:
        row = await self._world.read(_APPROVAL.format(key_of(case)))
        approval_id, _, digest = row.partition("|")
        body = {"approval_id": approval_id, "digest": digest, "choice": "approve"}
        return await self._world.ask_as_staff("Approvals/decide", body, once=once)

    async def _undo(self, case: Case, once: str) -> HttpReply:
        run = await self._world.read(_FIRST_RUN.format(key_of(case)))
        return await self._staff(case, once, "undo", run=run)

    async def _over(self, case: Case, answers: int) -> None:
        await self._count(case, answers, _ANSWERS, f"{answers} answers")
        await self._count(case, 0, _AT_WORK, "no run is at work")

    async def _count(self, case: Case, count: int, sql: str, what: str) -> None:
        await self._world.until_counted(count, sql.format(key_of(case)), what)

    def _check_transcript(self, case: Case) -> None:
        lines = self._rows("SELECT kind, body FROM conversations.entries", case, "position")
        self._compare(case, "line", Counter(line["kind"] for line in lines), WANTED)
        effects = [line["body"]["status"] for line in lines if line["kind"] == "effect"]
        case.require(effects == ["ok"], f"effects: {effects}")
        undone = [line["body"]["status"] for line in lines if line["kind"] == "undone"]
        case.require(undone == ["undoing", "undone"], f"undone: {undone}")

    def _check_events(self, case: Case) -> None:
        events = self._rows("SELECT position, kind FROM conversations.events", case, "position")
        places = [event["position"] for event in events]
        case.require(places == list(range(1, len(places) + 1)), f"positions of events: {places}")
        seen = self._seen(case)
        self._compare(case, "event", Counter({kind: seen[kind] for kind in EVENTS}), EVENTS)

    def _check_refunds(self, case: Case) -> None:
        """Refunded once, and that was taken back."""
        rows = self._world.postgres.psql(_REFUNDS.format(case.number)).split()
        case.lost += not rows
        case.duplicates += max(0, len(rows) - 1)
        case.require(rows == [f"cancelled|INV-SWEEP-{case.number}"], f"refunds: {rows}")

    async def _check_model_calls(self, case: Case) -> None:
        calls, turns = await self._world.model_calls(case.subject), self._seen(case)["turn"]
        case.extra_paid_calls = len(calls) - turns
        extra, allowed = case.extra_paid_calls, case.allowed_extra_calls
        case.require(turns == 3, f"{turns} turns")
        case.require(0 <= extra <= allowed, f"{extra} extra model calls, {allowed} allowed")


def _script(case: Case) -> list[dict[str, Any]]:
    refund = {"invoice_id": f"INV-SWEEP-{case.number}", "reason": case.subject}
    return [
        {"tool_calls": [{"name": "refund_invoice", "arguments": refund}]},
        {"text": case.words},
        {"text": case.words},
    ]
