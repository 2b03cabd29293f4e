"""How spans leave: to a real receiver that is busy, slow, away, or picky."""

import asyncio
import contextvars
from collections.abc import AsyncGenerator, Callable

import pytest
from aiohttp import web
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, TraceFlags
from restate.server_context import restate_context_is_replaying

from runtime.settings import RestateServiceSettings
from runtime.telemetry import otlp
from runtime.telemetry.otlp import Collector
from standalone.ports import free_port
from tests.parts.otlp import Receiver


@pytest.fixture
async def receiver() -> AsyncGenerator[Receiver]:
    receiver = Receiver()
    await receiver.start()
    yield receiver
    await receiver.stop()


@pytest.fixture
async def collector(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Collector]:
    monkeypatch.setattr(otlp, "EACH_SECONDS", 0.1)
    monkeypatch.setattr(otlp, "WAIT_SECONDS", 60)
    monkeypatch.setattr(otlp, "END_SECONDS", 60)
    collector = collector_at(receiver.url)
    yield collector
    await collector.end()


def collector_at(url: str) -> Collector:
    return Collector(RestateServiceSettings(port=1, otel_exporter_otlp_endpoint=url))


def span(name: str) -> ReadableSpan:
    context = SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return ReadableSpan(name, context, resource=Resource.create(), start_time=1, end_time=2)


def names(receiver: Receiver) -> list[str]:
    return [each.name for each in receiver.spans]


async def test_nobody_waits_for_spans_that_came_after_theirs(receiver: Receiver, collector: Collector) -> None:
    async def others() -> None:
        while True:
            collector.on_end(span("others"))
            await asyncio.sleep(0)

    load = asyncio.create_task(others())
    await receiver.named("others")
    collector.on_end(span("ours"))
    await collector.sent()
    load.cancel()
    assert "ours" in names(receiver)
    assert not collector._is_behind  # pyright: ignore[reportPrivateUsage]


async def test_when_too_many_wait_the_oldest_fall_out(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "MAX_WAITING", 4)
    monkeypatch.setattr(otlp, "MAX_BATCH", 2)
    collector = collector_at(receiver.url)
    receiver.hang()
    for number in range(4):
        collector.on_end(span(str(number)))
    await collector.sent()
    collector.on_end(span("4"))
    receiver.answer(503)
    await until(lambda: len(collector._waiting) == 4)  # pyright: ignore[reportPrivateUsage]
    receiver.answer()
    await collector.end()
    assert names(receiver) == ["1", "2", "3", "4"]


async def test_a_span_that_cannot_be_encoded_fails_nobody(receiver: Receiver, collector: Collector) -> None:
    collector.on_end(span("\ud800"))
    await collector.sent()
    collector.on_end(span("good"))
    assert await receiver.named("good")


async def test_what_is_left_at_the_end_is_sent_even_if_it_came_during_a_sending(
    receiver: Receiver, collector: Collector
) -> None:
    receiver.hang()
    collector.on_end(span("first"))
    waiting = asyncio.create_task(collector.sent())
    await until(lambda: bool(receiver.headers))
    collector.on_end(span("last"))
    receiver.answer()
    await asyncio.gather(waiting, collector.end())
    assert names(receiver) == ["first", "last"]


async def test_a_collector_that_is_away_is_told_of_though_a_replay_emitted_first(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp, "EACH_SECONDS", 0.01)
    collector = collector_at(f"http://127.0.0.1:{free_port()}")

    def replay() -> None:
        restate_context_is_replaying.set(True)
        collector.on_end(span("any"))

    contextvars.copy_context().run(replay)
    await until(lambda: "spans_not_taken" in caplog.messages)
    await collector.end()


async def test_a_redirection_is_not_followed_with_the_collectors_key(receiver: Receiver) -> None:
    async def elsewhere(_: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect(f"{receiver.url}/v1/traces")

    app = web.Application()
    app.router.add_post("/v1/traces", elsewhere)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    collector = collector_at(f"http://127.0.0.1:{port}")
    collector.on_end(span("any"))
    await collector.sent()
    await collector.end()
    await runner.cleanup()
    assert receiver.headers == []


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)
