"""What the registry makes of one moment of Restate, where a real Restate would be long in showing it."""

import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY, generate_latest

import registry.exporter
from registry.admin import Admin, AdminError, Deployment, Handler, Service, ServiceRevision, UnfinishedGroup
from registry.exporter import (
    Exporter,
    Moment,
    Wanted,
    by_deployment,
    by_status,
    draining,
    few_reasons,
    registered,
    replaced_at,
    stuck_by_reason,
)
from registry.metrics import count_ended
from registry.registration.registrar import Registrar
from registry.signals import TABLE
from registry.status import RegisteredDeployment, Status
from runtime.telemetry.metrics import Snapshot
from tests.parts.polling import eventually

START = datetime(2026, 1, 1, tzinfo=UTC)


def deployment(name: str, hours: int, *services: str) -> Deployment:
    revisions = [ServiceRevision(name=each) for each in services]
    created_at = START + timedelta(hours=hours)
    return Deployment(id=f"dp_{name}", uri=f"http://{name}:9080/", created_at=created_at, services=revisions)


def route(service: str, to: str) -> Service:
    return Service(name=service, ty="Service", deployment_id=f"dp_{to}", handlers=[Handler(name="run")])


def group(status: str = "running", deployment: str | None = None, **more: str) -> UnfinishedGroup:
    return UnfinishedGroup.model_validate(
        {"service": "S", "handler": "run", "status": status, "deployment": deployment, "invocations": 3, "age": 5}
        | more
    )


def moment(
    deployments: list[Deployment] | None = None,
    services: list[Service] | None = None,
    groups: list[UnfinishedGroup] | None = None,
    **pauses: str,
) -> Moment:
    return Moment(deployments or [], services or [], groups or [], pauses, START + timedelta(hours=10))


def test_a_status_that_is_new_to_us_and_a_service_that_is_gone_are_told_too() -> None:
    told = by_status(moment(services=[route("T", "a")], groups=[group("dreaming")]))
    assert told["S", "run", "dreaming"] == 3
    assert told["T", "run", "paused"] == 0


def test_a_pause_that_was_not_asked_about_has_another_reason() -> None:
    groups = [group("paused", paused="inv_1"), group("paused", paused="inv_2")]
    told = stuck_by_reason(moment(groups=groups, inv_1="paused by hand"))
    assert {reason for _, _, _, reason in told} == {"paused by hand", "other"}


def test_the_rarer_ones_of_too_many_reasons_are_one() -> None:
    told = few_reasons({("S", "run", "backing-off", f"Error{n:02}"): n for n in range(1, 31)})
    assert len(told) == 21
    assert told["S", "run", "backing-off", "other"] == sum(range(1, 11))
    assert told["S", "run", "backing-off", "Error30"] == 30


def test_a_counter_of_reasons_stays_small() -> None:
    for n in range(100):
        count_ended("Bounded", f"Bounded{n:02}Error")
    lines = generate_latest(REGISTRY).decode().splitlines()
    told = [line for line in lines if line.startswith("switchboard_invocations_ended_total{") and "Bounded" in line]
    assert len(told) <= 21
    assert sum(float(line.split()[-1]) for line in told) == 100


def test_a_deployment_drains_since_the_last_of_its_services_went_elsewhere() -> None:
    old, first, second, later = (
        deployment("old", 0, "S", "T"),
        deployment("first", 1, "S"),
        deployment("second", 2, "T"),
        deployment("later", 3, "S", "T"),
    )
    assert replaced_at(old, [later, second, old, first]) == START + timedelta(hours=2)
    assert replaced_at(later, [later, second, old, first]) is None


def test_what_still_serves_something_does_not_drain_and_what_is_drained_is_not_told_of() -> None:
    deployments = [deployment("half", 0, "S", "T"), deployment("done", 1, "S"), deployment("new", 2, "S")]
    services = [route("S", "new"), route("T", "half")]
    now = moment(deployments, services, [group(deployment="dp_half")])
    assert by_deployment(now) == {
        ("dp_half", "http://half:9080/", "current"): 3,
        ("dp_new", "http://new:9080/", "current"): 0,
    }
    assert draining(now) == {}


def test_work_of_a_replaced_deployment_drains_since_its_successor_came() -> None:
    deployments = [deployment("old", 0, "S"), deployment("new", 4, "S")]
    now = moment(deployments, [route("S", "new")], [group(deployment="dp_old"), group("pending")])
    assert by_deployment(now)["dp_old", "http://old:9080/", "draining"] == 3
    assert draining(now) == {("dp_old", "http://old:9080/"): 6 * 3600}


def test_registered_is_what_restate_routes_wholly_to_the_wanted_url() -> None:
    now = moment([deployment("half", 0, "S", "T"), deployment("new", 1, "S")], [route("S", "new"), route("T", "half")])
    wanted = {"half": "http://half:9080", "new": "http://new:9080", "unknown": "http://unknown:9080"}
    assert registered(now, wanted) == {("half",): 0, ("new",): 1, ("unknown",): 0}


def test_the_wanted_ones_are_read_anew_each_time(tmp_path: Path) -> None:
    file = tmp_path / "deployments"
    wanted = Wanted({"own": "http://own"}, file)
    file.write_text("users=http://users/rev/1")
    assert wanted.urls() == {"users": "http://users/rev/1", "own": "http://own"}
    file.write_text("users=http://users/rev/2,router=http://router\n")
    assert wanted.urls() == {"users": "http://users/rev/2", "router": "http://router", "own": "http://own"}


@pytest.mark.parametrize("content", [None, b"", b"users", b"users=ftp://users", b"\xff"])
def test_an_unreadable_file_of_wanted_ones_names_nothing_and_is_warned_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    file = tmp_path / "deployments"
    wanted = Wanted({}, file)
    for _ in range(2):
        if content is not None:
            file.write_bytes(content)
        assert [wanted.urls() for _ in range(3)] == [{}] * 3
        file.write_text("users=http://users")
        assert wanted.urls()
        file.unlink()
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.message for record in warnings] == ["wanted_deployments_unreadable"] * 2


class ScriptedAdmin(Admin):
    """A Restate that answers or fails as it is told, each time anew."""

    def __init__(self, *answers: list[UnfinishedGroup] | AdminError) -> None:
        super().__init__("http://restate")
        self._answers = list(answers)

    async def deployments(self) -> list[Deployment]:
        return []

    async def services(self) -> list[Service]:
        return []

    async def unfinished(self) -> list[UnfinishedGroup]:
        answer = self._answers.pop(0)
        if isinstance(answer, AdminError):
            raise answer
        return answer


def unfinished() -> float | None:
    labels = {"service": "S", "handler": "run", "status": "running"}
    return REGISTRY.get_sample_value("switchboard_invocations", labels)


@pytest.fixture
def clean() -> Iterator[None]:
    """Takes the snapshots of a test away again."""
    before = set(REGISTRY._collector_to_names)
    yield
    for each in set(REGISTRY._collector_to_names) - before:
        REGISTRY.unregister(each)


async def test_the_first_answer_after_restate_was_away_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, clean: None
) -> None:
    monkeypatch.setattr(registry.exporter, "SETTLING_SECONDS", 0)
    exporter = Exporter(ScriptedAdmin([], [group()], AdminError("away"), [], [group()], [group()]), Wanted({}))
    await exporter.poll()
    assert unfinished() == 3
    with pytest.raises(AdminError):
        await exporter.poll()
    assert unfinished() is None
    for _ in range(2):
        await exporter.poll()
        assert unfinished() == 3


@pytest.mark.parametrize(("status", "failures"), [(None, 0), (409, 1)])
async def test_that_restate_is_away_is_no_failed_registration(status: int | None, failures: int) -> None:
    class Refusing(ScriptedAdmin):
        async def deployments(self) -> list[Deployment]:
            raise AdminError("no", status)

    name = f"deployment-{status}"
    told = Status(registered={name: RegisteredDeployment(deployment_id="dp_1", services=["S"])})
    keeping = asyncio.create_task(Registrar(Refusing(), {name: "http://one"}, told).keep_registered(name, 0))

    async def failed() -> bool:
        return name in told.failed

    await eventually(failed)
    keeping.cancel()
    assert REGISTRY.get_sample_value("switchboard_registration_failures_total", {"deployment": name}) == failures


def test_a_scrape_never_sees_half_of_a_moment() -> None:
    told = Snapshot(TABLE)
    told.tell({"switchboard_restate_reachable": {(): 1}, "switchboard_deployment_registered": {("mine",): 1}})
    during_a_scrape = iter(told.collect())
    next(during_a_scrape)
    told.tell({"switchboard_restate_reachable": {(): 0}})
    assert [each.name for each in during_a_scrape] == ["switchboard_deployment_registered"]
    assert [each.name for each in told.collect()] == ["switchboard_restate_reachable"]
    REGISTRY.unregister(told)


def test_a_snapshot_tells_only_what_the_table_has() -> None:
    told = Snapshot(TABLE)
    with pytest.raises(LookupError):
        told.tell({"switchboard_made_up": {(): 1}})
    with pytest.raises(ValueError, match="labels"):
        told.tell({"switchboard_invocations": {("S",): 1}})
    REGISTRY.unregister(told)
