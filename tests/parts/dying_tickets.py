"""The ticket services in a process that kills itself once, at the position that DIE_AT names.

The product knows nothing of it: this wraps its store, its sending and its posting from outside.
"""

import os
import signal
from collections.abc import Awaitable, Callable
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

POSITIONS = ("before insert", "after insert", "after send", "before post", "after post")
UNDELIVERED = (
    *("before keep", "after keep", "before resend", "after resend"),
    *("after find", "before sent", "after sent", "after delivered"),
)
"""When a notification was refused, is wanted again, is looked for, handed over again and delivered after all."""

TOLD = ("after the workflow's spans", "after the delivery's span")
"""When spans have left, and the invocation that they tell of has not ended yet."""


def die_at(position: str) -> None:
    died = Path(os.environ["DIED"])
    if os.environ["DIE_AT"] == position and not died.exists():
        died.write_text(position)
        os.kill(os.getpid(), signal.SIGKILL)


def deadly(what: str, effect: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def run(*args: Any) -> Any:
        die_at(f"before {what}")
        result = await effect(*args)
        die_at(f"after {what}")
        return result

    return run


def run_with_deadly_effects() -> None:
    names = ("service", "store", "workflow", "notifier", "resender", "undelivered", "deciding")
    program, store, workflow, notifier, resender, undelivered, deciding = [_module(name) for name in names]
    send, webhook_post = workflow.send, program.webhook_post

    def send_and_die(*args: Any) -> None:
        send(*args)
        die_at("after send")

    store.TicketStore.insert = deadly("insert", store.TicketStore.insert)
    workflow.send = send_and_die
    program.webhook_post = lambda *args: deadly("post", webhook_post(*args))
    for name in ("keep", "find", "sent", "delivered"):
        setattr(undelivered.Undelivered, name, deadly(name, getattr(undelivered.Undelivered, name)))
    deciding.Deciding.send_again = deadly("resend", deciding.Deciding.send_again)
    resender.PAUSE = timedelta(milliseconds=300)
    workflow.spans_sent = deadly("the workflow's spans", workflow.spans_sent)
    notifier.spans_sent = deadly("the delivery's span", notifier.spans_sent)
    program.main()


def _module(name: str) -> Any:
    return import_module(f"tickets.{name}")


if __name__ == "__main__":
    run_with_deadly_effects()
