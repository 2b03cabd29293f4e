"""How many conversations a person has or is waited for, how many approvals stand where, and how long the oldest waits.

Counted in the database, shown as metrics.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, get_args

from contracts import ApprovalStatus
from conversations.signals import TABLE
from runtime.postgres import Pool, caller_transaction
from runtime.telemetry.counting import counting as keep_counting
from runtime.telemetry.logs import get_logger
from runtime.telemetry.metrics import Samples, Snapshot, is_live

_PEOPLE = "SELECT state, conversations, oldest FROM people_counts()"
_APPROVALS = "SELECT status, approvals, oldest FROM approval_counts()"
_STATES = ("waiting", "taken")

_decisions = TABLE.counter("switchboard_approval_decisions_total")
_told = Snapshot(TABLE)

for _decided in ("approved", "edited", "denied"):
    _decisions.labels(_decided)

log = get_logger(__name__)


class Count(NamedTuple):
    """`oldest`: seconds since the oldest began to wait."""

    state: str
    number: int
    oldest: float


def count_decision(status: ApprovalStatus) -> None:
    if is_live():
        _decisions.labels(status).inc()


def counting(pool: Pool, seconds: float) -> AbstractAsyncContextManager[None]:
    """Meanwhile the metrics tell the counts, anew every `seconds`."""

    async def count() -> Mapping[str, Samples]:
        return gauges(await read_counts(pool, _PEOPLE), await read_counts(pool, _APPROVALS))

    return keep_counting(_told, count, seconds, broke)


def broke() -> None:
    log.error("conversations_not_counted", exc_info=True)


async def read_counts(pool: Pool, query: str) -> list[Count]:
    """Of all customers; a state in which there is nothing is left out.

    Raises: `RetryableError` when the database is away or busy, `TerminalError` 500 when it refused the statement.
    """
    async with caller_transaction(pool, "") as db:
        return [Count(*row) for row in await db.fetch(query)]


def gauges(people: Iterable[Count], approvals: Iterable[Count]) -> dict[str, Samples]:
    """Every state, 0 where there is nothing."""
    with_people, stand = {count.state: count for count in people}, {count.state: count for count in approvals}
    nothing = Count("", 0, 0)
    return {
        "switchboard_conversations_with_people": {(each,): with_people.get(each, nothing).number for each in _STATES},
        "switchboard_conversations_waiting_oldest_seconds": {(): with_people.get("waiting", nothing).oldest},
        "switchboard_approvals": {(each,): stand.get(each, nothing).number for each in get_args(ApprovalStatus)},
        "switchboard_approvals_waiting_oldest_seconds": {(): stand.get("pending", nothing).oldest},
    }
