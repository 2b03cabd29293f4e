"""Spans to a collector, over OTLP/HTTP. Imported only where a collector is named."""

import asyncio
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.metadata import version

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
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

from runtime.logs import get_logger
from runtime.settings import RestateServiceSettings
from runtime.signals import GENAI_CONVENTIONS
from runtime.tracing import Span

EXPORT_SECONDS = 5
WAIT_SECONDS = 0.5
END_SECONDS = 1.0

log = get_logger(__name__)


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


class SpanExport:
    """Logical spans with ids of their own, and what asyncpg's instrumentation makes, in batches to one collector."""

    def __init__(self, settings: RestateServiceSettings, service: str) -> None:
        headers = settings.otel_exporter_otlp_headers.get_secret_value()
        exporter = OTLPSpanExporter(
            f"{settings.otel_exporter_otlp_endpoint.rstrip('/')}/v1/traces",
            headers=parse_env_headers(headers, liberal=True),
            timeout=EXPORT_SECONDS,
        )
        release = version(f"switchboard-{service}")
        self._resource = Resource.create(
            {"service.name": service, "service.namespace": "switchboard", "service.version": release}
        )
        self._scope = InstrumentationScope("switchboard", release, GENAI_CONVENTIONS)
        self._spans = BatchSpanProcessor(exporter)
        provider = TracerProvider(_StatementsBelowOurs(), self._resource, shutdown_on_exit=False)
        provider.add_span_processor(_WithoutWords(self._spans))
        AsyncPGInstrumentor().instrument(tracer_provider=provider)
        self._flushing: asyncio.Task[None] | None = None
        self._behind = False

    def emit(self, span: Span, trace_id: int, span_id: int, parent_id: int) -> None:
        self._spans.on_end(
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

    @contextmanager
    def below(self, trace_id: int, span_id: int, sampled: bool) -> Generator[None]:
        flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
        parent = NonRecordingSpan(SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags))
        with trace.use_span(parent):
            yield

    async def sent(self) -> None:
        """Joins the export that starts when the present one ends, so that many runs share one request.

        A collector that is slow or away holds up nobody twice: from then on nobody waits until it is quick again.
        """
        if self._behind:
            return
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                if self._flushing is not None:
                    await asyncio.shield(self._flushing)
                if self._flushing is None:
                    self._flushing = asyncio.create_task(self._flush())
                await asyncio.shield(self._flushing)
        except TimeoutError:
            if not self._behind:
                log.warning("spans_not_taken", extra={"advice": "the collector of OTEL_EXPORTER_OTLP_ENDPOINT is slow"})
            self._behind = True

    async def _flush(self) -> None:
        await asyncio.to_thread(self._spans.force_flush)
        self._behind = False
        self._flushing = None

    def end(self) -> None:
        ending = threading.Thread(target=self._spans.shutdown, daemon=True)
        ending.start()
        ending.join(END_SECONDS)


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
