"""What the chart tells Prometheus, Grafana and whoever keeps traces."""

import json
from pathlib import Path

import pytest

from standalone.signals import ROOMS
from tests.charts.charts import (
    PROMETHEUS,
    SWITCHBOARD,
    Object,
    Pod,
    Values,
    all_values,
    ci_files,
    name_of,
    of_kind,
    pods,
    read,
    render,
    rendered,
)

EVERYTHING: Values = {
    "podMonitor": {"enabled": True},
    "restate": {"podMonitor": {"enabled": True}},
    "alerts": {"enabled": True},
    "dashboards": {"enabled": True},
    "console": {
        "baseUrl": "https://desk.example.com",
        "oidc": {"issuer": "https://id.example.com", "clientId": "desk"},
    },
}
CONFIG_MAP_BYTES = 256 * 1024
"""A quarter of what the API server takes: `kubectl apply` keeps a copy in an annotation, which may be no longer."""

FILES = pytest.mark.parametrize("file", ci_files(SWITCHBOARD), ids=name_of)


def jobs(objects: list[Object], pod: Pod) -> list[str]:
    """The `job` under which Prometheus scrapes this pod: one for each endpoint of each PodMonitor."""
    return [
        pod.labels[monitor["spec"]["jobLabel"]]
        for monitor in of_kind(objects, "PodMonitor")
        if monitor["spec"]["selector"]["matchLabels"].items() <= pod.labels.items()
        for endpoint in monitor["spec"]["podMetricsEndpoints"]
        if endpoint["port"] in {port["name"] for each in pod.containers for port in each.get("ports", [])}
    ]


def test_each_room_and_restate_are_scraped_once_as_the_job_of_their_name() -> None:
    objects = render(SWITCHBOARD, values=EVERYTHING)
    scraped = [job for pod in pods(objects) for job in jobs(objects, pod)]
    rooms = [room.replace("_", "-") for room in ROOMS]
    assert sorted(scraped) == sorted(["restate", *rooms])


def test_restate_is_scraped_where_its_metrics_are() -> None:
    (endpoint,) = [
        each["spec"]["podMetricsEndpoints"][0]
        for each in of_kind(render(SWITCHBOARD, values=EVERYTHING), "PodMonitor")
        if each["metadata"]["name"] == "sw-restate"
    ]
    assert (endpoint["port"], endpoint["path"]) == ("metrics", "/cgi-bin/metrics")


def test_each_file_of_alerts_is_a_rule_as_it_stands() -> None:
    files = sorted((SWITCHBOARD / "alerts").glob("*.yaml"))
    assert len(files) > 5
    rules = of_kind(render(SWITCHBOARD, values=EVERYTHING), "PrometheusRule")
    assert [each["spec"] for each in rules] == [read(file) for file in files]
    assert len({each["metadata"]["name"] for each in rules}) == len(files)


def test_each_file_of_alerts_is_named_after_what_it_holds() -> None:
    for file in sorted((SWITCHBOARD / "alerts").glob("*.yaml")):
        named = {rule["alert"] for group in read(file)["groups"] for rule in group["rules"] if "alert" in rule}
        assert named == {file.stem}


def test_each_file_of_dashboards_is_a_config_map_as_it_stands() -> None:
    files = sorted((SWITCHBOARD / "dashboards").glob("*.json"))
    assert len(files) > 2
    found = {
        name: text
        for each in of_kind(render(SWITCHBOARD, values=EVERYTHING), "ConfigMap")
        if "grafana_dashboard" in each["metadata"]["labels"]
        for name, text in each["data"].items()
    }
    assert {name: json.loads(text) for name, text in found.items()} == {
        f"switchboard-{file.name}": json.loads(file.read_text()) for file in files
    }


@FILES
def test_a_config_map_fits(file: Path) -> None:
    for each in of_kind(rendered(file), "ConfigMap"):
        assert len(json.dumps(each).encode()) < CONFIG_MAP_BYTES, each["metadata"]["name"]


@FILES
def test_what_is_for_the_prometheus_operator_has_the_labels_that_it_is_found_by(file: Path) -> None:
    values = all_values(file)
    found = {"PodMonitor": values["podMonitor"]["labels"], "PrometheusRule": values["alerts"]["labels"]}
    for each in rendered(file):
        if each["apiVersion"] == PROMETHEUS:
            assert found[each["kind"]].items() <= each["metadata"]["labels"].items()


@FILES
def test_traces_go_to_one_collector_or_nowhere(file: Path) -> None:
    """From what Restate calls, and from nothing else; headers and messages never without a place to go."""
    endpoint, told = all_values(file)["global"]["otlpEndpoint"], set[str]()
    for pod in pods(rendered(file)):
        for container in pod.containers:
            names = {each["name"]: each.get("value") for each in container.get("env", [])}
            assert "OTEL_EXPORTER_OTLP_HEADERS" not in names or endpoint
            assert "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT" not in names or pod.component == "router"
            if "OTEL_EXPORTER_OTLP_ENDPOINT" in names:
                assert names["OTEL_EXPORTER_OTLP_ENDPOINT"] == endpoint
                told.add(pod.component)
    assert told == ({"router", "users", "tickets", "conversations"} if endpoint else set())
    assert told <= {flow["from"] for flow in read(SWITCHBOARD / "flows.yaml") if flow["to"] == "otlp"}
