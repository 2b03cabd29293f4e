"""Known customers: where a plain user id is believed, somebody still has to say that it is a customer's."""

import json
import time
from datetime import timedelta
from typing import Any, cast

import restate
from restate import TerminalError
from restate.context import RestateDurableFuture

from router.run import Run
from runtime.bounded import Unreadable, read

KNOWN_FOR_SECONDS = 60.0
MAX_KNOWN = 10_000
ANSWER_WITHIN = timedelta(seconds=10)


class Customers:
    """Asks `Service/handler` about a user id unless it said yes within the last minute."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._known: dict[str, float] = {}

    def to_ask(self, user_id: str) -> str:
        """The handler to ask, or nothing; read inside a journaled step, for it depends on the time."""
        return "" if self._known.get(user_id, 0) > time.monotonic() else self._target

    def remember(self, user_id: str) -> None:
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[user_id] = time.monotonic() + KNOWN_FOR_SECONDS


async def is_customer(run: Run, customers: Customers) -> bool:
    """False if the handler says that it knows no such customer; true if it says nothing of that in time."""
    service, handler = run.facts.check_customer.split("/")
    user_id = run.facts.caller.user_id
    asked = json.dumps({"user_id": user_id}).encode()
    call = run.ctx.generic_call(service, handler, asked, headers=run.headers(run.facts.check_token))
    done, _ = await restate.wait_completed(call, run.ctx.sleep(ANSWER_WITHIN, "customer check timeout"))
    if call not in done:
        run.ctx.cancel_invocation(await call.invocation_id())
        return True
    known = await _said(call)
    if known:
        customers.remember(user_id)
    return known is not False


async def _said(call: RestateDurableFuture[bytes]) -> bool | None:
    """None if who was asked broke down, or said something else."""
    try:
        said: Any = read(await call)
    except (TerminalError, Unreadable):
        return None
    known = cast(dict[str, Any], said).get("known") if isinstance(said, dict) else None
    return known if isinstance(known, bool) else None
