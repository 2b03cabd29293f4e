"""Spans to a collector, over OTLP/HTTP (https://opentelemetry.io/docs/specs/otlp/#otlphttp). Imported only where a
collector is named.

The SDK's own exporter works in a thread: the two threads' quarrel over the interpreter costs a run more than all of its
spans (docs/benchmark.md). So its encoder is used, and the event loop sends.
"""

import asyncio
import contextlib
import contextvars
from collections import deque
from collections.abc import Coroutine, Generator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import aiohttp
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, ParentBased, Sampler, SamplingResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)
from opentelemetry.util.re import parse_env_headers
from opentelemetry.util.types import Attributes

from runtime.settings import RestateServiceSettings
from runtime.telemetry.logs import get_logger
from runtime.telemetry.signals import GENAI_CONVENTIONS
from runtime.telemetry.tracing import Span

MAX_WAITING = 8192
MAX_BATCH = 512
REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=5)
EACH_SECONDS = 2.0
WAIT_SECONDS = 0.5
END_SECONDS = 0.5

log = get_logger(__name__)


class Collector(SpanProcessor):
    """Sends what has ended, in batches; keeps what the collector does not take, the oldest fall out first."""

    def __init__(self, settings: RestateServiceSettings) -> None:
        headers = parse_env_headers(settings.otel_exporter_otlp_headers.get_secret_value(), liberal=True)
        self._url = f"{settings.otel_exporter_otlp_endpoint.rstrip('/')}/v1/traces"
        self._headers = {**headers, "content-type": "application/x-protobuf"}
        self._waiting: deque[ReadableSpan] = deque(maxlen=MAX_WAITING)
        self._http: aiohttp.ClientSession | None = None
        self._sending: asyncio.Task[None] | None = None
        self._regular: asyncio.Task[None] | None = None
        self._is_behind = False

    def on_end(self, span: ReadableSpan) -> None:
        if not (span.context and span.context.trace_flags.sampled):
            return
        self._waiting.append(span)
        if self._regular is None:
            self._regular = _apart(self._send_regularly())

    async def sent(self) -> None:
        """Joins the sending that begins when the present one ends, so that many runs share one request.

        A collector that is slow or away holds nobody up for long: until it takes spans again, nobody waits for it.
        """
        if self._is_behind:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WAIT_SECONDS):
                await self._flush()
            return
        self._fall_behind("TimeoutError")

    async def end(self) -> None:
        """Send what is left, for half a second at most."""
        if self._regular is not None:
            self._regular.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await self._flush()
        if self._sending is not None:
            self._sending.cancel()
        if self._http is not None:
            await self._http.close()

    async def _flush(self) -> None:
        if self._sending is not None:
            await asyncio.shield(self._sending)
        await asyncio.shield(self._begin())

    def _begin(self) -> asyncio.Task[None]:
        if self._sending is None or self._sending.done():
            self._sending = _apart(self._send_waiting())
        return self._sending

    async def _send_regularly(self) -> None:
        while True:
            await asyncio.sleep(EACH_SECONDS)
            await asyncio.shield(self._begin())

    async def _send_waiting(self) -> None:
        """Send what waits now. What comes meanwhile is left to the next sending: else it would not end under load."""
        left = len(self._waiting)
        while left:
            batch = [self._waiting.popleft() for _ in range(min(MAX_BATCH, left))]
            left -= len(batch)
            problem, again = await self._post(batch)
            if not problem:
                self._is_behind = False
                continue
            if again:
                self._waiting.extendleft(batch[::-1][: MAX_WAITING - len(self._waiting)])
            self._fall_behind(problem)
            return

    async def _post(self, batch: list[ReadableSpan]) -> tuple[str, bool]:
        """What went wrong, if something did, and whether the same may be sent again."""
        if self._http is None:
            self._http = aiohttp.ClientSession(timeout=REQUEST_TIMEOUT, headers=self._headers, trust_env=True)
        try:
            body = encode_spans(batch).SerializeToString()
            async with self._http.post(self._url, data=body, allow_redirects=False) as reply:
                await reply.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return type(error).__name__, True
        except Exception as error:  # noqa: BLE001 - whatever it is, no run fails for its spans
            return type(error).__name__, False
        is_taken = 200 <= reply.status < 300
        return ("" if is_taken else f"status {reply.status}"), reply.status in (429, 502, 503, 504)

    def _fall_behind(self, reason: str) -> None:
        if not self._is_behind:
            contextvars.Context().run(_warn, reason)
        self._is_behind = True


def _warn(reason: str) -> None:
    log.warning("spans_not_taken", extra={"reason": reason, "mend": "OTEL_EXPORTER_OTLP_ENDPOINT"})


def _apart(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task that is no part of the invocation which happens to start it: its log lines neither name it nor are silent
    while it is replayed."""
    return asyncio.create_task(work, context=contextvars.Context())


class OtlpExport:
    """Logical spans with ids of their own, and what asyncpg's instrumentation makes, to one collector."""

    def __init__(self, settings: RestateServiceSettings, service: str) -> None:
        release = version(f"switchboard-{service}")
        self._resource = Resource.create(
            {"service.name": service, "service.namespace": "switchboard", "service.version": release}
        )
        self._scope = InstrumentationScope("switchboard", release, GENAI_CONVENTIONS)
        self._collector = Collector(settings)
        provider = TracerProvider(_StatementsBelowOurs(), self._resource, shutdown_on_exit=False)
        provider.add_span_processor(_WithoutWords(self._collector))
        AsyncPGInstrumentor().instrument(tracer_provider=provider)

    def emit(self, span: Span, trace_id: int, span_id: int, parent_id: int) -> None:
        self._collector.on_end(
            ReadableSpan(
                span.name,
                _context(trace_id, span_id),
                _context(trace_id, parent_id) if parent_id else None,
                self._resource,
                dict(span.attributes),
                kind=SpanKind[span.kind.upper()],
                status=Status(StatusCode.ERROR, span.error) if span.error else Status(),
                start_time=round(span.started_at * 1e9),
                end_time=round(max(span.started_at, span.ended_at) * 1e9),
                instrumentation_scope=self._scope,
            )
        )

    async def sent(self) -> None:
        await self._collector.sent()

    async def end(self) -> None:
        await self._collector.end()

    @contextmanager
    def below(self, trace_id: int, span_id: int, sampled: bool) -> Generator[None]:
        flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
        parent = NonRecordingSpan(SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags))
        with trace.use_span(parent):
            yield

    @contextmanager
    def silence(self) -> Generator[None]:
        with suppress_instrumentation():
            yield


class _WithoutWords(SpanProcessor):
    """Of a library's error only its class goes on: its text may hold what a customer wrote."""

    def __init__(self, spans: SpanProcessor) -> None:
        self._spans = spans

    def on_end(self, span: ReadableSpan) -> None:
        if not span.events and span.status.is_unset:
            self._spans.on_end(span)
            return
        errors = [str(event.attributes.get("exception.type")) for event in span.events if event.attributes]
        self._spans.on_end(
            ReadableSpan(
                span.name,
                span.context,
                span.parent,
                span.resource,
                {**(span.attributes or {}), **({"error.type": errors[0]} if errors else {})},
                kind=span.kind,
                status=Status(span.status.status_code),
                start_time=span.start_time,
                end_time=span.end_time,
                instrumentation_scope=span.instrumentation_scope,
            )
        )


class _StatementsBelowOurs(Sampler):
    """What asyncpg's instrumentation tells of a call; but for BEGIN and COMMIT, which would be half of all spans."""

    _below_ours = ParentBased(ALWAYS_OFF)

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        if name in ("BEGIN;", "COMMIT;", "ROLLBACK;"):
            return SamplingResult(Decision.DROP)
        return self._below_ours.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        return "statements below a sampled span"


def _context(trace_id: int, span_id: int) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
