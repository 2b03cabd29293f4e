"""What comes in for a run of a conversation while it is at work: more words of the customer, or a stop.

The one place where the router meets the conversations in PostgreSQL: by published functions, as a role that may touch
no table. Restate's cancellation tells of a stop too, but only to an attempt that is connected.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager

from contracts import ConversationRun
from runtime.postgres import UNUSABLE, Pool, caller_transaction, open_pool
from runtime.telemetry.logs import get_logger

LOOK_SECONDS = 0.25
"""How often it is asked which of the runs that wait for a model have been stopped: one query for all."""

_TAKE = "SELECT is_active, input_id, text FROM conversations.take_inputs($1, $2)"
_STOPPED = "SELECT stopped_runs FROM conversations.stopped_runs($1::text[])"

log = get_logger(__name__)


class Inbox:
    """Without a database nothing is read: what comes in is the next question."""

    def __init__(self, pool: Pool | None = None) -> None:
        self.pool = pool
        self._break_off: dict[str, Callable[[], object]] = {}
        self._looking: asyncio.Task[None] | None = None

    async def take(self, given: ConversationRun | None, turn: int) -> list[str] | None:
        """What the customer has said since the last turn, again the same for a repeat of this one; None: a stop.

        Raises: `RetryableError` when the database is away.
        """
        if given is None or self.pool is None:
            return []
        async with caller_transaction(self.pool, "") as db:
            rows = await db.fetch(_TAKE, given.run, turn)
        if not all(row["is_active"] for row in rows):
            return None
        return [row["text"] for row in rows if row["input_id"]]

    async def is_stopped(self, given: ConversationRun | None) -> bool:
        """Whether its conversation wants no more of a run. Raises: `RetryableError` when the database is away."""
        if given is None or self.pool is None:
            return False
        async with caller_transaction(self.pool, "") as db:
            return bool(await db.fetch(_STOPPED, [given.run]))

    @contextmanager
    def listening(self, given: ConversationRun | None) -> Generator[None]:
        """The task in here is cancelled when its run has been stopped."""
        task = asyncio.current_task()
        if given is None or self.pool is None or task is None:
            yield
            return
        self._break_off[given.run] = task.cancel
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(self.pool))
        try:
            yield
        finally:
            if self._break_off.get(given.run) == task.cancel:
                del self._break_off[given.run]

    async def _look(self, pool: Pool) -> None:
        """While any run waits for a model. That it cannot look stops nothing: Restate tells of stops too."""
        while self._break_off:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                stopped = await pool.fetch(_STOPPED, list(self._break_off))
            except UNUSABLE as error:
                log.warning("stops_not_seen", extra={"reason": type(error).__name__})
                continue
            for row in stopped:
                if break_off := self._break_off.pop(row["stopped_runs"], None):
                    break_off()


@asynccontextmanager
async def open_inbox(url: str, password: str) -> AsyncGenerator[Inbox]:
    if not url:
        yield Inbox()
        return
    setting = "CONVERSATIONS_DATABASE_URL"
    async with open_pool(url, "conversations", password=password, setting=setting, waits=False) as pool:
        yield Inbox(pool)
