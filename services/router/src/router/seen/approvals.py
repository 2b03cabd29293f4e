"""The spans of a call that a person decides: how long it waited for them, and the call itself, if it was made.

Both hang below the call's span in its run, which may have ended a day before.
"""

from contracts import ApprovalStatus
from router.approval.asking import Asked, approval_id
from router.seen.metrics import label
from router.seen.spans import call_content, call_span
from router.settings import RouterSettings
from router.turn import Plan, Result
from runtime.telemetry.tracing import Span, Trace


class ApprovalSpans:
    """Emits them, each as soon as the journal holds its end."""

    def __init__(self, settings: RouterSettings) -> None:
        self._content = settings.otel_instrumentation_genai_capture_message_content

    def waited(self, asked: Asked, status: ApprovalStatus, until: float) -> None:
        """Until a person had decided, or nobody could any more; in seconds since the epoch."""
        trace = _trace(asked, "wait")
        if trace is not None:
            error, tool = "expired" if status == "expired" else "", label(asked.plan)
            attributes = {
                "gen_ai.tool.name": tool,
                "gen_ai.tool.call.id": asked.plan.call_id,
                "langfuse.observation.type": "span",
                "switchboard.approval": status,
                **({"error.type": error} if error else {}),
            }
            trace.emit(Span(f"wait_for_person {tool}", asked.at, until, attributes, error=error))

    def made(self, asked: Asked, plan: Plan, result: Result, started_at: float, ended_at: float) -> None:
        """The call as it was made: `plan` has the arguments that a person may have written."""
        trace = trace_of_made(asked)
        if trace is not None:
            content = call_content(plan.body, result) if self._content else {}
            trace.emit(call_span(plan, result, started_at, ended_at, content))


def trace_of_made(asked: Asked) -> Trace | None:
    """Where belongs what an approved call does; None without tracing."""
    return _trace(asked, "call")


def _trace(asked: Asked, part: str) -> Trace | None:
    traceparent = asked.facts.traceparent
    if traceparent is None:
        return None
    above = Trace.of(asked.run, traceparent).traceparent(asked.plan.call_id)
    return Trace.of(f"{approval_id(asked)}/{part}", above)
