"""The conversations' rows of the table of signals."""

from runtime.telemetry.metrics import Table
from runtime.telemetry.signals import LIVE, LogEvent, Signal

METRICS = (
    Signal(
        "switchboard_inputs_total",
        "counter",
        "inputs",
        ("disposition",),
        ("conversations",),
        f"Inputs of conversations, by what became of them. {LIVE}",
    ),
)

TABLE = Table(METRICS)

SPANS = ()

LOG_EVENTS = (
    LogEvent("input_taken", ("info",), ("disposition",), ("conversations",), "An input was taken, or refused."),
    LogEvent(
        "conversation_run_lost",
        ("warning",),
        ("status",),
        ("conversations",),
        "A run ended without a report: it was killed, or broke down. Its conversation was told.",
    ),
)
