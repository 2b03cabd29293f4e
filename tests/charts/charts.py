"""The charts, what they render, and what stands in their values."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.parts.values import Values, merge

ROOT = Path(__file__).parents[2]
CHARTS = ROOT / "charts"
SWITCHBOARD = CHARTS / "switchboard"
RESTATE = SWITCHBOARD / "charts" / "restate"

RELEASE = "sw"
NAMESPACE = "agents"
PROMETHEUS = "monitoring.coreos.com/v1"
GATEWAY_API = "gateway.networking.k8s.io/v1"
OFFERS = ("--api-versions", PROMETHEUS, "--api-versions", GATEWAY_API)
PUBLIC_KEY = "publickeyv1_w7YHemBctH5Ck2nQRQ47iBBqhNHy4FV7t2Usbye2A6f"
IDENTITY: dict[str, Any] = {"identity": {"existingSecret": "identity", "publicKey": PUBLIC_KEY}}
"""For Restate, which makes another key, and so other versions, at each render."""

ENVIRONMENT = dict(os.environ)
"""For helm and kubectl, which may need KUBECONFIG; a fixture cleans it for the tests."""

Object = dict[str, Any]


def ci_files(chart: Path) -> list[Path]:
    return sorted(chart.glob("ci/*-values.yaml"))


CI_FILES = [*ci_files(SWITCHBOARD), *ci_files(RESTATE)]


def name_of(file: Path) -> str:
    return f"{file.parents[1].name}/{file.name.removesuffix('-values.yaml')}"


def tool(*command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """A program's end, whatever its status."""
    if not shutil.which(command[0], path=ENVIRONMENT["PATH"]):
        pytest.fail(f"{command[0]} is missing: `make check` brings it along", pytrace=False)
    return subprocess.run(command, env=ENVIRONMENT, cwd=ROOT, input=stdin, text=True, capture_output=True, timeout=60)


def attempt(
    chart: Path, *files: Path, values: Values | None = None, release: str = RELEASE, namespace: str = NAMESPACE
) -> subprocess.CompletedProcess[str]:
    """`helm template`; `values` stand above the files. The cluster is one that has the Prometheus operator and the
    Gateway API."""
    given = [part for file in (*files, "-") for part in ("--values", str(file))]
    command = ("helm", "template", release, str(chart), "--namespace", namespace, *OFFERS, *given)
    return tool(*command, stdin=yaml.dump(values or {}))


def render(
    chart: Path, *files: Path, values: Values | None = None, release: str = RELEASE, namespace: str = NAMESPACE
) -> list[Object]:
    done = attempt(chart, *files, values=values, release=release, namespace=namespace)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.load_all(done.stdout, yaml.CSafeLoader) if each]


@cache
def rendered(file: Path) -> list[Object]:
    """What the chart makes of one of its own values files."""
    return render(file.parents[1], file)


@cache
def read(file: Path) -> Any:
    return yaml.load(file.read_text(), yaml.CSafeLoader)


def all_values(file: Path) -> Values:
    """All values of the chart that this values file is for."""
    chart = file.parents[1]
    own = merge(read(chart / "values.yaml"), read(file) or {})
    return merge({"restate": read(RESTATE / "values.yaml")}, own) if chart == SWITCHBOARD else own


@dataclass(frozen=True)
class Pod:
    """A pod that some object of the chart makes, or that stands there itself."""

    owner: str
    labels: dict[str, str]
    spec: dict[str, Any]

    @property
    def containers(self) -> list[dict[str, Any]]:
        return [*self.spec["containers"], *self.spec.get("initContainers", [])]

    @property
    def component(self) -> str:
        return self.labels["app.kubernetes.io/component"]


def pods(objects: list[Object]) -> Iterator[Pod]:
    for each in objects:
        match each:
            case {"kind": "Pod"}:
                made = each
            case {"kind": "CronJob"}:
                made = each["spec"]["jobTemplate"]["spec"]["template"]
            case {"spec": {"template": {"spec": {"containers": _}}}}:
                made = each["spec"]["template"]
            case _:
                continue
        yield Pod(f"{each['kind']} {each['metadata']['name']}", made["metadata"]["labels"], made["spec"])


def of_kind(objects: list[Object], kind: str) -> list[Object]:
    return [each for each in objects if each["kind"] == kind]


ROOM_IMAGE = re.compile(r"(?:^|/)switchboard/(?P<package>[a-z_]+)[:@]")


def package_of(container: Mapping[str, Any]) -> str | None:
    """The Python package that a container runs, if its image is one of ours."""
    found = ROOM_IMAGE.search(container["image"])
    return found["package"] if found else None
