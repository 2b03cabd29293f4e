"""What the OpenAPI document shows of answers."""

from typing import Any

_AT = "2026-01-02T03:04:05+00:00"
_CONVERSATION = "conv_0123456789abcdef0123456789abcdef"
_APPROVAL = "appr_0123456789abcdef0123456789abcdef"
_RUN = "run_0123456789abcdef"

ME: dict[str, Any] = {
    "name": "key.reports",
    "key": "reports",
    "roles": ["agent"],
    "scopes": ["read"],
    "expires_at": _AT,
}
_STANDING: dict[str, Any] = {
    "conversation": _CONVERSATION,
    "user_id": "user_12345",
    "person": "",
    "since": _AT,
    "reason": "They want to talk to a human.",
    "due_at": _AT,
    "place": f"1767323045000000~1~{_CONVERSATION}",
}
CONVERSATIONS: dict[str, Any] = {
    "conversations": [_STANDING],
    "counts": {"waiting": 1, "taken": 0, "mine": 0, "overdue": 0},
    "more": False,
}
CONVERSATION: dict[str, Any] = {
    "conversation": _CONVERSATION,
    "user_id": "user_12345",
    "held": {"person": "anna", "waiting": False},
    "entries": [{"position": 1, "kind": "message", "run": _RUN, "at": _AT, "body": {"text": "My API calls fail."}}],
    "next": None,
}
RUN: dict[str, Any] = {
    "run": _RUN,
    "state": "ended",
    "outcome": "answered",
    "begun_at": _AT,
    "ended_at": _AT,
    "turns": [{"turn": 1, "calls": [{"call": "c1", "tool": "get_invoices", "status": "ok", "ms": 12}]}],
    "next": None,
}
ACCOUNT: dict[str, Any] = {
    "user_id": "user_12345",
    "problems": ["One invoice is overdue."],
    "parts": [{"title": "Plan", "rows": [{"name": "plan", "value": "pro"}]}],
}
HELD: dict[str, Any] = {"person": "key.reports", "waiting": False}
SAID: dict[str, Any] = {"position": 7}
TICKET: dict[str, Any] = {
    "ticket_id": "TCK-000001",
    "user_id": "user_12345",
    "subject": "API calls fail",
    "state": "open",
    "category": "bug",
    "priority": "high",
    "assignee": "anna",
    "created_at": _AT,
    "updated_at": _AT,
    "due_at": _AT,
}
QUEUE: dict[str, Any] = {
    "rows": [_STANDING, TICKET],
    "counts": {"all": 2, "mine": 0, "nobody": 1, "overdue": 0, "conversations": 1},
    "next": "",
}
TICKETS: dict[str, Any] = {"tickets": [TICKET], "next": ""}
TICKET_SHOWN: dict[str, Any] = {
    **TICKET,
    "description": "All of them, since this morning.",
    "messages": [{"number": 1, "kind": "reply", "who": "anna", "text": "I am on it.", "at": _AT}],
    "history": [{"who": "anna", "acting": "staff", "action": "reply", "note": "", "at": _AT}],
    "changes": 1,
}
APPROVAL: dict[str, Any] = {
    "approval_id": _APPROVAL,
    "status": "pending",
    "tool": "refund_invoice",
    "user_id": "user_12345",
    "conversation": _CONVERSATION,
    "role": "approver",
    "why": "the tool asks for it",
    "asked_at": _AT,
    "expires_at": _AT,
}
APPROVALS: dict[str, Any] = {"approvals": [APPROVAL], "next": ""}
APPROVAL_SHOWN: dict[str, Any] = {
    **APPROVAL,
    "run": _RUN,
    "message": "Please refund my invoice.",
    "arguments": {"invoice_id": "INV-1", "amount": 19.5},
    "digest": "0" * 64,
    "fixed": [],
    "parameters": {"type": "object"},
    "decided_by": "",
    "decided_at": "",
    "reason": "",
    "changes": [],
}
RULING: dict[str, Any] = {"approval_id": _APPROVAL, "status": "approved", "by": "key.reports", "at": _AT}
AUDIT: dict[str, Any] = {
    "lines": [
        {
            "kind": "approval",
            "at": _AT,
            "who": "key.reports",
            "action": "approve",
            "subject": _APPROVAL,
            "about": "refund_invoice",
            "note": "",
            "cursor": "1767323045000000~a.1",
        }
    ],
    "next": "",
}
