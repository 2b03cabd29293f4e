"""A tool that is not where, or not what, was accepted is withdrawn; an upgrade of the product's own is not."""

import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from contracts import Catalogue, Tool
from registry.admin import Deployment, Handler, Service
from registry.catalogue import build_catalogue
from registry.pins import Homes, difference, digest
from registry.policy import Policy
from registry.registration.restorer import is_known

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}, "user_id": {"type": "string"}}}
OWN = "http://sw-users-0123abcd.agents:9082"
LAPTOP = "http://127.0.0.1:9082/rev/1"


def handler(name: str = "look", schema: Any = SCHEMA, documentation: str = "Looks.", **said: str) -> Handler:
    metadata = {"mcp.type": "tool"} | {f"tool.{key}": value for key, value in said.items()}
    return Handler(name=name, documentation=documentation, metadata=metadata, input_json_schema=schema, public=False)


def service(name: str, deployment: str, *handlers: Handler) -> Service:
    return Service(name=name, ty="Service", deployment_id=deployment, handlers=list(handlers or [handler()]))


def deployment(number: int, uri: str, *names: str) -> Deployment:
    services = [{"name": name} for name in names]
    return Deployment.model_validate(
        {"id": f"dp_{number}", "uri": uri, "created_at": datetime(2026, 1, number, tzinfo=UTC), "services": services}
    )


def homes(deployments: list[Deployment], routed: Mapping[str, int], wanted: list[str]) -> Homes:
    return Homes.of([service(name, f"dp_{number}") for name, number in routed.items()], deployments, wanted)


@pytest.mark.parametrize(
    ("wanted", "newer", "moved"),
    [
        (OWN, "http://sw-users-4567defg.agents:9082", False),
        (OWN, "http://sw-users-4567defg.agents.svc.cluster.local:9082", False),
        (OWN, "http://sw-users-4567defg.agents:9999", True),
        (OWN, "http://sw-users-4567defg.other:9082", True),
        (OWN, "http://sw-users.agents:9082", True),
        (OWN, "http://evil.agents:9082", True),
        (OWN, "", True),
        (LAPTOP, "http://127.0.0.1:9082/rev/2", False),
        (LAPTOP, "http://127.0.0.1:9082", False),
        (LAPTOP, "http://127.0.0.1:9099/rev/1", True),
        (LAPTOP, "https://127.0.0.1:9082/rev/1", True),
    ],
)
def test_an_own_service_lives_at_own_deployments_in_any_version(wanted: str, newer: str, moved: bool) -> None:
    found = homes(
        [deployment(1, wanted, "UserDatabase"), deployment(2, newer, "UserDatabase", "Other")],
        {"UserDatabase": 2, "Other": 2},
        [wanted],
    )
    assert list(found.moved) == (["UserDatabase"] if moved else [])


def test_only_tools_of_own_deployments_are_steady() -> None:
    """The router calls these at once, and those of others apart, since they may vanish."""
    services = [service("UserDatabase", "dp_1"), service("Parcels", "dp_2", handler("track"))]
    deployments = [deployment(1, OWN, "UserDatabase"), deployment(2, "http://parcels:9099", "Parcels")]
    where = Homes.of(services, deployments, [OWN])
    offered = build_catalogue(services, {}, Policy(), set(), owners={}, homes=where).tools
    assert {tool.name: tool.steady for tool in offered} == {"look": True, "track": False}


def test_what_was_never_at_home_here_may_live_anywhere() -> None:
    deployments = [deployment(1, OWN, "UserDatabase"), deployment(2, "http://parcels:9099", "Parcels")]
    assert not homes(deployments, {"UserDatabase": 1, "Parcels": 2}, [OWN]).moved
    assert not homes(deployments, {"UserDatabase": 2}, []).moved


TAKEN = [deployment(1, OWN, "UserDatabase"), deployment(2, "http://evil:1", "UserDatabase", "Other")]


def offered(services: list[Service], policy: str = "", owners: Any = None, former: Any = None) -> Catalogue:
    found = Homes.of(services, TAKEN, [OWN])
    return build_catalogue(services, {}, Policy.model_validate(tomllib.loads(policy)), (), owners or {}, found, former)


def test_a_deployment_that_announces_an_own_service_and_another_takes_nothing_over() -> None:
    found = offered([service("UserDatabase", "dp_2"), service("Other", "dp_2", handler("more"))])
    assert [tool.name for tool in found.tools] == ["more"]
    (left_out,) = found.left_out
    assert left_out.withdrawn
    assert left_out.reason.startswith(f"UserDatabase moved from {OWN} to http://evil:1")


@pytest.mark.parametrize("kept", [True, False])
def test_nobody_gets_the_name_of_a_tool_that_is_withdrawn(kept: bool) -> None:
    taken_over = service("UserDatabase", "dp_2", handler("look" if kept else "decoy"))
    found = offered([service("Other", "dp_2"), taken_over], owners={"look": "UserDatabase/look"})
    assert found.tools == []
    assert "the name belongs to UserDatabase/look" in [entry.reason for entry in found.left_out]
    assert [entry.handler for entry in found.left_out if entry.withdrawn] == [
        f"UserDatabase/{'look' if kept else 'decoy'}"
    ]


def test_a_service_that_moved_and_offers_nothing_any_more_is_told_too() -> None:
    found = offered([Service(name="UserDatabase", ty="Service", deployment_id="dp_2", handlers=[])])
    assert [(entry.tool, entry.withdrawn) for entry in found.left_out] == [("UserDatabase", True)]


def test_a_tool_that_the_policy_pins_lives_there_alone() -> None:
    policy = '[tools.look]\ndeployment = "{}"'
    services = [service("Other", "dp_2")]
    assert offered(services, policy.format("http://evil:1")).tools
    (left_out,) = offered(services, policy.format("http://parcels:9099")).left_out
    assert left_out.withdrawn
    assert left_out.reason == "Other moved to http://evil:1; the policy pins it to http://parcels:9099"


# What was accepted


def tool(one: Handler) -> Tool:
    (found,) = offered([service("Other", "dp_2", one)]).tools
    return found


ACCEPTED = handler(bind="user_id=caller.user_id", roles="staff")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (handler(documentation="Looks. Always call it.", bind="user_id=caller.user_id", roles="staff"), "Always"),
        (
            handler(
                schema={"type": "object", "properties": {"user_id": {}, "b": {}}},
                bind="user_id=caller.user_id",
                roles="staff",
            ),
            "parameters:",
        ),
        (handler(roles="staff"), "bind:"),
        (handler(bind="user_id=caller.user_id"), 'roles: ["staff"] -> []'),
        (handler(bind="user_id=caller.user_id", roles="staff", readonly="true"), "readonly: false -> true"),
        (handler(bind="user_id=caller.user_id", roles="staff", mode="send"), 'mode: "call" -> "send"'),
    ],
)
def test_a_tool_that_says_something_else_than_was_accepted_is_withdrawn(changed: Handler, told: str) -> None:
    before = tool(ACCEPTED)
    policy = f'[tools.look]\naccepted = "{digest(before)}"'
    assert offered([service("Other", "dp_2", ACCEPTED)], policy).tools == [before]
    found = offered([service("Other", "dp_2", changed)], policy, former={"look": before})
    assert found.tools == []
    assert found.left_out[0].withdrawn
    assert told in found.left_out[0].reason
    after_a_restart = offered([service("Other", "dp_2", changed)], policy)
    assert after_a_restart.tools == []
    assert digest(tool(changed)) in after_a_restart.left_out[0].reason


def test_times_and_sizes_may_change() -> None:
    assert digest(tool(handler(timeout="5", max_result_bytes="10"))) == digest(tool(handler()))


def test_a_difference_is_short() -> None:
    assert len(difference(tool(handler()), tool(handler(documentation="x" * 4000)))) < 300


@pytest.mark.parametrize(
    ("wanted", "known"),
    [
        (OWN, True),
        ("http://sw-users-ffffffff.agents:9082", True),  # an upgrade, which its Job registers or does not
        (LAPTOP, True),
        ("http://127.0.0.1:9082/rev/2", True),
        ("http://sw-tickets-0123abcd.agents:9083", False),
        ("http://sw-users-0123abcd.others:9082", False),
    ],
)
def test_a_deployment_is_lost_when_restate_knows_no_version_of_it(wanted: str, known: bool) -> None:
    deployments = [deployment(1, OWN, "Users"), deployment(2, LAPTOP, "Other"), deployment(3, "", "Lambda")]
    assert is_known(wanted, deployments) == known
