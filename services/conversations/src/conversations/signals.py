"""The conversations' rows of the table of signals."""

from runtime.telemetry.metrics import Table
from runtime.telemetry.signals import FAILED, LIVE, LogEvent, Signal

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
    Signal(
        "switchboard_conversations_with_people",
        "gauge",
        "conversations",
        ("state",),
        ("conversations",),
        "Conversations in which the agent is silent: a person is waited for (`waiting`) or has it (`taken`); every pod "
        "tells the same.",
    ),
    Signal(
        "switchboard_conversations_waiting_oldest_seconds",
        "gauge",
        "s",
        (),
        ("conversations",),
        "How long the conversation that has waited longest for a person waits; 0 when none does.",
    ),
    Signal(
        "switchboard_approvals",
        "gauge",
        "approvals",
        ("status",),
        ("conversations",),
        "Approvals by how they stand, as long as they are kept; every pod tells the same.",
    ),
    Signal(
        "switchboard_approvals_waiting_oldest_seconds",
        "gauge",
        "s",
        (),
        ("conversations",),
        "How long the approval that has waited longest for a decision waits; 0 when none does.",
    ),
    Signal(
        "switchboard_approval_decisions_total",
        "counter",
        "decisions",
        ("status",),
        ("conversations",),
        f"Decisions of people about calls, by what was decided. {LIVE}",
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
    LogEvent(
        "conversations_not_counted",
        ("error",),
        FAILED,
        ("conversations",),
        "Counting who waits for people broke down; the gauges are absent until it works again.",
    ),
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
        "approval_decided",
        ("info",),
        ("status",),
        ("conversations",),
        "A person decided a call that waited for them.",
    ),
    LogEvent(
        "run_stopped_by_staff",
        ("info",),
        ("conversation", "by"),
        ("conversations",),
        "A member of staff stopped a run; why stands in the audit.",
    ),
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
