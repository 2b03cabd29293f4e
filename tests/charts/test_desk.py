"""The desk: the keys by which it acts, who may sign in, and the way there, which is never that of customers."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from runtime.call_tokens import private_key
from runtime.caller_keys import parse
from tests.charts.charts import SWITCHBOARD, Object, Values, attempt, of_kind, pods, render
from tests.parts.values import merge

OIDC: Values = {"issuer": "https://id.example.com/staff", "clientId": "desk"}
DESK: Values = {"console": {"baseUrl": "https://desk.example.com", "oidc": OIDC}}
ROUTE: Values = {"enabled": True, "parentRefs": [{"name": "public"}]}


def told(objects: list[Object], component: str) -> dict[str, Any]:
    """The environment of what serves there."""
    (pod,) = [each for each in pods(objects) if each.component == component and "switchboard/serves" in each.labels]
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in pod.spec["containers"][0]["env"]}


def secret(name: str, key: str) -> dict[str, Any]:
    return {"secretKeyRef": {"name": name, "key": key}}


@pytest.mark.parametrize(
    "values",
    [{}, {"console": {**DESK["console"], "enabled": False}}, {"console": {"oidc": {"clientId": "desk"}}}],
    ids=str,
)
def test_where_no_identity_provider_is_named_there_is_no_desk_and_nobody_is_staff(values: Values) -> None:
    objects = render(SWITCHBOARD, values=values)
    assert [each["metadata"]["name"] for each in objects if "console" in json.dumps(each["metadata"])] == []
    for room in ("tickets", "conversations", "users", "registry"):
        assert "STAFF_KEYS" not in told(objects, room)


def test_with_one_there_is_all_of_a_room_and_no_made_up_member_of_staff() -> None:
    objects = render(SWITCHBOARD, values=merge(DESK, {"console": {"replicas": 2}}))
    named = {each["kind"] for each in objects if each["metadata"]["name"] == "sw-console"}
    assert named == {"Deployment", "Service", "NetworkPolicy", "PodDisruptionBudget"}
    env = told(objects, "console")
    assert (env["OIDC_ISSUER"], env["OIDC_CLIENT_ID"], env["BASE_URL"]) == (
        OIDC["issuer"],
        "desk",
        "https://desk.example.com",
    )
    assert env["CONVERSATIONS_URL"] == "http://sw-watch:9088"
    assert env["REGISTRY_URL"] == "http://sw-registry:9092"
    assert env["API_KEYS"] == "true"
    assert not {"DEMO_STAFF", "SECURE_COOKIES", "OIDC_CLIENT_SECRET"} & set(env)


def test_macros_are_a_file_of_its_pods_which_change_with_them() -> None:
    text = "[[macro]]\nname = 'Hello: # {{ .Values }} \"$HOME'\ntext = 'Hello {{customer.name}}'\n"
    objects = render(SWITCHBOARD, values=merge(DESK, {"console": {"macros": text}}))
    (pod,) = [each for each in pods(objects) if each.component == "console"]
    (template,) = [
        each["spec"]["template"] for each in of_kind(objects, "Deployment") if each["metadata"]["name"] == "sw-console"
    ]
    assert template["metadata"]["annotations"]["switchboard/macros"] == text.strip()
    file = Path(told(objects, "console")["MACROS_FILE"])
    (volume,) = [
        each["name"] for each in pod.spec["containers"][0]["volumeMounts"] if each["mountPath"] == str(file.parent)
    ]
    (source,) = [each["downwardAPI"] for each in pod.spec["volumes"] if each["name"] == volume]
    at = {"fieldPath": "metadata.annotations['switchboard/macros']"}
    assert source["items"] == [{"path": file.name, "fieldRef": at}]
    assert "MACROS_FILE" not in told(render(SWITCHBOARD, values=DESK), "console")


def test_the_staffs_own_tools_come_in_unless_they_may_not() -> None:
    objects = render(SWITCHBOARD, values=merge(DESK, {"console": {"apiKeys": False}}))
    assert told(objects, "console")["API_KEYS"] == "false"


def test_the_key_that_signs_staff_tokens_is_the_desks_alone_and_the_others_know_the_public_one() -> None:
    objects = render(SWITCHBOARD, values=DESK)
    (made,) = [each for each in of_kind(objects, "Secret") if each["metadata"]["name"] == "sw-staff-key"]
    private_key(base64.b64decode(made["data"]["private.pem"]).decode())
    parse(base64.b64decode(made["data"]["keys"]).decode(), "EdDSA")
    private = secret("sw-staff-key", "private.pem")
    holders = {
        pod.component
        for pod in pods(objects)
        for container in pod.containers
        for each in container.get("env", [])
        if each.get("valueFrom") == private
    }
    assert holders == {"console"}
    for room in ("tickets", "conversations", "users", "registry"):
        env = told(objects, room)
        assert (env["STAFF_KEYS"], env["STAFF_ALGORITHM"]) == (secret("sw-staff-key", "keys"), "EdDSA")
    assert told(objects, "console")["STAFF_KEY"] == private
    assert told(objects, "console")["SESSION_SECRET"] == secret("sw-sessions", "sessions")


@pytest.mark.parametrize("accepting", ["any", "named"])
def test_what_admins_switch_is_kept_where_the_registry_alone_may_write(accepting: str) -> None:
    objects = render(SWITCHBOARD, values=merge(DESK, {"registry": {"acceptTools": accepting}}))
    env = told(objects, "registry")
    assert (env["DESK_PORT"], env["RECORD_CONFIGMAP"]) == ("9092", "sw-record")
    made = {each["metadata"]["name"] for each in of_kind(objects, "ConfigMap")}
    (role,) = [each for each in of_kind(objects, "Role") if each["metadata"]["name"] == "sw-registry"]
    kept = role["rules"][0]["resourceNames"]
    assert kept == (["sw-record"] if accepting == "any" else ["sw-accepted", "sw-record"])
    assert set(kept) <= made
    (service,) = [each for each in of_kind(objects, "Service") if each["metadata"]["name"] == "sw-registry"]
    assert [port["port"] for port in service["spec"]["ports"]] == [9084, 9092]


def test_where_nobody_is_staff_the_registry_has_no_port_for_them() -> None:
    objects = render(SWITCHBOARD, values={})
    assert not {"DESK_PORT", "RECORD_CONFIGMAP"} & set(told(objects, "registry"))
    assert "sw-record" not in [each["metadata"]["name"] for each in objects]
    (service,) = [each for each in of_kind(objects, "Service") if each["metadata"]["name"] == "sw-registry"]
    assert [port["port"] for port in service["spec"]["ports"]] == [9084]


def test_keys_of_ones_own_are_taken() -> None:
    staff = {"existingSecret": "s", "secretKey": "public", "signingKey": "private", "algorithm": "EdDSA"}
    objects = render(SWITCHBOARD, values=merge(DESK, {"staff": staff}))
    assert told(objects, "console")["STAFF_KEY"] == secret("s", "private")
    assert told(objects, "tickets")["STAFF_KEYS"] == secret("s", "public")
    assert "sw-staff-key" not in [each["metadata"]["name"] for each in objects]


def test_its_ways_from_outside_are_those_of_its_own_host() -> None:
    ways = {"httpRoute": ROUTE, "ingress": {"enabled": True, "tlsSecret": "desk-tls"}}
    customers = {"httpRoute": {**ROUTE, "hostnames": ["support.example.com"]}}
    objects = render(SWITCHBOARD, values=merge(DESK, {"console": ways, "gateway": customers}))
    route, ingress = (
        next(each for each in of_kind(objects, kind) if each["metadata"]["name"] == "sw-console")
        for kind in ("HTTPRoute", "Ingress")
    )
    assert route["spec"]["hostnames"] == ["desk.example.com"]
    assert route["spec"]["rules"][0]["backendRefs"] == [{"name": "sw-console", "port": 9091}]
    assert [each["host"] for each in ingress["spec"]["rules"]] == ["desk.example.com"]
    assert ingress["spec"]["tls"] == [{"secretName": "desk-tls", "hosts": ["desk.example.com"]}]


ON_ITS_HOST = "console.baseUrl is at desk.example.com, where the gateway answers customers"


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        ({"gateway": {"httpRoute": {**ROUTE, "hostnames": ["desk.example.com"]}}}, ON_ITS_HOST),
        ({"gateway": {"httpRoute": {**ROUTE, "hostnames": ["a.example.com", "*.example.com"]}}}, ON_ITS_HOST),
        ({"gateway": {"httpRoute": ROUTE}}, ON_ITS_HOST),
        ({"gateway": {"ingress": {"enabled": True, "hosts": ["desk.example.com"]}}}, ON_ITS_HOST),
        ({"console": {"baseUrl": ""}}, "set console.oidc.clientId, and console.baseUrl"),
        ({"console": {"oidc": {"clientId": ""}}}, "set console.oidc.clientId"),
        ({"console": {"oidc": {"issuer": ""}, "ingress": {"enabled": True}}}, "there is no desk"),
        ({"console": {"enabled": False, "httpRoute": ROUTE}}, "there is no desk"),
        ({"console": {"httpRoute": {"enabled": True}}}, "set console.httpRoute.parentRefs"),
        ({"staff": {"existingSecret": "s", "algorithm": "RS256"}}, "the desk signs by EdDSA or HS256"),
        ({"console": {"baseUrl": "http://desk.example.com"}}, "/console/baseUrl"),
        ({"console": {"baseUrl": "https://desk.example.com/"}}, "/console/baseUrl"),
        ({"console": {"restateUiUrl": "https://restate.example.com/ui"}}, "/console/restateUiUrl"),
        ({"console": {"traceUrl": "javascript:alert(1)//{trace_id}"}}, "/console/traceUrl"),
        ({"console": {"oidc": {"issuer": "http://id.example.com"}}}, "/console/oidc/issuer"),
        ({"console": {"oidc": {"scopes": "profile"}}}, "/console/oidc/scopes"),
        ({"console": {"oidc": {"roles": {"king": ["kings"]}}}}, "invalid propertyName 'king'"),
        ({"console": {"demoStaff": True}}, "demoStaff"),
    ],
    ids=str,
)
def test_values_that_cannot_work_are_refused_with_advice(values: Values, advice: str) -> None:
    done = attempt(SWITCHBOARD, values=merge(DESK, values))
    assert done.returncode
    assert advice in done.stderr
