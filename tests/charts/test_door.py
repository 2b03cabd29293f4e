"""The customers' door: the keys by which it is believed, who may come in, and the ways that lead there."""

import base64
import json
from typing import Any

import pytest

from runtime.caller_keys import parse
from tests.charts.charts import SWITCHBOARD, Object, Values, attempt, of_kind, pods, render
from users.demo import demo_names

ISSUER: Values = {"issuer": "https://id.example.com/", "audience": "switchboard"}
ROUTE: Values = {"enabled": True, "parentRefs": [{"name": "public"}]}


def told(objects: list[Object], component: str) -> dict[str, Any]:
    """The environment of what serves there."""
    (pod,) = [each for each in pods(objects) if each.component == component and each.owner.startswith("Deployment")]
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in pod.spec["containers"][0]["env"]}


def test_the_pair_that_the_chart_makes_is_the_gateways_and_those_who_believe_it_know_the_public_key_alone() -> None:
    objects = render(SWITCHBOARD)
    (secret,) = [each for each in of_kind(objects, "Secret") if each["metadata"]["name"] == "sw-caller-key"]
    public = base64.b64decode(secret["data"]["public.pem"]).decode()
    parse(public, "EdDSA")
    private = {"secretKeyRef": {"name": "sw-caller-key", "key": "private.pem"}}
    assert told(objects, "gateway")["SIGNING_KEY"] == private
    for room in ("router", "conversations", "tickets"):
        env = told(objects, room)
        assert env["CALLER_KEYS"] == {"secretKeyRef": {"name": "sw-caller-key", "key": "public.pem"}}, room
        assert env["CALLER_ALGORITHM"] == "EdDSA", room
    holders = {pod.component for pod in pods(objects) for each in pod.containers if private in refs(each)}
    assert holders == {"gateway"}


@pytest.mark.parametrize(
    ("values", "holders"),
    [
        ({"gateway": {"issuers": [ISSUER]}}, {"gateway", "test"}),
        ({"gateway": {"issuers": [ISSUER]}, "test": {"tokenSecret": "t"}}, {"gateway"}),
    ],
    ids=str,
)
def test_helm_test_holds_the_private_key_where_it_can_be_no_customer(values: Values, holders: set[str]) -> None:
    private = {"secretKeyRef": {"name": "sw-caller-key", "key": "private.pem"}}
    everyone = pods(render(SWITCHBOARD, values=values))
    assert {pod.component for pod in everyone for each in pod.containers if private in refs(each)} == holders


def refs(container: dict[str, Any]) -> list[Any]:
    return [each.get("valueFrom") for each in container.get("env", [])]


def test_the_demo_customers_are_those_of_the_database() -> None:
    customers = json.loads(told(render(SWITCHBOARD), "gateway")["DEMO_CUSTOMERS"])
    assert {each["user_id"]: each["name"] for each in customers} == demo_names()


@pytest.mark.parametrize(
    ("values", "there"),
    [
        ({}, "demo"),
        ({"gateway": {"enabled": False}}, ""),
        ({"gateway": {"demoCustomers": False, "apiKeys": False}}, ""),
        ({"gateway": {"demoCustomers": False}}, "keys"),
        ({"model": {"name": "m"}, "gateway": {"apiKeys": False}}, ""),
        ({"model": {"name": "m"}}, "keys"),
        ({"users": {"demoCustomers": False}, "gateway": {"apiKeys": False}}, ""),
        ({"model": {"name": "m"}, "gateway": {"demoCustomers": True}}, "demo"),
        ({"gateway": {"issuers": [ISSUER]}}, "issuers"),
        ({"model": {"name": "m"}, "gateway": {"issuers": [ISSUER]}}, "issuers"),
    ],
    ids=str,
)
def test_there_is_a_gateway_where_somebody_can_come_in_and_never_a_demo_beside_real_customers(
    values: Values, there: str
) -> None:
    objects = render(SWITCHBOARD, values=values)
    named = [each for each in objects if each["metadata"]["name"] in ("sw-gateway", "sw-names")]
    assert {each["kind"] for each in named} == (
        {"Deployment", "Service", "NetworkPolicy", "Secret"} if there else set[str]()
    )
    if there:
        env = told(objects, "gateway")
        assert env["API_KEYS"] == "true"
        assert ("DEMO_CUSTOMERS" in env, "ISSUERS" in env) == (there == "demo", there == "issuers")


def test_streams_and_whatever_is_waited_for_are_not_cut_and_everything_else_is_by_default() -> None:
    (route,) = of_kind(render(SWITCHBOARD, values={"gateway": {"httpRoute": ROUTE}}), "HTTPRoute")
    slow, rest = route["spec"]["rules"]
    paths = {match["path"]["value"] for match in slow["matches"]}
    assert paths == {"/api/v1/conversations", "/api/v1/questions", "/v1/chat/completions"}
    assert slow["timeouts"] == {"request": "0s"}
    assert "timeouts" not in rest
    assert rest["matches"] == [{"path": {"type": "PathPrefix", "value": "/"}}]
    assert slow["backendRefs"] == rest["backendRefs"] == [{"name": "sw-gateway", "port": 9089}]


def test_a_cluster_that_refuses_time_outs_gets_none() -> None:
    (route,) = of_kind(
        render(SWITCHBOARD, values={"gateway": {"httpRoute": {**ROUTE, "streamTimeout": ""}}}), "HTTPRoute"
    )
    (rule,) = route["spec"]["rules"]
    assert "timeouts" not in rule


@pytest.mark.parametrize(
    ("values", "asks"),
    [
        ({}, {"GATEWAY_URL", "DEMO_CUSTOMER"}),
        ({"gateway": {"issuers": [ISSUER]}, "test": {"tokenSecret": "t"}}, {"GATEWAY_URL", "CUSTOMER_TOKEN"}),
        ({"gateway": {"issuers": [ISSUER]}}, {"GATEWAY_URL", "INGRESS_URL", "SIGNING_KEY"}),
        ({"gateway": {"enabled": False}}, {"INGRESS_URL", "SIGNING_KEY"}),
        ({"gateway": {"enabled": False}, "test": {"tokenSecret": "t"}}, {"INGRESS_URL", "CALLER_TOKEN"}),
        ({"gateway": {"enabled": False}, "callers": {"existingSecret": "c"}}, set[str]()),
        ({"gateway": {"enabled": False}, "callers": {"existingSecret": "c"}, "trustUserId": True}, {"INGRESS_URL"}),
    ],
    ids=str,
)
def test_helm_test_asks_at_the_gateway_where_it_can_and_behind_it_where_it_holds_the_key(
    values: Values, asks: set[str]
) -> None:
    found = [each for each in pods(render(SWITCHBOARD, values=values)) if each.component == "test"]
    names = {each["name"] for pod in found for each in pod.spec["containers"][0]["env"]}
    ways = {"GATEWAY_URL", "CUSTOMER_TOKEN", "DEMO_CUSTOMER", "INGRESS_URL", "SIGNING_KEY", "CALLER_TOKEN"}
    assert names & ways == asks


@pytest.mark.parametrize(
    ("gateway", "advice"),
    [
        ({"issuers": [{"issuer": "http://id.example.com/", "audience": "a"}]}, "/gateway/issuers/0/issuer"),
        ({"issuers": [{"issuer": "https://id.example.com/"}]}, "/gateway/issuers/0"),
        ({"issuers": [{**ISSUER, "algorithms": ["HS256"]}]}, "/gateway/issuers/0/algorithms/0"),
        ({"issuers": [{**ISSUER, "algorithms": ["none"]}]}, "/gateway/issuers/0/algorithms/0"),
        ({"issuers": [ISSUER, {**ISSUER, "issuer": "https://b.example.com/"}]}, "each needs a prefix of its own"),
        ({"issuers": [{**ISSUER, "prefix": "a"}, {**ISSUER, "prefix": "a"}]}, "each needs a prefix of its own"),
        ({"issuers": [{**ISSUER, "prefix": "a"}, ISSUER]}, "each needs a prefix of its own"),
        ({"issuers": [ISSUER], "demoCustomers": True}, "where real customers come in, none is made up"),
        ({"allowedOrigins": ["https://www.example.com/"]}, "/gateway/allowedOrigins/0"),
        ({"allowedOrigins": ["*"]}, "/gateway/allowedOrigins/0"),
        ({"httpRoute": {"enabled": True}}, "set gateway.httpRoute.parentRefs"),
        ({"httpRoute": {**ROUTE, "streamTimeout": "for ever"}}, "/gateway/httpRoute/streamTimeout"),
        ({"ingress": {"enabled": True}}, "set gateway.ingress.hosts"),
        ({"enabled": False, "httpRoute": ROUTE}, "there is no gateway: set gateway.enabled=true"),
        (
            {"demoCustomers": False, "apiKeys": False, "httpRoute": ROUTE},
            "there is no gateway: set gateway.enabled=true",
        ),
        ({"limits": {"burst": 0}}, "/gateway/limits/burst"),
        ({"limits": {"valkey": {"host": "valkey://valkey:6379"}}}, "/gateway/limits/valkey/host"),
        ({"limits": {"valkey": {"host": "valkey", "port": 0}}}, "/gateway/limits/valkey/port"),
        ({"limits": {"valkey": {"host": "valkey", "user": "a:b@c"}}}, "/gateway/limits/valkey/user"),
    ],
    ids=str,
)
def test_values_that_cannot_work_are_refused_with_advice(gateway: Values, advice: str) -> None:
    done = attempt(SWITCHBOARD, values={"gateway": gateway})
    assert done.returncode
    assert advice in done.stderr
