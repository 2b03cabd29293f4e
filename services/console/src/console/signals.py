"""The console's rows of the table of signals."""

from runtime.telemetry.metrics import Table
from runtime.telemetry.signals import LogEvent, Signal

METRICS = (
    Signal(
        "switchboard_console_requests_total",
        "counter",
        "requests",
        ("route", "status"),
        ("console",),
        "Requests of staff, by the route's pattern (`none` for what is none) and the status of the answer.",
    ),
    Signal(
        "switchboard_console_request_seconds",
        "histogram",
        "s",
        ("route",),
        ("console",),
        "How long a page took until its answer began.",
        (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    ),
    Signal(
        "switchboard_console_streams", "gauge", "streams", (), ("console",), "Open pages that follow what changes now."
    ),
)

TABLE = Table(METRICS)

LOG_EVENTS = (
    LogEvent(
        "page_answered",
        ("info",),
        ("request_id", "method", "route", "status", "seconds", "by", "key"),
        ("console",),
        "A request of a member of staff (`by`), by the id that stands in the answer; of a tool's, by which key.",
    ),
    LogEvent(
        "changes_not_followed",
        ("warning",),
        ("reason",),
        ("console",),
        "The conversations do not tell what changes: pages look by themselves, every 15 s. Logged once.",
    ),
    LogEvent("changes_followed_again", ("info",), (), ("console",), "They do again, and nothing was missed."),
    LogEvent(
        "demo_staff_is_on",
        ("warning",),
        ("advice",),
        ("console",),
        "Anybody may be one of the demo members of staff.",
    ),
    LogEvent(
        "login_refused",
        ("warning",),
        ("reason",),
        ("console",),
        "Somebody came back from the identity provider and was not signed in: `no_role`; `state` for a login that"
        " is over or of another browser; `provider_...` for what the provider said, `token_...` and `id_token_...` for"
        " what is wrong with what it gave.",
    ),
    LogEvent(
        "login_failed",
        ("error",),
        ("issuer", "reason"),
        ("console",),
        "Somebody could not sign in, since the identity provider does not answer as it should.",
    ),
    LogEvent(
        "staff_token_refused",
        ("error",),
        ("code",),
        ("console",),
        "Another room does not believe the staff tokens of this one: the keys differ, or a clock is wrong.",
    ),
)
