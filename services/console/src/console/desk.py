"""What one member of staff asks of the other rooms: each call carries a token of theirs."""

import uuid
from functools import partial
from typing import Any, TypeVar

from pydantic import BaseModel

from console.auditing import Room
from console.members import Member
from console.restate import Registry, Restate
from console.tokens import Signer
from contracts import (
    AccountShown,
    ApprovalPage,
    ApprovalShown,
    AuditPage,
    Choice,
    Held,
    HistoryLine,
    Ruling,
    RunsPage,
    RunSteps,
    RunStopped,
    Said,
    StaffHistory,
    StandingPage,
    TicketCounts,
    TicketLine,
    TicketPage,
    TicketsChanged,
    TicketShown,
    ToolAct,
    ToolsShown,
)

MOST = 200
"""Of one page of what is new in a transcript."""
SHOWN_LINES = 100
"""Of a transcript, on one page of it."""

Result = TypeVar("Result", bound=BaseModel)


class Desk:
    """Each method raises `Refusal` for what a room refuses, `Away` when none answers."""

    def __init__(self, restate: Restate, registry: Registry, signer: Signer, member: Member) -> None:
        self._restate, self._registry, self._signer, self._member = restate, registry, signer, member

    async def approvals(self, **wanted: Any) -> ApprovalPage:
        """Those that wait, the most urgent first; or the latest that do not."""
        return await self._call("Approvals/list", ApprovalPage, **wanted)

    async def approval(self, approval_id: str) -> ApprovalShown:
        return await self._call("Approvals/show", ApprovalShown, approval_id=approval_id)

    async def decide(
        self, approval_id: str, digest: str, choice: Choice, reason: str, arguments: dict[str, Any] | None = None
    ) -> Ruling:
        told: dict[str, Any] = {"approval_id": approval_id, "digest": digest, "choice": choice, "reason": reason}
        if arguments is not None:
            told["arguments"] = arguments
        return await self._call("Approvals/decide", Ruling, once=fresh(), **told)

    async def standing(self, **wanted: Any) -> StandingPage:
        """The conversations that wait for a person, then those that a person has; with words, all that have them."""
        return await self._call("ConversationDesk/list", StandingPage, **wanted)

    async def transcript(self, conversation: str, before: int = 0) -> StaffHistory:
        """The end of it, or of what comes before a position."""
        asked: dict[str, Any] = {"latest": True, "before": before, "limit": SHOWN_LINES}
        return await self._call(f"Conversation/{conversation}/show", StaffHistory, **asked)

    async def transcript_after(self, conversation: str, after: int) -> StaffHistory:
        """All that comes after a position."""
        lines: list[HistoryLine] = []
        of_people: list[str] = []
        while True:
            page = await self._call(f"Conversation/{conversation}/show", StaffHistory, after=after, limit=MOST)
            lines, of_people = lines + page.entries, of_people + page.of_people
            if page.next is None:
                return page.model_copy(update={"entries": lines, "of_people": of_people})
            after = page.next

    async def page(self, conversation: str, **wanted: Any) -> StaffHistory:
        """So many lines of it, from where it is wanted."""
        return await self._call(f"Conversation/{conversation}/show", StaffHistory, **wanted)

    async def account(self, conversation: str) -> AccountShown:
        """That of whoever has this conversation."""
        page = await self._call(f"Conversation/{conversation}/show", StaffHistory, after=0, limit=1)
        return await self.account_of(page.user_id)

    async def account_of(self, user_id: str) -> AccountShown:
        return await self._call("AccountDesk/show", AccountShown, user_id=user_id)

    async def steps(self, conversation: str, run: str, after: int) -> RunSteps:
        """What a run did, the turns after one."""
        return await self._call(f"Conversation/{conversation}/steps", RunSteps, run=run, after=after)

    async def runs(self, kind: str, user_id: str, cursor: str) -> RunsPage:
        """The agent's runs of all conversations, the latest first."""
        of: dict[str, Any] = {"user_id": user_id} if user_id else {}
        return await self._call("ConversationDesk/runs", RunsPage, kind=kind, cursor=cursor, **of)

    async def stop(self, conversation: str, run: str, why: str, act_id: str) -> RunStopped:
        told: dict[str, Any] = {"expected_run": run, "why": why, "act_id": act_id}
        return await self._call(f"Conversation/{conversation}/stop", RunStopped, **told)

    async def take(self, conversation: str, once: str = "") -> Held:
        """`once` names this, so that a repeat changes nothing and is told the same; so it is below."""
        return await self._call(f"Conversation/{conversation}/take", Held, once=once or fresh())

    async def assign(self, conversation: str, to: str, once: str = "") -> Held:
        return await self._call(f"Conversation/{conversation}/assign", Held, once=once or fresh(), to=to)

    async def give_back(self, conversation: str, once: str = "") -> Held:
        return await self._call(f"Conversation/{conversation}/return", Held, once=once or fresh())

    async def say(self, conversation: str, text: str, say_id: str) -> Said:
        return await self._call(f"Conversation/{conversation}/say", Said, text=text, say_id=say_id)

    async def tickets(self, **wanted: Any) -> TicketPage:
        """Those that are due first."""
        return await self._call("TicketDesk/list", TicketPage, **wanted)

    async def ticket_counts(self) -> TicketCounts:
        return await self._call("TicketDesk/counts", TicketCounts)

    async def tickets_changed(self, seen: str) -> TicketsChanged:
        """Which tickets have changed since then."""
        return await self._call("TicketDesk/changed", TicketsChanged, seen=seen)

    async def ticket(self, ticket_id: str) -> TicketShown:
        return await self._call("TicketDesk/show", TicketShown, ticket_id=ticket_id)

    async def change_ticket(self, handler: str, **wanted: Any) -> TicketLine:
        """What one of the handlers of `TicketDesk` changes."""
        return await self._call(f"TicketDesk/{handler}", TicketLine, **wanted)

    async def tools(self) -> ToolsShown:
        """All tools, on offer or not, and what changed of them."""
        return await self._of_tools("tools", ToolsShown)

    async def switch_tool(self, tool: str, act_id: str, why: str, *, on: bool) -> ToolAct:
        return await self._of_tools("switch", ToolAct, tool=tool, on=on, why=why, act_id=act_id)

    @property
    def audits(self) -> list[Room]:
        """The rooms that keep who did what."""
        return [
            Room(partial(self._call, "TicketDesk/audit", AuditPage), frozenset({"ticket"})),
            Room(partial(self._call, "ConversationDesk/audit", AuditPage), frozenset({"approval", "conversation"})),
            Room(partial(self._of_tools, "audit", AuditPage), frozenset({"tool"})),
        ]

    async def _call(self, target: str, result: type[Result], *, once: str = "", **body: Any) -> Result:
        return result.model_validate(await self._restate.call(target, self._signed(body), once=once))

    async def _of_tools(self, target: str, result: type[Result], **body: Any) -> Result:
        return result.model_validate(await self._registry.call(target, self._signed(body)))

    def _signed(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"staff_token": self._signer.token(self._member), **body}


def fresh() -> str:
    """A name that nothing else has."""
    return uuid.uuid4().hex
