"""Prometheus and an OpenTelemetry collector as pods beside a release, configured by the chart and k8s/observability."""

import base64
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.cluster.parts.command import run
from tests.cluster.parts.forward import Forward
from tests.cluster.parts.images import load
from tests.cluster.parts.namespace import Namespace
from tests.cluster.parts.settings import CHART, ROOT, TOOL_ENVIRONMENT
from tests.parts.otlp import ReceivedSpan, spans_of
from tests.parts.polling import eventually
from tests.parts.prometheus import Queries
from tests.parts.restate import request

RECIPE = Path(__file__).parents[1] / "telemetry"
BUILT = ROOT / ".tools" / "telemetry"
COLLECTOR = BUILT / "collector"
COLLECTOR_MANIFESTS = ROOT / "k8s" / "observability" / "collector.yaml"

PROMETHEUS = {"app.kubernetes.io/name": "prometheus"}
"""Labels of the pod that scrapes."""
OPERATOR = "monitoring.coreos.com/v1"
EVERY = "2s"
"""How often all is scraped and evaluated."""

OVERLAY: dict[str, Any] = {
    "exporters": {"file": {"path": "/spans/spans", "format": "proto", "flush_interval": "500ms"}},
    "service": {"pipelines": {"traces": {"processors": ["memory_limiter", "batch"], "exporters": ["file"]}}},
}
"""Above the collector's own configuration: all spans, into a file."""

READ_SPANS = "import base64; print(base64.b64encode(open('/spans/spans', 'rb').read()).decode())"

RESTRICTED: dict[str, Any] = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
NOTHING_MORE: dict[str, Any] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


async def build_collector() -> Path:
    """The program. Skips the test on a machine without Go; fails it there if REQUIRE_CLUSTER=1."""
    if not shutil.which("go", path=TOOL_ENVIRONMENT["PATH"]):
        missing = "Go is missing, of which the collector is built"
        pytest.fail(missing) if TOOL_ENVIRONMENT.get("REQUIRE_CLUSTER") == "1" else pytest.skip(missing)
    options = ("-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", str(COLLECTOR))
    await run("env", "CGO_ENABLED=0", "go", "build", "-C", str(RECIPE), *options, ".", seconds=1200)
    return COLLECTOR


async def build_image() -> str:
    """The name of an image with both programs, which the cluster has."""
    await build_collector()
    base = ("--build-arg", "PYTHON_IMAGE") if "PYTHON_IMAGE" in TOOL_ENVIRONMENT else ()
    recipe = ("--quiet", "--file", str(RECIPE / "Dockerfile"), *base, str(BUILT))
    return await load((await run("docker", "build", *recipe, seconds=600)).strip(), "switchboard/telemetry")


async def render(values: Mapping[str, Any], namespace: Namespace) -> list[Any]:
    """All that the chart makes where the Prometheus operator is."""
    command = ("helm", "template", "switchboard", str(CHART), "--namespace", namespace.name, "--values", "-")
    rendered = await run(*command, "--api-versions", OPERATOR, stdin=json.dumps(values))
    return [each for each in yaml.safe_load_all(rendered) if each]


class ClusterCollector:
    """The collector of k8s/observability, with an exporter that a test can read."""

    def __init__(self, namespace: Namespace, image: str) -> None:
        self._namespace, self._image = namespace, image

    async def stand(self) -> None:
        overlay = _configmap("overlay", {"overlay.yaml": json.dumps(OVERLAY)})
        manifests = list(yaml.safe_load_all(COLLECTOR_MANIFESTS.read_text()))
        (deployment,) = (each for each in manifests if each["kind"] == "Deployment")
        self._equip(deployment["spec"]["template"]["spec"])
        await self._namespace.apply(overlay, *manifests)
        await self._namespace.kubectl("rollout", "status", "deployment/collector", "--timeout=120s", seconds=150)

    def _equip(self, pod: dict[str, Any]) -> None:
        (container,) = pod["containers"]
        container |= {"image": self._image, "command": ["collector"]}
        container["args"] = [*container["args"], "--config=/etc/overlay/overlay.yaml"]
        container["volumeMounts"] += [
            {"name": "overlay", "mountPath": "/etc/overlay"},
            {"name": "spans", "mountPath": "/spans"},
        ]
        pod["volumes"] += [{"name": "overlay", "configMap": {"name": "overlay"}}, {"name": "spans", "emptyDir": {}}]

    async def spans(self) -> list[ReceivedSpan]:
        """All that have arrived."""
        printed = await self._namespace.execute("deployment/collector", "python3", "-c", READ_SPANS)
        return read_spans(base64.b64decode(printed))


def read_spans(written: bytes) -> list[ReceivedSpan]:
    """What the exporter wrote: messages, each after its length in four bytes."""
    spans: list[ReceivedSpan] = []
    while len(written) >= 4:
        length = int.from_bytes(written[:4])
        message, written = written[4 : 4 + length], written[4 + length :]
        if len(message) == length:  # the last one may still be on its way
            spans.extend(spans_of(ExportTraceServiceRequest.FromString(message)))
    return spans


class PrometheusPod(Queries):
    """Debian's Prometheus with the chart's own rules. It scrapes what the chart's PodMonitors select."""

    def __init__(self, namespace: Namespace, image: str, rendered: Sequence[Any]) -> None:
        self._namespace, self._image = namespace, image
        self._monitors = [each for each in rendered if each["kind"] == "PodMonitor"]
        self._rules = [each for each in rendered if each["kind"] == "PrometheusRule"]
        self._forward = Forward(namespace, "prometheus", 9090)
        super().__init__(self._forward.url)

    @property
    def alert_names(self) -> set[str]:
        """Of all rules that the chart makes."""
        groups = [group for each in self._rules for group in each["spec"]["groups"]]
        return {rule["alert"] for group in groups for rule in group["rules"]}

    async def stand(self) -> None:
        rules = {f"{each['metadata']['name']}.yaml": json.dumps(each["spec"]) for each in self._rules}
        files = rules | {"prometheus.yaml": json.dumps(self._configuration), "targets.json": await self._targets()}
        await self._namespace.apply(_configmap("prometheus", files), _service(), self._pod())
        await self._namespace.kubectl("wait", "pod/prometheus", "--for=condition=Ready", "--timeout=60s")
        self._forward.start()
        await eventually(self._answers, 60)

    async def _answers(self) -> bool:
        try:
            return (await request("GET", f"{self.url}/-/ready")).status_code == 200
        except (aiohttp.ClientError, OSError):
            return False

    async def leave(self) -> None:
        await self._forward.stop()

    @property
    def _configuration(self) -> dict[str, Any]:
        # Debian builds Prometheus without its discovery of pods.
        found = {"job_name": "pods", "file_sd_configs": [{"files": ["/etc/prometheus/targets.json"]}]}
        return {
            "global": {"scrape_interval": EVERY, "scrape_timeout": EVERY, "evaluation_interval": EVERY},
            "rule_files": ["/etc/prometheus/switchboard-*.yaml"],
            "scrape_configs": [found],
        }

    async def _targets(self) -> str:
        """What the operator makes of the PodMonitors: every pod that one selects, with its labels."""
        found: list[dict[str, Any]] = []
        for monitor in self._monitors:
            selector = ",".join(f"{name}={value}" for name, value in monitor["spec"]["selector"]["matchLabels"].items())
            pods = json.loads(await self._namespace.kubectl("get", "pods", "--selector", selector, "--output", "json"))
            found += [_target(monitor["spec"], pod) for pod in pods["items"]]
        assert found
        return json.dumps(found)

    def _pod(self) -> dict[str, Any]:
        container = {
            "name": "prometheus",
            "image": self._image,
            "command": ["prometheus", "--enable-feature=exemplar-storage"],
            "args": ["--config.file=/etc/prometheus/prometheus.yaml", "--storage.tsdb.path=/data"],
            "securityContext": NOTHING_MORE | {"readOnlyRootFilesystem": True},
            "readinessProbe": {"httpGet": {"path": "/-/ready", "port": 9090}, "periodSeconds": 1},
            "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}},
            "volumeMounts": [
                {"name": "data", "mountPath": "/data"},
                {"name": "files", "mountPath": "/etc/prometheus"},
            ],
        }
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "prometheus", "labels": PROMETHEUS},
            "spec": {
                "containers": [container],
                "securityContext": RESTRICTED,
                "automountServiceAccountToken": False,
                "volumes": [
                    {"name": "data", "emptyDir": {}},
                    {"name": "files", "configMap": {"name": "prometheus"}},
                ],
            },
        }


def _target(monitor: Mapping[str, Any], pod: Mapping[str, Any]) -> dict[str, Any]:
    (endpoint,) = monitor["podMetricsEndpoints"]
    labels: dict[str, str] = pod["metadata"]["labels"]
    ports = [port for container in pod["spec"]["containers"] for port in container.get("ports", [])]
    (port,) = (each["containerPort"] for each in ports if each.get("name") == endpoint["port"])
    kept = {name.translate(_UNDERSCORES): labels[name] for name in monitor.get("podTargetLabels", []) if name in labels}
    own = {
        "job": labels[monitor["jobLabel"]],
        "namespace": pod["metadata"]["namespace"],
        "pod": pod["metadata"]["name"],
    }
    return {"targets": [f"{pod['status']['podIP']}:{port}"], "labels": kept | own}


_UNDERSCORES = str.maketrans("./-", "___")


def _configmap(name: str, files: Mapping[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": dict(files)}


def _service() -> dict[str, Any]:
    spec = {"selector": PROMETHEUS, "ports": [{"port": 9090}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "prometheus"}, "spec": spec}
