"""The API server takes what each values file renders, in a namespace that runs restricted pods alone."""

import json
import shutil
from functools import cache
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import jsonschema_rs
import pytest
import yaml

from tests.charts.charts import (
    CI_FILES,
    ENVIRONMENT,
    GATEWAY_API,
    PROMETHEUS,
    ROOT,
    Object,
    name_of,
    of_kind,
    read,
    rendered,
    tool,
)

KUBERNETES = "1.33.0"
"""Whose schemas are asked without a cluster."""

OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
"""Whose custom resources are asked: no cluster of the tests has them."""

ROUTES = "sigs.k8s.io/gateway-api@v1.3.0"
"""The Gateway API, the same."""


@pytest.mark.parametrize("file", CI_FILES, ids=name_of)
def test_a_values_file_is_accepted(file: Path, namespace: str | None) -> None:
    refusal = by_server(rendered_text(file), namespace) if namespace else by_schemas(rendered_text(file))
    assert not refusal


def rendered_text(file: Path) -> str:
    """The objects without their namespace, which is not the scratch one; as JSON, in which a text is no number."""
    objects = [each for each in rendered(file) if each["apiVersion"] not in (PROMETHEUS, GATEWAY_API)]
    assert len(objects) > 5
    return "\n---\n".join(json.dumps(each) for each in objects)


def by_server(text: str, namespace: str) -> str:
    """What the API server has against it; Pod Security warns about pods that it would refuse later."""
    apply = ("kubectl", "apply", "--dry-run=server", "--warnings-as-errors", "--namespace", namespace, "-f", "-")
    done = tool(*apply, stdin=text)
    return done.stderr if done.returncode else ""


def by_schemas(text: str) -> str:
    """What the published schemas have against it."""
    if not schemas_can_be_had():
        pytest.skip("the schemas cannot be downloaded")
    done = kubeconform(text)
    return done.stdout if done.returncode else ""


@cache
def schemas_can_be_had() -> bool:
    """Asked once: kubeconform is slow to give up."""
    return (
        kubeconform(yaml.dump({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "any"}})).returncode == 0
    )


def kubeconform(text: str) -> CompletedProcess[str]:
    kept = ROOT / ".tools" / "schemas"
    kept.mkdir(parents=True, exist_ok=True)
    return tool("kubeconform", "-strict", "-kubernetes-version", KUBERNETES, "-cache", str(kept), "-", stdin=text)


@pytest.mark.parametrize("file", CI_FILES, ids=name_of)
def test_the_prometheus_operator_takes_what_is_for_it(file: Path) -> None:
    for each in rendered(file):
        if each["apiVersion"] == PROMETHEUS:
            by_operator(each)


def test_the_files_hold_all_that_is_for_the_prometheus_operator() -> None:
    found = {each["kind"] for file in CI_FILES for each in rendered(file) if each["apiVersion"] == PROMETHEUS}
    assert found == {"PodMonitor", "PrometheusRule"}


def test_the_gateway_api_takes_the_routes() -> None:
    routes = [each for file in CI_FILES for each in of_kind(rendered(file), "HTTPRoute")]
    assert routes
    for route in routes:
        jsonschema_rs.validate(closed(route_definition()), route)


def test_a_field_that_the_gateway_api_does_not_know_is_refused() -> None:
    route = {"apiVersion": GATEWAY_API, "kind": "HTTPRoute", "metadata": {"name": "planted"}, "spec": {"rule": []}}
    with pytest.raises(jsonschema_rs.ValidationError, match="rule"):
        jsonschema_rs.validate(closed(route_definition()), route)


def by_operator(each: Object) -> None:
    """Raises ValidationError for what the operator's definition of this kind does not know."""
    jsonschema_rs.validate(closed(definition(each["kind"])), each)


@cache
def definition(kind: str) -> dict[str, Any]:
    """The published schema of a custom resource of the Prometheus operator."""
    folder = module(OPERATOR) / "example" / "prometheus-operator-crd"
    (version,) = read(folder / f"monitoring.coreos.com_{kind.lower()}s.yaml")["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]


@cache
def route_definition() -> dict[str, Any]:
    """The published schema of an HTTPRoute."""
    crd = read(module(ROUTES) / "config" / "crd" / "standard" / "gateway.networking.k8s.io_httproutes.yaml")
    (version,) = [each for each in crd["spec"]["versions"] if each["name"] == "v1"]
    return version["schema"]["openAPIV3Schema"]


def module(name: str) -> Path:
    """The folder of a Go module, for the definitions in it."""
    if not shutil.which("go", path=ENVIRONMENT["PATH"]):
        pytest.skip(f"no Go that could download {name}")
    done = tool("go", "mod", "download", "-json", name)
    if done.returncode:
        pytest.skip(f"{name} cannot be downloaded")
    return Path(json.loads(done.stdout)["Dir"])


def closed(schema: Any) -> Any:
    """The schema with no room for fields that it does not name, as the API server reads it when asked to be strict."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    return {"additionalProperties": False, **inner} if isinstance(schema.get("properties"), dict) else inner


@pytest.mark.parametrize("kind", ["PodMonitor", "PrometheusRule"])
def test_a_field_that_the_prometheus_operator_does_not_know_is_refused(kind: str) -> None:
    spec = {"PodMonitor": {"selector": {}, "jobLable": "x"}, "PrometheusRule": {"groups": [{"name": "x", "rule": []}]}}
    with pytest.raises(jsonschema_rs.ValidationError, match=r"jobLable|rule"):
        by_operator({"apiVersion": PROMETHEUS, "kind": kind, "metadata": {"name": "planted"}, "spec": spec[kind]})


def test_a_pod_that_is_not_restricted_is_refused(namespace: str | None) -> None:
    if not namespace:
        pytest.skip("no cluster")
    pod = {"containers": [{"name": "root", "image": "busybox"}]}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "planted"}}
    template = {"template": {"spec": {**pod, "restartPolicy": "Never"}}}
    assert "would violate PodSecurity" in by_server(yaml.dump({**job, "spec": template}), namespace)


def test_a_field_that_does_not_exist_is_refused(namespace: str | None) -> None:
    if not namespace:
        pytest.skip("no cluster")
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "planted"}, "spec": {"prots": []}}
    assert "spec.prots" in by_server(yaml.dump(service), namespace)
