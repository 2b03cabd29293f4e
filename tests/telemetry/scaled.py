"""The chart's alerts in a time that a test can wait for: the same expressions, with shorter windows and thresholds.

That the original numbers do what they should is promtool's affair, see `rules/`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ALERTS = Path(__file__).parents[2] / "charts/switchboard/alerts"

WINDOWS = {
    "[2m]": "[10s]",
    "[5m]": "[10s]",
    "[10m]": "[15s]",
    "[15m]": "[15s]",
    "[30m]": "[15s]",
    "[1h]": "[20s]",
    "[6h]": "[30s]",
    "offset 1h": "offset 20s",
}
"""In every file. Scrapes come each second."""

THRESHOLDS: Mapping[str, Mapping[str, str]] = {
    "ApprovalsWaiting": {"> 3600\n": "> 2\n", "> 72000\n": "> 4\n"},
    "NobodyTakesOver": {"> 1800\n": "> 2\n", "> 14400\n": "> 4\n"},
    "AnswersSlow": {"> 30\n": "> 0.5\n", 'le="30.0"': 'le="0.5"', "> 60\n": "> 1\n", 'le="60.0"': 'le="1.0"'},
    "NotificationsStuck": {"> 3600": "> 6", "> 72000": "> 10"},
    "OldestWorkTooOld": {"> 300\n": "> 10\n"},
    "VersionDrainingTooLong": {"> 86400": "> 3"},
}
"""Only lengths of time: shares and numbers of events are what they are in the files."""


@dataclass(frozen=True, order=True)
class Rule:
    """One rule of an alert, told apart from the others of the same name by its labels."""

    alert: str
    severity: str
    part: str = ""


def write(folder: Path) -> list[Path]:
    """Every alert as a rule file in this folder."""
    return [_write(path, folder) for path in sorted(ALERTS.glob("*.yaml"))]


def rules() -> set[Rule]:
    """Every rule of every alert."""
    found = [rule_of(rule["alert"], rule["labels"]) for path in ALERTS.glob("*.yaml") for rule in _rules(_read(path))]
    assert len(found) == len(set(found)), "two rules of an alert cannot be told apart"
    return set(found)


def rule_of(alert: str, labels: Mapping[str, str]) -> Rule:
    return Rule(alert, labels["severity"], labels.get("part", ""))


def _write(path: Path, folder: Path) -> Path:
    content = _read(path)
    thresholds = THRESHOLDS.get(path.stem, {})
    whole = "".join(rule["expr"] + "\n" for rule in _rules(content))
    assert all(old in whole for old in thresholds), f"{path.name} has other thresholds than this test scales"
    for rule in _rules(content):
        rule["expr"] = _replaced(rule["expr"] + "\n", {**WINDOWS, **thresholds})
        left = re.search(r"\[\d+[mhdw]\]|offset \d+[mhdw]", rule["expr"])
        assert left is None, f"{path.name}: {left} is too long to wait for"
        rule["for"] = "0s"
    written = folder / path.name
    written.write_text(json.dumps(content))
    return written


def _read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text())


def _rules(content: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    return (rule for group in content["groups"] for rule in group["rules"])


def _replaced(text: str, replacements: Mapping[str, str]) -> str:
    """All at once, so that nothing is replaced twice."""
    either = "|".join(re.escape(old) for old in replacements)
    return re.sub(either, lambda found: replacements[found[0]], text)
