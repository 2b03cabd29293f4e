"""The table of signals: it, the code that emits them, the conventions and the page say the same."""

import ast
import functools
import importlib
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from runtime.telemetry.signals import LOG_FIELDS, LOG_IDS, LogEvent, Signal
from standalone.signals import LOG_EVENTS, METRICS, ROOMS, SIGNALS, SPANS
from standalone.signals_page import page

ROOT = Path(__file__).parents[2]
SOURCES = {
    room: [
        ast.parse(path.read_text())
        for path in sorted((ROOT / "services" / room / "src").rglob("*.py"))
        if path.name != "signals.py"
    ]
    for room in (*ROOMS, "runtime")
}
"""The code, without the table."""

UNBOUNDED_TEXTS = {
    "user_id",
    "user",
    "caller",
    "email",
    "message",
    "body",
    "question",
    "answer",
    "subject",
    "description",
}
UNBOUNDED = UNBOUNDED_TEXTS | {
    *("name", "text"),
    *(
        "run",
        "run_id",
        "invocation",
        "invocation_id",
        "call",
        "call_id",
        "ticket",
        "ticket_id",
        "task_id",
        "message_id",
    ),
    *("trace_id", "span_id", "session_id", "conversation", "url", "path", "query", "statement", "error", "pod"),
}
"""What has as many values as there are customers, questions or errors."""

TOKEN_BUCKETS = tuple(4.0**power for power in range(14))
DURATION_BUCKETS = tuple(round(0.01 * 2**power, 2) for power in range(14))


def test_docs_signals_is_made_from_the_table() -> None:
    assert (ROOT / "docs/signals.md").read_text() == page(), "run: python -m standalone.signals_page > docs/signals.md"


def test_every_name_stands_in_the_table_once() -> None:
    names = [each.name for each in (*SIGNALS, *LOG_EVENTS)]
    assert len(names) == len(set(names))


def test_the_table_has_all_rows_of_runtime_and_of_every_room() -> None:
    modules = ["runtime.telemetry.signals", *(f"{room}.signals" for room in ROOMS if has_own_rows(room))]
    rows = list(itertools.chain.from_iterable(rows_of(module) for module in modules))
    assert sorted(rows, key=repr) == sorted((*SIGNALS, *LOG_EVENTS), key=repr)


@pytest.mark.parametrize("room", ROOMS)
def test_the_own_rows_of_a_room_name_it_alone(room: str) -> None:
    rows = rows_of(f"{room}.signals") if has_own_rows(room) else []
    assert {row.name: row.rooms for row in rows} == {row.name: (room,) for row in rows}


def test_the_rows_of_runtime_name_several_rooms() -> None:
    assert [row.name for row in rows_of("runtime.telemetry.signals") if len(set(row.rooms)) < 2] == []


def has_own_rows(room: str) -> bool:
    return (ROOT / "services" / room / "src" / room / "signals.py").exists()


def rows_of(module: str) -> list[Signal | LogEvent]:
    found = vars(importlib.import_module(module))
    return [row for name in ("METRICS", "SPANS", "LOG_EVENTS") for row in found.get(name, ())]


# --- conventions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_metrics_are_named_as_prometheus_and_opentelemetry_ask(metric: Signal) -> None:
    assert re.fullmatch(r"(switchboard|gen_ai)(_[a-z]+)+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.name.removesuffix("_total").endswith("_seconds") == (metric.unit == "s")
    assert not re.search(r"_(count|sum|bucket|info)$", metric.name) or metric.name == "switchboard_build_info"
    assert not re.search(r"_(ms|milliseconds|minutes|hours|percent|gauge|counter|histogram)(_|$)", metric.name)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", label) for label in metric.labels)
    assert not {"le", "quantile", "job", "instance", "namespace"} & set(metric.labels)
    assert metric.tells.endswith(".")


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_no_label_is_without_bounds(metric: Signal) -> None:
    assert not set(metric.labels) & UNBOUNDED


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_histograms_and_they_alone_have_rising_buckets(metric: Signal) -> None:
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(set(metric.buckets))


def test_genai_metrics_have_the_buckets_and_labels_of_the_conventions() -> None:
    genai = {metric.name: metric for metric in METRICS if metric.name.startswith("gen_ai_")}
    required = {"gen_ai_operation_name", "gen_ai_provider_name"}
    tokens = genai.pop("gen_ai_client_token_usage")
    duration = genai.pop("gen_ai_client_operation_duration_seconds")
    assert not genai
    assert tokens.buckets == TOKEN_BUCKETS
    assert set(tokens.labels) == required | {"gen_ai_token_type", "gen_ai_request_model"}
    assert duration.buckets == DURATION_BUCKETS
    assert set(duration.labels) == required | {"error_type", "gen_ai_request_model"}


def test_spans_say_nothing_of_content() -> None:
    for span in SPANS:
        for name in span.labels:
            assert not re.search(r"\.(messages?|content|instructions|input|output|arguments|result|value)$", name)


# --- metrics and the code ------------------------------------------------------------------------------------------


def test_every_metric_is_made_in_the_rooms_of_the_table() -> None:
    named = {room: names_in(room) for room in SOURCES}
    for metric in METRICS:
        if metric.name in named["runtime"]:
            assert not [room for room in ROOMS if metric.name in named[room]], metric.name
        else:
            assert {room for room in ROOMS if metric.name in named[room]} == set(metric.rooms), metric.name


def test_no_metric_is_made_past_the_table() -> None:
    known = {metric.name for metric in METRICS}
    for room in SOURCES:
        assert {name for name in names_in(room) if looks_like_a_metric(name)} <= known, room


@functools.cache
def names_in(room: str) -> set[str]:
    """All texts that stand in a room's source, but for the table."""
    nodes = [node for tree in SOURCES[room] for node in ast.walk(tree)]
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def looks_like_a_metric(text: str) -> bool:
    return bool(re.fullmatch(r"(switchboard|gen_ai)_[a-z_]+", text))


# --- log lines and the code ----------------------------------------------------------------------------------------

LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
WITHOUT_A_STATEMENT = {"library_line"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Line:
    """One statement that logs. Without levels it takes its level from whoever calls it."""

    room: str
    event: str
    levels: frozenset[str]
    fields: frozenset[str]


def test_every_log_line_is_of_the_table_and_the_table_of_the_code() -> None:
    assert {line.event for line in lines()} | WITHOUT_A_STATEMENT == {event.name for event in LOG_EVENTS}


@pytest.mark.parametrize(
    "event", [event for event in LOG_EVENTS if event.name not in WITHOUT_A_STATEMENT], ids=lambda event: event.name
)
def test_log_lines_have_the_levels_fields_and_rooms_of_the_table(event: LogEvent) -> None:
    written = [line for line in lines() if line.event == event.name]
    assert frozenset[str]().union(*(line.fields for line in written)) == set(event.fields)
    levels = frozenset[str]().union(*(line.levels for line in written))
    assert levels == set(event.levels) or (levels < set(event.levels) and any(not line.levels for line in written))
    rooms = {line.room for line in written}
    assert rooms == set(event.rooms) or "runtime" in rooms <= {*event.rooms, "runtime"}


def test_fields_are_plain_names_and_leave_those_of_every_line_alone() -> None:
    for event in LOG_EVENTS:
        assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in (event.name, *event.fields))
        assert not set(event.fields) & {*LOG_FIELDS, *LOG_IDS} - {"call"}
        assert not set(event.fields) & UNBOUNDED_TEXTS


def test_only_loggers_of_events_are_used() -> None:
    """A plain logger would take its lines for a library's, and write them again at each replay."""
    for room in ROOMS:
        used = {node.attr for tree in SOURCES[room] for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert "getLogger" not in used, room


@functools.cache
def lines() -> list[Line]:
    return [line for room, trees in SOURCES.items() for tree in trees for line in lines_in(room, tree)]


def lines_in(room: str, tree: ast.Module) -> Iterator[Line]:
    for function in ast.walk(tree):
        if isinstance(function, Function):
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and is_log(node):
                    yield line_of(room, node, function, tree)


def is_log(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in LEVELS | {"log"}:
        return False
    logger = call.func.value
    if isinstance(logger, ast.Call):
        return isinstance(logger.func, ast.Name) and logger.func.id == "get_logger"
    return isinstance(logger, ast.Name) and logger.id in ("log", "_log")


def line_of(room: str, call: ast.Call, function: Function, tree: ast.Module) -> Line:
    assert isinstance(call.func, ast.Attribute)
    event = call.args[1 if call.func.attr == "log" else 0]
    assert isinstance(event, ast.Constant), f"{room}:{call.lineno}: an event is a literal"
    levels = levels_of(call.args[0], function) if call.func.attr == "log" else frozenset({call.func.attr})
    told = {keyword.arg: keyword.value for keyword in call.keywords}
    fields = fields_of(told["extra"], function, tree) if "extra" in told else frozenset[str]()
    return Line(room, str(event.value), levels, fields | ({"exception", "stack"} if "exc_info" in told else set()))


def levels_of(level: ast.expr, function: Function) -> frozenset[str]:
    """The constants of `logging` in an expression; a name stands for what is assigned to it."""
    value = assigned(level.id, function) if isinstance(level, ast.Name) else level
    named = [node.attr for node in ast.walk(value) if isinstance(node, ast.Attribute)] if value else []
    return frozenset(name.lower() for name in named if name.lower() in LEVELS)


def fields_of(extra: ast.expr, function: Function, tree: ast.Module) -> frozenset[str]:
    """The keys of a dict, of two dicts put together, of a name for one, or of what a function beside it returns."""
    match extra:
        case ast.Dict(keys=keys):
            assert all(isinstance(key, ast.Constant) for key in keys), f"line {extra.lineno}: fields are literals"
            return frozenset(str(key.value) for key in keys if isinstance(key, ast.Constant))
        case ast.BinOp(left=left, right=right):
            return fields_of(left, function, tree) | fields_of(right, function, tree)
        case ast.Name(id=name) if value := assigned(name, function):
            return fields_of(value, function, tree)
        case ast.Call(func=ast.Name(id=name)):
            (made,) = [node for node in tree.body if isinstance(node, Function) and node.name == name]
            (value,) = [node.value for node in ast.walk(made) if isinstance(node, ast.Return) and node.value]
            return fields_of(value, made, tree)
        case _:
            raise AssertionError(f"line {extra.lineno}: its fields cannot be read from the source")


def assigned(name: str, function: Function) -> ast.expr | None:
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == name for to in node.targets):
            return node.value
    return None
