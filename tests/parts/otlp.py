"""A real receiver of OTLP over HTTP: what the services and Restate send, decoded and kept."""

import asyncio
import gzip
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from standalone.ports import free_port

T = TypeVar("T")


@dataclass(frozen=True)
class ReceivedSpan:
    """One span as it came. Ids are hex, `parent` is empty for a root, times are seconds since the epoch."""

    service: str
    scope: str
    scope_schema: str
    name: str
    trace_id: str
    span_id: str
    parent: str
    kind: str
    started_at: float
    ended_at: float
    attributes: Mapping[str, Any]
    is_error: bool
    error: str
    resource: Mapping[str, Any]
    events: tuple[tuple[str, Mapping[str, Any]], ...]
    links: tuple[tuple[str, str], ...]

    @property
    def id(self) -> tuple[str, str]:
        return self.trace_id, self.span_id


class Receiver:
    """`POST /v1/traces` on loopback. It keeps its port when it is stopped and started again."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.spans: list[ReceivedSpan] = []
        """In the order of their arrival; one that was sent twice is here twice."""
        self.headers: list[Mapping[str, str]] = []
        """Of every request, names in lower case."""
        self._status = 200
        self._hanging = False
        self._released = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_post("/v1/traces", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        self.answer()
        if self._runner is not None:
            await self._runner.cleanup()

    def answer(self, status: int = 200) -> None:
        """Answer so from now on; spans of a request that is not answered 200 are not kept."""
        self._status, self._hanging = status, False
        self._released.set()

    def hang(self) -> None:
        """Answer nothing until `answer` is called."""
        self._hanging = True
        self._released.clear()

    async def wait_for(self, predicate: Callable[[list[ReceivedSpan]], T | None], seconds: float = 60) -> T:
        """What the predicate says of all spans so far, as soon as that is neither None, False nor empty."""
        deadline = time.monotonic() + seconds
        while not (found := predicate(self.spans)):
            names = sorted({(span.service, span.name) for span in self.spans})
            assert time.monotonic() < deadline, f"not within {seconds} s; received: {names}"
            await asyncio.sleep(0.05)
        return found

    async def named(self, name: str, seconds: float = 60) -> list[ReceivedSpan]:
        """All spans of this name, once there is one."""
        return await self.wait_for(lambda spans: [span for span in spans if span.name == name], seconds)

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        if self._hanging:
            await self._released.wait()
        if self._status != 200:
            return web.Response(status=self._status)
        if request.content_type != "application/x-protobuf":
            return web.Response(status=415)
        # aiohttp's server already undoes Content-Encoding where it knows it
        plain = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
        self.spans.extend(spans_of(ExportTraceServiceRequest.FromString(plain)))
        reply = ExportTraceServiceResponse().SerializeToString()
        return web.Response(body=reply, content_type="application/x-protobuf")


def spans_of(request: ExportTraceServiceRequest) -> Iterator[ReceivedSpan]:
    """Each span of an export, whoever received it."""
    for of_resource in request.resource_spans:
        resource = _values(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield _span(span, resource, of_scope.scope.name, of_scope.schema_url)


def _span(span: Span, resource: Mapping[str, Any], scope: str, scope_schema: str) -> ReceivedSpan:
    return ReceivedSpan(
        service=resource.get("service.name", ""),
        scope=scope,
        scope_schema=scope_schema,
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        started_at=span.start_time_unix_nano / 1e9,
        ended_at=span.end_time_unix_nano / 1e9,
        attributes=_values(span.attributes),
        is_error=span.status.code == Status.STATUS_CODE_ERROR,
        error=span.status.message,
        resource=resource,
        events=tuple((event.name, _values(event.attributes)) for event in span.events),
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
    )


def _values(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    if kind == "kvlist_value":
        return _values(value.kvlist_value.values)
    return getattr(value, kind) if kind else None
