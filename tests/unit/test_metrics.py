"""The metrics of a process."""

import socket
import threading

import aiohttp
import pytest

from runtime.settings import ServiceSettings
from runtime.telemetry.metrics import Table, serve_metrics
from runtime.telemetry.signals import Signal
from standalone.ports import free_port


def settings(metrics_port: int) -> ServiceSettings:
    return ServiceSettings(port=1, metrics_port=metrics_port)


async def test_they_say_what_runs_and_how_it_does() -> None:
    port = free_port()
    serve_metrics(settings(port), "users")
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/metrics") as reply:
        told = await reply.text()
    assert 'switchboard_build_info{service="users",version="0.1.0"} 1.0\n' in told
    for name in ("process_resident_memory_bytes", "process_cpu_seconds_total", "python_gc_collections_total"):
        assert f"# TYPE {name}" in told


def test_without_a_port_nothing_is_started() -> None:
    before = threading.active_count()
    serve_metrics(settings(0), "users")
    assert threading.active_count() == before


def test_a_taken_port_is_one_line_that_names_the_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit) as ended:
            serve_metrics(settings(port), "users")
    assert str(ended.value) == f"setting METRICS_PORT: cannot listen on 127.0.0.1:{port}: Address already in use"


def test_a_table_makes_nothing_but_its_rows() -> None:
    table = Table([Signal("switchboard_made_up", "gauge", "1", (), ("users",), "Nothing.")])
    with pytest.raises(LookupError, match="gauge switchboard_tools"):
        table.gauge("switchboard_tools")
    with pytest.raises(LookupError, match="histogram switchboard_made_up"):
        table.histogram("switchboard_made_up")
