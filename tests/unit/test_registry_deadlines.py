"""Whose time counts before a run is taken for stuck."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from registry.admin import Admin, AdminError, Handler, Service, Unfinished
from registry.status import Status
from registry.stuck import StuckRuns, reason_code, stated_deadlines

YESTERDAY = datetime(2026, 1, 1, tzinfo=UTC)


class OneRunAdmin(Admin):
    """A Restate with one run, that is unfinished until it is killed."""

    def __init__(self) -> None:
        super().__init__("http://restate")
        self.runs: list[Unfinished] | None = []
        self.killed: list[str] = []
        self.is_cancelled = False
        self.says: dict[str, str] = {}
        self.failure: dict[str, Any] | None = {"restate_doc_error_code": "RT0007", "error_message": "KeyError('x')"}

    def set(
        self, status: str, modified_at: datetime = YESTERDAY, last_failure: str | None = "x", entries: int = 3
    ) -> None:
        about = {"id": "inv_1", "service": "S", "handler": "h", "status": status, "entries": entries}
        self.runs = [Unfinished.model_validate({**about, "modified_at": modified_at, "last_failure": last_failure})]

    async def paused_or_failing(self) -> list[Unfinished]:
        if self.runs is None:
            raise AdminError("away")
        return self.runs

    async def cancelled(self, invocation_ids: Sequence[str]) -> AbstractSet[str]:
        return frozenset(invocation_ids if self.is_cancelled else ())

    async def services(self) -> list[Service]:
        return [Service(name="S", ty="Service", deployment_id="dp_1", handlers=[Handler(name="h", metadata=self.says)])]

    async def pause_event(self, invocation_id: str) -> dict[str, Any]:
        return {"last_failure": self.failure} if self.failure else {}

    async def kill(self, invocation_id: str) -> None:
        self.killed.append(invocation_id)

    async def is_unfinished(self, invocation_id: str) -> bool:
        return invocation_id not in self.killed


class Watch:
    """The watch over this one run, on a clock that the test sets."""

    def __init__(self) -> None:
        self.admin, self.status, self.now = OneRunAdmin(), Status(), 0.0
        self._runs = StuckRuns(self.admin, self.status, paused_grace=30, deadline=600, clock=lambda: self.now)

    async def look(self, after: float = 0) -> bool:
        """One round, this many seconds later; says whether the run was ended."""
        self.now += after
        await self._runs.end()
        return bool(self.admin.killed)


@pytest.fixture
def watch() -> Watch:
    return Watch()


async def test_a_failing_run_has_its_whole_deadline_from_when_it_is_first_seen(watch: Watch) -> None:
    watch.admin.set("backing-off")
    assert [await watch.look(seconds) for seconds in (0, 300, 299)] == [False, False, False]
    assert await watch.look(1)
    assert watch.status.ended_stuck == {"S": {"unknown": 1}}


async def test_a_run_that_is_just_being_tried_again_has_made_no_progress(watch: Watch) -> None:
    watch.admin.set("backing-off")
    await watch.look()
    watch.admin.set("running")
    assert not await watch.look(600)
    watch.admin.set("backing-off")
    assert await watch.look(1)


async def test_progress_starts_the_time_anew(watch: Watch) -> None:
    watch.admin.set("backing-off")
    await watch.look()
    watch.admin.set("backing-off", entries=4)
    assert not await watch.look(599)
    assert not await watch.look(599)


async def test_a_try_that_fails_in_a_new_way_is_no_progress(watch: Watch) -> None:
    """Restate notes the failure, by which the run counts as modified."""
    watch.admin.set("backing-off", last_failure="connection refused")
    await watch.look()
    watch.admin.set("backing-off", YESTERDAY + timedelta(seconds=599), last_failure="the database starts")
    assert not await watch.look(599)
    assert await watch.look(1)


async def test_a_long_step_before_the_first_failure_does_not_count(watch: Watch) -> None:
    watch.admin.set("running")
    await watch.look()
    watch.admin.set("backing-off")
    assert not await watch.look(700)


EFFECT = {"mcp.type": "tool"}


@pytest.mark.parametrize("says", [EFFECT, EFFECT | {"tool.readonly": "false"}, {"switchboard.deadline": "none"}])
@pytest.mark.parametrize("status", ["backing-off", "paused"])
async def test_work_that_nobody_waits_for_is_never_ended_by_its_age(
    watch: Watch, status: str, says: dict[str, str]
) -> None:
    watch.admin.says = says
    watch.admin.set(status, last_failure=None)
    assert [await watch.look(seconds) for seconds in (0, 600, 30 * 86_400)] == [False, False, False]


@pytest.mark.parametrize("says", [EFFECT | {"tool.readonly": "true"}, EFFECT | {"switchboard.deadline": "60"}])
async def test_reads_and_effects_that_say_so_have_a_deadline(watch: Watch, says: dict[str, str]) -> None:
    watch.admin.says = says
    watch.admin.set("backing-off")
    assert [await watch.look(seconds) for seconds in (0, 600)] == [False, True]


async def test_a_read_that_was_cancelled_and_fails_on_and_on_is_ended_soon(watch: Watch) -> None:
    watch.admin.is_cancelled = True
    watch.admin.set("backing-off")
    assert [await watch.look(seconds) for seconds in (0, 4, 1)] == [False, False, True]


async def test_an_effect_is_not_ended_because_it_was_cancelled(watch: Watch) -> None:
    watch.admin.is_cancelled, watch.admin.says = True, EFFECT
    watch.admin.set("backing-off")
    assert [await watch.look(seconds) for seconds in (0, 600)] == [False, False]


async def test_time_while_restate_is_away_does_not_count(watch: Watch) -> None:
    watch.admin.set("backing-off")
    await watch.look()
    runs, watch.admin.runs = watch.admin.runs, None
    with pytest.raises(AdminError):
        await watch.look(3600)
    watch.admin.runs = runs
    assert not await watch.look(1)


async def test_a_run_that_gave_up_has_a_short_grace(watch: Watch) -> None:
    watch.admin.set("paused", last_failure=None)
    assert [await watch.look(seconds) for seconds in (0, 29, 1)] == [False, False, True]
    assert watch.status.ended_stuck == {"S": {"RT0007 KeyError": 1}}


async def test_a_run_that_a_person_paused_has_the_whole_deadline(watch: Watch) -> None:
    watch.admin.set("paused", last_failure=None)
    watch.admin.failure = None
    assert [await watch.look(seconds) for seconds in (0, 599, 1)] == [False, False, True]
    assert watch.status.ended_stuck == {"S": {"paused by hand": 1}}


async def test_so_has_one_that_was_paused_between_two_tries(watch: Watch) -> None:
    watch.admin.set("paused")
    assert [await watch.look(seconds) for seconds in (0, 599, 1)] == [False, False, True]
    assert watch.status.ended_stuck == {"S": {"RT0007 KeyError": 1}}


async def test_that_a_person_paused_it_is_remembered_when_restate_forgets_the_failure(watch: Watch) -> None:
    watch.admin.set("paused")
    await watch.look()
    watch.admin.runs = None
    with pytest.raises(AdminError):
        await watch.look()
    watch.admin.set("paused", last_failure=None)
    assert [await watch.look(seconds) for seconds in (0, 599)] == [False, False]
    watch.admin.set("paused", YESTERDAY + timedelta(seconds=1), last_failure=None)  # resumed, and given up
    assert [await watch.look(seconds) for seconds in (0, 30)] == [False, True]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("ValueError('my card is 4111')", "RT0007 ValueError"),
        (
            "[500 Internal] asyncpg.exceptions.UndefinedTableError: my card",
            "RT0007 asyncpg.exceptions.UndefinedTableError",
        ),
        ("my card is 4111, ValueError", "RT0007"),
        ("Error: my card is 4111", "RT0007 Error"),
        (None, "RT0007"),
    ],
)
def test_a_reason_never_repeats_what_a_customer_wrote(message: str | None, reason: str) -> None:
    assert reason_code("RT0007", message) == reason


def test_a_deadline_is_whole_seconds_or_nothing() -> None:
    handlers = [
        Handler(name=name, metadata={"switchboard.deadline": value})
        for name, value in {"day": "86400", "words": "a day", "below": "-1", "part": "1.5"}.items()
    ]
    assert stated_deadlines([Service(name="S", ty="Service", deployment_id="dp_1", handlers=handlers)]) == {
        ("S", "day"): 86400
    }
