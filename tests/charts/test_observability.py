"""k8s/observability fits what the chart makes. Its images were never run; what can be checked without them is."""

import json
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.charts.charts import ENVIRONMENT, NAMESPACE, ROOT, SWITCHBOARD, Object, of_kind, pods, render, tool
from tests.charts.test_accepted import by_schemas, by_server

FOLDER = ROOT / "k8s" / "observability"
MANIFESTS = [FOLDER / "lgtm.yaml", FOLDER / "collector.yaml"]
DEMO = [ROOT / "k8s" / "demo-values.yaml", FOLDER / "lgtm-values.yaml"]


@cache
def manifests(name: str) -> list[Object]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def labels_of_pod(name: str) -> dict[str, str]:
    (deployment,) = of_kind(manifests(name), "Deployment")
    return deployment["spec"]["template"]["metadata"]["labels"]


@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: file.stem)
def test_a_manifest_is_accepted_where_pods_are_restricted(file: Path, namespace: str | None) -> None:
    text = file.read_text()
    assert not (by_server(text, namespace) if namespace else by_schemas(text))


def test_prometheus_may_list_the_pods_of_its_namespace_and_nothing_else() -> None:
    (role,) = of_kind(manifests("lgtm.yaml"), "Role")
    assert role["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]


def prometheus() -> Any:
    (config,) = of_kind(manifests("lgtm.yaml"), "ConfigMap")
    return yaml.safe_load(config["data"]["prometheus.yaml"])


def test_promtool_takes_the_configuration_of_prometheus(tmp_path: Path) -> None:
    """All but the discovery of pods, which Debian leaves out of its Prometheus."""
    if not shutil.which("promtool", path=ENVIRONMENT["PATH"]) and ENVIRONMENT.get("REQUIRE_PROMETHEUS") != "1":
        pytest.skip("promtool is not on the PATH (Debian package `prometheus`)")
    config = prometheus()
    (scraped,) = config["scrape_configs"]
    assert scraped.pop("kubernetes_sd_configs") == [{"role": "pod", "namespaces": {"own_namespace": True}}]
    scraped["static_configs"] = [{"targets": ["localhost:9100"]}]
    written = tmp_path / "prometheus.yaml"
    written.write_text(json.dumps(config))
    done = tool("promtool", "check", "config", "--syntax-only", str(written))
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_scrapes_every_pod_that_the_pod_monitors_select() -> None:
    objects = render(SWITCHBOARD, *DEMO, values={"podMonitor": {"enabled": True}, "restate": MONITORED})
    assert scraped_by_lgtm(objects) == scraped_by_operator(objects)


MONITORED = {"podMonitor": {"enabled": True}}


def scraped_by_lgtm(objects: list[Object]) -> set[tuple[str, str]]:
    """Owner and port of what the first relabelling keeps."""
    keep, *_ = prometheus()["scrape_configs"][0]["relabel_configs"]
    assert keep["action"] == "keep"
    return {
        (pod.owner, port["name"])
        for pod in pods(objects)
        for container in pod.containers
        for port in container.get("ports", [])
        if re.fullmatch(keep["regex"], f"{pod.labels['app.kubernetes.io/name']};{port['name']}")
    }


def scraped_by_operator(objects: list[Object]) -> set[tuple[str, str]]:
    monitors = [each["spec"] for each in of_kind(objects, "PodMonitor")]
    assert len(monitors) == 2
    return {
        (pod.owner, endpoint["port"])
        for monitor in monitors
        for pod in pods(objects)
        for endpoint in monitor["podMetricsEndpoints"]
        if monitor["selector"]["matchLabels"].items() <= pod.labels.items()
    }


def test_traces_of_the_demo_go_to_a_port_of_the_service() -> None:
    sent = read_values("lgtm-values.yaml")["global"]["otlpEndpoint"]
    assert sent in addresses("lgtm.yaml")


def test_traces_of_production_go_to_a_port_of_the_collector() -> None:
    sent = read_values("switchboard-values.yaml")["global"]["otlpEndpoint"]
    assert sent.replace(".monitoring", "") in addresses("collector.yaml")


def addresses(name: str) -> set[str]:
    (service,) = of_kind(manifests(name), "Service")
    return {f"http://{service['metadata']['name']}:{port['port']}" for port in service["spec"]["ports"]}


def read_values(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text())


def test_the_demo_lets_the_pod_with_prometheus_scrape_every_room() -> None:
    policies = of_kind(render(SWITCHBOARD, *DEMO), "NetworkPolicy")
    prometheus = {"podSelector": {"matchLabels": labels_of_pod("lgtm.yaml")}}
    let_in = {
        policy["metadata"]["labels"]["app.kubernetes.io/component"]
        for policy in policies
        for rule in policy["spec"]["ingress"] or []
        if prometheus in rule["from"] and rule["ports"][0]["port"] == 9100
    }
    assert let_in == {"router", "users", "tickets", "conversations", "gateway", "registry", "demo-model", "restate"}


def test_grafana_of_the_stack_finds_the_dashboards_and_their_folder() -> None:
    found = read_values("kube-prometheus-stack-values.yaml")["grafana"]["sidecar"]["dashboards"]
    objects = render(SWITCHBOARD, FOLDER / "switchboard-values.yaml")
    dashboards = [each for each in of_kind(objects, "ConfigMap") if "dashboard" in each["metadata"]["name"]]
    assert len(dashboards) == 5
    for each in dashboards:
        assert each["metadata"]["labels"][found["label"]] == found["labelValue"]
        assert each["metadata"]["annotations"][found["folderAnnotation"]]


@pytest.mark.parametrize("name", ["lgtm.yaml", "kube-prometheus-stack-values.yaml"])
def test_a_dot_of_an_exemplar_leads_to_its_trace_and_to_the_page_of_its_run(name: str) -> None:
    if name == "lgtm.yaml":
        (config,) = of_kind(manifests(name), "ConfigMap")
        sources = yaml.safe_load(config["data"]["datasources.yaml"])["datasources"]
    else:
        sources = read_values(name)["grafana"]["additionalDataSources"]
    by_kind = {source["type"]: source for source in sources}
    leads = {each["name"]: each for each in by_kind["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]}
    assert leads["trace_id"]["datasourceUid"] == by_kind["tempo"]["uid"]
    assert leads["run"]["url"].endswith("/ui/invocations/$${__value.raw}")


def test_demo_and_production_values_render_where_they_are_meant_for() -> None:
    alerts = list((SWITCHBOARD / "alerts").glob("*.yaml"))
    objects = render(SWITCHBOARD, FOLDER / "switchboard-values.yaml", namespace=NAMESPACE)
    assert len(of_kind(objects, "PrometheusRule")) == len(alerts)
    assert not of_kind(render(SWITCHBOARD, *DEMO), "PodMonitor")
