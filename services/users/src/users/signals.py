"""The users' row of the table of signals."""

from runtime.telemetry.signals import LogEvent

LOG_EVENTS = (LogEvent("seeded", ("info",), ("customers",), ("users",), "The demo customers are there."),)
