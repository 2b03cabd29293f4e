"""The API server takes what each values file renders, in a namespace that runs restricted pods alone."""

import json
from functools import cache
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import yaml

from tests.charts.charts import CI_FILES, ROOT, name_of, rendered, tool

KUBERNETES = "1.33.0"
"""Whose schemas are asked without a cluster."""


@pytest.mark.parametrize("file", CI_FILES, ids=name_of)
def test_a_values_file_is_accepted(file: Path, namespace: str | None) -> None:
    refusal = by_server(rendered_text(file), namespace) if namespace else by_schemas(rendered_text(file))
    assert not refusal


def rendered_text(file: Path) -> str:
    """The objects without their namespace, which is not the scratch one; as JSON, in which a text is no number."""
    objects = rendered(file)
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
