"""Metrics for Prometheus, on a port and a thread of their own."""

import sys
from importlib.metadata import version

from prometheus_client import Gauge, start_http_server

from runtime.settings import ServiceSettings

_BUILD = Gauge("switchboard_build_info", "Which version of a service runs", ["service", "version"])


def serve_metrics(settings: ServiceSettings, service: str) -> None:
    """Answer on `METRICS_PORT` until the process ends; with 0 on none. Besides ours: process, GC and interpreter."""
    if not settings.metrics_port:
        return
    _BUILD.labels(service, version(f"switchboard-{service}")).set(1)
    try:
        start_http_server(settings.metrics_port, settings.host)
    except OSError as error:
        where = f"{settings.host}:{settings.metrics_port}"
        sys.exit(f"setting METRICS_PORT: cannot listen on {where}: {error.strerror}")
