"""Upgrades and rollbacks while runs are in flight: each run ends on the version that it began on."""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Self

import pytest

from tests.cluster.conftest import Note
from tests.cluster.parts.command import CommandFailed
from tests.cluster.parts.desk import Desk
from tests.cluster.parts.product import Product
from tests.cluster.parts.questions import ACCOUNT, TICKET, AskedQuestion, SteadyLoad, check_answers, check_turns
from tests.cluster.parts.talks import Talk
from tests.cluster.parts.variants import NEW_PROMPT, Variants
from tests.parts.polling import eventually
from tests.parts.values import Values, merge

TURN_SECONDS = 10
"""Of a run that goes on and on: a model call is always under way."""

FINE = "none lost, none failed, no step repeated"
OTHER_ROOM: Values = {"conversations": {"podAnnotations": {"example.com/version": "another"}}}
"""A new version of the conversations, of the same code."""

OTHER_TYPE = "META0006"
"""Restate's code for a service that comes back as another kind of service."""

IN_PROGRESS = "another operation (install/upgrade/rollback) is in progress"
"""What docs/kubernetes.md tells the way out of."""


@pytest.fixture(scope="module")
async def variants(product: Product) -> Variants:
    return await Variants.of(product)


@pytest.fixture
async def before(product: Product) -> AsyncIterator[str]:
    """The version that a test begins with, and that it leaves behind."""
    version = await product.version()
    yield version
    if await product.version() != version:
        await product.release.upgrade()
    await product.wait_idle(180)


@pytest.mark.smoke
@pytest.mark.timeout(420)
async def test_an_upgrade_under_load_loses_and_repeats_nothing(
    product: Product, variants: Variants, before: str, note: Note
) -> None:
    async with Work(product) as work:
        room = await product.version("conversations")
        await product.release.upgrade(merge(await variants.image("prompt"), OTHER_ROOM))
        after = await product.version()
        assert after != before
        assert {before, after} <= await product.versions()
        assert await product.version("conversations") != room
        await work.spans(before)
        late = AskedQuestion(product, ACCOUNT)
        await late.answer()
        assert NEW_PROMPT in await product.prompt(late.token)
    note(f"upgrade: {await work.check()} questions, {FINE}")
    assert NEW_PROMPT not in await product.prompt(work.running[0].token)
    assert await product.pinned(after)
    await product.prune(before)
    await eventually(lambda: left(product, before), 90)


@pytest.mark.timeout(420)
async def test_a_rollback_while_both_versions_have_runs_in_flight_loses_and_repeats_nothing(
    product: Product, variants: Variants, before: str, note: Note
) -> None:
    revision = await product.release.revision()
    async with Work(product) as old:
        await product.release.upgrade(merge(await variants.image("steps"), OTHER_ROOM))
        after = await product.version()
        await old.spans(before)
        async with Work(product) as new:
            await product.release.rollback(revision)
            assert await product.version() == before
            await new.spans(after)
    note(f"rollback before the drain: {await old.check() + await new.check()} questions, {FINE}")


@pytest.mark.timeout(420)
async def test_a_rollback_to_a_version_that_was_pruned_brings_it_back(
    product: Product, variants: Variants, before: str, note: Note
) -> None:
    revision = await product.release.revision()
    await product.release.upgrade(await variants.image("steps"))
    after = await product.version()
    await product.prune(before)
    async with Work(product) as work:
        await product.release.rollback(revision)
        assert await product.version() == before
        await work.spans(after)
    note(f"rollback after the drain: {await work.check()} questions, {FINE}")


@pytest.mark.timeout(420)
async def test_a_version_that_restate_refuses_fails_the_upgrade_and_changes_nothing(
    product: Product, variants: Variants, before: str
) -> None:
    known = await product.versions()
    async with SteadyLoad(product, TICKET) as load:
        with pytest.raises(CommandFailed, match=OTHER_TYPE):
            await product.release.upgrade(await variants.image("type"))
        assert await product.version() == before
    await check_answers(product, load.questions)
    (refused,) = await product.versions() - known
    await product.release.upgrade(await variants.image("prompt"))
    assert await product.version() not in {before, refused}
    await check_answers(product, [AskedQuestion(product, TICKET)])
    await product.prune(refused)
    assert await product.failures() == []


@pytest.mark.timeout(420)
async def test_an_upgrade_that_was_killed_at_its_hook_is_gone_on_with_as_the_page_says(
    product: Product, variants: Variants, before: str, note: Note
) -> None:
    values = merge(await variants.image("prompt"), OTHER_ROOM)
    former = await registration(product)
    async with SteadyLoad(product, TICKET) as load:
        upgrade = asyncio.create_task(product.release.upgrade(values))
        await eventually(lambda: another_registration(product, former), 180)
        upgrade.cancel()  # kills Helm
        await asyncio.gather(upgrade, return_exceptions=True)
        with pytest.raises(CommandFailed, match=re.escape(IN_PROGRESS)):
            await product.release.upgrade(values)
        await product.release.rollback()
        await product.release.upgrade(values)
        assert await product.version() != before
        await AskedQuestion(product, TICKET).answer()
    await product.wait_idle()
    await check_answers(product, load.questions)
    assert await product.failures() == []
    note(f"upgrade killed at its hook, rolled back, upgraded: {len(load.questions)} questions, none lost, none failed")


async def registration(product: Product) -> str:
    """The uid of the Job that stands there now."""
    jobs = [job["metadata"] for job in await product.namespace.get("jobs", component="registry")]
    return next((job["uid"] for job in jobs if job["name"] == "switchboard-register"), "")


async def another_registration(product: Product, former: str) -> bool:
    return await registration(product) not in {"", former}


REFUNDS = "SELECT string_agg(status, ',') FROM users.refunds WHERE user_id = 'user_12345'"


@pytest.mark.timeout(420)
async def test_a_call_that_waits_for_a_person_and_a_person_who_speaks_outlive_an_upgrade_and_a_rollback(
    product: Product, variants: Variants, before: str, note: Note
) -> None:
    desk, asked, held = Desk(product), Talk(product), Talk(product)
    revision = await product.release.revision()
    await asked.say("Can you refund invoice INV-12345-006?")
    await eventually(lambda: desk.waiting(asked), 60)
    await held.say("I want to talk to a human, please, about my invoice.")
    await held.answers(1)
    await desk.take(held)
    await desk.say(held, "Hello, this is Anna.")

    await product.release.upgrade(merge(await variants.image("prompt"), OTHER_ROOM))
    assert await product.version() != before
    assert (await product.sql(REFUNDS)).strip() == ""
    await desk.say(held, "I am still here.")
    assert await held.say("And what's my current subscription plan?") == "queued"

    await product.release.rollback(revision)
    await desk.approve(asked)
    await eventually(lambda: refunds(product, "refunded"), 60)
    await desk.give_back(held)
    await held.answers(2)
    assert [each.text for each in await held.entries("person")] == ["Hello, this is Anna.", "I am still here."]
    await desk.undo(asked)
    await eventually(lambda: refunds(product, "cancelled"), 60)
    await product.wait_idle()
    assert await product.failures() == []
    note("upgrade and rollback with an approval pending and a person in a conversation: one refund, undone, no failure")


async def refunds(product: Product, standing: str) -> bool:
    return (await product.sql(REFUNDS)).strip() == standing


class Work:
    """Runs in the middle of a model call, one of them in a conversation in which something waits, runs suspended on a
    call and its timer, and a steady load on top."""

    def __init__(self, product: Product) -> None:
        self._product = product
        self._running = f"slow-{uuid.uuid4().hex[:12]}"
        self.running: list[AskedQuestion] = []
        self.suspended: list[AskedQuestion] = []
        self._talk = Talk(product)
        self._load = SteadyLoad(product, ACCOUNT)
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        product = self._product
        await product.suspend_at_every_await()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(product.no_new_tickets())
            await product.keep_asking(self._running, TURN_SECONDS)
            stack.push_async_callback(product.answer_slowly, self._running, 0)
            self.suspended = [AskedQuestion(product, TICKET) for _ in range(4)]
            self.running = [AskedQuestion(product, ACCOUNT, token=f"{self._running}-{number}") for number in range(3)]
            assert await self._talk.say(f"{ACCOUNT} ({self._running}-{self._talk.key})") == "started"
            assert await self._talk.say(f"{TICKET} ({self._talk.key})", when_busy="queue") == "queued"
            await eventually(self._stand, 30)
            await stack.enter_async_context(self._load)
            self._open = stack.pop_all()
        return self

    async def _stand(self) -> bool:
        statuses = list((await self._product.open_runs()).values())
        return statuses.count("suspended") >= len(self.suspended) and statuses.count("running") > len(self.running)

    async def spans(self, version: str) -> None:
        """Fails unless the runs that were begun on a version are still under way on it."""
        left = [status for status in (await self._product.pinned(version)).values() if status != "completed"]
        assert left.count("suspended") >= len(self.suspended), left
        assert len(left) > len(self.suspended) + len(self.running), left

    async def __aexit__(self, *error: object) -> None:
        """Lets them all end. The run in the conversation reads what is said now, and reports to whoever is there."""
        if error[0] is None:
            assert await self._talk.say("And when was my last invoice, if you can see that?") == "steered"
        self._room = await self._product.version("conversations")
        await self._open.aclose()

    async def check(self) -> int:
        """Nothing was lost, failed, replayed by other code, or done again; returns of how many questions."""
        questions = [*self.suspended, *self.running, *self._load.questions]
        await check_answers(self._product, questions)
        await check_turns(self._product, questions)
        await self._check_talk()
        await self._product.wait_idle()
        assert await self._product.failures() == []
        return len(questions)

    async def _check_talk(self) -> None:
        """Each question was answered by one run, in order; what was said meanwhile was read; the present version of
        the object was told."""
        answers = await self._talk.answers(2)
        assert len({each.run for each in answers}) == len(answers) == 2, answers
        said = [each for each in await self._talk.entries("message") if "last invoice" in each.text]
        assert [each.run for each in said] == [answers[0].run], said
        made = [ticket for ticket, text in (await self._product.tickets()).items() if self._talk.key in text]
        assert len(made) == 1, made
        reports = await self._talk.reports()
        assert len(reports) == 2
        assert [each for each in reports if f"-conversations-{self._room}." not in each["endpoint"]] == []


async def left(product: Product, version: str) -> bool:
    """Whether the last pod of a version of the router is gone."""
    pods = await product.namespace.get("pods", component="router")
    return version not in {pod["metadata"]["labels"]["switchboard/version"] for pod in pods}
