"""Metrics for Prometheus, on a port and a thread of their own. What there is stands in the table of signals."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from importlib.metadata import version

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, disable_created_metrics, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from restate.server_context import restate_context_is_replaying

from runtime.settings import ServiceSettings
from runtime.telemetry.signals import METRICS, Kind, Signal
from runtime.terminal import leave

LOOP_CHECK_SECONDS = 0.5

Samples = Mapping[tuple[str, ...], float]
"""Values by the values of the labels, in the order of the table."""


class Table:
    """Makes the metrics of some rows; for a name or a kind that they do not have it raises LookupError."""

    def __init__(self, rows: Iterable[Signal]) -> None:
        self._rows = {row.name: row for row in rows}

    def counter(self, name: str) -> Counter:
        """`name` ends in `_total`."""
        row = self.row(name, "counter")
        return Counter(name, row.tells, row.labels)

    def gauge(self, name: str) -> Gauge:
        row = self.row(name, "gauge")
        return Gauge(name, row.tells, row.labels)

    def histogram(self, name: str) -> Histogram:
        row = self.row(name, "histogram")
        return Histogram(name, row.tells, row.labels, buckets=row.buckets)

    def row(self, name: str, kind: Kind) -> Signal:
        row = self._rows.get(name)
        if row is None or row.kind != kind:
            raise LookupError(f"the table of signals has no {kind} {name} here")
        return row


SHARED = Table(METRICS)
"""What several rooms have; what one room has is made from the table in its `signals.py`."""


class Snapshot(Collector):
    """Gauges of a table that are known together: a scrape sees all of one moment, and never a part of the next."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._told: list[GaugeMetricFamily] = []
        REGISTRY.register(self)

    def tell(self, gauges: Mapping[str, Samples]) -> None:
        """From now on these and nothing else; `{}` when nothing is known."""
        self._told = [_family(self._table.row(name, "gauge"), samples) for name, samples in gauges.items()]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        return self._told


def _family(signal: Signal, samples: Samples) -> GaugeMetricFamily:
    family = GaugeMetricFamily(signal.name, signal.tells, labels=signal.labels)
    for labels, value in samples.items():
        if len(labels) != len(signal.labels):
            raise ValueError(f"{signal.name} has the labels {signal.labels}, not {labels}")
        family.add_metric(labels, value)
    return family


def is_live() -> bool:
    """Whether this is done for the first time, and not once more while a journal is replayed: then it counts."""
    return not restate_context_is_replaying.get()


_build = SHARED.gauge("switchboard_build_info")
_lag = SHARED.histogram("switchboard_event_loop_lag_seconds")


def serve_metrics(settings: ServiceSettings, service: str) -> None:
    """Answer on `METRICS_PORT` until the process ends; with 0 on none. Besides ours: process, GC and interpreter."""
    if not settings.metrics_port:
        return
    disable_created_metrics()
    _build.labels(service, version(f"switchboard-{service}")).set(1)
    try:
        start_http_server(settings.metrics_port, settings.host)
    except OSError as error:
        where = f"{settings.host}:{settings.metrics_port}"
        leave(f"setting METRICS_PORT: cannot listen on {where}: {error.strerror}")


async def watch_loop() -> None:
    """Measure how late this event loop wakes up, until cancelled."""
    while True:
        started = time.perf_counter()
        await asyncio.sleep(LOOP_CHECK_SECONDS)
        _lag.observe(max(0.0, time.perf_counter() - started - LOOP_CHECK_SECONDS))
