"""The calls that wait for a person, on the terminal. On one machine whoever may read its data folder may decide."""

import json
from typing import Any

from contracts import ApprovalPage, ApprovalShown, Choice
from standalone.ask import NoAnswer
from standalone.people import StaffDesk
from standalone.terminal import say

APPROVER = "approver"


class ApprovalDesk(StaffDesk):
    """Decides as one member of staff. Each raises `NoAnswer` with one line that says what was wrong."""

    roles = (APPROVER,)

    async def list_approvals(self, *, decided: bool) -> None:
        page = ApprovalPage.model_validate(await self._call("Approvals/list", decided=decided))
        for row in page.approvals:
            say(f"{row.approval_id}  {row.status:<9} {row.tool} for {row.user_id}, until {row.expires_at[:19]}", "bold")
            say(f"    {row.why}")
        if not page.approvals:
            say("nothing was decided yet" if decided else "no call waits for a person", "dim")

    async def show_approval(self, approval_id: str) -> None:
        shown = await self._shown(approval_id)
        say(f"{shown.tool} for {shown.user_id}: {shown.status}", "bold")
        for name, value in shown.arguments.items():
            say(f"    {name}: {_json(value)}{'  (fixed)' if name in shown.fixed else ''}")
        say(f"why: {shown.why}; whoever has the role {shown.role} decides until {shown.expires_at[:19]}")
        say(f"asked: {shown.message}", "dim")
        if shown.conversation:
            say(f"conversation: {shown.conversation}", "dim")
        for change in shown.changes:
            say(f"    {change.name}: {_json(change.before)} became {_json(change.after)}")
        if shown.decided_by:
            say(f"{shown.status} by {shown.decided_by} at {shown.decided_at[:19]}: {shown.reason or 'no reason given'}")

    async def approve(self, approval_id: str, reason: str) -> None:
        await self._decide(await self._shown(approval_id), "approve", reason)

    async def deny(self, approval_id: str, reason: str) -> None:
        await self._decide(await self._shown(approval_id), "deny", reason)

    async def edit(self, approval_id: str, changes: list[str], reason: str) -> None:
        """`changes` are written `name=value`, the value in JSON or as plain text, whichever the argument takes."""
        shown = await self._shown(approval_id)
        arguments = {name: value for name, value in shown.arguments.items() if name not in shown.fixed}
        edited = dict(change(text, shown.parameters) for text in changes)
        await self._decide(shown, "edit", reason, arguments=arguments | edited)

    async def _decide(self, shown: ApprovalShown, choice: Choice, reason: str, **more: Any) -> None:
        say(f"{shown.tool} for {shown.user_id}: {_json(shown.arguments)}", "dim")
        told = {"approval_id": shown.approval_id, "digest": shown.digest, "choice": choice, "reason": reason, **more}
        ruling = await self._call("Approvals/decide", **told)
        say(f"{ruling['status']} by {ruling['by']}, with a token of the role {APPROVER} that this command made itself")

    async def _shown(self, approval_id: str) -> ApprovalShown:
        return ApprovalShown.model_validate(await self._call("Approvals/show", approval_id=approval_id))


def change(text: str, parameters: dict[str, Any]) -> tuple[str, Any]:
    """One change as it was typed: what is JSON of a kind that the argument does not take is meant as text."""
    name, equals, typed = text.partition("=")
    if not equals:
        raise NoAnswer(f"a change is written name=value, not {text}")
    try:
        value = json.loads(typed)
    except ValueError:
        return name, typed
    taken = _types(parameters.get("properties", {}).get(name, {}))
    return name, typed if "string" in taken and not taken & _KINDS[type(value).__name__] else value


_KINDS = {
    "str": {"string"},
    "bool": {"boolean"},
    "int": {"integer", "number"},
    "float": {"number"},
    "NoneType": {"null"},
    "list": {"array"},
    "dict": {"object"},
}
"""What JSON Schema calls a value that was read from JSON."""


def _types(schema: dict[str, Any]) -> set[str]:
    """The types that an argument may have; none where its schema does not say."""
    told = schema.get("type", [])
    found = {told} if isinstance(told, str) else set(told)
    return found.union(*(_types(part) for part in schema.get("anyOf", [])))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
