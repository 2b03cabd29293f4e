"""The whole table of signals: the rows that rooms share, and those of each room."""

from console import signals as console
from conversations import signals as conversations
from gateway import signals as gateway
from registry import signals as registry
from router import signals as router
from runtime.telemetry import signals as shared
from tickets import signals as tickets
from users import signals as users

METRICS = (
    *shared.METRICS,
    *gateway.METRICS,
    *console.METRICS,
    *router.METRICS,
    *tickets.METRICS,
    *conversations.METRICS,
    *registry.METRICS,
)
SPANS = (*router.SPANS, *tickets.SPANS, *shared.SPANS)
SIGNALS = METRICS + SPANS
LOG_EVENTS = (
    *shared.LOG_EVENTS,
    *gateway.LOG_EVENTS,
    *console.LOG_EVENTS,
    *users.LOG_EVENTS,
    *router.LOG_EVENTS,
    *tickets.LOG_EVENTS,
    *conversations.LOG_EVENTS,
    *registry.LOG_EVENTS,
)
ROOMS = shared.ROOMS
