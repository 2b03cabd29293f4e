"""Every value does something and has a place in the schema; what a template asks for has a default."""

import json
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, reduce
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from tests.charts.charts import IDENTITY, PUBLIC_KEY, RESTATE, SWITCHBOARD, attempt, read
from tests.parts.values import Values, merge

CHARTS = pytest.mark.parametrize("chart", [SWITCHBOARD, RESTATE], ids=lambda chart: chart.name)

ISSUER: Values = {"issuer": "https://id.example.com/", "audience": "switchboard"}
VALKEY: Values = {"gateway": {"limits": {"valkey": {"host": "valkey.cache", "existingSecret": "cache"}}}}

OTHERS: list[Any] = [
    *("other", "512MiB", "https://other.example.com", "sha256:" + "a" * 64, "9Gi", "9s", "s3://other/prefix"),
    *("force", "PreferDualStack", "::"),
    *("groq", "Always", "ES256", "external", "disable", "none", "Delete", "compact", "named", ""),
    PUBLIC_KEY.replace("w", "z"),
    *(True, False, 7, 13, 4321),
    ["http://other.example.com:4321"],
    [{"name": "other", "url": "http://other.shop:4321"}],
    *([PUBLIC_KEY], ["10.9.0.0/16"], [{"name": "OTHER", "value": "other"}], [{"name": "other"}]),
    *(["https://www.example.com"], ["other.example.com"], [ISSUER]),
    *([{"ipBlock": {"cidr": "10.9.0.0/16"}}], {"other": "other"}, {"requests": {"cpu": "7"}}, {"RESTATE_X": "other"}),
    *("openid other", {"agent": ["other"]}),
    *("mon-fri 09:00-17:00", ["2026-12-25"]),
    *("https://other.example.com/{invocation}", "https://other.example.com/{trace_id}"),
]
"""Some other value, of each kind that may be wanted."""

EXTERNAL_RESTATE: Values = {
    "restate": {"enabled": False},
    "externalRestate": {"adminUrl": "http://restate:9070", "ingressUrl": "http://restate:8080"},
    "networkPolicy": {"restate": [{"podSelector": {"matchLabels": {"app": "restate"}}}]},
}
EXTERNAL_POSTGRES: Values = {
    "postgres": {"mode": "external", "existingSecret": "roles", "external": {"host": "db"}},
}

DESK: Values = {
    "console": {"baseUrl": "https://desk.example.com", "oidc": {"issuer": "https://id.example.com", "clientId": "desk"}}
}

NEEDS: dict[Path, dict[str, Values]] = {
    SWITCHBOARD: {
        "model.baseUrl": {"model": {"name": "other"}},
        "model.existingSecret": {"model": {"name": "other"}},
        "model.secretKey": {"model": {"name": "other", "existingSecret": "model"}},
        "model.fallbacksKey": {"model": {"name": "other", "existingSecret": "model"}},
        "model.fallbackUrls": {"model": {"name": "other", "existingSecret": "model", "fallbacksKey": "fallbacks"}},
        **{
            f"model.{value}": {"model": {"name": "other"}}
            for value in ("preset", "maxOutputTokens", "timeoutSeconds", "firstByteSeconds", "stream", "checkAtStart")
        },
        "callers.algorithm": {"callers": {"existingSecret": "callers"}, "gateway": {"enabled": False}},
        "gateway.httpRoute": {"gateway": {"httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]}}},
        "gateway.ingress": {"gateway": {"ingress": {"enabled": True, "hosts": ["support.example.com"]}}},
        "console": DESK,
        "console.oidc.secretKey": {"console": {"oidc": {"existingSecret": "desk"}}},
        "console.httpRoute": {"console": {"httpRoute": {"enabled": True, "parentRefs": [{"name": "internal"}]}}},
        "console.ingress": {"console": {"ingress": {"enabled": True}}},
        "staff.signingKey": merge(DESK, {"staff": {"existingSecret": "staff", "algorithm": "EdDSA"}}),
        "networkPolicy.colleagues": DESK,
        "networkPolicy.egress.staffIssuer": DESK,
        "networkPolicy.egress.issuers": {"gateway": {"issuers": [ISSUER]}},
        "networkPolicy.egress.valkey": VALKEY,
        "gateway.limits.valkey": VALKEY,
        **{
            f"staff.{value}": {"staff": {"existingSecret": "staff"}}
            for value in ("secretKey", "algorithm", "audience", "issuer")
        },
        **{
            f"{room}.autoscaling": {room: {"autoscaling": {"enabled": True}}}
            for room in ("router", "users", "tickets", "conversations", "gateway")
        },
        "tickets.webhook.existingSecret": {"tickets": {"webhook": {"url": "https://hooks.example.com"}}},
        "tickets.webhook.secretKey": {"tickets": {"webhook": {"url": "https://hooks.example.com"}}},
        "postgres.external": EXTERNAL_POSTGRES,
        "postgres.external.admin.user": {"postgres": {"external": {"admin": {"existingSecret": "admin"}}}},
        "postgres.external.admin.existingSecret": {"postgres": {"external": {"admin": {"user": "a"}}}},
        "postgres.external.admin.secretKey": {
            "postgres": {"external": {"admin": {"user": "a", "existingSecret": "admin"}}}
        },
        "restate.networkPolicy": {"networkPolicy": {"enabled": False}},
        "externalRestate": EXTERNAL_RESTATE,
        **{
            f"externalRestate.{value}": {"externalRestate": {"existingSecret": "tokens"}}
            for value in ("adminTokenKey", "ingressTokenKey")
        },
        "networkPolicy.restate": EXTERNAL_RESTATE,
        "networkPolicy.egress.model": {"model": {"name": "other"}},
        "networkPolicy.egress.statusPage": {"statusPage": {"url": "https://status.example.com"}},
        "networkPolicy.egress.webhooks": {"tickets": {"webhook": {"url": "https://hooks.example.com"}}},
        "networkPolicy.egress.postgres": EXTERNAL_POSTGRES,
        "networkPolicy.egress.proxy": {"proxy": {"url": "http://proxy:3128"}},
        "proxy.except": {"proxy": {"url": "http://proxy:3128"}},
        "networkPolicy.egress.otlp": {"global": {"otlpEndpoint": "http://collector:4318"}},
        "networkPolicy.egress.snapshots": {"restate": {"snapshots": {"destination": "s3://bucket/prefix"}}},
        "serviceAccount.annotations": {"serviceAccount": {"create": True}},
        "podMonitor": {"podMonitor": {"enabled": True}},
        "telemetry.headers": {"global": {"otlpEndpoint": "http://collector:4318"}},
        "telemetry.headers.secretKey": {"telemetry": {"headers": {"existingSecret": "collector"}}},
        "alerts": {"alerts": {"enabled": True}},
        "dashboards": {"dashboards": {"enabled": True}},
    },
    RESTATE: {
        "snapshots": {"snapshots": {"destination": "s3://bucket/prefix"}},
        "snapshots.accessKeyIdKey": {"snapshots": {"existingSecret": "store"}},
        "snapshots.secretAccessKeyKey": {"snapshots": {"existingSecret": "store"}},
        "snapshots.none": {"replicas": 3, "snapshots": {"destination": ""}},
        "tracing.secretKey": {"tracing": {"existingSecret": "collector"}},
        "identity.secretKey": IDENTITY,
        "identity.publicKey": IDENTITY,
        "podMonitor": {"podMonitor": {"enabled": True}},
        "provision": {"replicas": 3, "snapshots": {"none": True}},
        "networkPolicy": {"networkPolicy": {"enabled": True}},
    },
}
"""What else must be set for values with this beginning to do anything."""

MADE = re.compile(r"[A-Za-z0-9+/=]{40,}")
"""What the chart makes anew each time."""

UNSEEN = {("versions", "anyHelm"): "lets an old Helm pass, which is not here"}
NOT_IN_VALUES = {"claims", "enabled"}
"""A part of `resources` that hardly anybody has, and what a parent chart says of its subchart."""

OPEN = {("restate",), ("global",), ("global", "compatibility"), ("global", "compatibility", "openshift")}
"""What holds more than the chart knows: the subchart's own values, and what all charts of a release share."""

Place = tuple[str, ...]


def leaves(values: Values, place: Place = ()) -> Iterator[Place]:
    """Where each value stands; `requests` and `limits` are parts of one, `resources`."""
    for key, value in values.items():
        if isinstance(value, dict) and value and key != "resources":
            yield from leaves(value, (*place, key))
        else:
            yield (*place, key)


def put(place: Place, value: Any) -> Values:
    for key in reversed(place):
        value = {key: value}
    return value


def outcome(chart: Path, values: Values) -> str | None:
    """What comes out, be it a refusal of a template; None if the schema refuses."""
    return _outcome(chart, yaml.dump(values))


@cache
def _outcome(chart: Path, values: str) -> str | None:
    done = attempt(chart, values=yaml.safe_load(values))
    if "specifications of the schema" in done.stderr:
        return None
    return MADE.sub("*", done.stdout) or done.stderr


def base(chart: Path, place: Place) -> Values:
    """The values on which this one can be seen to do something."""
    values: Values = {"restate": IDENTITY} if chart.name == "switchboard" else {}
    for length in range(1, len(place) + 1):
        values = merge(values, NEEDS.get(chart, {}).get(".".join(place[:length]), {}))
    return values


def others(chart: Path, place: Place, around: Values) -> list[Any]:
    """Up to three other values that the schema takes, of the usual type if possible."""
    schema, values = read(chart / "values.schema.json"), merge(read(chart / "values.yaml"), around)
    value = reduce(lambda part, key: part[key], place, values)
    fitting = [
        each for each in OTHERS if each != value and jsonschema_rs.is_valid(schema, merge(values, put(place, each)))
    ]
    return sorted(fitting, key=lambda other: type(other) is not type(value))[:3]


def is_used(chart: Path, place: Place) -> bool:
    """Whether a change of this value changes anything."""
    around = base(chart, place)
    before = outcome(chart, around)
    assert before is not None, f"the schema refuses what {'.'.join(place)} needs: {around}"
    after = (outcome(chart, merge(around, put(place, other))) for other in others(chart, place, around))
    return any(found not in (None, before) for found in after)


def unused(chart: Path, some: list[Place]) -> list[str]:
    with ThreadPoolExecutor(2) as pool:
        used = list(pool.map(lambda place: is_used(chart, place), some))
    return [".".join(place) for place, seen in zip(some, used, strict=True) if not seen]


def placeless(chart: Path) -> list[str]:
    """What templates ask for without a default in values.yaml, and do not set themselves."""
    values, found = read(chart / "values.yaml"), set[str]()
    for file in sorted(chart.glob("templates/**/*")):
        text = file.read_text() if file.is_file() else ""
        for match in re.finditer(r"\.Values((?:\.[A-Za-z0-9]+)+)", text):
            *_, last = place = tuple(match[1].split(".")[1:])
            if not has_place(values, place) and f'"{last}"' not in text:
                found.add(f"{file.name}: .Values{match[1]}")
    return sorted(found)


def has_place(values: Any, place: Place) -> bool:
    if not place or values == {}:
        return True
    return isinstance(values, dict) and place[0] in values and has_place(values[place[0]], place[1:])


def differences(values: Any, schema: Any, place: Place = ()) -> Iterator[str]:
    """Keys that stand in the values or in the schema alone, and maps of values that the schema leaves open."""
    known = schema.get("properties", {})
    if known and schema.get("additionalProperties", True) is not False and place not in OPEN:
        yield f"{'.'.join(place)} is open"
    for key in sorted(set(values) ^ set(known)) if known else []:
        if key not in NOT_IN_VALUES and place != ("restate",):
            yield ".".join((*place, key))
    for key in values.keys() & known.keys():
        if isinstance(values[key], dict):
            yield from differences(values[key], known[key], (*place, key))


@CHARTS
def test_every_value_does_something(chart: Path) -> None:
    some = [place for place in leaves(read(chart / "values.yaml")) if place not in UNSEEN]
    assert unused(chart, some) == []


@CHARTS
def test_what_templates_ask_for_has_a_default(chart: Path) -> None:
    assert placeless(chart) == []


@CHARTS
def test_values_and_schema_have_the_same_keys(chart: Path) -> None:
    assert list(differences(read(chart / "values.yaml"), read(chart / "values.schema.json"))) == []


@CHARTS
def test_every_value_is_described(chart: Path) -> None:
    text = (chart / "values.yaml").read_text()
    keys = re.findall(r"^ *([A-Za-z]+):", text, re.MULTILINE)
    assert len(keys) > 40
    described = set(re.findall(r"^ *# -- .*\n(?: *#.*\n)*? *([A-Za-z]+):", text, re.MULTILINE))
    assert sorted({place[-1] for place in leaves(read(chart / "values.yaml"))} - described) == []


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """The chart with a value that nothing uses, and a template that asks for one that is not there."""
    chart = shutil.copytree(SWITCHBOARD, tmp_path / "switchboard")
    values, schema = read(chart / "values.yaml"), read(chart / "values.schema.json")
    values["test"]["colour"] = "red"
    schema["properties"]["test"]["properties"]["colour"] = {"type": "string"}
    schema["properties"]["test"]["properties"]["smell"] = {"type": "string"}
    (chart / "values.yaml").write_text(yaml.dump(values))
    (chart / "values.schema.json").write_text(json.dumps(schema))
    (chart / "templates" / "planted.yaml").write_text("{{- with .Values.test.taste }}{{ . }}{{ end }}")
    return chart


def test_a_planted_fault_is_found(planted: Path) -> None:
    assert unused(planted, [("test", "colour"), ("test", "userId")]) == ["test.colour"]
    assert placeless(planted) == ["planted.yaml: .Values.test.taste"]
    assert list(differences(read(planted / "values.yaml"), read(planted / "values.schema.json"))) == ["test.smell"]
