"""A run: what the journal says so far about one question."""

from dataclasses import dataclass, field

from pydantic import BaseModel, Field

from contracts import Answer, Caller, CallRecord, Outcome, Usage
from router.plan import Turn
from router.transcript import Result
from runtime.caller import CALL_HEADER, CALLER_HEADER, RUN_HEADER
from runtime.telemetry.tracing import TRACEPARENT, Trace


class Limits(BaseModel):
    """The budgets of one run."""

    turns: int
    calls: int
    tokens: int
    seconds: float
    errors: int


class Begun(BaseModel):
    """What is settled before the first turn, once: the caller, the budgets, the time, the model's name.

    `traceparent` is the trace context of the attempt that settled it; empty when there was none, None without tracing.
    """

    caller: Caller
    limits: Limits
    started_at: float
    check_customer: str = ""
    model: str = ""
    traceparent: str | None = None


class Closed(BaseModel):
    """When a run ended without a turn that tells it, and how long each call of the last turn took."""

    ended_at: float
    call_ms: list[int] = Field(default_factory=list[int])


@dataclass
class Run:
    """State of one run, rebuilt from the journal at each replay; `turns` and `results` go in step.

    `pending` is the turn whose calls are being made.
    """

    id: str
    message: str
    begun: Begun
    turns: list[Turn] = field(default_factory=list[Turn])
    results: list[list[Result]] = field(default_factory=list[list[Result]])
    pending: Turn | None = None
    closed: Closed | None = None
    answer: Answer | None = None

    @property
    def trace(self) -> Trace | None:
        """Where the spans of this run belong; None without tracing."""
        return None if self.begun.traceparent is None else Trace.of(self.id, self.begun.traceparent)

    def headers(self, call_id: str = "") -> dict[str, str]:
        """What a call for this run is told beside its arguments."""
        told = {CALLER_HEADER: self.begun.caller.user_id, RUN_HEADER: self.id}
        if call_id:
            told[CALL_HEADER] = call_id
        if self.trace:
            told[TRACEPARENT] = self.trace.traceparent(call_id)
        return told

    def add(self, turn: Turn, results: list[Result]) -> None:
        self.pending = None
        self.turns.append(turn)
        self.results.append(results)

    @property
    def usage(self) -> Usage:
        return Usage(
            turns=len(self.turns),
            calls=sum(len(turn.plans) for turn in self.turns),
            prompt_tokens=sum(turn.prompt_tokens for turn in self.turns),
            completion_tokens=sum(turn.completion_tokens for turn in self.turns),
        )

    def over_budget(self) -> Outcome | None:
        """The budget that is used up, if one is. Time is looked at where it is known: inside the model turn."""
        limits, usage = self.begun.limits, self.usage
        if usage.turns >= limits.turns:
            return "turns_exhausted"
        if usage.tokens >= limits.tokens:
            return "tokens_exhausted"
        if self.failed_calls >= limits.errors:
            return "errors_exhausted"
        return None

    @property
    def failed_calls(self) -> int:
        return sum(result.status in ("error", "denied") for results in self.results for result in results)

    @property
    def must_end_at(self) -> float:
        """Seconds since the epoch."""
        return self.begun.started_at + self.begun.limits.seconds

    @property
    def clock(self) -> float:
        """The latest time that the journal knows, in seconds since the epoch."""
        return self.turns[-1].ended_at if self.turns else self.begun.started_at

    @property
    def ended_at(self) -> float:
        """Seconds since the epoch."""
        return self.closed.ended_at if self.closed else self.clock

    @property
    def was_cut(self) -> bool:
        """Whether the latest message stopped at the model's length limit; it is asked to go on once."""
        return bool(self.turns) and self.turns[-1].cut

    def last_call_ms(self) -> list[int]:
        """How long each call of the latest turn took, as this attempt saw it."""
        if not self.turns:
            return []
        return [max(0, round((result.seen_at - self.turns[-1].ended_at) * 1000)) for result in self.results[-1]]


_UNFINISHED = {
    "turns_exhausted": "I needed more steps than I may take for one question.",
    "calls_exhausted": "I needed more look-ups than I may make for one question.",
    "tokens_exhausted": "The question grew larger than I may handle at once.",
    "time_exhausted": "I could not finish in the time I have for one question.",
    "errors_exhausted": "Too many of the look-ups for this question failed.",
    "model_unavailable": "I cannot answer right now. Please try again in a few minutes.",
    "model_misconfigured": "I cannot answer right now. The people who run this service have been told.",
}


def answer(run: Run, ended: Outcome | None) -> Answer:
    """The answer, true about what was done even when the run did not get to its end."""
    outcome = ended or run.turns[-1].outcome or "answered"
    tickets = list(dict.fromkeys(result.ticket_id for results in run.results for result in results if result.ticket_id))
    text = _said(run) if outcome == "answered" else _unfinished(outcome, tickets)
    return Answer(text=text, outcome=outcome, calls=_records(run), tickets=tickets, usage=run.usage)


def _said(run: Run) -> str:
    """The last message, with the part before it that was cut off."""
    before = run.turns[-2].text if len(run.turns) > 1 and run.turns[-2].cut else ""
    return before + run.turns[-1].text


def _unfinished(outcome: Outcome, tickets: list[str]) -> str:
    made = f" Your tickets: {', '.join(tickets)}." if tickets else ""
    return _UNFINISHED[outcome] + made


def _records(run: Run) -> list[CallRecord]:
    took = [turn.call_ms for turn in run.turns[1:]] + [run.closed.call_ms if run.closed else []]
    return [
        CallRecord(call_id=result.call_id, tool=result.tool, turn=number, status=result.status, ms=ms)
        for number, (results, times) in enumerate(zip(run.results, took, strict=True), start=1)
        for result, ms in zip(results, times, strict=False)
    ]
