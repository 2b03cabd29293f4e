"""A run: what the journal says so far about one question."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from restate import Context, TerminalError

from contracts import Answer, CallRecord, ConversationRun, Earlier, Outcome, Question, Usage
from router.alarm import Alarm
from router.steps import Steps
from router.tools.people import HAND_OVER
from router.turn import Again, Part, Plan, Result, RunFacts, Summary, Turn
from runtime.call_tokens import TOKEN_HEADER
from runtime.caller import CALL_HEADER, PROMPT_HEADER, RUN_HEADER
from runtime.telemetry.tracing import TRACEPARENT, Trace


@dataclass
class Run:
    """State of one run, rebuilt from the journal at each replay. The latest turn may have no results yet.

    `stopped`: its conversation wants no more of it. `waited`: for so many seconds it has waited for people.
    """

    ctx: Context
    asked: Question | ConversationRun
    steps: Steps
    turns: list[Turn] = field(default_factory=list[Turn])
    results: list[list[Result]] = field(default_factory=list[list[Result]])
    summaries: list[Summary] = field(default_factory=list[Summary])
    answer: Answer | None = None
    stopped: bool = False
    waited: float = 0.0

    def __post_init__(self) -> None:
        self.id = self.ctx.request().id
        self.conversation = self.asked if isinstance(self.asked, ConversationRun) else None
        self.of = self.conversation.run if self.conversation else ""
        self.message = self.asked.message if isinstance(self.asked, Question) else "\n".join(self.asked.inputs)
        self.alarm = Alarm(self.ctx)

    @contextmanager
    def until_stopped(self) -> Generator[None]:
        """In a conversation, a cancellation (409) ends this block and sets `stopped`, so that the run can still tell
        what it did; without one it is raised."""
        try:
            yield
        except TerminalError as error:
            if not self.note_cancellation(error):
                raise

    def note_cancellation(self, error: TerminalError) -> bool:
        """Sets `stopped` if this is the cancellation of a run of a conversation. Returns whether it is."""
        self.stopped = self.stopped or (self.conversation is not None and error.status_code == 409)
        return self.stopped and error.status_code == 409

    @property
    def answered(self) -> Answer:
        """Raises: LookupError before its end."""
        if self.answer is None:
            raise LookupError("the run is not at its end")
        return self.answer

    @property
    def has_begun(self) -> bool:
        return self.steps.facts is not None

    @property
    def facts(self) -> RunFacts:
        """What was settled when it began; raises LookupError before that."""
        if self.steps.facts is None:
            raise LookupError("the run has not begun")
        return self.steps.facts

    @property
    def trace(self) -> Trace | None:
        """Where the spans of this run belong; None without tracing."""
        traceparent = self.facts.traceparent
        return None if traceparent is None else Trace.of(self.id, traceparent)

    @property
    def known_at(self) -> float:
        """The latest time that the journal knows, in seconds since the epoch."""
        return self.steps.ended_at

    @property
    def prompt(self) -> str:
        """The digest of the system prompt that the model read last; empty in a run of older code."""
        return next((turn.prompt for turn in reversed(self.turns) if turn.prompt), self.facts.prompt)

    def headers(self, token: str, call_id: str = "") -> dict[str, str]:
        """What a call for this run is told beside its arguments."""
        return call_headers(self.id, self.trace, self.prompt, token, call_id)

    def summary(self, part: Part) -> Summary | None:
        """The latest of a part that this run has had made."""
        return next((each for each in reversed(self.summaries) if each.part == part and each.text), None)

    @property
    def earlier(self) -> list[Earlier]:
        """What the client says was said before."""
        return self.asked.earlier if isinstance(self.asked, Question) else []

    @property
    def given(self) -> ConversationRun | None:
        """What was said before, as the model reads it now: what was summarised meanwhile is in the summary alone."""
        given, summary = self.conversation, self.summary("past")
        if given is None or summary is None:
            return given
        entries = [entry for entry in given.entries if entry.epoch > summary.upto]
        return given.model_copy(update={"summary": summary.text, "entries": entries})

    @property
    def usage(self) -> Usage:
        """Tokens of summaries count; a turn that the model did not read is none."""
        paid = (*self.turns, *self.summaries)
        return Usage(
            turns=sum(turn.was_read for turn in self.turns),
            calls=sum(len(turn.plans) for turn in self.turns),
            prompt_tokens=sum(each.prompt_tokens for each in paid),
            completion_tokens=sum(each.completion_tokens for each in paid),
        )

    def must_stop(self) -> Outcome | None:
        """Why no further turn may begin, if so. Time and calls are checked inside a turn, which is journaled."""
        if self.stopped:
            return "stopped"
        if not self.has_begun:
            return None
        limits, usage = self.facts.limits, self.usage
        if usage.turns >= limits.turns:
            return "turns_exhausted"
        if usage.tokens >= limits.tokens:
            return "tokens_exhausted"
        if self.failed_calls >= limits.errors:
            return "errors_exhausted"
        return None

    @property
    def handed_over(self) -> Plan | None:
        """The call by which the model has let a person go on, if it has."""
        if self.stopped or self.conversation is None or not self.results or len(self.results) < len(self.turns):
            return None
        calls = zip(self.turns[-1].plans, self.results[-1], strict=True)
        return next((plan for plan, result in calls if plan.tool == HAND_OVER and result.status == "ok"), None)

    @property
    def ended(self) -> Outcome | None:
        """What ended the run before the model did."""
        at_its_end = self.handed_over or (self.turns and self.turns[-1].is_last)
        return None if at_its_end else self.must_stop()

    @property
    def closing_step(self) -> str:
        """The name of one more step, when something else than the model's answer ends the run; else empty."""
        if self.handed_over:
            return "handed over"
        return "" if not self.ended else "stopped" if self.stopped else "budget used up"

    @property
    def failed_calls(self) -> int:
        return sum(result.status in ("error", "denied") for results in self.results for result in results)

    @property
    def asked_again(self) -> list[Again]:
        """Why the model was asked once more, for each of the latest turns that ended in that, newest last."""
        reasons: list[Again] = [turn.again for turn in self.turns if turn.was_read]
        since = max((place for place, reason in enumerate(reasons, start=1) if not reason), default=0)
        return reasons[since:]

    @property
    def silent(self) -> int:
        """How many of the latest turns came to nothing: no words and no call that could be read."""
        return sum(reason != "cut" for reason in self.asked_again)

    @property
    def may_call(self) -> bool:
        """Whether the next turn may call tools: not when it is the last that a budget allows, so that it answers."""
        if not self.has_begun:
            return True
        limits, usage = self.facts.limits, self.usage
        return self.silent < 2 and usage.turns + 1 < limits.turns and usage.calls < limits.calls


def must_end_at(facts: RunFacts, waited: float = 0.0) -> float:
    """When the time of a run is used up, in seconds since the epoch. What it has waited for people does not count."""
    return facts.started_at + facts.limits.seconds + waited


def call_headers(run_id: str, trace: Trace | None, prompt: str, token: str, call_id: str = "") -> dict[str, str]:
    """What a call for a run is told beside its arguments."""
    told = {TOKEN_HEADER: token, RUN_HEADER: run_id}
    if call_id:
        told[CALL_HEADER] = call_id
        if prompt:
            told[PROMPT_HEADER] = prompt
    if trace:
        told[TRACEPARENT] = trace.traceparent(call_id)
    return told


UNFINISHED = {
    "turns_exhausted": "I needed more steps than I may take for one question.",
    "calls_exhausted": "I needed more look-ups than I may make for one question.",
    "tokens_exhausted": "The question grew larger than I may handle at once.",
    "time_exhausted": "I could not finish in the time I have for one question.",
    "errors_exhausted": "Too many of the look-ups for this question failed.",
    "model_unavailable": "I cannot answer right now. Please try again in a few minutes.",
    "tools_unavailable": "I cannot answer right now. Please try again in a few minutes.",
    "model_misconfigured": "I cannot answer right now. The people who run this service have been told.",
    "failed": "I cannot answer right now. The people who run this service have been told.",
    "stopped": "I stopped.",
}

HANDED_OVER = "I have asked a person of our support team to go on here. They see everything that was said."


def final_answer(run: Run) -> Answer:
    """The answer, true about what was done even when the run did not get to its end."""
    outcome = "handed_over" if run.handed_over else run.ended or run.turns[-1].outcome or "answered"
    tickets = list(dict.fromkeys(result.ticket_id for results in run.results for result in results if result.ticket_id))
    return Answer(
        text=_text(run, outcome, tickets),
        outcome=outcome,
        calls=_records(run),
        tickets=tickets,
        usage=run.usage,
        model=_speaker(run),
        request=run.asked.request if isinstance(run.asked, Question) else None,
    )


def _text(run: Run, outcome: Outcome, tickets: list[str]) -> str:
    if outcome == "handed_over":
        return run.turns[-1].text or HANDED_OVER
    return _said(run) if outcome == "answered" else _unfinished(outcome, tickets)


def _said(run: Run) -> str:
    """The last message, with the parts before it that were cut off; if it has no words, the latest that had some."""
    parts = [run.turns[-1].text]
    for turn in reversed(run.turns[:-1]):
        if not turn.again:
            break
        if turn.again == "cut":
            parts.insert(0, turn.text)
    return "".join(parts) or next((turn.text for turn in reversed(run.turns) if turn.text), "")


def _speaker(run: Run) -> str:
    return next((turn.model or turn.endpoint for turn in reversed(run.turns) if turn.model or turn.endpoint), "")


def _unfinished(outcome: Outcome, tickets: list[str]) -> str:
    made = f" Your tickets: {', '.join(tickets)}." if tickets else ""
    return UNFINISHED[outcome] + made


def _records(run: Run) -> list[CallRecord]:
    return [
        CallRecord(
            call_id=result.call_id,
            tool=result.tool,
            turn=number,
            status=result.status,
            ms=run.steps.call_ms[result.call_id],
        )
        for number, results in enumerate(run.results, start=1)
        for result in results
    ]
