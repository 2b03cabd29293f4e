"""The conversations' rows of the table of signals."""

from runtime.telemetry.metrics import Table
from runtime.telemetry.signals import LIVE, LogEvent, Signal

METRICS = (
    Signal(
        "switchboard_inputs_total",
        "counter",
        "inputs",
        ("type", "disposition"),
        ("conversations",),
        f"Inputs of conversations, messages and stops, by what became of them. {LIVE}",
    ),
    Signal(
        "switchboard_nobody_came_total",
        "counter",
        "conversations",
        (),
        ("conversations",),
        f"Conversations for which no person came in time; their customers were told. {LIVE}",
    ),
    Signal("switchboard_watchers", "gauge", "watchers", (), ("conversations",), "Who watches a conversation now."),
    Signal(
        "switchboard_event_lag_seconds",
        "histogram",
        "s",
        (),
        ("conversations",),
        "How old the latest event of a conversation was when it was found for those who watched it already.",
        (0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 60),
    ),
)

TABLE = Table(METRICS)

SPANS = ()

LOG_EVENTS = (
    LogEvent("watchers_served", ("info",), ("port",), ("conversations",), "Watchers are answered on this port."),
    LogEvent(
        "events_not_seen",
        ("warning",),
        ("reason",),
        ("conversations",),
        "The database does not say what is new; watchers wait. Logged once.",
    ),
    LogEvent(
        "events_not_forgotten",
        ("warning",),
        ("reason",),
        ("conversations",),
        "Old events could not be deleted; it is tried again in a minute.",
    ),
    LogEvent("events_seen_again", ("info",), (), ("conversations",), "It does again, and nothing was missed."),
    LogEvent("input_taken", ("info",), ("disposition",), ("conversations",), "An input was taken, or refused."),
    LogEvent(
        "nobody_came",
        ("warning",),
        ("conversation",),
        ("conversations",),
        "No person came in time to a conversation that was handed over; its customer was told.",
    ),
    LogEvent(
        "conversation_run_lost",
        ("warning",),
        ("status",),
        ("conversations",),
        "A run ended without a report: it was killed, or broke down. Its conversation was told.",
    ),
)
