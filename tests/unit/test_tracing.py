"""Spans: ids that follow from the journal, and a collector that may be slow, away, or choosy."""

import asyncio
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest

from runtime.settings import RestateServiceSettings
from runtime.telemetry import otlp
from runtime.telemetry.otlp import OtlpExport
from runtime.telemetry.tracing import Span, Trace
from tests.parts.otlp import Receiver

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
STEP = Span("step", 10.0, 11.5, {"switchboard.turn": 1})


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Nobody gives up a collector that answers, however slow the machine is; and a request outlasts every test."""
    monkeypatch.setattr(otlp, "WAIT_SECONDS", 60)
    monkeypatch.setattr(otlp, "END_SECONDS", 60)
    monkeypatch.setattr(otlp, "REQUEST_TIMEOUT", aiohttp.ClientTimeout(total=300))
    return monkeypatch


@pytest.fixture
async def export(receiver: Receiver, patience: pytest.MonkeyPatch) -> AsyncIterator[OtlpExport]:
    made = export_to(receiver)
    yield made
    await made.end()


def export_to(receiver: Receiver) -> OtlpExport:
    settings = RestateServiceSettings.model_validate(
        {"port": 9000, "otel_exporter_otlp_endpoint": receiver.url, "otel_exporter_otlp_headers": "x-key=secret"}
    )
    return OtlpExport(settings, "router")


def tell(export: OtlpExport, span_id: int = 2) -> None:
    export.emit(STEP, 1, span_id, 0)


def test_the_same_step_of_the_same_run_has_the_same_ids_in_every_process() -> None:
    one = Trace.of("inv_1", PARENT)
    assert one.traceparent("turn 1") == "00-0af7651916cd43dd8448eb211c80319c-0919dac65a79e0ca-01"


def test_other_steps_and_other_runs_have_other_ids() -> None:
    ids = {Trace.of(run, PARENT).span_id(step) for run in ("inv_1", "inv_2") for step in ("", "turn 1", "turn 2")}
    assert len(ids) == 6


def test_a_trace_that_a_caller_began_is_continued() -> None:
    trace = Trace.of("inv_1", PARENT)
    assert (trace.hex_id, f"{trace.above:016x}") == ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    assert trace.traceparent().startswith("00-0af7651916cd43dd8448eb211c80319c-")


@pytest.mark.parametrize("text", ["", "nonsense", "00-" + "0" * 32 + "-b7ad6b7169203331-01", PARENT.upper()])
def test_without_a_valid_parent_a_run_has_a_trace_of_its_own(text: str) -> None:
    trace = Trace.of("inv_1", text)
    assert trace == Trace.of("inv_1", "")
    assert (trace.above, trace.sampled) == (0, True)


def test_a_caller_that_does_not_sample_is_obeyed() -> None:
    trace = Trace.of("inv_1", PARENT[:-1] + "0")
    assert not trace.sampled
    assert trace.traceparent("turn 1").endswith("-00")


async def test_whoever_waits_finds_its_spans_delivered(export: OtlpExport, receiver: Receiver) -> None:
    tell(export)
    await export.sent()
    (span,) = receiver.spans
    assert (span.name, span.started_at, span.ended_at, span.service) == ("step", 10.0, 11.5, "router")
    assert receiver.headers[0]["x-key"] == "secret"


async def test_many_who_wait_share_a_request(export: OtlpExport, receiver: Receiver) -> None:
    async def one(span_id: int) -> None:
        tell(export, span_id)
        await export.sent()

    await asyncio.gather(*(one(span_id) for span_id in range(1, 101)))
    assert len({span.id for span in receiver.spans}) == 100
    assert len(receiver.headers) <= 3


async def test_a_collector_that_hangs_delays_one_run_and_no_other(
    export: OtlpExport, receiver: Receiver, patience: pytest.MonkeyPatch
) -> None:
    patience.setattr(otlp, "WAIT_SECONDS", 0.5)
    patience.setattr(otlp, "END_SECONDS", 0.5)
    receiver.hang()
    tell(export)
    started = time.monotonic()
    async with asyncio.timeout(30):
        await export.sent()
    assert time.monotonic() - started > 0.4
    patience.setattr(otlp, "WAIT_SECONDS", 60)
    async with asyncio.timeout(30):
        for _ in range(20):
            tell(export)
            await export.sent()


@pytest.mark.parametrize("status", [429, 503])
async def test_what_a_busy_collector_did_not_take_is_sent_again(
    export: OtlpExport, receiver: Receiver, status: int, patience: pytest.MonkeyPatch
) -> None:
    patience.setattr(otlp, "EACH_SECONDS", 0.1)
    receiver.answer(status)
    tell(export)
    await export.sent()
    assert not receiver.spans
    receiver.answer()
    assert await receiver.named("step")


async def test_what_a_collector_refuses_is_not_sent_for_ever(export: OtlpExport, receiver: Receiver) -> None:
    receiver.answer(400)
    tell(export)
    await export.sent()
    receiver.answer()
    tell(export, 3)
    await export.end()
    assert [span.span_id for span in receiver.spans] == [f"{3:016x}"]


async def test_a_process_that_ends_sends_what_is_left(export: OtlpExport, receiver: Receiver) -> None:
    tell(export)
    await export.end()
    assert len(receiver.spans) == 1


async def test_a_process_that_ends_does_not_wait_for_long(receiver: Receiver, patience: pytest.MonkeyPatch) -> None:
    patience.setattr(otlp, "END_SECONDS", 0.5)
    receiver.hang()
    export = export_to(receiver)
    tell(export)
    async with asyncio.timeout(30):
        await export.end()
    assert receiver.spans == []
