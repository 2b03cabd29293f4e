"""How many tickets stand where, how many are past their promise, and how many notifications are undelivered.

Counted in the database, shown as metrics.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from itertools import product
from typing import NamedTuple, get_args

from restate import TerminalError
from restate.exceptions import RetryableError

from runtime.postgres import Pool, caller_transaction
from runtime.telemetry.logs import get_logger
from runtime.telemetry.metrics import Snapshot
from tickets.model import Status
from tickets.rules import Priority
from tickets.signals import TABLE

_COUNTS = "SELECT state, priority, tickets, past_sla FROM ticket_counts()"

_UNDELIVERED = "SELECT state, notifications FROM notification_counts()"
_STATES = ("refused", "wanted", "sending")

_told = Snapshot(TABLE)

log = get_logger(__name__)


class Count(NamedTuple):
    state: Status
    priority: Priority
    tickets: int
    past_sla: int


@asynccontextmanager
async def counting(pool: Pool, seconds: float) -> AsyncGenerator[None]:
    """Meanwhile the metrics tell the counts, anew every `seconds`."""
    task = asyncio.create_task(_keep_counting(pool, seconds))
    try:
        yield
    finally:
        task.cancel()


async def _keep_counting(pool: Pool, seconds: float) -> None:
    try:
        while True:
            try:
                _told.tell(gauges(await read_counts(pool), await read_undelivered(pool)))
            except (RetryableError, TerminalError):  # logged and counted already; no number is better than an old one
                _told.tell({})
            except Exception:
                log.error("tickets_not_counted", exc_info=True)
                _told.tell({})
            await asyncio.sleep(seconds)
    finally:
        _told.tell({})


async def read_counts(pool: Pool) -> list[Count]:
    """Of all customers' tickets; a state and priority that no ticket has is left out.

    Raises: `RetryableError` when the database is away or busy, `TerminalError` 500 when it refused the statement.
    """
    async with caller_transaction(pool, "") as db:
        return [Count(*row) for row in await db.fetch(_COUNTS)]


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
