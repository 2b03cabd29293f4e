"""`python -m registry prune` and `remove`, with the real Restate and what they may call of the Kubernetes API."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from registry.admin import Admin
from registry.cluster import Cluster
from registry.prune import SETTLING, Pruner, prune
from registry.settings import PruneSettings
from tests.conftest import ONCE
from tests.parts.kubernetes import CONFIGMAP, Kubernetes
from tests.parts.polling import eventually
from tests.parts.registry import Launch
from tests.parts.registry_command import Ended, run
from tests.parts.restate import RestateServer, request
from tests.parts.service import Service

pytestmark = ONCE

NAMESPACE, FORMER = "0.1", "127.0"
"""A version's host is `<name>.<namespace>`, and here the former one must be this machine."""

OBJECTS = {f"deployments/{FORMER}", f"services/{FORMER}"}


@dataclass
class MidUpgrade:
    """A release in the middle of an upgrade: the former version at 127.0.0.1, the current one at localhost."""

    kubernetes: Kubernetes
    restate: RestateServer
    former: Service
    current: Service

    @property
    def settings(self) -> dict[str, str]:
        return {
            "NAMESPACE": NAMESPACE,
            "RELEASE": "board",
            "VERSIONS_CONFIGMAP": CONFIGMAP,
            "KUBERNETES_URL": self.kubernetes.url,
            "SERVICE_ACCOUNT": str(self.kubernetes.folder),
            "RESTATE_ADMIN_URL": self.restate.admin_url,
        }

    async def upgrade(self) -> None:
        self.kubernetes.wanted = [f"users=http://localhost:{self.current.port}"]
        await self.restate.register(f"http://localhost:{self.current.port}")

    async def prune(self) -> None:
        """A round, some time later."""
        settings = prune_settings(self)
        cluster = Cluster(settings.kubernetes_url, settings.namespace, settings.service_account)
        async with cluster, Admin(settings.restate_admin_url) as admin:
            await Pruner(cluster, admin, settings, lambda: datetime.now(UTC) + SETTLING).round()

    async def command(self, name: str) -> Ended:
        return await run(name, **self.settings)

    async def run(self, where: str) -> str | None:
        """The id of such an invocation."""
        rows = await self.restate.query(f"select id from sys_invocation where {where}")
        return rows[0]["id"] if rows else None

    async def registered(self) -> set[str]:
        rows = await self.restate.query("select endpoint from sys_deployment")
        return {"former" if "127.0.0.1" in row["endpoint"] else "current" for row in rows}


def prune_settings(release: MidUpgrade) -> PruneSettings:
    return PruneSettings.model_validate({name.lower(): value for name, value in release.settings.items()})


@pytest.fixture
async def release(tmp_path: Path, service: Launch, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MidUpgrade]:
    monkeypatch.setattr("registry.prune.SECOND_LOOK_SECONDS", 0.05)
    kubernetes = Kubernetes(NAMESPACE, tmp_path)
    api = await kubernetes.start()
    restate = RestateServer(tmp_path)
    await restate.start()
    former, current = [await service("tests.parts.probe", SERVICE_NAME="Pruned", DRAIN_SECONDS="0") for _ in range(2)]
    kubernetes.add(FORMER)
    await restate.register(former.url)
    yield MidUpgrade(kubernetes, restate, former, current)
    await restate.kill()
    for process in (former, current):
        await process.stop()
    await api.cleanup()


async def test_a_version_is_kept_until_it_is_drained_and_then_deleted_everywhere(release: MidUpgrade) -> None:
    release.kubernetes.add("other", release="another")
    release.kubernetes.add("board-registry", version="")
    others = release.kubernetes.names() - OBJECTS
    await release.restate.call("Pruned", "wait", send=True)
    run_id = await eventually(lambda: release.run("pinned_deployment_id is not null"))
    await release.upgrade()

    await release.prune()
    assert release.kubernetes.names() >= OBJECTS
    assert await release.registered() == {"former", "current"}

    await request("PATCH", f"{release.restate.admin_url}/invocations/{run_id}/kill")
    await release.restate.wait_idle()
    await release.prune()
    assert release.kubernetes.names() == others
    assert await release.registered() == {"current"}


@pytest.mark.parametrize("command", ["pause", None])
async def test_work_that_does_not_run_is_not_lost(release: MidUpgrade, command: str | None) -> None:
    """Suspended or paused, it needs its version; whatever has no pin is finished by the next one."""
    await release.restate.call("Pruned", "wait", send=True)
    await release.restate.call("Pruned", "give_up", {"words": "x"}, send=True)
    await release.restate.call("Pruned", "fail_patiently", {"words": "x"}, send=True)
    run_id = await eventually(lambda: release.run("pinned_deployment_id is not null"))
    if command:
        await request("PATCH", f"{release.restate.admin_url}/invocations/{run_id}/{command}")
        await eventually(lambda: release.run(f"id = '{run_id}' and status = 'paused'"))
    await release.upgrade()
    await release.prune()
    assert release.kubernetes.names() == OBJECTS

    await request("PATCH", f"{release.restate.admin_url}/invocations/{run_id}/kill")

    async def gone() -> bool:
        await release.prune()
        return not release.kubernetes.names()

    await eventually(gone)
    assert len(await release.restate.open_invocations()) == 2
    assert await release.registered() == {"current"}


async def test_a_restate_that_has_just_started_and_knows_of_no_work_condemns_nothing(
    release: MidUpgrade, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until its partitions have leaders, its tables are answered as empty, with status 200."""
    await release.restate.call("Pruned", "wait", send=True)
    await eventually(lambda: release.run("pinned_deployment_id is not null"))
    await release.upgrade()
    told, asked = Admin.unfinished_by_deployment, 0

    async def nothing_at_first(admin: Admin) -> dict[str, int]:
        nonlocal asked
        asked += 1
        return {} if asked == 1 else await told(admin)

    monkeypatch.setattr(Admin, "unfinished_by_deployment", nothing_at_first)
    await release.prune()
    assert asked == 2
    assert release.kubernetes.names() == OBJECTS
    assert await release.registered() == {"former", "current"}


async def test_a_version_that_restate_still_routes_to_stays(release: MidUpgrade) -> None:
    release.kubernetes.wanted = [f"users=http://localhost:{release.current.port}"]
    await release.prune()
    assert release.kubernetes.names() == OBJECTS
    assert await release.registered() == {"former"}


async def test_right_after_an_upgrade_the_former_version_stays_for_a_moment(release: MidUpgrade) -> None:
    await release.upgrade()
    ended = await release.command("prune")
    assert ended.code == 0
    kept = {line["version"]: line["why"] for line in ended.events("version_kept")}
    assert kept == {"127.0.0.1": "routes have just changed", "localhost": "the release wants it"}
    assert release.kubernetes.names() == OBJECTS


async def test_a_rollback_that_touches_an_object_in_between_wins(release: MidUpgrade) -> None:
    await release.upgrade()
    release.kubernetes.before_delete = lambda: release.kubernetes.touch("deployments", FORMER)
    await release.prune()
    assert release.kubernetes.names() == OBJECTS
    assert await release.registered() == {"former", "current"}


async def test_a_rollback_that_wants_it_again_wins(release: MidUpgrade) -> None:
    await release.upgrade()
    release.kubernetes.wanted.append(f"users=http://127.0.0.1:{release.former.port}")
    await release.prune()
    assert release.kubernetes.names() == OBJECTS
    assert await release.registered() == {"former", "current"}


async def test_what_was_deleted_halfway_is_finished(release: MidUpgrade) -> None:
    await release.upgrade()
    del release.kubernetes.objects["deployments", FORMER]
    await release.prune()
    assert not release.kubernetes.names()
    assert await release.registered() == {"current"}


async def test_a_version_whose_registration_failed_goes_when_it_is_old(release: MidUpgrade) -> None:
    await release.upgrade()
    release.kubernetes.add("board-users-young")
    release.kubernetes.add("board-users-old", created_at=datetime.now(UTC) - timedelta(hours=1))
    ended = await release.command("prune")
    assert ended.code == 0
    assert [line["version"] for line in ended.events("version_deleted")] == [f"board-users-old.{NAMESPACE}"]
    assert "deployments/board-users-young" in release.kubernetes.names()


async def test_without_a_word_of_what_is_wanted_nothing_is_deleted(release: MidUpgrade) -> None:
    await release.upgrade()
    for said, told in (([], "not found"), ([""], "names nothing"), (["users"], "expected name=url")):
        release.kubernetes.wanted = said
        ended = await release.command("prune")
        assert ended.code == 1
        assert ended.last_line.startswith("prune: ")
        assert told in ended.last_line
    assert release.kubernetes.names() == OBJECTS


async def test_while_restate_is_away_nothing_is_deleted_and_nothing_fails(
    release: MidUpgrade, caplog: pytest.LogCaptureFixture
) -> None:
    await release.upgrade()
    await release.restate.kill()
    await prune(prune_settings(release), patience=0)
    assert [record.getMessage() for record in caplog.records if record.name == "registry"] == ["nothing_pruned"]
    assert release.kubernetes.names() == OBJECTS


async def test_remove_deletes_every_version_of_the_release_and_nothing_else(release: MidUpgrade) -> None:
    await release.upgrade()
    release.kubernetes.add("board-users-current")
    release.kubernetes.add("other", release="another")
    release.kubernetes.add("board-registry", version="")
    before = await release.registered()
    ended = await release.command("remove")
    assert ended.code == 0, ended.stderr
    assert {name.partition("/")[2] for name in release.kubernetes.names()} == {"other", "board-registry"}
    assert await release.registered() == before
    assert (await release.command("remove")).code == 0
