"""Restate's UI through the two port-forwards that the notes of the chart name."""

from collections.abc import AsyncIterator

import pytest

from tests.cluster.parts.browser import CHROMIUM, Page, chromium
from tests.cluster.parts.product import Product
from tests.cluster.parts.questions import AskedQuestion
from tests.cluster.parts.settings import ROOT, SETTINGS
from tests.parts.polling import eventually

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine to look with")

BOTH_TOOLS = "My API calls are failing, what's wrong with my account?"
SCREENSHOTS = ROOT / SETTINGS.dump_dir / "screenshots"


@pytest.fixture(scope="module")
async def page(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Page]:
    async with chromium(tmp_path_factory.mktemp("chromium")) as page:
        yield page


async def test_the_overview_lists_every_service(product: Product, page: Page) -> None:
    services = ("ToolRouter", "UserDatabase", "AccountExport", "SupportTicketWorkflow", "Tickets", "Notifier")
    await page.open(f"{product.admin.url}/ui/overview", *services)
    await page.screenshot(SCREENSHOTS / "overview.png")


async def test_a_run_is_shown_with_each_of_its_steps(product: Product, page: Page) -> None:
    question = AskedQuestion(product, BOTH_TOOLS)
    await question.answer()
    run = await product.latest_run()
    steps = ("begin", "model turn 1", "check_service_status", "query_user_database", "model turn 2")
    await page.open(f"{product.admin.url}/ui/invocations/{run['id']}", *steps)
    await page.screenshot(SCREENSHOTS / "timeline.png")
    if SETTINGS.docs_image:
        await page.screenshot(ROOT / SETTINGS.docs_image)


async def test_the_playground_sends_a_question_that_is_answered(product: Product, page: Page) -> None:
    playground = f"{product.admin.url}/ui/overview?servicePlayground=ToolRouter#/operations/route"
    await page.open(playground, "Send API Request")
    await page.click("Send API Request")

    async def sent() -> list[int] | None:
        asked = [each for each in page.answers if each[0] == "POST" and "/ToolRouter/route" in each[1]]
        return [status for _, _, status in asked] or None

    assert await eventually(sent, 30) == [200]
    await page.shows("outcome", "answered")
    await page.screenshot(SCREENSHOTS / "playground.png")
