"""How many tickets stand where, and how many are past their promise: counted in the database, shown as metrics."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import NamedTuple, get_args

from restate import TerminalError
from restate.exceptions import RetryableError

from runtime.metrics import gauge
from runtime.postgres import Pool, caller_transaction
from tickets.model import Status
from tickets.rules import Priority

_COUNTS = "SELECT state, priority, tickets, past_sla FROM ticket_counts()"

_tickets = gauge("switchboard_tickets")
_past_sla = gauge("switchboard_tickets_past_sla")


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
                show(await read_counts(pool))
            except (RetryableError, TerminalError):  # the pool has logged and counted it
                hide()
            await asyncio.sleep(seconds)
    finally:
        hide()


async def read_counts(pool: Pool) -> list[Count]:
    """Of all customers' tickets; a state and priority that no ticket has is left out.

    Raises: `RetryableError` when the database is away or busy, `TerminalError` 500 when it refused the statement.
    """
    async with caller_transaction(pool, "") as db:
        return [Count(*row) for row in await db.fetch(_COUNTS)]


def show(counts: Iterable[Count]) -> None:
    """Every state and priority, 0 where there is no ticket."""
    by_standing = {(count.state, count.priority): count for count in counts}
    for priority in get_args(Priority):
        late = 0
        for state in get_args(Status):
            count = by_standing.get((state, priority), Count(state, priority, 0, 0))
            _tickets.labels(state, priority).set(count.tickets)
            late += count.past_sla
        _past_sla.labels(priority).set(late)


def hide() -> None:
    """Nothing rather than a number that may have changed."""
    _tickets.clear()
    _past_sla.clear()
