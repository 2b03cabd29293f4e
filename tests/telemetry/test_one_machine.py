"""`make run` and what can be seen of it: Prometheus beside it, and its traces at a collector."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from standalone.restate import answers
from standalone.services import ALERTS
from tests.parts.board import until
from tests.parts.otlp import ReceivedSpan, Receiver
from tests.parts.prometheus import Queries, need_prometheus
from tests.parts.standalone import Standalone

JOBS = {"router", "users", "tickets", "conversations", "registry", "demo_model", "gateway", "console", "restate"}


@pytest.fixture(scope="module")
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    await receiver.start()
    yield receiver
    await receiver.stop()


@pytest.fixture(scope="module")
async def machine(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> AsyncIterator[Standalone]:
    need_prometheus()
    machine = Standalone(
        tmp_path_factory.mktemp("machine") / "data",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"{receiver.url}/",
        OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20a%3Dkey%2C1,x-tenant=17",
    )
    await machine.start()
    yield machine
    await machine.clean_up()


@pytest.fixture(scope="module")
async def prometheus(machine: Standalone) -> Queries:
    asked = Queries(f"http://127.0.0.1:{machine.ports['PROMETHEUS_PORT']}")
    await until(lambda: answers(f"{asked.url}/-/ready"))
    return asked


async def test_prometheus_scrapes_every_part_and_its_address_is_told(machine: Standalone, prometheus: Queries) -> None:
    assert f"Prometheus   {prometheus.url}" in machine.screen
    await prometheus.wait_for(f"count(up == 1) == {len(JOBS)}", seconds=30)
    assert {labels["job"] for labels, _ in await prometheus.query("up")} == JOBS
    assert await prometheus.query('switchboard_runs_total{outcome="answered"}')
    assert await prometheus.query('restate_ingress_requests_total{status="completed"}')


async def test_prometheus_has_every_alert_of_the_chart(prometheus: Queries) -> None:
    rules = {rule["name"] for rule in await prometheus.rules()}
    assert rules == {path.stem for path in ALERTS.glob("*.yaml")}
    assert rules


async def test_prometheus_listens_on_loopback_alone(machine: Standalone, prometheus: Queries) -> None:
    listening = machine.children()["prometheus"].net_connections("tcp")
    assert {each.laddr.ip for each in listening if each.status == "LISTEN"} == {"127.0.0.1"}


async def test_every_part_sends_its_spans_to_the_collector_with_the_headers(
    machine: Standalone, receiver: Receiver
) -> None:
    asked = await asyncio.to_thread(machine.run_command, "ask", "Please create a ticket: the dashboard is broken")
    assert "tool create_support_ticket" in asked.stdout, asked.stderr

    def senders(spans: list[ReceivedSpan]) -> bool:
        return {span.service for span in spans} >= {"router", "users", "tickets", "Restate"}

    await receiver.wait_for(senders, seconds=20)
    assert {headers.get("authorization") for headers in receiver.headers} == {"Bearer a=key,1"}
    assert {headers.get("x-tenant") for headers in receiver.headers} == {"17"}


async def test_one_trace_holds_the_attempts_of_restate_and_the_steps_of_the_router(receiver: Receiver) -> None:
    (run, *_) = await receiver.wait_for(lambda spans: [s for s in spans if s.name.startswith("invoke_agent")], 20)
    same = await receiver.wait_for(
        lambda spans: [s for s in spans if s.trace_id == run.trace_id and s.service == "Restate"], 20
    )
    assert "invocation-attempt ToolRouter/route" in {span.name for span in same}


async def test_a_key_of_the_collector_reaches_only_who_sends_spans(machine: Standalone) -> None:
    who = {
        name
        for name, process in machine.children().items()
        if name != "postgres" and "OTEL_EXPORTER_OTLP_HEADERS" in process.environ()
    }
    assert who == {"router", "users", "tickets", "conversations", "restate"}


async def test_a_killed_prometheus_comes_back_and_ctrl_c_ends_it_in_time(machine: Standalone) -> None:
    machine.children()["prometheus"].kill()
    await machine.shows("prometheus ended (SIGKILL); starting it again")
    await machine.has(JOBS | {"postgres", "prometheus"})

    code, seconds = await machine.interrupt()

    assert code == 0, machine.screen
    assert seconds < 30
    assert machine.children() == {}


async def test_a_port_that_is_taken_already_leaves_out_prometheus_alone(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        machine = Standalone(tmp_path / "data", PROMETHEUS_PORT=str(port))
        machine.ports["PROMETHEUS_PORT"] = port
        try:
            await machine.start()
            assert f"not started: port {port} is taken, set PROMETHEUS_PORT" in machine.screen
        finally:
            await machine.clean_up()


@pytest.mark.parametrize(
    ("written", "shown"),
    [("exit 1", "going on without prometheus: prometheus does not stay up"), ("trap '' TERM; while :; do :; done", "")],
    ids=["ends at once", "hangs"],
)
async def test_a_prometheus_that_cannot_run_holds_up_nothing(tmp_path: Path, written: str, shown: str) -> None:
    broken = tmp_path / "bin" / "prometheus"
    broken.parent.mkdir()
    broken.write_text(f"#!/bin/sh\n{written}\n")
    broken.chmod(0o755)
    machine = Standalone(tmp_path / "data", PATH=f"{broken.parent}:/usr/bin:/bin")
    try:
        await machine.start()
        await machine.shows(shown)
        code, seconds = await machine.interrupt()
        assert code == 0
        assert seconds < 30
        assert machine.children() == {}
    finally:
        await machine.clean_up()
