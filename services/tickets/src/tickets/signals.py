"""The tickets' rows of the table of signals."""

from runtime.telemetry.metrics import Table
from runtime.telemetry.signals import FAILED, LIVE, LogEvent, Signal

METRICS = (
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
        "switchboard_tickets_left_alone",
        "gauge",
        "tickets",
        (),
        ("tickets",),
        "Tickets that are not closed and whose next look is two minutes late or was never planned; every pod tells the"
        " same. Absent while the database is away.",
    ),
    Signal(
        "switchboard_tickets_created_total",
        "counter",
        "tickets",
        ("category", "priority"),
        ("tickets",),
        f"Tickets made. {LIVE}",
    ),
    Signal(
        "switchboard_notifications_undelivered",
        "gauge",
        "notifications",
        ("state",),
        ("tickets",),
        "Notifications that came to nothing and are kept: `refused` waits for somebody, `wanted` shall be sent again,"
        " `sending` was handed to Restate again. Every pod tells the same. Absent while the database is away.",
    ),
    Signal(
        "switchboard_notification_attempts_total",
        "counter",
        "attempts",
        ("outcome",),
        ("tickets",),
        "Posts of webhooks: `delivered`, `refused` (kept for the staff), `failed` (tried again).",
    ),
    Signal(
        "switchboard_notification_delay_seconds",
        "histogram",
        "s",
        (),
        ("tickets",),
        f"From the change of a ticket to the receiver's yes. {LIVE}",
        (0.1, 0.5, 1, 5, 15, 60, 300, 1800, 7200, 86400),
    ),
    Signal(
        "switchboard_ticket_acts_total",
        "counter",
        "acts",
        ("action",),
        ("tickets",),
        f"What staff did with tickets, as the audit names it. {LIVE}",
    ),
    Signal(
        "switchboard_ticket_timers_total",
        "counter",
        "timers",
        ("action",),
        ("tickets",),
        f"What fell due: `remind_reply`, `remind_solve`, `escalate_reply`, `escalate_solve`, `close`. {LIVE}",
    ),
    Signal(
        "switchboard_ticket_timer_lateness_seconds",
        "histogram",
        "s",
        (),
        ("tickets",),
        f"From when it was due to when it was done. {LIVE}",
        (0.1, 0.5, 1, 5, 15, 60, 300, 1800, 7200, 86400),
    ),
)

TABLE = Table(METRICS)

SPANS = (
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
        "The delivery of one webhook, below the workflow that sent it; its attempts may take days.",
    ),
)

LOG_EVENTS = (
    LogEvent(
        "tickets_not_counted",
        ("error",),
        FAILED,
        ("tickets",),
        "Counting the tickets broke down; their gauges are absent until it works again.",
    ),
    LogEvent(
        "ticket_added_to",
        ("info",),
        ("ticket_id",),
        ("tickets",),
        "A conversation had this ticket about the same subject: what was said is added to it.",
    ),
    LogEvent(
        "ticket_timer",
        ("info",),
        ("ticket_id", "action"),
        ("tickets",),
        "What fell due of a ticket was done.",
    ),
    LogEvent(
        "tickets_looked_after",
        ("info",),
        ("tickets",),
        ("tickets",),
        "Tickets of a former version, or whose timers were lost, are looked after from now on.",
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
        "A webhook was refused, switched off or cancelled; it is kept, see `staff undelivered`.",
    ),
    LogEvent(
        "notification_sent_again",
        ("info",),
        ("message_id", "ticket_id"),
        ("tickets",),
        "A webhook that was kept is Restate's again, as the staff want it.",
    ),
)
