"""What each question left in the traces: exactly one logical span for each step, however often it was tried.

Distinct (trace id, span id) are counted; what was sent twice must be the same in every respect.
"""

import asyncio
import time
from collections import Counter

from tests.parts.otlp import ReceivedSpan, Receiver

SCOPE = "switchboard"
SECONDS_TO_COME = 4.0
"""Longer than the services wait before they send what nobody waits for."""
STEPS = Counter(
    {
        "invoke_agent switchboard": 1,
        "chat demo": 3,
        "execute_tool query_user_database": 1,
        "execute_tool check_service_status": 1,
        "execute_tool create_support_ticket": 1,
        "SupportTicketWorkflow/run": 1,
        "insert ticket": 1,
        "Notifier/deliver": 1,
    }
)
"""The logical steps of the sweep's question, and the spans of each."""


class LogicalSpans:
    """Those of one question after the other; between two of them nothing is under way."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._before: set[tuple[str, str]] = set()

    async def complaints(self) -> list[str]:
        """What is wrong with the spans of the question that has just ended; what is on its way has time to come."""
        deadline = time.monotonic() + SECONDS_TO_COME
        while len({span.id for span in self._new()}) < STEPS.total() and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        spans = self._new()
        first = {span.id: span for span in reversed(spans)}
        self._before |= first.keys()
        steps = Counter(span.name for span in first.values())
        found = [f"spans of steps: {dict(steps)}"] if steps != STEPS else []
        traces = {span.trace_id for span in spans}
        found += [f"spans in {len(traces)} traces"] if len(traces) > 1 else []
        found += [f"two different spans of one id: {span.name}" for span in spans if not _same(span, first[span.id])]
        return found + [f"{span.name} hangs below no step" for span in first.values() if not _has_parent(span, first)]

    def _new(self) -> list[ReceivedSpan]:
        return [each for each in self._receiver.spans if each.scope == SCOPE and each.id not in self._before]


def _has_parent(span: ReceivedSpan, steps: dict[tuple[str, str], ReceivedSpan]) -> bool:
    """The run itself hangs below an attempt of Restate's, which Restate tells in its own time."""
    return span.name.startswith("invoke_agent") or (span.trace_id, span.parent) in steps


def _same(one: ReceivedSpan, other: ReceivedSpan) -> bool:
    def told(span: ReceivedSpan) -> tuple[object, ...]:
        return span.name, span.parent, span.kind, span.started_at, span.ended_at, dict(span.attributes), span.error

    return told(one) == told(other)
