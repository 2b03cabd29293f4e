"""Runs that would otherwise hang for ever are ended, counted and named; all others are left alone."""

import asyncio

import pytest

from tests.parts.polling import eventually
from tests.parts.registry import Launch, Registry
from tests.parts.restate import RestateServer, request

SECRET = "words of a customer"


@pytest.fixture(scope="module")
def restate(own_restate: RestateServer) -> RestateServer:
    """No other registry is there, which would end what is stuck before this one does."""
    return own_restate


@pytest.fixture(scope="module")
async def registry(restate: RestateServer, service: Launch) -> Registry:
    deployed = await service("tests.parts.probe", SERVICE_NAME="Stuck")
    started = await Registry.start(
        service, restate, DEPLOYMENTS=f"stuck={deployed.url}", STUCK_POLL_SECONDS="0.3", PAUSED_GRACE_SECONDS="1"
    )
    await started.registered("stuck")
    return started


async def state_of(restate: RestateServer, invocation_id: str) -> str:
    rows = await restate.query(f"select status from sys_invocation where id = '{invocation_id}'")
    return rows[0]["status"]


async def start(restate: RestateServer, handler: str) -> str:
    body = {"words": SECRET} if handler != "wait" else None
    return (await restate.call("Stuck", handler, body, send=True)).json()["invocationId"]


async def test_a_caller_of_a_run_that_gave_up_gets_an_answer(restate: RestateServer, registry: Registry) -> None:
    reply = await restate.call("Stuck", "give_up", {"words": SECRET})
    assert reply.status_code == 409
    assert (await registry.stuck("Stuck"))["RT0007 ValueError"] >= 1


async def test_a_run_that_fails_past_its_own_deadline_is_ended(restate: RestateServer, registry: Registry) -> None:
    invocation_id = await start(restate, "keep_failing")

    async def ended() -> bool:
        return await state_of(restate, invocation_id) == "completed"

    await eventually(ended, 15)
    await registry.logged(invocation_id)


async def test_runs_that_wait_or_may_fail_on_are_left_alone(restate: RestateServer, registry: Registry) -> None:
    left_alone = [await start(restate, "wait"), await start(restate, "fail_patiently")]
    watched = await start(restate, "keep_failing")

    async def ended() -> bool:
        return await state_of(restate, watched) == "completed"

    await eventually(ended, 15)
    assert "completed" not in [await state_of(restate, each) for each in left_alone]
    for each in left_alone:
        await request("PATCH", f"{restate.admin_url}/invocations/{each}/kill")


async def test_what_was_cancelled_and_fails_on_and_on_is_ended(restate: RestateServer, registry: Registry) -> None:
    """Its handler fails before its first step, and so never learns that nobody waits any more."""
    read, effect, other = [await start(restate, name) for name in ("fail_patiently", "fail_for_good", "fail_patiently")]

    async def states() -> list[str]:
        return [await state_of(restate, each) for each in (read, effect, other)]

    async def all_fail() -> bool:
        return set(await states()) == {"backing-off"}

    async def read_ended() -> bool:
        return (await states())[0] == "completed"

    await eventually(all_fail)
    for each in (read, effect):
        await request("PATCH", f"{restate.admin_url}/invocations/{each}/cancel")
    await eventually(read_ended, 20)
    assert "completed" not in (await states())[1:]
    for each in (effect, other):
        await request("PATCH", f"{restate.admin_url}/invocations/{each}/kill")


async def test_what_a_person_paused_is_not_taken_for_stuck(restate: RestateServer, registry: Registry) -> None:
    by_hand = [await start(restate, "wait"), await start(restate, "fail_patiently")]

    async def fails() -> bool:
        return await state_of(restate, by_hand[1]) == "backing-off"

    async def paused() -> bool:
        return [await state_of(restate, each) for each in by_hand] == ["paused", "paused"]

    await eventually(fails)
    for each in by_hand:
        await request("PATCH", f"{restate.admin_url}/invocations/{each}/pause")
    await eventually(paused)
    await asyncio.sleep(2)  # twice the grace of a run that gave up
    assert await paused()
    for each in by_hand:
        await request("PATCH", f"{restate.admin_url}/invocations/{each}/kill")


async def test_the_log_names_the_reason_and_never_the_customers_words(registry: Registry) -> None:
    await registry.logged('"reason": "RT0007 ValueError"')
    assert SECRET not in registry.process.log.read_text()
