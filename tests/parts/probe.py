"""A service that fails and waits as it is told: `SERVICE_NAME=X python -m tests.parts.probe`.

It stands for one of somebody else's: nobody guards it against its defects.
"""

import asyncio
from datetime import timedelta
from importlib import import_module
from typing import Any

import restate
from pydantic import BaseModel, Field
from restate import InvocationRetryPolicy

from runtime.retries import RETRY
from runtime.serving import serve
from runtime.settings import RestateServiceSettings

GIVES_UP = InvocationRetryPolicy(initial_interval=timedelta(milliseconds=50), max_attempts=2, on_max_attempts="pause")


class ProbeSettings(RestateServiceSettings):
    service_name: str
    tool: str = "look"
    keyed: bool = False
    is_open: bool = False
    says: str = "Look a thing up."


class Words(BaseModel):
    words: str = Field(description="Any words.")


def probe(settings: ProbeSettings) -> restate.Service:
    service = restate.Service(settings.service_name, invocation_retry_policy=RETRY)

    async def look(ctx: restate.Context, words: Words) -> Words:
        return words

    look.__doc__ = settings.says
    metadata = {"mcp.type": "tool", "tool.name": settings.tool}
    service.handler(metadata=metadata, ingress_private=not settings.is_open)(look)

    @service.handler()
    async def wait(ctx: restate.Context) -> str:
        await ctx.sleep(timedelta(minutes=10))
        return "waited"

    @service.handler(invocation_retry_policy=GIVES_UP)
    async def give_up(ctx: restate.Context, words: Words) -> str:
        raise ValueError(f"cannot take {words.words}")

    @service.handler(metadata={"switchboard.deadline": "2"})
    async def keep_failing(ctx: restate.Context, words: Words) -> str:
        raise ValueError(f"cannot take {words.words}")

    @service.handler()
    async def fail_patiently(ctx: restate.Context, words: Words) -> str:
        raise ValueError(f"cannot take {words.words}")

    @service.handler(metadata={"switchboard.deadline": "none"})
    async def fail_for_good(ctx: restate.Context, words: Words) -> str:
        raise ValueError(f"cannot take {words.words}")

    return service


def keyed_probe(name: str) -> restate.VirtualObject:
    """The same name, but another type of service."""
    service = restate.VirtualObject(name)

    @service.handler()
    async def look(ctx: restate.ObjectContext, words: Words) -> Words:
        return words

    return service


async def main() -> None:
    settings = ProbeSettings.read()
    await serve(settings, [keyed_probe(settings.service_name) if settings.keyed else probe(settings)])


def unguarded(_: Any) -> None:
    """Leaves the handlers as they are."""


if __name__ == "__main__":
    serving: Any = import_module("runtime.serving")
    serving.guard_handlers = unguarded
    asyncio.run(main())
