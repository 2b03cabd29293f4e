"""The dashboards: what Grafana's own types (`make check-dashboards`) cannot know of them."""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from standalone.signals import METRICS, SPANS
from tests.parts import series

ROOT = Path(__file__).parents[2]
DASHBOARDS: dict[str, Any] = {
    path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "charts/switchboard/dashboards").glob("*.json"))
}
PANELS = {f"{name}: {panel['title']}": panel for name, board in DASHBOARDS.items() for panel in board["panels"]}
TABLES = {name: panel for name, panel in PANELS.items() if panel["type"] == "table"}
EXPRESSIONS = {
    f"{name} {target['refId']}": (target["expr"], target["legendFormat"])
    for name, panel in PANELS.items()
    for target in panel["targets"]
    if "expr" in target
}
each_dashboard = pytest.mark.parametrize("name", DASHBOARDS)
each_panel = pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS)
each_table = pytest.mark.parametrize("panel", TABLES.values(), ids=TABLES)
each_expression = pytest.mark.parametrize(("expr", "legend"), EXPRESSIONS.values(), ids=EXPRESSIONS)

MAX_PANELS = 12
COLUMNS = 24
UNITS = {"s", "ns", "bytes", "short", "none", "percentunit"}
SCRAPED = {"job", "instance", "namespace"}
RARE = {"switchboard_invocations_ended_total", "switchboard_registration_failures_total"}
"""Counters shown as they stand: an event so rare would make no rate when its series begins with it."""
FOREIGN: dict[str, set[str]] = {
    "up": set(),
    "process_cpu_seconds_total": set(),
    "process_resident_memory_bytes": set(),
    "process_start_time_seconds": set(),
    "restate_failure_detector_nodes_total": {"state"},
    "restate_ingress_requests_total": {"status"},
    "restate_invoker_invocation_tasks_total": {"status"},
    "restate_jemalloc_resident_bytes": set(),
    "restate_memory_pool_capacity_bytes": set(),
    "restate_memory_pool_usage_bytes": set(),
    "restate_num_active_partition_leaders": set(),
    "restate_num_partitions": set(),
}
NO_COUNTERS = {"restate_failure_detector_nodes_total"}
"""Gauges in spite of their names."""


SERIES = FOREIGN | series.of_the_table()
SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\{([^{}]*)\}")
MATCHER = re.compile(r'(\w+)(?:=~|!~|!=|=)("(?:[^"\\]|\\.)*")')
GROUPING = re.compile(r"\b(?:by|on|ignoring|without|group_left|group_right) ?\(([^()]*)\)")


def names(listed: str) -> set[str]:
    return set(re.findall(r"\w+", listed))


def asked(expr: str) -> set[str]:
    return {found[1] for found in SELECTOR.finditer(expr)}


def left_over(expr: str) -> set[str]:
    """What is neither a selector, a grouping, a text, a function nor an operator: a metric without matchers."""
    for known in (SELECTOR, GROUPING, re.compile(r'"[^"]*"|\[[^\]]*\]')):
        expr = known.sub(" ", expr)
    return set(re.findall(r"\b[a-zA-Z_:][\w:]*\b(?! *\()", expr)) - {"or", "and", "unless", "bool"}


def aggregations(expr: str) -> Iterator[tuple[set[str], str]]:
    """The labels that each `by (...)` keeps, and the expression that it keeps them of."""
    for found in re.finditer(r"\bby \(([^()]*)\) \(", expr):
        depth, end = 1, found.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(expr[end], 0)
            end += 1
        yield names(found[1]), expr[found.end() : end]


def kept(expr: str) -> set[str]:
    return {label for labels, _ in aggregations(expr) for label in labels}


def test_there_are_five() -> None:
    assert set(DASHBOARDS) == {"agent", "conversations", "door", "durable-work", "platform"}


@each_dashboard
def test_one_has_an_address_of_its_own_and_room_for_the_eye(name: str) -> None:
    board = DASHBOARDS[name]
    assert board["uid"] == f"switchboard-{name}"
    assert len(board["panels"]) <= MAX_PANELS
    ids = [panel["id"] for panel in board["panels"]]
    titles = [panel["title"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    assert len(set(titles)) == len(titles)


@each_dashboard
def test_no_panel_lies_over_another_or_beside_the_grid(name: str) -> None:
    places = [panel["gridPos"] for panel in DASHBOARDS[name]["panels"]]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= COLUMNS for place in places)
    for one, other in combinations(places, 2):
        axes = (("x", "w"), ("y", "h"))
        apart = [one[at] + one[size] <= other[at] or other[at] + other[size] <= one[at] for at, size in axes]
        assert any(apart), (one, other)


@each_dashboard
def test_one_leads_to_the_others_and_to_restate(name: str) -> None:
    links = {link["url"]: link for link in DASHBOARDS[name]["links"]}
    others = {f"/d/{board['uid']}" for other, board in DASHBOARDS.items() if other != name}
    assert set(links) == others | {"${restate_ui}/ui/invocations"}
    assert all(links[other]["includeVars"] and links[other]["keepTime"] for other in others)


@each_dashboard
def test_one_asks_for_its_data_sources_and_works_without_namespaces(name: str) -> None:
    variables = {variable["name"]: variable for variable in DASHBOARDS[name]["templating"]["list"]}
    assert list(variables) == ["datasource", "tempo", "namespace", "restate_ui"]
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    assert (variables["tempo"]["type"], variables["tempo"]["query"]) == ("datasource", "tempo")
    namespace = variables["namespace"]
    assert (namespace["includeAll"], namespace["allValue"], namespace["current"]["value"]) == (True, ".*", "$__all")
    assert variables["restate_ui"]["query"] == "http://localhost:9070"


@each_panel
def test_a_panel_says_what_it_answers_and_when_to_worry(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert len(panel["description"]) > 80
    needs_tempo = panel["datasource"] == {"type": "tempo", "uid": "${tempo}"}
    assert re.search("Needs a Tempo" if needs_tempo else "[Ww]orry", panel["description"])


@each_panel
def test_a_panel_has_a_unit_and_thresholds_that_rise(panel: dict[str, Any]) -> None:
    config = panel["fieldConfig"]
    properties = [set_ for override in config["overrides"] for set_ in override["properties"]]
    units = [config["defaults"]["unit"], *(each["value"] for each in properties if each["id"] == "unit")]
    assert all(unit in UNITS or unit.startswith("suffix:") for unit in units)
    marks = [each["value"] for each in properties if each["id"] == "thresholds"]
    marks.append(config["defaults"].get("thresholds"))
    for thresholds in filter(None, marks):
        first, *values = [step["value"] for step in thresholds["steps"]]
        assert first is None
        assert values == sorted(values)


@each_panel
def test_a_panel_reads_from_the_chosen_data_source(panel: dict[str, Any]) -> None:
    sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
    chosen = [{"type": "prometheus", "uid": "${datasource}"}, {"type": "tempo", "uid": "${tempo}"}]
    assert all(source == sources[0] and source in chosen for source in sources)
    refs = [target["refId"] for target in panel["targets"]]
    assert refs
    assert len(set(refs)) == len(refs)


@each_panel
def test_an_override_names_something_that_the_panel_shows(panel: dict[str, Any]) -> None:
    """Grafana passes over an override that matches nothing, without a word."""
    legends = [target.get("legendFormat", "") for target in panel["targets"]]
    if any("{{" in legend for legend in legends) or panel["datasource"]["type"] == "tempo":
        return
    renamed = [change["options"].get("renameByName", {}) for change in panel.get("transformations", [])]
    shown = {*legends, *(name for names_ in renamed for name in names_.values())}
    matchers = [override["matcher"] for override in panel["fieldConfig"]["overrides"]]
    assert {matcher["options"] for matcher in matchers if matcher["id"] == "byName"} <= shown
    assert {column["displayName"] for column in panel["options"].get("sortBy", [])} <= shown


@each_table
def test_a_table_renames_columns_that_it_has(panel: dict[str, Any]) -> None:
    columns = {label for target in panel["targets"] for label in kept(target.get("expr", ""))}
    values = ["Value"] if len(panel["targets"]) == 1 else [f"Value #{target['refId']}" for target in panel["targets"]]
    for change in panel.get("transformations", []):
        if change["id"] == "organize":
            assert set(change["options"]["renameByName"]) == columns | set(values)
            assert set(change["options"]["indexByName"]) == columns | set(values)


@each_expression
def test_an_expression_asks_for_what_is_in_the_table_of_signals(expr: str, legend: str) -> None:
    assert not left_over(expr), "metrics without matchers, or something this test cannot read"
    assert asked(expr)
    assert asked(expr) <= SERIES.keys()


@each_expression
def test_an_expression_uses_labels_that_its_metrics_have(expr: str, legend: str) -> None:
    for metric, matchers in SELECTOR.findall(expr):
        pairs = dict(MATCHER.findall(matchers))
        assert set(pairs) <= SERIES[metric] | SCRAPED, metric
        assert pairs["namespace"] == '"$namespace"', metric
    for labels, inner in aggregations(expr):
        for metric in asked(inner):
            assert labels <= SERIES[metric] | SCRAPED, metric
    everywhere = SCRAPED.union(*(SERIES[metric] for metric in asked(expr)))
    assert {label for listed in GROUPING.findall(expr) for label in names(listed)} <= everywhere
    assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= kept(expr)


@each_expression
def test_an_expression_takes_rates_of_counters_over_the_chosen_interval(expr: str, legend: str) -> None:
    assert set(re.findall(r"\[([^\]]*)\]", expr)) <= {"$__rate_interval"}
    counters = {name for name in asked(expr) if name.endswith(("_total", "_bucket", "_sum", "_count"))}
    bare = {found[1] for found in re.finditer(SELECTOR.pattern + r"(?!\[)", expr)}
    assert not counters & bare - RARE - NO_COUNTERS


@each_expression
def test_what_every_pod_tells_alike_is_not_added_up(expr: str, legend: str) -> None:
    alike = {metric.name for metric in METRICS if "every pod tells the same" in metric.tells}
    assert len(alike) == 5
    for found in SELECTOR.finditer(expr):
        if found[1] in alike:
            assert re.search(r"\bmax(?: by \([^()]*\) )?\($", expr[: found.start()])


def test_every_metric_of_the_gateway_has_a_place() -> None:
    told = {metric.name for metric in METRICS if metric.name.startswith("switchboard_gateway_")}
    shown = set[str]().union(*(asked(expr) for expr, _ in EXPRESSIONS.values()))
    assert len(told) == 8
    assert told <= {name.removesuffix("_bucket") for name in shown}


def test_time_to_answer_carries_exemplars() -> None:
    [panel] = [panel for panel in DASHBOARDS["agent"]["panels"] if panel["title"] == "Time to answer"]
    assert [target for target in panel["targets"] if target.get("exemplar")]


def test_the_latest_runs_are_found_by_what_their_spans_carry_and_lead_to_restate() -> None:
    [panel] = [panel for panel in DASHBOARDS["agent"]["panels"] if panel["datasource"]["type"] == "tempo"]
    [span] = [span for span in SPANS if span.name.startswith("invoke_agent ")]
    query = panel["targets"][0]["query"]
    selected = set(re.findall(r"\bspan\.([\w.]+)", query))
    assert 'name =~ "invoke_agent .+"' in query
    assert selected <= set(span.labels)
    overrides = {each["matcher"]["options"]: each["properties"] for each in panel["fieldConfig"]["overrides"]}
    assert set(overrides) == selected | {"duration"}
    [links] = [each["value"] for each in overrides["switchboard.run"] if each["id"] == "links"]
    assert [link["url"] for link in links] == ["${restate_ui}/ui/invocations/${__value.raw}"]


@each_dashboard
def test_the_docs_tell_of_each_panel_in_order(name: str) -> None:
    text = (ROOT / "docs/dashboards.md").read_text()
    [section] = re.findall(rf"^## {DASHBOARDS[name]['title'].split(' / ')[1]}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    told = re.findall(r"^\| \*\*(.+?)\*\* \|", section, re.M)
    assert told == [panel["title"] for panel in DASHBOARDS[name]["panels"]]
