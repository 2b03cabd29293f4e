"""docs/signals.md, from the table: `python -m standalone.signals_page > docs/signals.md`."""

import sys
from collections.abc import Iterable, Sequence

from runtime.telemetry.signals import GENAI_CONVENTIONS, LOG_FIELDS, LOG_IDS, Signal
from standalone.signals import LOG_EVENTS, METRICS, ROOMS, SPANS

_PREFACE = f"""\
# Signals

<!-- Made by `python -m standalone.signals_page`; a test compares it with the table. -->

Every metric, span and log event of the services, by the name that dashboards, alerts and searches use. A new name is
free; a changed or removed one breaks somebody's dashboard, so it takes a line in the CHANGELOG, and so does a changed
label or unit. What the model does is named after OpenTelemetry's GenAI conventions, version
`{GENAI_CONVENTIONS.rpartition("/")[2]}`.

**Counting.** Restate replays a handler's journal whenever it goes on with it, in another process if need be. So what a
handler does is counted only while it is done for the first time, in the process that did it: a kill at the wrong moment
makes a count one too low or one too high, never more, and a restart begins at 0 as Prometheus expects. Rates and shares
are right; for exact totals ask whoever stores the thing: tickets and notifications are in PostgreSQL and in Restate's
own tables, and the gauges of `tickets` and `registry` are read from there each time. Spans are not counted but made
from the journal, with ids that follow from the run and the step: one for each logical step, after any number of kills.

**Labels.** Each label has a small set of values, all from the code, the settings, the catalogue or Restate's own words:
never a text, a name that a model made up, or the id of a customer, run, call, ticket or message. Such ids belong in
spans, logs and exemplars. The room that emits a metric is the scrape's `job`; on Kubernetes there is `namespace` too.

**Privacy.** No signal holds what a customer wrote, what a tool or a model answered, an address, a key or a password.
One setting changes that, for spans alone: `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true` puts messages,
arguments and results into them, and the user's id in the place of its digest. Exceptions are logged by class and place;
their words, and those of a failed attempt, are in Restate's journal, its own log and its UI: guard these like the
database. URLs in settings are logged as they are where they name a deployment: let no such URL hold a password.
"""

_EVERY_LINE, _ABOUT_INVOCATIONS = (", ".join(f"`{name}`" for name in names) for names in (LOG_FIELDS, LOG_IDS))

_LOGS = f"""\
Lines are JSON on standard error, one for each event, and none a second time when a journal is replayed; only what ends
a process at its start is a plain line, for whoever started it. Every line has {_EVERY_LINE}; a
line about an invocation also has {_ABOUT_INVOCATIONS}: its own id in Restate, the run that it belongs
to, the tool call within that run, and the trace. So `run` finds all lines of one question in all rooms.
"""

_ALL = "all"


def page() -> str:
    """The whole page."""
    parts = [
        _PREFACE,
        "## Metrics\n",
        _table(("Name", "Kind", "Unit", "Labels", "Rooms", "What it tells"), (_metric(each) for each in METRICS)),
        "## Spans\n",
        _table(("Name", "Attributes", "Rooms", "What it tells"), (_span(each) for each in SPANS)),
        "## Log events\n",
        _LOGS,
        _table(
            ("Event", "Levels", "Fields", "Rooms", "What it tells"),
            (
                (_code([each.name]), ", ".join(each.levels), _code(each.fields), _rooms(each.rooms), each.tells)
                for each in LOG_EVENTS
            ),
        ),
    ]
    return "\n".join(parts)


def _metric(metric: Signal) -> Sequence[str]:
    name, labels = _code([metric.name]), _code(metric.labels)
    return name, metric.kind, metric.unit, labels, _rooms(metric.rooms), metric.tells


def _span(span: Signal) -> Sequence[str]:
    return _code([span.name]), _code(span.labels), _rooms(span.rooms), span.tells


def _rooms(rooms: Sequence[str]) -> str:
    return _ALL if rooms == ROOMS else ", ".join(rooms)


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    sys.stdout.write(page())
