"""How many tickets stand where, are late or looked after by nobody, and how many notifications are undelivered.

Counted in the database, shown as metrics.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from itertools import product
from typing import NamedTuple, get_args

from runtime.postgres import Pool, caller_transaction
from runtime.telemetry.counting import counting as keep_counting
from runtime.telemetry.logs import get_logger
from runtime.telemetry.metrics import Samples, Snapshot
from tickets.looking import LEFT_ALONE, SWITCHBOARD, desk_transaction
from tickets.model import Status
from tickets.rules import Priority
from tickets.signals import TABLE

_COUNTS = "SELECT state, priority, tickets, past_sla FROM ticket_counts()"

_LEFT_ALONE = f"SELECT count(*) FROM tickets WHERE {LEFT_ALONE}"  # noqa: S608

_UNDELIVERED = "SELECT state, notifications FROM notification_counts()"
_STATES = ("refused", "wanted", "sending")

_told = Snapshot(TABLE)

log = get_logger(__name__)


class Count(NamedTuple):
    state: Status
    priority: Priority
    tickets: int
    past_sla: int


def counting(pool: Pool, seconds: float) -> AbstractAsyncContextManager[None]:
    """Meanwhile the metrics tell the counts, anew every `seconds`."""

    async def count() -> Mapping[str, Samples]:
        left_alone: Samples = {(): await count_left_alone(pool)}
        counted = gauges(await read_counts(pool), await read_undelivered(pool))
        return {**counted, "switchboard_tickets_left_alone": left_alone}

    return keep_counting(_told, count, seconds, broke)


def broke() -> None:
    log.error("tickets_not_counted", exc_info=True)


async def read_counts(pool: Pool) -> list[Count]:
    """Of all customers' tickets; a state and priority that no ticket has is left out.

    Raises: `RetryableError` when the database is away or busy, `TerminalError` 500 when it refused the statement.
    """
    async with caller_transaction(pool, "") as db:
        return [Count(*row) for row in await db.fetch(_COUNTS)]


async def count_left_alone(pool: Pool) -> int:
    """How many tickets nobody looks after.

    Raises: as `read_counts` does.
    """
    async with desk_transaction(pool, SWITCHBOARD) as db:
        return await db.fetchval(_LEFT_ALONE)


async def read_undelivered(pool: Pool) -> dict[str, int]:
    """How many notifications are undelivered, by what becomes of them.

    Raises: as `read_counts` does.
    """
    async with caller_transaction(pool, "") as db:
        return {row["state"]: row["notifications"] for row in await db.fetch(_UNDELIVERED)}


def gauges(counts: Iterable[Count], undelivered: Mapping[str, int]) -> dict[str, dict[tuple[str, ...], float]]:
    """Every state and priority, 0 where there is no ticket."""
    tickets: dict[tuple[str, ...], float] = dict.fromkeys(product(get_args(Status), get_args(Priority)), 0)
    past_sla: dict[tuple[str, ...], float] = {(priority,): 0 for priority in get_args(Priority)}
    for count in counts:
        tickets[count.state, count.priority] = count.tickets
        past_sla[count.priority,] += count.past_sla
    return {
        "switchboard_tickets": tickets,
        "switchboard_tickets_past_sla": past_sla,
        "switchboard_notifications_undelivered": {(state,): undelivered.get(state, 0) for state in _STATES},
    }
