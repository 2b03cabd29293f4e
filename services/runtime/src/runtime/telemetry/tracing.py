"""Logical spans: what was done, told once, however often Restate tried, replayed or moved it.

A span is made from what the journal holds, when its step is over, and again whenever the step is replayed: always with
the same ids, which follow from the invocation and the step's name alone. So a kill loses none and doubles none.
Attempts are Restate's own spans. Until `send_to` is told where they go, nothing of this is done.
"""

import hashlib
import re
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

TRACEPARENT = "traceparent"
"""The header that carries a trace from one to the next (https://www.w3.org/TR/trace-context/)."""

SpanKind = Literal["internal", "client", "producer", "consumer"]
Attributes = Mapping[str, str | int | float | bool | list[str]]

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


@dataclass(frozen=True)
class Span:
    """One finished logical span. Times are seconds since the epoch; `error` is a short code, empty if it went well."""

    name: str
    started_at: float
    ended_at: float
    attributes: Attributes
    kind: SpanKind = "internal"
    error: str = ""


class SpanExport(Protocol):
    """Where spans go, and where the spans that libraries make find their parents."""

    def emit(self, span: Span, trace_id: int, span_id: int, parent_id: int) -> None: ...

    def below(self, trace_id: int, span_id: int, sampled: bool) -> AbstractContextManager[None]: ...

    def silence(self) -> AbstractContextManager[None]: ...

    async def sent(self) -> None: ...

    async def end(self) -> None: ...


_export: SpanExport | None = None


@dataclass(frozen=True)
class Trace:
    """Where the spans of one invocation belong. `above` is the id of the span over the invocation's own one, or 0."""

    invocation: str
    trace_id: int
    above: int
    sampled: bool

    @classmethod
    def of(cls, invocation: str, traceparent: str) -> "Trace":
        """Continue the trace that a W3C `traceparent` names; without a valid one, the invocation's own trace."""
        found = _TRACEPARENT.fullmatch(traceparent)
        if found is None:
            return cls(invocation, _number(invocation, 16), 0, sampled=True)
        return cls(invocation, int(found[1], 16), int(found[2], 16), sampled=bool(int(found[3], 16) & 1))

    @property
    def hex_id(self) -> str:
        """The trace id as people and tools write it."""
        return f"{self.trace_id:032x}"

    def span_id(self, step: str = "") -> int:
        """The id of a step's span; that of the invocation's own span for the empty step."""
        return _number(f"{self.invocation}/{step}", 8)

    def traceparent(self, step: str = "") -> str:
        """The header by which what this step starts hangs below it."""
        return f"00-{self.hex_id}-{self.span_id(step):016x}-{int(self.sampled):02x}"

    def emit(self, span: Span, step: str = "") -> None:
        """Hand over the span of a step, below the invocation's own span; of the invocation's own for the empty step."""
        if _export is not None and self.sampled:
            _export.emit(span, self.trace_id, self.span_id(step), self.span_id() if step else self.above)

    @contextmanager
    def around(self, step: str = "") -> Generator[None]:
        """What a library traces in here hangs below this step."""
        if _export is None:
            yield
        else:
            with _export.below(self.trace_id, self.span_id(step), self.sampled):
                yield


def send_to(export: SpanExport | None) -> None:
    """From now on the spans of this process go there; nowhere with None."""
    global _export
    _export = export


def is_tracing() -> bool:
    return _export is not None


async def spans_sent() -> None:
    """Wait until what was emitted has left, for half a second at most: a finished invocation is never replayed."""
    if _export is not None:
        await _export.sent()


async def end_tracing() -> None:
    """Send what is left, for half a second at most."""
    if _export is not None:
        await _export.end()


def first_traceparent(ctx: Any) -> str:
    """The trace that this attempt belongs to; a later attempt may know another parent, so it is to be journaled."""
    request = ctx.request()
    return request.attempt_headers.get(TRACEPARENT) or request.headers.get(TRACEPARENT, "")


def trace_of(ctx: Any) -> Trace:
    """The trace of an invocation that was told one by its caller's header, the same at each attempt."""
    request = ctx.request()
    return Trace.of(request.id, request.headers.get(TRACEPARENT, ""))


@contextmanager
def below_caller(ctx: Any) -> Generator[None]:
    """What a library traces in here hangs below the span that this invocation's caller named, if it named one."""
    trace = trace_of(ctx) if _export is not None else None
    if _export is None or trace is None or not trace.above:
        yield
    else:
        with _export.below(trace.trace_id, trace.above, trace.sampled):
            yield


@contextmanager
def untraced() -> Generator[None]:
    """No library traces what is done in here."""
    if _export is None:
        yield
    else:
        with _export.silence():
            yield


def _number(text: str, size: int) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:size], "big")
