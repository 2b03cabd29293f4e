"""The series that Prometheus has of the table of signals."""

from standalone.signals import METRICS


def of_the_table() -> dict[str, set[str]]:
    """Their labels by their names; what a scrape adds (`job`, `instance`, `namespace`) is left out."""
    found: dict[str, set[str]] = {}
    for metric in METRICS:
        labels = set(metric.labels)
        if metric.kind == "histogram":
            found[f"{metric.name}_bucket"] = labels | {"le"}
            found[f"{metric.name}_sum"] = found[f"{metric.name}_count"] = labels
        else:
            found[metric.name] = labels
    return found
