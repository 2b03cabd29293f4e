"""The collector of k8s/observability keeps the traces that somebody will ask for. It runs here, not on the cluster."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from standalone.ports import free_port
from tests.cluster.parts.observers import COLLECTOR_MANIFESTS, build_collector, read_spans
from tests.parts.polling import eventually

DECIDED_AFTER = 1
"""Seconds in place of the manifest's, so that the test need not wait as long."""


class LocalCollector:
    """The manifest's configuration on ports of this machine, with a file in place of Tempo."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.port = free_port()
        self._program, self._folder, self._written = program, folder, folder / "spans"
        self._child: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        manifests = yaml.safe_load_all(COLLECTOR_MANIFESTS.read_text())
        (config,) = (each["data"]["config.yaml"] for each in manifests if each["kind"] == "ConfigMap")
        files = {"config.yaml": config, "overlay.yaml": yaml.safe_dump(self._overlay)}
        for name, text in files.items():
            (self._folder / name).write_text(text)
        options = [f"--config={self._folder / name}" for name in files]
        with (self._folder / "log").open("wb") as log:
            self._child = await asyncio.create_subprocess_exec(
                str(self._program), *options, env={"GOMAXPROCS": "1"}, stdout=log, stderr=log
            )

    @property
    def _overlay(self) -> dict[str, Any]:
        here = {"endpoint": f"127.0.0.1:{self.port}"}
        return {
            "receivers": {"otlp": {"protocols": {"http": here, "grpc": {"endpoint": f"127.0.0.1:{free_port()}"}}}},
            "processors": {"tail_sampling": {"decision_wait": f"{DECIDED_AFTER}s"}},
            "exporters": {"file": {"path": str(self._written), "format": "proto", "flush_interval": "100ms"}},
            "extensions": {"health_check": {"endpoint": f"127.0.0.1:{free_port()}"}},
            "service": {
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": {"traces": {"exporters": ["file"]}},
            },
        }

    async def stop(self) -> None:
        if self._child and self._child.returncode is None:
            self._child.terminate()
            await self._child.wait()

    async def send(self, *spans: Span) -> None:
        """Again until the collector is up."""
        sent = ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])])
        url, headers = f"http://127.0.0.1:{self.port}/v1/traces", {"Content-Type": "application/x-protobuf"}

        async def taken() -> bool:
            assert self._child
            assert self._child.returncode is None, (self._folder / "log").read_text()
            try:
                async with (
                    aiohttp.ClientSession() as http,
                    http.post(url, data=sent.SerializeToString(), headers=headers) as reply,
                ):
                    return reply.status == 200
            except aiohttp.ClientError:
                return False

        await eventually(taken, 20)

    def kept(self) -> set[str]:
        """The trace ids of all that came out."""
        return {span.trace_id for span in read_spans(self._written.read_bytes())} if self._written.exists() else set()


@pytest.fixture
async def collector(tmp_path: Path) -> AsyncIterator[LocalCollector]:
    collector = LocalCollector(await build_collector(), tmp_path)
    await collector.start()
    yield collector
    await collector.stop()


def span(trace: bytes, seconds: float = 1, *, outcome: str | None = "answered", failed: bool = False) -> Span:
    """The span of a run, or of something else if there is no outcome."""
    began = time.time_ns()
    return Span(
        trace_id=trace,
        span_id=os.urandom(8),
        name="invoke_agent switchboard",
        start_time_unix_nano=began,
        end_time_unix_nano=began + int(seconds * 1e9),
        attributes=[KeyValue(key="switchboard.outcome", value=AnyValue(string_value=outcome))] if outcome else [],
        status=Status(code=Status.STATUS_CODE_ERROR if failed else Status.STATUS_CODE_UNSET),
    )


async def test_errors_slow_runs_and_stopped_runs_are_kept_and_a_tenth_of_the_rest(collector: LocalCollector) -> None:
    failed, slow, stopped = (os.urandom(16) for _ in range(3))
    fast = [os.urandom(16) for _ in range(400)]
    asked_for = {failed.hex(), slow.hex(), stopped.hex()}
    await collector.send(
        span(failed, failed=True),
        span(slow, 20),
        span(stopped, outcome="turns_exhausted"),
        *(span(trace, outcome="answered" if number % 2 else None) for number, trace in enumerate(fast)),
    )

    async def all_kept() -> bool:
        return asked_for <= collector.kept()

    await eventually(all_kept, 30)
    share = len(collector.kept() - asked_for) / len(fast)
    assert 0.02 < share < 0.25


async def test_what_comes_late_follows_the_judgement_on_its_trace(collector: LocalCollector) -> None:
    kept, dropped = os.urandom(16), [os.urandom(16) for _ in range(200)]
    await collector.send(span(kept, failed=True), *(span(trace) for trace in dropped))

    async def judged() -> bool:
        return kept.hex() in collector.kept()

    await eventually(judged, 30)
    sampled = collector.kept()
    late = os.urandom(16)
    await collector.send(span(kept), *(span(trace, failed=True) for trace in dropped), span(late, failed=True))

    async def judged_again() -> bool:
        return late.hex() in collector.kept()

    await eventually(judged_again, 30)
    assert collector.kept() == sampled | {late.hex()}
