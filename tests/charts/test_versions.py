"""The name of a version changes with what its runs meet and with nothing else; the parts of a release fit together."""

import base64
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from tests.charts.charts import (
    IDENTITY,
    NAMESPACE,
    PUBLIC_KEY,
    SWITCHBOARD,
    Object,
    Values,
    all_values,
    ci_files,
    merge,
    name_of,
    of_kind,
    pods,
    render,
    rendered,
)

ROOMS = {"router", "users", "tickets", "conversations"}
VERSION = "switchboard/version"
WATCH = "sw-watch"
"""A Service of all versions of a room."""
OLD_IMAGE: Values = {"image": {"tag": "0.1.0"}}
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

FILES = pytest.mark.parametrize("file", ci_files(SWITCHBOARD), ids=name_of)


def versions(values: Values, chart: Path = SWITCHBOARD) -> dict[str, str]:
    """The version of each room, for these values."""
    return {
        each["metadata"]["labels"]["app.kubernetes.io/component"]: each["metadata"]["labels"][VERSION]
        for each in of_kind(render(chart, values=merge({"restate": IDENTITY}, values)), "Deployment")
        if VERSION in each["metadata"]["labels"]
    }


@pytest.fixture(scope="module")
def before() -> dict[str, str]:
    return versions({})


@pytest.mark.parametrize(
    ("values", "rooms"),
    [
        ({"image": {"tag": "0.2.0"}}, ROOMS),
        ({"router": {"image": {"tag": "0.2.0"}}}, {"router"}),
        ({"users": {"image": {"digest": "sha256:" + "a" * 64}}}, {"users"}),
        ({"tickets": {"extraEnv": [{"name": "LOG_LEVEL", "value": "DEBUG"}]}}, {"tickets"}),
        ({"conversations": {"retentionDays": 7}}, {"conversations"}),
        ({"tickets": {"life": {"closeDays": 14}}}, {"tickets"}),
        ({"trustUserId": True}, {"router", "conversations"}),
        ({"callers": {"audience": "others"}}, {"router", "tickets", "conversations"}),
        ({"router": {"podAnnotations": {"restarted": "yes"}}}, {"router"}),
        ({"model": {"name": "gpt-4.1-mini"}, "users": {"demoCustomers": True}}, {"router"}),
        ({"router": {"captureMessageContent": True}}, {"router"}),
        ({"router": {"prompt": "Answer in rhymes."}}, {"router"}),
        ({"global": {"otlpEndpoint": "http://collector:4318"}}, ROOMS),
        ({"drainSeconds": 36}, ROOMS),
        ({"restate": {"identity": {"publicKey": PUBLIC_KEY.replace("w", "z")}}}, ROOMS),
    ],
    ids=str,
)
def test_what_runs_meet_makes_a_new_version(before: dict[str, str], values: Values, rooms: set[str]) -> None:
    after = versions(values)
    assert {room for room in ROOMS if before[room] != after[room]} == rooms


@pytest.mark.parametrize(
    "values",
    [
        {"router": {"prompt": " \n"}},
        {"router": {"replicas": 3}, "users": {"replicas": 2}, "registry": {"replicas": 2}},
        {"tickets": {"autoscaling": {"enabled": True, "maxReplicas": 9}}},
        {"registry": {"image": {"tag": "0.2.0"}, "policy": "[tools.x]", "podAnnotations": {"a": "b"}}},
        {"gateway": {"image": {"tag": "0.2.0"}, "replicas": 3, "limits": {"burst": 7}, "podAnnotations": {"a": "b"}}},
        {"gateway": {"enabled": False}},
        {"console": {"enabled": False}},
        {"demoModel": {"image": {"tag": "0.2.0"}, "extraEnv": [{"name": "LOG_LEVEL", "value": "DEBUG"}]}},
        {"networkPolicy": {"clients": [{"podSelector": {}}], "watchers": [{"podSelector": {}}], "prometheus": []}},
        {"versions": {"registerSeconds": 60, "prune": {"schedule": "* * * * *", "afterSeconds": 1}}},
        {"podMonitor": {"enabled": True}, "alerts": {"enabled": True}, "dashboards": {"enabled": True}},
        {"test": {"question": "Is all well?"}, "extraManifests": [{"kind": "ConfigMap", "metadata": {"name": "x"}}]},
        {"postgres": {"bundled": {"image": {"tag": "18.1"}, "storage": {"size": "2Gi"}}}},
        {"restate": {"tracing": {"endpoint": "http://collector:4317"}, "podMonitor": {"enabled": True}}},
        {"restate": {"image": {"tag": "1.7.13"}, "memory": {"rocksdb": "256 MiB"}, "podAnnotations": {"a": "b"}}},
    ],
    ids=str,
)
def test_nothing_else_does(before: dict[str, str], values: Values) -> None:
    assert versions(values) == before


def test_white_space_around_a_prompt_makes_no_new_version() -> None:
    texts = ("Answer in rhymes.", "\nAnswer in rhymes.\n\n")
    one, other = (versions({"router": {"prompt": text}}) for text in texts)
    assert one == other


def test_a_version_brings_its_own_prompt_which_the_router_reads_as_a_file() -> None:
    text = "Answer in rhymes: # always\n  {{ .Values }} '\"$HOME\n"
    objects = render(SWITCHBOARD, values={"router": {"prompt": text}})
    (template,) = [
        each["spec"]["template"] for each in of_kind(objects, "Deployment") if labels(each)["component"] == "router"
    ]
    assert template["metadata"]["annotations"]["switchboard/prompt"] == text.strip()
    (container,) = template["spec"]["containers"]
    (file,) = [Path(each["value"]) for each in container["env"] if each["name"] == "PROMPT_FILE"]
    (volume,) = [each["name"] for each in container["volumeMounts"] if each["mountPath"] == str(file.parent)]
    (source,) = [each["downwardAPI"] for each in template["spec"]["volumes"] if each["name"] == volume]
    at = {"fieldPath": "metadata.annotations['switchboard/prompt']"}
    assert source["items"] == [{"path": file.name, "fieldRef": at}]


def test_without_a_prompt_the_router_reads_the_one_of_its_image() -> None:
    assert "PROMPT_FILE" not in str(render(SWITCHBOARD))


def test_a_newer_chart_of_the_same_services_makes_no_new_version(before: dict[str, str], tmp_path: Path) -> None:
    chart = shutil.copytree(SWITCHBOARD, tmp_path / "switchboard")
    about = (chart / "Chart.yaml").read_text()
    (chart / "Chart.yaml").write_text(re.sub(r"(?m)^version: .*", "version: 9.9.9", about))
    assert versions({}, chart) == before


def test_a_chart_of_newer_services_does(before: dict[str, str], tmp_path: Path) -> None:
    chart = shutil.copytree(SWITCHBOARD, tmp_path / "switchboard")
    about = (chart / "Chart.yaml").read_text()
    (chart / "Chart.yaml").write_text(re.sub(r"(?m)^appVersion: .*", 'appVersion: "9.9.9"', about))
    after = versions({}, chart)
    assert not before.items() & after.items()


@FILES
def test_the_objects_of_a_version_are_kept_and_named_after_it(file: Path) -> None:
    versioned = all_values(file)["versions"]["enabled"]
    for each in [*of_kind(rendered(file), "Deployment"), *of_kind(rendered(file), "Service")]:
        if each["metadata"]["name"] == WATCH:
            continue
        labels, annotations = each["metadata"]["labels"], each["metadata"].get("annotations", {})
        room = labels["app.kubernetes.io/component"]
        version = labels.get(VERSION)
        assert (version is not None) == (versioned and room in ROOMS)
        assert annotations.get("helm.sh/resource-policy") == ("keep" if version else None)
        if version:
            assert re.fullmatch(r"[0-9a-dfg]{8}", version)
            assert each["metadata"]["name"] == f"sw-{room}-{version}"
            selector = each["spec"]["selector"]
            assert selector.get("matchLabels", selector)[VERSION] == version


@FILES
def test_what_is_registered_is_what_the_release_brings(file: Path) -> None:
    objects = rendered(file)
    (wanted,) = [
        each["data"]["deployments"] for each in objects if each["metadata"]["name"] == "sw-versions" and "data" in each
    ]
    pairs = dict(pair.split("=") for pair in wanted.split(","))
    assert list(pairs) == ["users", "tickets", "conversations", "router"]
    services = {
        f"http://{each['metadata']['name']}.{NAMESPACE}:{each['spec']['ports'][0]['port']}": labels(each)["component"]
        for each in of_kind(objects, "Service")
    }
    assert {room: services.get(url) for room, url in pairs.items()} == {room: room for room in pairs}
    (job,) = [pod for pod in pods(objects) if pod.owner == "Job sw-register"]
    environment = {each["name"]: each.get("value") for each in job.spec["containers"][0]["env"]}
    assert environment["DEPLOYMENTS"] == wanted
    assert environment["FORCE"] == str(not all_values(file)["versions"]["enabled"]).lower()


def test_the_registry_reads_which_versions_are_wanted_and_does_not_restart_for_new_ones() -> None:
    before, after = (
        {(each["kind"], each["metadata"]["name"]): each for each in render(SWITCHBOARD, values=values)}
        for values in ({"restate": IDENTITY}, {"restate": IDENTITY, "image": {"tag": "0.2.0"}, "registry": OLD_IMAGE})
    )
    registry, wanted = ("Deployment", "sw-registry"), ("ConfigMap", "sw-versions")
    assert before[registry] == after[registry]
    assert before[wanted]["data"] != after[wanted]["data"]
    pod = before[registry]["spec"]["template"]["spec"]
    environment = {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}
    (volume,) = [each["name"] for each in pod["volumes"] if each.get("configMap") == {"name": "sw-versions"}]
    (mount,) = [each for each in pod["containers"][0]["volumeMounts"] if each["name"] == volume]
    assert mount == {"name": volume, "mountPath": mount["mountPath"], "readOnly": True}, "by subPath it never changes"
    assert environment["WANTED_DEPLOYMENTS_FILE"] == f"{mount['mountPath']}/{next(iter(before[wanted]['data']))}"


def labels(each: Object) -> dict[str, Any]:
    return {key.removeprefix("app.kubernetes.io/"): value for key, value in each["metadata"]["labels"].items()}


def test_services_believe_the_key_that_restate_signs_with() -> None:
    objects = render(SWITCHBOARD)
    (pem,) = [
        each["data"]["private.pem"] for each in of_kind(objects, "Secret") if list(each["data"]) == ["private.pem"]
    ]
    key = load_pem_private_key(base64.b64decode(pem), None)
    assert isinstance(key, Ed25519PrivateKey)
    expected = "publickeyv1_" + base58(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    told = [
        variable["value"]
        for pod in pods(objects)
        for container in pod.containers
        for variable in container.get("env", [])
        if variable["name"] == "IDENTITY_KEYS"
    ]
    assert told == [expected] * len(ROOMS)


def base58(raw: bytes) -> str:
    number, text = int.from_bytes(raw), ""
    while number:
        number, digit = divmod(number, 58)
        text = BASE58[digit] + text
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + text
