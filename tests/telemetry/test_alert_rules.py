"""The alerts: promtool takes and tries them, and they ask only for signals that exist. Their runbooks."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.parts import series
from tests.parts.prometheus import need_prometheus

ROOT = Path(__file__).parents[2]
ALERTS = sorted((ROOT / "charts/switchboard/alerts").iterdir())
UNIT_TESTS = sorted((Path(__file__).parent / "rules").iterdir())
RUNBOOKS = ROOT / "docs/runbooks"
DASHBOARDS = [json.loads(path.read_text()) for path in sorted((ROOT / "charts/switchboard/dashboards").glob("*.json"))]
RUNBOOK_URL = "https://github.com/switchboard/switchboard/blob/main/docs/runbooks/"

SEVERITIES = {"critical", "warning"}
PARTS = {"restate", "registry", "resender", "receiver", "router", "gateway"}
"""Values of the label `part`, which keeps rules of one alert and one severity apart."""

FOREIGN = {"up": set[str]()}
SCRAPED = {"namespace", "job", "instance"}
_WORDS = {"and", "or", "unless", "by", "on", "offset"}

each_runbook = pytest.mark.parametrize("path", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
each_file = pytest.mark.parametrize("path", ALERTS, ids=lambda path: path.stem)


def rules_of(path: Path) -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(path.read_text())["groups"]
    return group["rules"]


RULES = [pytest.param(rule, id=f"{path.stem}-{n}") for path in ALERTS for n, rule in enumerate(rules_of(path), start=1)]
each_rule = pytest.mark.parametrize("rule", RULES)


SERIES = FOREIGN | series.of_the_table()
SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{([^{}]*)\})?(?=[^\w:(]|$)(?!\s*\()")
GROUPING = re.compile(r"\b(?:by|on|group_left) \(([^()]*)\)")


def selectors(expr: str) -> list[tuple[str, set[str]]]:
    """Each metric that is asked for, with the labels of its matchers. Groupings and ranges are no metrics."""
    bare = re.sub(r"\[\w+\]|\boffset \w+", " ", GROUPING.sub(" ", expr))
    return [
        (found[1], set(re.findall(r"(\w+)(?:=~|!~|!=|=)\"", found[2] or "")))
        for found in SELECTOR.finditer(bare)
        if found[1] not in _WORDS
    ]


def kept(expr: str) -> set[str]:
    return set(re.findall(r"\w+", " ".join(found[1] for found in GROUPING.finditer(expr))))


def promtool(*arguments: str | Path) -> None:
    need_prometheus()
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_all_rules() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", *ALERTS)


@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.stem)
def test_an_alert_fires_when_it_should_and_only_then(path: Path) -> None:
    promtool("test", "rules", path)


@each_file
def test_a_file_holds_the_alert_of_its_name(path: Path) -> None:
    assert path.suffix == ".yaml"
    assert {rule["alert"] for rule in rules_of(path)} == {path.stem}
    assert path.read_text().startswith("# "), "a comment must say why the thresholds are what they are"


@each_file
def test_an_alert_has_a_unit_test_that_shows_all_it_says_and_its_silence_without_data(path: Path) -> None:
    assert "no data" in {test["name"] for test in scenarios(path)}
    told = told_by(path)
    assert {signs(alert["exp_labels"]) for alert in told} == {signs(rule["labels"]) for rule in rules_of(path)}
    assert all(alert["exp_annotations"].keys() == {"summary", "description", "runbook_url"} for alert in told)


@each_file
def test_a_unit_test_has_it_fire_on_one_machine_and_on_kubernetes(path: Path) -> None:
    fired = [str(alert["exp_labels"]) for alert in told_by(path)] + [
        sample["labels"]
        for test in scenarios(path)
        for each in test.get("promql_expr_test", [])
        for sample in each.get("exp_samples", [])
    ]
    assert {"namespace" in labels for labels in fired} == {True, False}


def told_by(path: Path) -> list[dict[str, Any]]:
    """The alerts that a unit test expects with all that they say."""
    return [
        alert
        for test in scenarios(path)
        for each in test.get("alert_rule_test", [])
        for alert in each.get("exp_alerts", [])
    ]


def scenarios(path: Path) -> list[dict[str, Any]]:
    return yaml.safe_load(unit_test(path).read_text())["tests"]


def unit_test(path: Path) -> Path:
    found = next((each for each in UNIT_TESTS if each.name == path.name), None)
    assert found is not None, f"{path.name} has no unit test"
    return found


def signs(labels: dict[str, str]) -> tuple[str, str | None]:
    """What tells the rules of an alert apart."""
    return labels["severity"], labels.get("part")


def test_every_unit_test_and_runbook_is_of_an_alert() -> None:
    names = {path.stem for path in ALERTS}
    assert {path.stem for path in UNIT_TESTS} == names
    assert {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"} == names


@each_rule
def test_a_rule_has_a_known_severity_and_nothing_unbounded_in_its_labels(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in SEVERITIES
    assert rule["labels"].keys() <= {"severity", "part"}
    assert rule["labels"].get("part", "restate") in PARTS
    assert kept(rule["expr"]).isdisjoint({"reason", "deployment_id", "pod"})


@each_rule
def test_a_rule_waits_before_it_fires(rule: dict[str, Any]) -> None:
    assert re.fullmatch(r"[1-9]\d*m", rule["for"])


@each_rule
def test_a_rule_leads_to_its_runbook(rule: dict[str, Any]) -> None:
    assert rule["annotations"]["runbook_url"] == f"{RUNBOOK_URL}{rule['alert']}.md"
    text = (RUNBOOKS / f"{rule['alert']}.md").read_text()
    assert text.startswith(f"# {rule['alert']}\n")
    assert f"[{rule['alert']}]({rule['alert']}.md)" in (RUNBOOKS / "README.md").read_text()


@each_rule
def test_a_rule_says_in_one_line_what_is_wrong_and_where(rule: dict[str, Any]) -> None:
    summary = rule["annotations"]["summary"]
    assert "\n" not in summary
    assert summary.endswith("{{ with $labels.namespace }} in {{ . }}{{ end }}")
    assert set(re.findall(r"\$labels\.(\w+)", summary + rule["annotations"]["description"])) <= kept(rule["expr"])
    assert "$value" not in re.sub(r"\$value \| humanize\w*|printf \"%.0f\" \$value", "", summary)


@each_rule
def test_a_rule_keeps_namespaces_apart(rule: dict[str, Any]) -> None:
    """And so works without them: every aggregation and every match of two sides names the label."""
    groupings = GROUPING.findall(rule["expr"])
    assert groupings
    assert all("namespace" in grouping for grouping in groupings if grouping.strip())
    aggregated = len(re.findall(r"\b(?:sum|min|max|count)\b", rule["expr"]))
    assert len(re.findall(r"\bby \(", rule["expr"])) == aggregated


@each_rule
def test_a_rule_asks_only_for_signals_of_the_table(rule: dict[str, Any]) -> None:
    asked = selectors(rule["expr"])
    assert asked
    assert {name for name, _ in asked} <= SERIES.keys()
    assert all(labels <= SERIES[name] | SCRAPED for name, labels in asked)
    assert kept(rule["expr"]) <= SCRAPED | {label for name, _ in asked for label in SERIES[name]}


@each_runbook
def test_a_runbook_names_only_panels_that_there_are(path: Path) -> None:
    """Words in *this* type are dashboards, or the beginnings of titles of their panels."""
    text = " ".join(re.sub(r"```.*?```|`[^`]*`", " ", path.read_text(), flags=re.DOTALL).split())
    named = set(re.findall(r"(?<![*\w])\*([^*|]+)\*(?![*\w])", text))
    assert named or path.stem == "README"
    titles = [board["title"] for board in DASHBOARDS] + [
        each["title"] for board in DASHBOARDS for each in board["panels"]
    ]
    assert not [
        name for name in named if not any(title.removeprefix("Switchboard / ").startswith(name) for title in titles)
    ]


@each_runbook
def test_a_runbook_leads_only_to_what_there_is(path: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]*))?\)", path.read_text()):
        page = (path.parent / target).resolve() if target else path
        assert page.exists(), target
        assert not anchor or anchor in anchors(page), f"{target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """Of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_file
def test_a_runbook_answers_what_one_asks_at_night(path: Path) -> None:
    text = (RUNBOOKS / f"{path.stem}.md").read_text()
    assert re.findall(r"^\*\*([^*]+)\*\*", text, flags=re.MULTILINE) == ["What fired.", "Customers", "How bad."]
    assert re.findall(r"^## (.*)$", text, flags=re.MULTILINE) == [
        "First three checks",
        "Likely causes",
        "It is over when",
        "Never",
    ]
