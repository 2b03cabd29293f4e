"""Staff sign in at a desk on the cluster and do their work; and all of it comes back from a backup."""

import re
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.cluster.conftest import NewNamespace, Note
from tests.cluster.parts.forward import Forward
from tests.cluster.parts.front import Front
from tests.cluster.parts.page import Terminal, blocks
from tests.cluster.parts.product import VALUES, Product
from tests.cluster.parts.provider import NAME, ProviderPod, values
from tests.cluster.parts.questions import TICKET, AskedQuestion
from tests.cluster.parts.talks import Talk
from tests.parts.certificates import certified
from tests.parts.polling import eventually
from tests.parts.staff import StaffBrowser
from tests.parts.values import merge

BEN = "Ben Osei"
REFUNDS = "SELECT string_agg(invoice_id || ' ' || status, ',') FROM users.refunds"
THE_CHARTS_OWN_STAFF_KEYS = {"conversations": {"extraEnv": []}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the certificate of the provider and of what stands before the desk."""
    folder = tmp_path_factory.mktemp("desk")
    certified(folder, NAME)
    return folder


class House:
    """A product with a desk, and the identity provider of its staff."""

    def __init__(self, product: Product, provider: ProviderPod, front: Front) -> None:
        self.product, self.provider, self.desk = product, provider, front.url


@pytest.fixture(scope="module")
async def house(new_namespace: NewNamespace, folder: Path) -> AsyncIterator[House]:
    namespace = await new_namespace("desk")
    console = Forward(namespace, "switchboard-console", 9091)
    front = Front(folder, console.port)
    provider = ProviderPod(namespace, folder, front.url)
    product = Product(namespace, merge(merge(VALUES, THE_CHARTS_OWN_STAFF_KEYS), values(front.url)))
    await provider.stand()
    await product.release.install()
    for forward in (console, provider.forward):
        forward.start()
    await front.start()
    await product.open()
    yield House(product, provider, front)
    await front.stop()
    for forward in (console, provider.forward):
        await forward.stop()
    await product.close()
    await namespace.end()


@pytest.fixture
async def staff(house: House, folder: Path) -> AsyncIterator[StaffBrowser]:
    """Signed in, by way of the provider."""
    async with StaffBrowser(house.desk, ssl.create_default_context(cafile=str(folder / "cert.pem"))) as staff:
        await eventually(lambda: is_signed_in(staff), 60)
        yield staff


async def is_signed_in(staff: StaffBrowser) -> bool:
    return await names(staff, "/login/start?next=/queue", BEN)


async def test_staff_find_a_conversation_take_it_speak_and_give_it_back(house: House, staff: StaffBrowser) -> None:
    talk = Talk(house.product)
    await talk.say("I want to talk to a human, please, about my invoice.")
    await talk.answers(1)
    path = f"/conversations/{talk.key}"
    await eventually(lambda: names(staff, "/queue?who=nobody", path), 30)
    assert "You speak; the agent is silent." in (await staff.send(path, act="take")).text
    assert "Hello, this is Ben." in (await staff.send(path, act="say", text="Hello, this is Ben.")).text
    assert "The agent speaks." in (await staff.send(path, act="return")).text
    assert [each.text for each in await talk.entries("person")] == ["Hello, this is Ben."]
    await house.product.wait_idle()
    assert await house.product.failures() == []


async def test_an_approver_says_yes_to_a_call_that_waits(house: House, staff: StaffBrowser) -> None:
    talk = Talk(house.product)
    await talk.say("Can you refund invoice INV-12345-006?")
    await approve(staff, "INV-12345-006")
    await eventually(lambda: is_refunded(house.product, "INV-12345-006"), 60)


@pytest.mark.timeout(900)
async def test_all_is_lost_and_the_commands_of_the_page_bring_it_back(
    house: House, staff: StaffBrowser, tmp_path: Path, note: Note
) -> None:
    product, terminal = house.product, Terminal(house.product.namespace, tmp_path)
    await terminal.open()
    question, talk = AskedQuestion(product, TICKET), Talk(product)
    answer = await question.answer()
    await talk.say("Can you refund invoice INV-12345-005?")
    await eventually(lambda: waiting(staff, "INV-12345-005"), 60)

    await back_up(terminal)
    await product.namespace.create()
    await house.provider.stand()  # as everything that was brought along
    began = time.monotonic()
    await restore(terminal)
    note(f"restored from a backup, by the page's commands: {time.monotonic() - began:.0f} s")

    assert list(await product.tickets()) == answer["tickets"]
    again = await AskedQuestion(product, TICKET, token=question.token).answer()
    assert again["tickets"] == answer["tickets"]
    await eventually(lambda: names(staff, "/queue", BEN), 60)  # still signed in
    await approve(staff, "INV-12345-005")
    await eventually(lambda: is_refunded(product, "INV-12345-005"), 60)
    await talk.answers(1)
    assert list(await product.tickets()) == answer["tickets"]


async def back_up(terminal: Terminal) -> None:
    (secrets,), (copy, _), (dump, _) = map(blocks, ("### Secrets", "### Restate", "### PostgreSQL"))
    for commands in (secrets, copy, dump):
        await terminal.type(commands)


async def restore(terminal: Terminal) -> None:
    (copy, middle), (_, load) = map(blocks, ("### Restate", "### PostgreSQL"))
    install, end = blocks("### Everything, on an empty cluster")
    within, upgrade = middle.strip().split("\n")
    put_back, exchanged = re.subn(r"^kubectl exec restate-copy .*$", lambda _: within, copy, flags=re.MULTILINE)
    assert exchanged == 1
    for commands in (install, load, put_back, upgrade, end):
        await terminal.type(commands)


async def names(staff: StaffBrowser, page: str, words: str) -> bool:
    """Whether these words are on a page; on none while the desk is away."""
    try:
        return words in (await staff.get(page)).text
    except (aiohttp.ClientError, OSError):
        return False


async def waiting(staff: StaffBrowser, words: str) -> str | None:
    """The page of the call that waits with these words among its arguments."""
    found = re.findall(r"/approvals/[\w-]+", (await staff.get("/approvals")).text)
    return next(iter([path for path in found if words in (await staff.get(path)).text]), None)


async def approve(staff: StaffBrowser, words: str) -> None:
    path = await eventually(lambda: waiting(staff, words), 60)
    assert "approved</strong> by <strong>" in (await staff.send(path, choice="approve")).text


async def is_refunded(product: Product, invoice: str) -> bool:
    return f"{invoice} refunded" in await product.sql(REFUNDS)
