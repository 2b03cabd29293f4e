"""Metrics for Prometheus, on a port and a thread of their own. What there is stands in `runtime.telemetry.signals`."""

import asyncio
import sys
import time
from collections.abc import Iterable, Mapping
from importlib.metadata import version

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, disable_created_metrics, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from restate.server_context import restate_context_is_replaying

from runtime.settings import ServiceSettings
from runtime.telemetry.signals import METRICS, Kind, Signal

LOOP_CHECK_SECONDS = 0.5

_TABLE = {signal.name: signal for signal in METRICS}


def counter(name: str) -> Counter:
    """The counter of that name in the table; `name` ends in `_total`."""
    signal = _signal(name, "counter")
    return Counter(name, signal.tells, signal.labels)


def gauge(name: str) -> Gauge:
    """The gauge of that name in the table."""
    signal = _signal(name, "gauge")
    return Gauge(name, signal.tells, signal.labels)


def histogram(name: str) -> Histogram:
    """The histogram of that name in the table, with its buckets."""
    signal = _signal(name, "histogram")
    return Histogram(name, signal.tells, signal.labels, buckets=signal.buckets)


Samples = Mapping[tuple[str, ...], float]
"""Values by the values of the labels, in the order of the table."""


class Snapshot(Collector):
    """Gauges of the table that are known together: a scrape sees all of one moment, and never a part of the next."""

    def __init__(self) -> None:
        self._told: list[GaugeMetricFamily] = []
        REGISTRY.register(self)

    def tell(self, gauges: Mapping[str, Samples]) -> None:
        """From now on these and nothing else; `{}` when nothing is known."""
        self._told = [_family(_signal(name, "gauge"), samples) for name, samples in gauges.items()]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        return self._told


def _family(signal: Signal, samples: Samples) -> GaugeMetricFamily:
    family = GaugeMetricFamily(signal.name, signal.tells, labels=signal.labels)
    for labels, value in samples.items():
        if len(labels) != len(signal.labels):
            raise ValueError(f"{signal.name} has the labels {signal.labels}, not {labels}")
        family.add_metric(labels, value)
    return family


def _signal(name: str, kind: Kind) -> Signal:
    signal = _TABLE.get(name)
    if signal is None or signal.kind != kind:
        raise LookupError(f"runtime.telemetry.signals has no {kind} {name}")
    return signal


def is_live() -> bool:
    """Whether this is done for the first time, and not once more while a journal is replayed: then it counts."""
    return not restate_context_is_replaying.get()


_build = gauge("switchboard_build_info")
_lag = histogram("switchboard_event_loop_lag_seconds")


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
        sys.exit(f"setting METRICS_PORT: cannot listen on {where}: {error.strerror}")


async def watch_loop() -> None:
    """Measure how late this event loop wakes up, until cancelled."""
    while True:
        started = time.perf_counter()
        await asyncio.sleep(LOOP_CHECK_SECONDS)
        _lag.observe(max(0.0, time.perf_counter() - started - LOOP_CHECK_SECONDS))
