"""The gateway's rows of the table of signals."""

from runtime.telemetry.metrics import Table
from runtime.telemetry.signals import LogEvent, Signal

METRICS = (
    Signal(
        "switchboard_gateway_requests_total",
        "counter",
        "requests",
        ("route", "status"),
        ("gateway",),
        "Requests of clients, by the route's pattern (`none` for what is none) and the status of the answer.",
    ),
    Signal(
        "switchboard_gateway_request_seconds",
        "histogram",
        "s",
        ("route",),
        ("gateway",),
        "How long a request took until its answer began; of a question, with the wait for it.",
        (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
    ),
    Signal("switchboard_gateway_streams", "gauge", "streams", (), ("gateway",), "Streams of events that are open now."),
    Signal(
        "switchboard_gateway_counted_alone_total",
        "counter",
        "requests",
        (),
        ("gateway",),
        "Requests that a replica counted by itself, since the Valkey or Redis that `LIMITS_URL` names was away.",
    ),
    Signal(
        "switchboard_gateway_problems_total",
        "counter",
        "answers",
        ("code",),
        ("gateway",),
        "Requests that were not done, by the code of the problem: the end of the `type` that the client reads.",
    ),
    Signal(
        "switchboard_gateway_replays_total",
        "counter",
        "answers",
        ("route",),
        ("gateway",),
        "Answers that were given once more, since their `Idempotency-Key` had been used for the same request.",
    ),
    Signal(
        "switchboard_gateway_in_flight",
        "gauge",
        "requests",
        (),
        ("gateway",),
        "Requests whose answer has not begun, of all callers.",
    ),
    Signal(
        "switchboard_gateway_in_flight_limit",
        "gauge",
        "requests",
        (),
        ("gateway",),
        "How many of them there may be (`MAX_IN_FLIGHT`): more are sent away with 503.",
    ),
)

TABLE = Table(METRICS)

LOG_EVENTS = (
    LogEvent(
        "request_answered",
        ("info",),
        ("request_id", "method", "route", "status", "seconds"),
        ("gateway",),
        "A request of a client, by the id that stands in the answer.",
    ),
    LogEvent(
        "demo_customers_are_on",
        ("warning",),
        ("advice",),
        ("gateway",),
        "Anybody may be one of the demo customers; real ones cannot come in.",
    ),
    LogEvent(
        "limits_away",
        ("warning",),
        ("reason", "mend"),
        ("gateway",),
        "Valkey or Redis is away, so each replica counts callers by itself. Said once for an outage.",
    ),
    LogEvent("limits_back", ("info",), (), ("gateway",), "All replicas count together again."),
)
