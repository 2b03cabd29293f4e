"""Whatever customers, tools or the model have written is shown to staff as text, loads nothing, and does nothing."""

import pytest
from playwright.async_api import expect

from tests.browser.desk import SignIn, console, rooms, sign_in
from tests.browser.injections import INJECTIONS
from tests.parts.fake_rooms import FakeRooms

__all__ = ["console", "rooms", "sign_in"]

FOREIGN = (
    "a[href*='canary'], img, iframe, object, embed, video, base, form[action*='canary'], switchboard-chat, marquee"
)
HANDLERS = "[...document.querySelectorAll('*')].flatMap((e) => [...e.attributes].filter((a) => /^on/i.test(a.name)))"


async def test_approvals_show_them_as_text(rooms: FakeRooms, sign_in: SignIn) -> None:
    """`visit` fails for any request elsewhere, and for anything that the policy had to block."""
    rooms.approvals.clear()
    for text in INJECTIONS:
        arguments = {"invoice_id": text, "amount": 1, f"name {text}": text, "deep": [text]}
        rooms.asked(text, arguments, why=text, message=text, user_id=text)
        rooms.asked(text, arguments, status="denied", reason=text, decided_by=text, why=text, user_id=text)
    desk = await sign_in(path="/approvals")
    await expect(desk.page.locator(".row")).to_have_count(len(INJECTIONS))
    paths = ["/approvals", "/approvals?show=decided", *(f"/approvals/{each}" for each in rooms.approvals)]
    for path in paths:
        await desk.go(path)
        assert await desk.page.locator(FOREIGN).count() == 0, path
        assert len(await desk.page.evaluate(HANDLERS)) == 0, path
        assert await desk.is_cut_off() == 0, path


async def test_conversations_and_tickets_show_them_as_text(rooms: FakeRooms, sign_in: SignIn) -> None:
    rooms.talks.clear()
    rooms.tickets.clear()
    for text in INJECTIONS:
        tried = [{"tool": text, "status": "ok", "result": text}]
        packet = {"reason": text, "promised": text, "asked": [text], "tried": tried, "tickets": [text]}
        packet |= {"approvals": [{"tool": text, "approval": text}]}
        kinds = ("message", "answer", "person", "late", "note", "effect", "approval", "undone", "owner")
        body = {"text": text, "person": text, "tool": text, "status": text, "ticket_id": text, "approval": text}
        lines = [(kind, body | {"speaker": "person"}) for kind in kinds]
        key = rooms.talk(*lines, ("packet", packet), user_id=text)
        parts = [{"title": text, "rows": [{"name": text, "value": text}]}]
        rooms.accounts[text] = {"user_id": text, "problems": [text], "parts": parts}
        call = {"call": text, "tool": text, "status": "ok", "target": text, "arguments": text, "result": text}
        rooms.steps[key] = [{"turn": 1, "text": text, "model": text, "calls": [call | {"sources": [text]}]}]
        message = {"kind": "note", "who": text, "text": text, "at": "2026-11-30T09:00:00+00:00"}
        event = {"who": text, "acting": "staff", "action": text, "note": text, "at": message["at"]}
        said = [{**message, "number": 1}]
        rooms.ticket(subject=text, description=text, user_id=text, assignee=text, messages=said, history=[event])
    desk = await sign_in("Anna Berg", "/queue")
    paths = ["/queue", "/queue?search=a", "/tickets"]
    paths += [f"/conversations/{key}" for key in rooms.talks] + [f"/tickets/{each}" for each in rooms.tickets]
    for path in paths:
        await desk.go(path)
        if path.startswith("/conversations/"):
            await desk.page.get_by_text("What the agent did").click()
            await expect(desk.page.locator(".turns > li")).to_have_count(1)
            await expect(desk.page.locator(".account td")).to_have_count(1)
        assert await desk.page.get_by_role("heading", level=1).count() == 1, path
        assert await desk.page.locator(FOREIGN).count() == 0, path
        assert len(await desk.page.evaluate(HANDLERS)) == 0, path
        assert await desk.is_cut_off() == 0, path


@pytest.mark.parametrize("text", INJECTIONS[:3])
async def test_what_is_shown_is_what_was_written(rooms: FakeRooms, sign_in: SignIn, text: str) -> None:
    approval = rooms.asked(message=text)
    desk = await sign_in(path=f"/approvals/{approval.approval_id}")
    await expect(desk.page.locator("blockquote")).to_have_text(text)
