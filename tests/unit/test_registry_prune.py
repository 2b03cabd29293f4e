"""Which versions go, and which stay."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from registry.admin import Deployment
from registry.cluster import Kind, KubeObject
from registry.prune import Traffic, Verdict, Version, host_of, verdict, versions

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CURRENT, FORMER = "board-users-aaaaaaaa.shop", "board-users-bbbbbbbb.shop"
WANTED = {CURRENT}
PRUNE_AFTER = 600


def object_of(host: str, kind: Kind = "Deployment", age: float = 86400) -> KubeObject:
    created = NOW - timedelta(seconds=age)
    metadata = {"name": host.partition(".")[0], "uid": "u", "resourceVersion": "1", "creationTimestamp": created}
    return KubeObject.model_validate({"kind": kind, "metadata": metadata})


def deployment_of(host: str, number: int = 1, age: float = 86400, domain: str = "") -> Deployment:
    created = NOW - timedelta(seconds=age)
    uri = f"http://{host}{domain}:9082/"
    return Deployment.model_validate({"id": f"dp_{number}", "uri": uri, "created_at": created, "services": []})


def judged(traffic: Traffic, *objects: KubeObject, host: str = FORMER) -> Verdict:
    """The verdict on the version at this host."""
    found = {version.host: version for version in versions(objects, traffic.deployments, "shop", WANTED)}
    return verdict(found[host], traffic, WANTED, NOW, PRUNE_AFTER)


def traffic(**said: Any) -> Traffic:
    """The current version, registered yesterday, and the former one, if `said` does not say otherwise."""
    return Traffic([deployment_of(CURRENT, 1), deployment_of(FORMER, 2)], **said)


def test_a_drained_version_goes() -> None:
    assert judged(traffic(), object_of(FORMER)) == Verdict(True, "drained")


def test_a_version_that_runs_need_stays() -> None:
    assert judged(traffic(unfinished={"dp_2": 3}), object_of(FORMER)) == Verdict(
        False, "3 unfinished invocations need it"
    )


def test_runs_of_other_versions_do_not_hold_it() -> None:
    assert judged(traffic(unfinished={"dp_1": 3}), object_of(FORMER)).delete


def test_a_version_that_still_gets_new_calls_stays() -> None:
    found = judged(traffic(routed={"dp_2": ["UserDatabase", "AccountExport"]}), object_of(FORMER))
    assert found == Verdict(False, "Restate routes AccountExport, UserDatabase to it")


@pytest.mark.parametrize("known", [[], [deployment_of(CURRENT)]])
def test_what_the_release_wants_stays_whatever_restate_says(known: list[Deployment]) -> None:
    found = judged(Traffic(known), object_of(CURRENT), host=CURRENT)
    assert found == Verdict(False, "the release wants it")


@pytest.mark.parametrize(("age", "goes"), [(PRUNE_AFTER - 1, False), (PRUNE_AFTER, True)])
def test_a_version_whose_registration_failed_goes_when_it_is_old(age: float, goes: bool) -> None:
    known = Traffic([deployment_of(CURRENT)])
    assert judged(known, object_of(FORMER, age=age), object_of(FORMER, "Service")).delete is goes


def test_a_restate_that_knows_nothing_of_the_release_condemns_nothing() -> None:
    strange = Traffic([deployment_of("somebody.else")])
    for empty in (Traffic(), strange):
        assert judged(empty, object_of(FORMER)) == Verdict(False, "Restate knows nothing that the release wants")


@pytest.mark.parametrize(("age", "goes"), [(29, False), (30, True)])
def test_a_version_stays_while_routes_settle(age: float, goes: bool) -> None:
    known = [deployment_of(CURRENT, 1, age), deployment_of(FORMER, 2)]
    assert judged(Traffic(known), object_of(FORMER)).delete is goes


def test_what_was_deleted_halfway_is_found_again() -> None:
    assert judged(traffic(), object_of(FORMER, "Service")).delete
    assert judged(traffic()).delete
    assert not judged(traffic(unfinished={"dp_2": 1})).delete


@pytest.mark.parametrize(
    "host",
    [
        "board-users-bbbbbbbb.elsewhere",
        "board-users.shop",
        "board-users-bbbbbbbb2.shop",
        "board-users-old-bbbbbbbb.shop",
        "other-users-bbbbbbbb.shop",
        "localhost",
    ],
)
def test_deployments_of_others_are_none_of_its_business(host: str) -> None:
    assert versions([], [deployment_of(host)], "shop", WANTED) == []


def test_parts_of_one_version_are_found_together() -> None:
    parts = [object_of(FORMER), object_of(FORMER, "Service")]
    known = [deployment_of(FORMER, 1), deployment_of(FORMER, 2, domain=".svc.cluster.local")]
    assert versions(parts, known, "shop", WANTED) == [Version(FORMER, parts, known)]


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://board-users-aaaaaaaa.shop:9082", CURRENT),
        ("http://board-users-aaaaaaaa.shop:9082/", CURRENT),
        ("https://board-users-aaaaaaaa.shop.svc:9082/rev/1", CURRENT),
        ("http://board-users-aaaaaaaa.shop.svc.example.org:9082", CURRENT),
        ("http://board.svc-shop:9082", "board.svc-shop"),
        ("", ""),
    ],
)
def test_a_host_is_the_same_however_long_its_domain(url: str, host: str) -> None:
    assert host_of(url) == host
