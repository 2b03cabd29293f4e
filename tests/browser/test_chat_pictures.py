"""The pictures of the README: PICTURES=docs/images draws them anew, into that folder."""

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Visit
from tests.parts.fake_gateway import FakeGateway

PICTURES = Path(os.environ.get("PICTURES") or Path(__file__).parents[2] / ".tools" / "pictures")
CUSTOMERS = {"user_12345": "Ada Park", "user_67890": "Ben Ito", "user_24680": "Chidi Okafor"}
ANSWER = """\
Your account is **past due**, so the API refuses calls:

- Invoice `INV-12345-006` (199.00 USD) is 12 days overdue.
- You have used 503,236 of 500,000 calls this month.

Calls work again a minute after it is paid. I have opened a ticket about the limit.
"""

LOOKS: dict[str, dict[str, Any]] = {
    "chat": {"viewport": {"width": 1120, "height": 780}, "device_scale_factor": 1.5},
    "chat-dark": {"viewport": {"width": 1120, "height": 780}, "device_scale_factor": 1.5, "color_scheme": "dark"},
    "chat-phone": {"viewport": {"width": 390, "height": 780}, "device_scale_factor": 2},
}


@pytest.mark.parametrize("name", LOOKS)
async def test_a_picture(visit: Visit, gateway: FakeGateway, name: str) -> None:
    gateway.customers.clear()
    gateway.customers |= CUSTOMERS
    page = await visit(gateway.page, reduced_motion="reduce", timezone_id="UTC", **LOOKS[name])
    await page.page.clock.install()
    await page.ask("My API calls are failing, what's wrong with my account?")
    talk = await gateway.heard()
    talk.event("run_started", "run_1")
    for number, tool in enumerate(["query_user_database", "check_service_status"]):
        talk.tool("run_1", tool, call=f"call_{number}", status="ok")
    talk.tool("run_1", "create_support_ticket", call="call_2", status="ok", ticket_id="TKT-2F9A41")
    talk.answer("run_1", ANSWER, tickets=("TKT-2F9A41",))
    await page.ask("Please refund the fee for the last one.")
    await gateway.heard(2)
    talk.event("run_started", "run_2")
    talk.tool("run_2", "refund_invoice")
    talk.event("approval_asked", "run_2", call="call_1", tool="refund_invoice", status="pending")
    talk.text("run_2", "A colleague has to say yes to a refund. I have asked, and", turn=2)
    await expect(page.log.get_by_text("I have asked, and")).to_be_in_viewport()
    PICTURES.mkdir(parents=True, exist_ok=True)
    await page.page.screenshot(path=PICTURES / f"{name}.png")
