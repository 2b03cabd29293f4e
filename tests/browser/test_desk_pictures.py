"""The pictures of docs/desk.md: PICTURES=docs/images draws them anew, into that folder."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from contracts import ToolChange, ToolSwitch
from tests.browser.desk import SignIn, console, rooms, sign_in
from tests.parts.fake_rooms import FakeRooms

__all__ = ["console", "rooms", "sign_in"]

PICTURES = Path(os.environ.get("PICTURES") or Path(__file__).parents[2] / ".tools" / "pictures")
LOOK: dict[str, Any] = {
    "viewport": {"width": 1120, "height": 640},
    "device_scale_factor": 1.5,
    "timezone_id": "UTC",
    "reduced_motion": "reduce",
}


async def test_a_picture_of_a_conversation(rooms: FakeRooms, sign_in: SignIn) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    tried = [{"tool": "query_user_database", "status": "ok", "result": "{}"}]
    reason = "They want to talk to a person about invoice INV-12345-006."
    packet = {"reason": reason, "promised": "a call today", "asked": ["I paid invoice INV-12345-006 twice."]}
    packet |= {"tried": tried, "tickets": ["TCK-100000"], "approvals": []}
    key = rooms.talk(
        ("answer", {"text": "I can see both payments. Somebody will be with you in a moment."}),
        ("effect", {"tool": "create_support_ticket", "status": "ok", "ticket_id": "TCK-100000"}),
        ("packet", packet),
    )
    rooms.line(key, "owner", speaker="person", person="anna", by="anna")
    rooms.line(key, "person", text="Hello, this is Anna. I am looking at it.", person="anna")
    desk = await sign_in("Anna Berg", f"/conversations/{key}", **LOOK)
    await desk.page.screenshot(path=PICTURES / "desk-conversation.png", full_page=True)


async def test_a_picture_of_the_queue(rooms: FakeRooms, sign_in: SignIn) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    for each in (rooms.talks, rooms.tickets):
        each.clear()
    at = [f"2026-11-30T{hour:02}:15:00+00:00" for hour in range(9, 14)]
    waiting = rooms.talk(("packet", {"reason": "They want to talk to a person about a refund."}), user_id="user_10002")
    rooms.dues[waiting], rooms.talks[waiting][0]["at"] = at[1], at[0]
    taken = rooms.talk(("packet", {"reason": "The agent found no way on."}), user_id="user_10003")
    rooms.line(taken, "owner", speaker="person", person="anna", by="anna")
    rooms.talks[taken][0]["at"] = at[0]
    rooms.ticket(subject="Production is down", priority="urgent", due_at=at[0], escalated=True, category="outage")
    rooms.ticket(subject="The chart of May is empty", state="open", assignee="ben", due_at=at[2], priority="normal")
    rooms.ticket(subject="Invoice has the wrong address", due_at=at[4], priority="low", category="billing")
    desk = await sign_in("Anna Berg", "/queue", **LOOK)
    await desk.page.screenshot(path=PICTURES / "desk-queue.png", full_page=True)


async def test_a_picture_of_what_the_agent_did(rooms: FakeRooms, sign_in: SignIn) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    account = {"call": "call_1_1", "tool": "query_user_database", "status": "ok", "ms": 42}
    account |= {
        "target": "UserDatabase/query_user_database",
        "arguments": '{"sections":["invoices"],"user_id":"user_12345"}',
    }
    account |= {"result": '{"status": "ok", "untrusted_data": {"invoices": [{"invoice_id": "INV-12345-006"}]}}'}
    articles = {"call": "call_1_2", "tool": "search_help_articles", "status": "ok", "ms": 3, "result": "{}"}
    articles |= {"arguments": '{"query":"refund"}', "sources": ["Failed payments (failed-payments)"]}
    turn = {"turn": 1, "model": "gpt-5.2", "prompt_tokens": 2310, "completion_tokens": 64, "ms": 1180}
    answered = turn | {"turn": 2, "prompt_tokens": 3020, "completion_tokens": 71, "ms": 1420, "calls": []}
    key = rooms.talk(("answer", {"text": "I can see both payments of invoice INV-12345-006."}))
    rooms.steps[key] = [turn | {"calls": [account, articles]}, answered | {"text": "I can see both payments."}]
    desk = await sign_in("Anna Berg", f"/conversations/{key}", **LOOK)
    await desk.page.get_by_text("What the agent did").click()
    await desk.page.get_by_text("query_user_database: ok").click()
    await desk.page.locator(".line.answer").screenshot(path=PICTURES / "desk-steps.png")


async def test_a_picture_of_runs(rooms: FakeRooms, sign_in: SignIn) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    rooms.runs.clear()
    where = {"invocation": "inv_1aBcD", "trace_id": "0" * 32}
    lost = {
        "state": "failed",
        "outcome": "model_unavailable",
        "turns": 1,
        "prompt_tokens": 2310,
        "completion_tokens": 0,
    }
    told = {"state": "ended", "outcome": "answered", "turns": 2, "prompt_tokens": 5330, "completion_tokens": 135}
    by_staff = {
        "state": "ended",
        "outcome": "stopped",
        "stopped_by": "carla",
        "why": "It asked the same thing again and again.",
    }
    rooms.ran(user_id="user_24680", begun_at="2026-11-30T09:12:08+00:00", seconds=76.2, **(lost | where))
    rooms.ran(user_id="user_67890", begun_at="2026-11-30T09:20:41+00:00", seconds=4.1, **(told | where))
    rooms.ran(user_id="user_11223", begun_at="2026-11-30T09:31:15+00:00", seconds=31.7, **(by_staff | where))
    rooms.ran(user_id="user_12345", begun_at="2026-11-30T09:40:02+00:00")
    desk = await sign_in("Anna Berg", "/runs", **LOOK)
    await desk.page.screenshot(path=PICTURES / "desk-runs.png", full_page=True)


async def test_a_picture_of_a_ticket(rooms: FakeRooms, sign_in: SignIn) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    at = [f"2026-11-30T09:{minute}:00+00:00" for minute in (12, 20, 31, 40)]
    said = [
        {"kind": "note", "who": "ben", "text": "They pay for Pro; the export job failed twice last night."},
        {"kind": "reply", "who": "anna", "text": "We have found it. Is the chart whole again?"},
        {"kind": "answer", "who": "user_12345", "text": "Half of it. May is still missing."},
    ]
    did = [("user_12345", "customer", "create"), ("ben", "staff", "note"), ("anna", "staff", "reply")]
    ticket = rooms.ticket(
        subject="The chart of May is empty",
        description="Since this morning the chart of May shows nothing.",
        state="open",
        assignee="anna",
        messages=[{"number": number, **each, "at": at[number]} for number, each in enumerate(said, start=1)],
        history=[
            {"who": who, "acting": acting, "action": action, "note": "", "at": moment}
            for (who, acting, action), moment in zip(did, at, strict=False)
        ],
        created_at=at[0],
        updated_at=at[3],
        solve_due_at="2026-11-30T17:12:00+00:00",
    )
    desk = await sign_in("Anna Berg", f"/tickets/{ticket.ticket_id}", **LOOK)
    await desk.page.screenshot(path=PICTURES / "desk-ticket.png", full_page=True)


async def test_pictures_of_approvals(rooms: FakeRooms, sign_in: SignIn) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    rooms.approvals.clear()
    times = {"asked_at": "2026-11-30T09:12:00+00:00", "expires_at": "2026-12-01T09:12:00+00:00"}
    approval = rooms.asked(
        arguments={"invoice_id": "INV-12345-006", "amount": 199, "note": "Paid twice in May.", "user_id": "user_12345"},
        why="the tool asks for it",
        message="I paid invoice INV-12345-006 twice. Please send me the money back.",
        **times,
    )
    mail = {"to": "billing\u200b@nimbus.example", "subject": "Your refund"}
    rooms.asked("send_mail", mail, why="to: nobody has named this address", user_id="user_67890", **times)
    desk = await sign_in(path="/approvals", **LOOK)
    await desk.page.screenshot(path=PICTURES / "desk-approvals.png")
    await desk.go(f"/approvals/{approval.approval_id}")
    await desk.page.screenshot(path=PICTURES / "desk-approval.png", full_page=True)


async def test_a_picture_of_the_tools(rooms: FakeRooms, sign_in: SignIn) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    rooms.tools.clear()
    moved = "Parcels moved to http://parcels-new:9080; it was accepted at http://parcels:9080"
    about: dict[str, Any] = {
        "description": "Where a parcel is now.",
        "handler": "Parcels/track_parcel",
        "address": "http://parcels-new:9080",
        "readonly": True,
    }
    rooms.tool("track_parcel", state="left_out", withdrawn=True, why=moved, **about)
    account: dict[str, Any] = {"handler": "UserDatabase/query_user_database", "address": "http://users:9082"}
    about = {"readonly": True, "description": "Account, plan, usage and invoices of the customer.", "origin": "product"}
    rooms.tool("query_user_database", **(account | about))
    about = {"description": "Gives back what an invoice has cost.", "address": "http://payments:9080"}
    rooms.tool("refund_invoice", handler="Payments/refund_invoice", approval="required", **about)
    why = "Refunds are booked twice since this morning."
    rooms.switched(ToolSwitch(staff_token="", act_id="picture", tool="refund_invoice", on=False, why=why), "carla")
    at = datetime.now(UTC)
    rooms.tool_changes = [
        ToolChange(tool="track_parcel", what="went", told=moved, at=at.isoformat()),
        ToolChange(tool="query_user_database", what="came", at=(at - timedelta(days=9)).isoformat()),
    ]
    desk = await sign_in("Carla Ruiz", "/tools", **LOOK)
    times = "for (const each of document.querySelectorAll('time')) each.textContent = '30 Nov, 09:12'"
    await desk.page.evaluate(times)  # the same at each drawing
    await desk.page.screenshot(path=PICTURES / "desk-tools.png", full_page=True)
