"""The table of signals: what a row of it is, and the rows that several rooms share.

A room's own rows stand in its `signals.py`; `standalone.signals` has them all. Code, docs/signals.md and tests follow.

Names, units and types of metrics follow Prometheus (https://prometheus.io/docs/practices/naming/); what concerns the
model follows OpenTelemetry's GenAI conventions. Renaming one breaks somebody's dashboard: it takes a CHANGELOG line.
"""

from dataclasses import dataclass
from typing import Literal

GENAI_CONVENTIONS = "https://opentelemetry.io/schemas/1.41.1"
"""The one version of the GenAI conventions in use: the last before they moved into a repository of their own."""

Kind = Literal["counter", "gauge", "histogram", "span"]
Level = Literal["info", "warning", "error"]

SERVICES = ("router", "users", "tickets", "conversations")
"""What Restate calls."""
_DOORS = ("gateway", "console")
_DATABASES = ("users", "tickets", "conversations", "router")
ROOMS = (*SERVICES, "registry", "demo_model", "gateway", "console")


@dataclass(frozen=True)
class Signal:
    """One metric, or one kind of span. `labels` are the labels of a metric, the attributes of a span.

    Every value of a metric's label comes from a small set that we know: never an id, a text, or what a model made up.
    """

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    rooms: tuple[str, ...]
    tells: str
    buckets: tuple[float, ...] = ()


@dataclass(frozen=True)
class LogEvent:
    """One kind of line. `fields` are its own; a line may lack some of them. `rooms` are those that may write it."""

    name: str
    levels: tuple[Level, ...]
    fields: tuple[str, ...]
    rooms: tuple[str, ...]
    tells: str


LOG_FIELDS = ("time", "level", "logger", "event", "service")
"""In every line. `time` is UTC, `event` is a name of the table."""
LOG_IDS = ("invocation", "run", "call", "trace")
"""In every line about an invocation, as far as they are known; `run` is the id of the run that it belongs to."""

LIVE = "Counted while no journal is replayed: off by one at most for each kill."
"""What is said of a metric that is counted so."""
FAILED = ("exception", "stack")
"""The fields of a line that tells an exception."""

METRICS = (
    # every room
    Signal("switchboard_build_info", "gauge", "1", ("service", "version"), ROOMS, "Which version of a service runs."),
    Signal(
        "switchboard_event_loop_lag_seconds",
        "histogram",
        "s",
        (),
        ROOMS,
        "How late the event loop wakes from a short sleep: what blocks it makes every run of the process wait.",
        (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
    ),
    # what Restate calls
    Signal(
        "switchboard_attempts_total",
        "counter",
        "attempts",
        ("service", "handler"),
        SERVICES,
        "Attempts at invocations, replays among them; against finished invocations it tells how often work is tried.",
    ),
    Signal(
        "switchboard_refusals_total",
        "counter",
        "requests",
        ("service", "handler", "code"),
        SERVICES,
        f"Requests that a handler refused, by the code that the client reads. {LIVE}",
    ),
    Signal(
        "switchboard_defects_total",
        "counter",
        "attempts",
        ("service", "handler"),
        (*SERVICES, "registry", "gateway", "console"),
        "Attempts that failed by a defect of our own code, which no retry can mend; of `registry`, by its loop; of"
        " `gateway` and `console`, requests.",
    ),
    Signal(
        "switchboard_clock_skew_seconds",
        "gauge",
        "s",
        (),
        SERVICES,
        "How far Restate's clock is ahead of this process's, as last measured; timers are corrected by it.",
    ),
    # identity providers, as who asks them sees it
    Signal(
        "switchboard_issuer_reachable",
        "gauge",
        "1",
        ("issuer",),
        _DOORS,
        "Whether an identity provider told its keys when it was last asked: every ten minutes, every minute after it"
        " did not, every five seconds while none of its keys is known.",
    ),
    Signal(
        "switchboard_issuer_keys_known",
        "gauge",
        "1",
        ("issuer",),
        _DOORS,
        "Whether any key of an identity provider is known, be it an old one: without one none of its users comes in.",
    ),
    # PostgreSQL, as its clients see it
    Signal(
        "switchboard_postgres_pool_connections",
        "gauge",
        "connections",
        ("state",),
        _DATABASES,
        "Connections of the pool, `used` or `idle`.",
    ),
    Signal(
        "switchboard_postgres_pool_limit",
        "gauge",
        "connections",
        (),
        _DATABASES,
        "How many connections the pool may open.",
    ),
    Signal(
        "switchboard_postgres_pool_waiting",
        "gauge",
        "requests",
        (),
        _DATABASES,
        "Transactions that wait for a connection now.",
    ),
    Signal(
        "switchboard_postgres_pool_wait_seconds",
        "histogram",
        "s",
        (),
        _DATABASES,
        "How long a transaction waited for its connection.",
        (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2),
    ),
    Signal(
        "switchboard_postgres_errors_total",
        "counter",
        "errors",
        ("kind",),
        _DATABASES,
        "Transactions that failed: `away` (tried again), `busy` (no connection in time; tried again), `refused`.",
    ),
)

SPANS = (
    Signal(
        "SQL statement",
        "span",
        "s",
        ("db.system", "db.statement"),
        ("users", "tickets"),
        "One statement as it was executed, without its values; named after its first word. By attempt, not by step.",
    ),
)

LOG_EVENTS = (
    # every room
    LogEvent("serving", ("info",), ("host", "port", "revision"), ROOMS, "The process listens."),
    LogEvent("uncaught", ("error",), FAILED, ROOMS, "Nobody caught an exception: a thread or the process ends."),
    LogEvent("python_warning", ("warning",), ("category", "place"), ROOMS, "What Python's `warnings` would say."),
    LogEvent(
        "library_line",
        ("info", "warning", "error"),
        ("text", "place", *FAILED),
        ROOMS,
        "A library's line, named by its place in the source; `text` without what was put into it. Restate's SDK says so"
        " that an attempt failed.",
    ),
    # what Restate calls
    LogEvent(
        "defect",
        ("error",),
        ("exception", "place"),
        (*SERVICES, "registry", "gateway"),
        "An invocation failed by a defect of our own code: its class and its place. Said once for an invocation; after"
        " three attempts it is ended, or, if it may not be given up, tried again each minute.",
    ),
    LogEvent(
        "attempt_failed",
        ("warning",),
        ("exception", "place"),
        SERVICES,
        "The network or the disk failed an attempt; it is tried again.",
    ),
    LogEvent(
        "clock_skewed",
        ("warning",),
        ("ahead_seconds",),
        SERVICES,
        "Restate's clock is so far ahead of this process's, or behind it. Timers are corrected; said once.",
    ),
    LogEvent(
        "spans_not_taken",
        ("warning",),
        ("reason", "mend"),
        SERVICES,
        "The collector was slow or away; until it takes spans again nobody waits for it. Said once.",
    ),
    # PostgreSQL, as its clients see it
    LogEvent(
        "waiting_for_database",
        ("warning",),
        ("setting", "reason"),
        _DATABASES,
        "At start the database that this setting names is not up yet. Said once; by a router, which serves meanwhile,"
        " again when the reason is another.",
    ),
    LogEvent(
        "trust_user_id_is_on",
        ("warning",),
        ("advice",),
        ("router", "conversations"),
        "Anybody may claim to be anybody.",
    ),
    LogEvent(
        "issuer_away",
        ("warning",),
        ("issuer", "reason"),
        _DOORS,
        "An identity provider does not tell its keys; the last good ones stay. Said once.",
    ),
    LogEvent("database_away", ("warning",), ("reason",), _DATABASES, "A transaction failed and is tried again."),
    LogEvent("database_busy", ("warning",), (), _DATABASES, "No connection was free in time; it is tried again."),
    LogEvent(
        "statement_refused",
        ("error",),
        ("sqlstate", "error"),
        _DATABASES,
        "The database refused a statement. A read ends by that; what was accepted for good is tried again until"
        " somebody has mended it. The database's words, which may hold data, stand in its own log.",
    ),
    LogEvent("provisioned", ("info",), ("schema", "roles"), _DATABASES, "The schema and its roles are there."),
    LogEvent("migrated", ("info",), ("schema", "applied"), _DATABASES, "The schema is up to date."),
)
