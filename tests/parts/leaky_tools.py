"""Tools that blurt out what they were told in every way in which code can: `python -m tests.parts.leaky_tools`."""

import asyncio
import logging
import warnings
from collections import Counter

import restate
from pydantic import BaseModel, Field
from restate import TerminalError

from runtime.checked import RAW, checked
from runtime.errors import Refused
from runtime.retries import RETRY
from runtime.serving import serve
from runtime.settings import RestateServiceSettings
from runtime.telemetry.export import configure_tracing
from runtime.telemetry.logs import configure_logs
from runtime.telemetry.metrics import serve_metrics

TOOL = {"mcp.type": "tool"}
FAILURES = 2


class Say(BaseModel):
    text: str = Field(description="What to say.")


leaky = restate.Service("Leaky", ingress_private=True, invocation_retry_policy=RETRY)
_failed: Counter[str] = Counter()


def fail_first(key: str, text: str) -> None:
    """Fails twice with a bug that holds the text, then no more."""
    _failed[key] += 1
    if _failed[key] <= FAILURES:
        raise ValueError(text)


@leaky.handler(metadata=TOOL | {"tool.readonly": "true"}, input_serde=RAW)
@checked
async def explode(ctx: restate.Context, say: Say) -> Say:
    """Breaks down, and then for good."""
    fail_first(ctx.request().id, say.text)
    raise TerminalError(say.text, status_code=500)


@leaky.handler(metadata=TOOL | {"tool.readonly": "true"}, input_serde=RAW)
@checked
async def explode_in_step(ctx: restate.Context, say: Say) -> Say:
    """Breaks down in a step, and then does it."""

    async def step() -> str:
        fail_first(ctx.request().id, say.text)
        return say.text

    return Say(text=await ctx.run_typed("step", step))


@leaky.handler(metadata=TOOL | {"tool.readonly": "true"}, input_serde=RAW)
@checked
async def refuse_aloud(ctx: restate.Context, say: Say) -> Say:
    """Refuses, and repeats what it refuses."""
    raise Refused(422, "refused", f"not {say.text}", "text")


@leaky.handler(metadata=TOOL | {"tool.readonly": "true"}, input_serde=RAW)
@checked
async def chatter(ctx: restate.Context, say: Say) -> Say:
    """Uses a library that talks too much."""
    library = logging.getLogger("chatty.library")
    library.warning("asked for %s", say.text)
    library.error(f"asked for {say.text}", extra={"body": say.text})
    warnings.warn(say.text, RuntimeWarning, stacklevel=1)
    return say


@leaky.handler(metadata=TOOL | {"tool.readonly": "true", "tool.timeout": "1"}, input_serde=RAW)
@checked
async def dawdle(ctx: restate.Context, say: Say) -> Say:
    """Takes longer than anybody waits."""
    await asyncio.sleep(3)
    return say


async def main() -> None:
    settings = RestateServiceSettings.read()
    configure_logs("leaky")
    configure_tracing(settings, "users")  # any room's version will do
    serve_metrics(settings, "users")
    await serve(settings, [leaky])


if __name__ == "__main__":
    asyncio.run(main())
