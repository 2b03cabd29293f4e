"""What Grafana asks Prometheus for a dashboard: the queries of its panels, with the variables filled in."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.parts.prometheus import Queries

_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))")
_LABEL_VALUES = re.compile(r"label_values\((?P<series>.+), *(?P<label>\w+)\)")


@dataclass(frozen=True)
class Query:
    """One PromQL query of a panel, as it stands in the dashboard."""

    dashboard: str
    panel: str
    name: str
    expression: str

    def __str__(self) -> str:
        return f"{self.dashboard}/{self.panel}/{self.name}"

    def filled(self, namespace: str = ".*", rate_interval: str = "1m") -> str:
        """The query as Grafana sends it; KeyError for a variable that is neither the dashboard's nor Grafana's."""
        values = {"namespace": namespace, "__rate_interval": rate_interval}
        return _VARIABLE.sub(lambda found: values[found[1] or found[2]], self.expression)


def queries(dashboard: Mapping[str, Any]) -> Iterator[Query]:
    """All that a dashboard asks Prometheus, panel by panel; what it asks Tempo is left out."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            if target["datasource"]["type"] == "prometheus":
                yield Query(dashboard["uid"], panel["title"], target["refId"], target["expr"])


async def choices(dashboard: Mapping[str, Any], variable: str, prometheus: Queries) -> set[str]:
    """What a variable of the kind `label_values(series, label)` offers."""
    (found,) = (each for each in dashboard["templating"]["list"] if each["name"] == variable)
    asked = _LABEL_VALUES.fullmatch(found["query"]["query"])
    assert asked, found["query"]
    labels = (each.get(asked["label"], "") for each in await prometheus.series(asked["series"]))
    return {value for value in labels if value}


async def without_data(prometheus: Queries, asked: Iterable[Query], namespace: str = ".*") -> set[str]:
    """The queries that return nothing now, or nothing but NaN, over the last ten minutes."""
    empty: set[str] = set()
    for query in asked:
        samples = await prometheus.query(query.filled(namespace, "10m"))
        if all(math.isnan(value) for _, value in samples):
            empty.add(str(query))
    return empty
