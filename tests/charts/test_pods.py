"""What holds for every pod of both charts, whatever the values."""

import base64
import re
from pathlib import Path
from typing import Any

import pytest

from tests.charts.charts import (
    CI_FILES,
    SWITCHBOARD,
    Pod,
    all_values,
    ci_files,
    name_of,
    of_kind,
    package_of,
    pods,
    render,
    rendered,
)

FILES = pytest.mark.parametrize("file", CI_FILES, ids=name_of)
OURS = pytest.mark.parametrize("file", ci_files(SWITCHBOARD), ids=name_of)
IN_PLACE = SWITCHBOARD / "ci" / "dev-values.yaml"
"""Where files change under a running service."""


def faults(pod: Pod, file: Path) -> list[str]:
    """What a pod, or one of its containers, may do beyond its work."""
    held = pod.spec.get("securityContext", {})
    found = [
        *([] if held.get("runAsNonRoot") is True and held.get("runAsUser", 0) > 0 else ["may run as root"]),
        *([] if held.get("seccompProfile") == {"type": "RuntimeDefault"} else ["has no seccomp profile"]),
        *([] if pod.spec.get("enableServiceLinks") is False else ["is told of all services"]),
        *(each for each in ("hostNetwork", "hostPID", "hostIPC") if pod.spec.get(each)),
        *(f"mounts {each['name']} of the host" for each in pod.spec.get("volumes", []) if "hostPath" in each),
    ]
    for container in pod.containers:
        found += [f"{container['name']} {fault}" for fault in container_faults(container, file)]
    return found


def container_faults(container: dict[str, Any], file: Path) -> list[str]:
    held = container.get("securityContext", {})
    writable = file == IN_PLACE and package_of(container) is not None
    return [
        *([] if held.get("allowPrivilegeEscalation") is False else ["may gain privileges"]),
        *([] if held.get("readOnlyRootFilesystem") is not writable else ["has the wrong root file system"]),
        *([] if held.get("capabilities") == {"drop": ["ALL"]} else ["has capabilities"]),
        *([] if not held.keys() & {"privileged", "runAsUser", "runAsNonRoot"} else ["says otherwise than its pod"]),
        *([] if "memory" in container.get("resources", {}).get("limits", {}) else ["may take all memory"]),
        *([] if {"cpu", "memory"} <= container["resources"].get("requests", {}).keys() else ["asks for nothing"]),
    ]


@FILES
def test_no_pod_may_do_more_than_its_work(file: Path) -> None:
    assert [f"{pod.owner}: {fault}" for pod in pods(rendered(file)) for fault in faults(pod, file)] == []


CALLS_KUBERNETES = {
    "switchboard/deletes-versions": "sw-versions",
    "switchboard/looks-at-pods": "sw-register",
    "switchboard/keeps-accepted": "sw-registry",
}
"""The pods that have a token, by their labels, and their service accounts."""


@FILES
def test_only_what_deletes_versions_looks_at_pods_or_keeps_what_was_accepted_has_a_token(file: Path) -> None:
    for pod in pods(rendered(file)):
        accounts = [account for label, account in CALLS_KUBERNETES.items() if label in pod.labels]
        assert (pod.spec.get("automountServiceAccountToken") is True) == bool(accounts), pod.owner
        assert pod.spec.get("serviceAccountName", "default") in (accounts or ["default", "sw-restate"]), pod.owner
        assert not any("projected" in volume for volume in pod.spec.get("volumes", [])), pod.owner
    for account in of_kind(rendered(file), "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


@OURS
def test_the_registry_may_change_what_it_keeps_and_nothing_else(file: Path) -> None:
    rules = [role["rules"] for role in of_kind(rendered(file), "Role") if role["metadata"]["name"] == "sw-registry"]
    everyone = [each for each in pods(rendered(file)) if each.component == "registry"]
    (pod,) = [each for each in everyone if "switchboard/serves" in each.labels]
    env = {each["name"]: each.get("value") for each in pod.containers[0]["env"]}
    kept = [env[name] for name in ("ACCEPTED_CONFIGMAP", "RECORD_CONFIGMAP") if name in env]
    one = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": kept, "verbs": ["get", "patch"]}
    assert rules == ([[one]] if kept else [])
    assert set(kept) <= {"sw-accepted", "sw-record"}


@FILES
def test_no_secret_stands_in_plain_text(file: Path) -> None:
    """What a Secret of the chart holds must stand nowhere else."""
    objects = rendered(file)
    for secret in of_kind(objects, "Secret"):
        for key, value in secret["data"].items():
            plain = base64.b64decode(value).decode()
            assert len(plain) >= 32, key
            assert not any(plain in str(each) or value in str(each) for each in objects if each != secret), key


@FILES
def test_every_password_comes_from_a_secret(file: Path) -> None:
    for pod in pods(rendered(file)):
        for container in pod.containers:
            for variable in container.get("env", []):
                if re.search(r"PASSWORD|SECRET|API_KEY$|SIGNING_KEY|CALLER_KEYS|TOKEN", variable["name"]):
                    assert "secretKeyRef" in variable.get("valueFrom", {}), (pod.owner, variable["name"])
                assert not re.search(r"://[^/@]*:[^/@]*@", variable.get("value", "")), (pod.owner, variable["name"])


def of_tokens(variable: dict[str, Any]) -> bool:
    """By what members of staff are known, which is no role of the database."""
    return variable["name"] in ("STAFF_KEY", "STAFF_KEYS", "STAFF_ALGORITHM", "STAFF_AUDIENCE", "STAFF_ISSUER")


@OURS
def test_the_staffs_role_is_in_the_staffs_pod_alone(file: Path) -> None:
    """What makes the roles, before a service starts, knows all their passwords."""
    holders = {
        (pod.component, container["name"])
        for pod in pods(rendered(file))
        for container in pod.containers
        if re.search(r"STAFF|tickets.staff", str([each for each in container.get("env", []) if not of_tokens(each)]))
    }
    assert holders - {("tickets", "provision"), ("migrate", "provision")} == {("staff", "staff")}


@FILES
def test_generated_secrets_outlive_the_release(file: Path) -> None:
    for secret in of_kind(rendered(file), "Secret"):
        assert secret["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


@OURS
def test_every_object_says_whose_it_is(file: Path) -> None:
    for each in rendered(file):
        labels = each["metadata"].get("labels", {})
        if each["metadata"]["name"] != "sw-owners":
            assert labels.get("app.kubernetes.io/instance") == "sw", each["metadata"]["name"]
            assert labels.get("app.kubernetes.io/managed-by") == "Helm", each["metadata"]["name"]


@FILES
def test_no_name_stands_twice(file: Path) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in rendered(file)]
    assert len(names) == len(set(names))


@OURS
def test_selectors_find_their_own_pods_alone(file: Path) -> None:
    objects = rendered(file)
    everyone = list(pods(objects))
    for each in objects:
        selector = each.get("spec", {}).get("selector")
        if each["kind"] in ("Deployment", "StatefulSet"):
            found = [pod.owner for pod in everyone if selector["matchLabels"].items() <= pod.labels.items()]
            assert found == [f"{each['kind']} {each['metadata']['name']}"]
        if each["kind"] == "Service":
            found = [
                pod for pod in everyone if selector.items() <= pod.labels.items() and not pod.owner.startswith("Job")
            ]
            assert len(found) == 1, each["metadata"]["name"]
            named = {port["name"] for container in found[0].containers for port in container.get("ports", [])}
            assert {port["targetPort"] for port in each["spec"]["ports"]} <= named


@OURS
def test_a_service_has_time_to_drain(file: Path) -> None:
    drain = all_values(file)["drainSeconds"]
    for pod in pods(rendered(file)):
        for container in pod.containers:
            told = [each["value"] for each in container.get("env", []) if each["name"] == "DRAIN_SECONDS"]
            if told:
                assert told == [str(drain)]
                assert pod.spec["terminationGracePeriodSeconds"] == drain + 10


@OURS
def test_readiness_waits_for_no_registration(file: Path) -> None:
    """A pod that Restate does not know yet is ready, or nothing could ever be registered."""
    for pod in pods(rendered(file)):
        for container in pod.containers:
            if "switchboard/serves" in pod.labels and container in pod.spec["containers"]:
                for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                    assert container[probe]["httpGet"]["path"] == "/health", pod.owner


@OURS
def test_settings_of_the_environment_are_text(file: Path) -> None:
    """An unquoted number or yes would be refused by the API server."""
    objects = render(SWITCHBOARD, file, release="true", namespace="20")
    for pod in pods(objects):
        assert all(isinstance(value, str) for value in pod.labels.values()), pod.owner
        for container in pod.containers:
            for variable in container.get("env", []):
                assert isinstance(variable.get("value", ""), str), (pod.owner, variable["name"])
    for each in objects:
        assert all(isinstance(value, str) for value in each["metadata"].get("labels", {}).values())
