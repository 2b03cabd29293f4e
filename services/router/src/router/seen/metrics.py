"""What the agent counts. Runs and calls count while they are done for the first time, not once more in a replay."""

from collections.abc import Iterable, Mapping
from typing import get_args

from contracts import Answer, Outcome, Rule, Tool
from router.signals import TABLE
from router.turn import Part, Plan, Result, Summary, Turn
from runtime.telemetry.metrics import is_live

PROVIDER = "openai"
"""Of the GenAI conventions' well-known values the one for an OpenAI-compatible endpoint, whoever is behind it."""

NOT_ON_OFFER = "not_on_offer"

_runs = TABLE.counter("switchboard_runs_total")
_run_seconds = TABLE.histogram("switchboard_run_duration_seconds")
_run_turns = TABLE.histogram("switchboard_run_turns")
_run_calls = TABLE.histogram("switchboard_run_calls")
_tool_calls = TABLE.counter("switchboard_tool_calls_total")
_tool_errors = TABLE.counter("switchboard_tool_errors_total")
_tool_repairs = TABLE.counter("switchboard_tool_repairs_total")
_tool_seconds = TABLE.histogram("switchboard_tool_call_duration_seconds")
_model_calls = TABLE.counter("switchboard_model_calls_total")
_model_retries = TABLE.counter("switchboard_model_retries_total")
_compactions = TABLE.counter("switchboard_compactions_total")
_asked = TABLE.counter("switchboard_approvals_asked_total")
_shadowed = TABLE.counter("switchboard_approvals_shadowed_total")
_tokens = TABLE.histogram("gen_ai_client_token_usage")
_model_seconds = TABLE.histogram("gen_ai_client_operation_duration_seconds")
catalogue_age = TABLE.gauge("switchboard_catalogue_age_seconds")

for _outcome in (*get_args(Outcome), "cancelled"):
    _runs.labels(_outcome)
for _compacted in get_args(Part):
    for _outcome in ("ok", "failed"):
        _compactions.labels(_compacted, _outcome)


def expect_model(model: str) -> None:
    """A count that begins at 0 shows its first event; one that begins with it shows none."""
    _model_calls.labels(model, "ok")
    _model_retries.labels(model)


def expect_tools(names: Iterable[str]) -> None:
    """The same for tools, as soon as they are on offer."""
    for tool in names:
        for status in ("ok", "error"):
            _tool_calls.labels(tool, status)
        for fault in ("refused", "failed", "timeout", "bad_arguments"):
            _tool_errors.labels(tool, fault)


def expect_approvals(tools: Iterable[Tool]) -> None:
    """The same for the rules by which a tool asks a person."""
    for tool in tools:
        rule = Rule.of(tool.approval)
        asks = {"required": rule.required, "provenance": rule.provenance, "when": rule.when, "undecided": rule.when}
        for name in (name for name, may_ask in asks.items() if may_ask):
            _asked.labels(tool.name, name)


def count_run(answer: Answer, seconds: float, run_id: str, trace_id: str) -> None:
    """A run that ended with an answer, good or bad. Exemplars lead from the histogram to the trace and the run."""
    if not is_live():
        return
    _runs.labels(answer.outcome).inc()
    exemplar = {"run": run_id, "trace_id": trace_id} if trace_id else {"run": run_id}
    _run_seconds.labels(answer.outcome).observe(seconds, exemplar)
    _run_turns.observe(answer.usage.turns)
    _run_calls.observe(answer.usage.calls)


def count_broken_off(outcome: str) -> None:
    """A run without an answer: `cancelled`, or `failed` by a fault that is not of the question's making."""
    if is_live():
        _runs.labels(outcome).inc()


def count_calls(turn: Turn, results: list[Result], seconds: Mapping[str, float]) -> None:
    """The calls of a turn that has just been settled."""
    if not is_live():
        return
    for plan, result in zip(turn.plans, results, strict=True):
        tool = label(plan)
        _tool_calls.labels(tool, result.status).inc()
        for kind in dict.fromkeys(plan.repaired):
            _tool_repairs.labels(tool, kind).inc()
        if result.fault is not None:
            _tool_errors.labels(tool, result.fault).inc()
        if plan.fault is None:
            _tool_seconds.labels(tool).observe(seconds[plan.call_id])


def count_approvals(turn: Turn) -> None:
    """The calls of a turn that has just been decided: of which a person is asked, or would be, and by which rules."""
    if not is_live():
        return
    for plan in turn.plans:
        for rule in plan.approval.rules if plan.approval else ():
            _asked.labels(label(plan), rule).inc()
        for rule in plan.shadowed:
            _shadowed.labels(label(plan), rule).inc()


def count_model_call(model: str, outcome: str, seconds: float, tokens: tuple[int, int] | None) -> None:
    """One call at the endpoint; `tokens` of its input and output, if it answered."""
    _model_calls.labels(model, outcome).inc()
    about = ("chat", PROVIDER, model)
    _model_seconds.labels(*about, "" if outcome == "ok" else outcome).observe(seconds)
    for kind, number in zip(("input", "output"), tokens or (), strict=False):
        _tokens.labels(*about, kind).observe(number)


def count_compaction(summary: Summary) -> None:
    if is_live():
        _compactions.labels(summary.part, "ok" if summary.text else "failed").inc()


def count_model_retry(model: str) -> None:
    _model_retries.labels(model).inc()


def label(plan: Plan) -> str:
    """The tool's name as a label: what the model made up would be without bounds."""
    return NOT_ON_OFFER if plan.fault == "unknown_tool" else plan.tool
