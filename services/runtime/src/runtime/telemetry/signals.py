"""The table of signals: every metric, span and log event of the services. Code, docs/signals.md and tests follow it.

Names, units and types of metrics follow Prometheus (https://prometheus.io/docs/practices/naming/); what concerns the
model follows OpenTelemetry's GenAI conventions. Renaming one breaks somebody's dashboard: it takes a CHANGELOG line.
"""

from dataclasses import dataclass
from typing import Literal

GENAI_CONVENTIONS = "https://opentelemetry.io/schemas/1.41.1"
"""The one version of the GenAI conventions in use: the last before they moved into a repository of their own."""

Kind = Literal["counter", "gauge", "histogram", "span"]

SERVICES = ("router", "users", "tickets")
"""What Restate calls."""
ROOMS = (*SERVICES, "registry", "demo_model")


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


_GENAI = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")
_LIVE = "Counted while no journal is replayed: off by one at most for each kill."

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
        f"Requests that a handler refused, by the code that the client reads. {_LIVE}",
    ),
    # PostgreSQL, as its clients see it
    Signal(
        "switchboard_postgres_pool_connections",
        "gauge",
        "connections",
        ("state",),
        ("users", "tickets"),
        "Connections of the pool, `used` or `idle`.",
    ),
    Signal(
        "switchboard_postgres_pool_limit",
        "gauge",
        "connections",
        (),
        ("users", "tickets"),
        "How many connections the pool may open.",
    ),
    Signal(
        "switchboard_postgres_pool_waiting",
        "gauge",
        "requests",
        (),
        ("users", "tickets"),
        "Transactions that wait for a connection now.",
    ),
    Signal(
        "switchboard_postgres_pool_wait_seconds",
        "histogram",
        "s",
        (),
        ("users", "tickets"),
        "How long a transaction waited for its connection.",
        (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2),
    ),
    Signal(
        "switchboard_postgres_errors_total",
        "counter",
        "errors",
        ("kind",),
        ("users", "tickets"),
        "Transactions that failed: `away` (tried again), `busy` (no connection in time; tried again), `refused`.",
    ),
    # the agent
    Signal(
        "switchboard_runs_total",
        "counter",
        "runs",
        ("outcome",),
        ("router",),
        f"Runs by outcome; those that end in `_exhausted` were stopped by a budget. {_LIVE}",
    ),
    Signal(
        "switchboard_run_duration_seconds",
        "histogram",
        "s",
        ("outcome",),
        ("router",),
        f"Time to answer, waiting and retries included; exemplars name trace and run. {_LIVE}",
        (0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120),
    ),
    Signal(
        "switchboard_run_turns",
        "histogram",
        "turns",
        (),
        ("router",),
        f"Model turns in a run. {_LIVE}",
        (1, 2, 3, 4, 5, 6, 8),
    ),
    Signal(
        "switchboard_run_calls",
        "histogram",
        "calls",
        (),
        ("router",),
        f"Tool calls in a run. {_LIVE}",
        (0, 1, 2, 3, 4, 6, 8, 12, 16),
    ),
    Signal(
        "switchboard_tool_calls_total",
        "counter",
        "calls",
        ("tool", "status"),
        ("router",),
        f"The route chosen: calls by tool and how they ended; `not_on_offer` stands for made-up names. {_LIVE}",
    ),
    Signal(
        "switchboard_tool_errors_total",
        "counter",
        "calls",
        ("tool", "kind"),
        ("router",),
        "Calls without a result: `unknown_tool`, `bad_arguments`, `forbidden`, `refused` (by the tool), `failed`, "
        f"`timeout`. {_LIVE}",
    ),
    Signal(
        "switchboard_tool_call_duration_seconds",
        "histogram",
        "s",
        ("tool",),
        ("router",),
        f"From the decision to the result, queueing included. {_LIVE}",
        (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
    ),
    Signal(
        "switchboard_model_calls_total",
        "counter",
        "calls",
        ("model", "outcome"),
        ("router",),
        "Calls at the model's endpoint, retries among them: `ok`, or why there was no usable reply.",
    ),
    Signal(
        "switchboard_model_retries_total",
        "counter",
        "calls",
        ("model",),
        ("router",),
        "Calls that repeat a failed one of the same turn, as far as this process saw it.",
    ),
    Signal(
        "gen_ai_client_token_usage",
        "histogram",
        "tokens",
        (*_GENAI, "gen_ai_token_type"),
        ("router",),
        "Tokens of a model call, as its server counted them; the sum is what was spent.",
        (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864),
    ),
    Signal(
        "gen_ai_client_operation_duration_seconds",
        "histogram",
        "s",
        (*_GENAI, "error_type"),
        ("router",),
        "How long a model call took; `error_type` is empty when it succeeded.",
        (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
    ),
    Signal(
        "switchboard_catalogue_age_seconds",
        "gauge",
        "s",
        (),
        ("router",),
        "Since when the router has had no answer about its tools; it goes on with the last ones.",
    ),
    # tickets
    Signal(
        "switchboard_tickets",
        "gauge",
        "tickets",
        ("state", "priority"),
        ("tickets",),
        "Tickets in the database, exact; every pod tells the same, so take the maximum. Absent while it is away.",
    ),
    Signal(
        "switchboard_tickets_past_sla",
        "gauge",
        "tickets",
        ("priority",),
        ("tickets",),
        "Tickets that are not closed and past their promise; every pod tells the same.",
    ),
    Signal(
        "switchboard_tickets_created_total",
        "counter",
        "tickets",
        ("category", "priority"),
        ("tickets",),
        f"Tickets made. {_LIVE}",
    ),
    Signal(
        "switchboard_notification_attempts_total",
        "counter",
        "attempts",
        ("outcome",),
        ("tickets",),
        "Posts of webhooks: `delivered`, `refused` (final), `failed` (tried again).",
    ),
    Signal(
        "switchboard_notification_delay_seconds",
        "histogram",
        "s",
        (),
        ("tickets",),
        f"From a ticket's creation to the receiver's yes. {_LIVE}",
        (0.1, 0.5, 1, 5, 15, 60, 300, 1800, 7200, 86400),
    ),
    # what only Restate knows
    Signal(
        "switchboard_restate_reachable",
        "gauge",
        "1",
        (),
        ("registry",),
        "1 while Restate's admin API answers; what the registry knows of invocations is absent while it is 0.",
    ),
    Signal(
        "switchboard_invocations",
        "gauge",
        "invocations",
        ("service", "handler", "status"),
        ("registry",),
        "Unfinished invocations, exact, by Restate's own status.",
    ),
    Signal(
        "switchboard_invocation_oldest_seconds",
        "gauge",
        "s",
        ("service", "handler"),
        ("registry",),
        "Age of the oldest unfinished invocation; of one that was scheduled for later, since it was due.",
    ),
    Signal(
        "switchboard_invocations_stuck",
        "gauge",
        "invocations",
        ("service", "handler", "status", "reason"),
        ("registry",),
        "Paused or backing off, by the last error: Restate's code and the exception's class, never its text.",
    ),
    Signal(
        "switchboard_invocations_ended_total",
        "counter",
        "invocations",
        ("service", "reason"),
        ("registry",),
        "Invocations that the registry ended, and why: what was stuck, and what only `former code` could finish.",
    ),
    Signal(
        "switchboard_deployment_invocations",
        "gauge",
        "invocations",
        ("deployment", "address", "state"),
        ("registry",),
        "Unfinished invocations by the deployment that must finish them; state `current` or `draining`.",
    ),
    Signal(
        "switchboard_deployment_draining_seconds",
        "gauge",
        "s",
        ("deployment", "address"),
        ("registry",),
        "Since when a deployment that still has work has been replaced.",
    ),
    Signal(
        "switchboard_deployment_registered",
        "gauge",
        "1",
        ("deployment",),
        ("registry",),
        "1 if Restate routes to what we want registered under this name, else 0.",
    ),
    Signal(
        "switchboard_registration_failures_total",
        "counter",
        "attempts",
        ("deployment",),
        ("registry",),
        "Registrations that failed; what Restate said stands in the log and in `GET /status`.",
    ),
    Signal(
        "switchboard_tools",
        "gauge",
        "tools",
        ("state",),
        ("registry",),
        "Tools `offered` to the agent, and tools `left_out` (the log says which and why).",
    ),
)

_GENAI_SPAN = (
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "langfuse.observation.type",
)
"""On every span of the agent; `error.type` besides when it went wrong."""

SPANS = (
    Signal(
        "invoke_agent {agent}",
        "span",
        "s",
        (
            *_GENAI_SPAN,
            "gen_ai.agent.name",
            "langfuse.trace.name",
            "switchboard.run",
            "switchboard.outcome",
            "switchboard.turns",
            "user.id",
        ),
        ("router",),
        "One run, from the question to the answer. `user.id` is a digest.",
    ),
    Signal(
        "chat {model}",
        "span",
        "s",
        (
            *_GENAI_SPAN,
            "gen_ai.request.model",
            "gen_ai.request.temperature",
            "gen_ai.response.model",
            "gen_ai.response.finish_reasons",
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.output_tokens",
            "server.address",
            "server.port",
            "switchboard.turn",
            "switchboard.attempts",
        ),
        ("router",),
        "One model turn, its retries included.",
    ),
    Signal(
        "execute_tool {tool}",
        "span",
        "s",
        (
            *_GENAI_SPAN,
            "gen_ai.tool.name",
            "gen_ai.tool.call.id",
            "gen_ai.tool.type",
            "switchboard.turn",
            "switchboard.status",
        ),
        ("router",),
        "One tool call, from the decision to its result.",
    ),
    Signal(
        "SupportTicketWorkflow/run",
        "span",
        "s",
        ("switchboard.invocation", "switchboard.ticket_id"),
        ("tickets",),
        "The making of one ticket, below the call that asked for it.",
    ),
    Signal(
        "insert ticket",
        "span",
        "s",
        ("switchboard.attempts",),
        ("tickets",),
        "The insert, with its SQL below it.",
    ),
    Signal(
        "Notifier/deliver",
        "span",
        "s",
        ("switchboard.invocation", "switchboard.attempts", "messaging.message.id", "http.response.status_code"),
        ("tickets",),
        "The delivery of one webhook, below the workflow that sent it; its attempts may take hours.",
    ),
    Signal(
        "SQL statement",
        "span",
        "s",
        ("db.system", "db.statement"),
        ("users", "tickets"),
        "One statement as it was executed, without its values; named after its first word. By attempt, not by step.",
    ),
)

SIGNALS = METRICS + SPANS

Level = Literal["info", "warning", "error"]


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

_DATABASES = ("users", "tickets")
_FAILED = ("exception", "stack")

LOG_EVENTS = (
    # every room
    LogEvent("serving", ("info",), ("host", "port", "revision"), ROOMS, "The process listens."),
    LogEvent("uncaught", ("error",), _FAILED, ROOMS, "Nobody caught an exception: a thread or the process ends."),
    LogEvent("python_warning", ("warning",), ("category", "place"), ROOMS, "What Python's `warnings` would say."),
    LogEvent(
        "library_line",
        ("info", "warning", "error"),
        ("text", "place", *_FAILED),
        ROOMS,
        "A library's line, named by its place in the source; `text` without what was put into it. Restate's SDK says so"
        " that an attempt failed.",
    ),
    # what Restate calls
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
        "At start the database that this setting names is not up yet; said once.",
    ),
    LogEvent("database_away", ("warning",), ("reason",), _DATABASES, "A transaction failed and is tried again."),
    LogEvent("database_busy", ("warning",), (), _DATABASES, "No connection was free in time; it is tried again."),
    LogEvent(
        "statement_refused",
        ("error",),
        ("sqlstate", "error"),
        _DATABASES,
        "The database refused a statement for good; its own words, which may hold data, stand in its own log.",
    ),
    LogEvent("provisioned", ("info",), ("schema", "roles"), _DATABASES, "The schema and its roles are there."),
    LogEvent("migrated", ("info",), ("schema", "applied"), _DATABASES, "The schema is up to date."),
    LogEvent("seeded", ("info",), ("customers",), ("users",), "The demo customers are there."),
    # the agent
    LogEvent("trust_user_id_is_on", ("warning",), ("advice",), ("router",), "Anybody may claim to be anybody."),
    LogEvent("catalogue_read", ("info",), ("tools",), ("router",), "The tools on offer have changed, to these."),
    LogEvent(
        "catalogue_unavailable",
        ("warning",),
        ("reason", "mend"),
        ("router",),
        "The registry does not answer; the last tools stay on offer. Said once for each reason.",
    ),
    LogEvent(
        "turn_decided",
        ("info",),
        ("turn", "calls"),
        ("router",),
        "What the model chose: the tools by name, `not_on_offer` for one that it made up; none for an answer.",
    ),
    LogEvent("call_settled", ("info",), ("call", "tool", "status"), ("router",), "How one tool call ended."),
    LogEvent("run_ended", ("info",), ("outcome", "turns"), ("router",), "The last line of a run, with its outcome."),
    LogEvent(
        "model_call_failed",
        ("warning",),
        ("reason",),
        ("router",),
        "One call at the model's endpoint gave no usable reply; it is tried again.",
    ),
    LogEvent(
        "model_refused",
        ("error",),
        ("status", "mend"),
        ("router",),
        "The endpoint will not answer until somebody mends this setting.",
    ),
    LogEvent(
        "model_rate_limited",
        ("warning",),
        ("retry_after",),
        ("router",),
        "The endpoint asks for a longer wait than a customer has.",
    ),
    LogEvent(
        "conversation_compacted",
        ("warning",),
        ("messages",),
        ("router",),
        "The conversation was too long for the model; it is sent again, shortened.",
    ),
    # tickets
    LogEvent(
        "tickets_not_counted",
        ("error",),
        _FAILED,
        ("tickets",),
        "Counting the tickets broke down; their gauges are absent until it works again.",
    ),
    LogEvent("ticket_created", ("info",), ("ticket_id", "priority"), ("tickets",), "A ticket was made."),
    LogEvent(
        "notification_delivered", ("info",), ("message_id", "ticket_id"), ("tickets",), "The receiver took a webhook."
    ),
    LogEvent(
        "notification_not_delivered",
        ("error",),
        ("message_id", "ticket_id", "reason"),
        ("tickets",),
        "A webhook was given up for good.",
    ),
    # what only Restate knows
    LogEvent(
        "restate_does_not_answer",
        ("warning",),
        ("loop", "reason"),
        ("registry",),
        "Restate's admin API is away, or refuses; said once for each reason.",
    ),
    LogEvent("restate_answers_again", ("info",), ("loop",), ("registry",), "And is back."),
    LogEvent(
        "deployment_registered",
        ("info",),
        ("deployment", "url", "deployment_id", "services"),
        ("registry",),
        "Restate routes these services to this URL.",
    ),
    LogEvent(
        "deployment_not_registered",
        ("info", "warning"),
        ("deployment", "url", "reason"),
        ("registry",),
        "Not yet, while it may still come by itself; a warning once somebody has to look.",
    ),
    LogEvent(
        "deployment_forced",
        ("info",),
        ("url", "why"),
        ("registry",),
        "A known URL was discovered anew, so that it gets its services back.",
    ),
    LogEvent(
        "former_code_ended",
        ("info",),
        ("url", "deployments", "runs"),
        ("registry",),
        "What only former code at this address could finish was ended (`END_FORMER`).",
    ),
    LogEvent(
        "stuck_run_ended",
        ("warning",),
        ("id", "target", "state", "reason"),
        ("registry",),
        "An invocation was stuck for too long and was killed.",
    ),
    LogEvent(
        "stuck_run_does_not_end",
        ("error",),
        ("id", "target", "state", "reason"),
        ("registry",),
        "It was killed, and goes on.",
    ),
    LogEvent(
        "catalogue_changed",
        ("info",),
        ("tools", "added", "removed"),
        ("registry",),
        "The tools on offer have changed: how many there are, and which came and went.",
    ),
    LogEvent(
        "tool_left_out",
        ("warning",),
        ("tool", "handler", "reason"),
        ("registry",),
        "A handler cannot be a tool, and why.",
    ),
    LogEvent("services_awaited", ("info",), ("missing",), ("registry",), "The first catalogue waits for these."),
    LogEvent(
        "services_missing",
        ("warning",),
        ("missing", "after_seconds"),
        ("registry",),
        "They have not come; the catalogue is on offer without them.",
    ),
    LogEvent("policy_changed", ("info",), ("tools",), ("registry",), "The policy file has changed and is in force."),
    LogEvent(
        "policy_refused",
        ("warning",),
        ("reason", "in_force"),
        ("registry",),
        "The policy file has a fault; the last good one stays in force.",
    ),
    LogEvent("policy_without_effect", ("warning",), ("reason",), ("registry",), "A policy that changes nothing."),
    LogEvent(
        "wanted_deployments_unreadable",
        ("warning",),
        ("file", "reason"),
        ("registry",),
        "The file that names the wanted deployments has a fault; it counts as empty.",
    ),
    # the registry's commands
    LogEvent("waiting", ("info",), ("reason",), ("registry",), "A command tries again; said once for each reason."),
    LogEvent("command_failed", ("error",), ("command", "reason"), ("registry",), "A command has given up."),
    LogEvent("nothing_pruned", ("warning",), ("reason",), ("registry",), "Restate was away; the next round will do."),
    LogEvent(
        "version_deleted",
        ("info",),
        ("version", "deployments", "objects", "unfinished", "why"),
        ("registry",),
        "A version that nothing needs any more is gone, from Kubernetes and from Restate.",
    ),
    LogEvent(
        "version_kept",
        ("info", "warning"),
        ("version", "deployments", "objects", "unfinished", "why"),
        ("registry",),
        "A version stays, and why; a warning if Restate needs it and nobody serves it.",
    ),
    LogEvent(
        "object_deleted", ("info",), ("kind", "object"), ("registry",), "An uninstalled release's object is gone."
    ),
)
