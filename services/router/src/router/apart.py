"""Calls made apart: for tools of others, whose services may vanish between the catalogue and the call.

Restate fails an attempt that calls what it cannot find, with all that the attempt waits for. So such a call is made by
an invocation of its own, which fails alone: the run's timers hold.
"""

from datetime import timedelta
from typing import Literal

import restate
from pydantic import BaseModel
from restate.serde import BytesSerde

from runtime.call_tokens import TOKEN_HEADER
from runtime.caller import CALL_HEADER, PROMPT_HEADER, RUN_HEADER
from runtime.errors import Refused
from runtime.retries import RETRY, RETRY_UNTIL_DONE
from runtime.serving import ABORT_TIMEOUT, RETENTION
from runtime.steps import Attempts
from runtime.telemetry.logs import get_logger
from runtime.telemetry.metrics import is_live
from runtime.telemetry.tracing import TRACEPARENT

ATTEMPTS = 4
"""So often an attempt may fail before its call is in the journal: two seconds."""

_PASSED_ON = (TOKEN_HEADER, RUN_HEADER, CALL_HEADER, PROMPT_HEADER, TRACEPARENT)

log = get_logger(__name__)

_attempts = Attempts()


class Target(BaseModel):
    """The handler of a tool, and the final JSON for it."""

    service: str
    handler: str
    key: str | None = None
    body: str

    def apart(self, handler: Literal["read", "make"]) -> tuple[str, str, bytes, str | None]:
        """The call of `RouterCalls` that makes this call in an invocation of its own."""
        return "RouterCalls", handler, self.model_dump_json(exclude_none=True).encode(), None


calls_apart = restate.Service(
    "RouterCalls",
    description="Makes the calls of tools that others brought",
    inactivity_timeout=timedelta(seconds=1),  # while it waits for the tool it holds no slot
    abort_timeout=ABORT_TIMEOUT,
    idempotency_retention=RETENTION,
    ingress_private=True,
)


@calls_apart.handler(input_serde=BytesSerde(), output_serde=BytesSerde(), invocation_retry_policy=RETRY)
async def read(ctx: restate.Context, target: bytes) -> bytes:
    """The result of a read; cancelled with its run."""
    return await _call(ctx, Target.model_validate_json(target))


@calls_apart.handler(
    input_serde=BytesSerde(),
    output_serde=BytesSerde(),
    invocation_retry_policy=RETRY_UNTIL_DONE,
    metadata={"switchboard.deadline": "none"},
)
async def make(ctx: restate.Context, target: bytes) -> bytes:
    """The result of an effect, which goes on however long it takes."""
    return await _call(ctx, Target.model_validate_json(target))


async def _call(ctx: restate.Context, target: Target) -> bytes:
    """Raises: `Refused` 404 when Restate does not find the handler, so that the call was never made."""
    attempt = (ctx.request().id, "call")
    if is_live() and _attempts.begin(attempt).number > ATTEMPTS:
        _attempts.forget(attempt)
        log.warning("tool_gone", extra={"handler": f"{target.service}/{target.handler}"})
        raise Refused(404, "tool_gone", "this tool is not there any more; the call was not made")
    told = ctx.request().headers
    headers = {header: told[header] for header in _PASSED_ON if header in told}
    result = await ctx.generic_call(target.service, target.handler, target.body.encode(), target.key, headers=headers)
    _attempts.forget(attempt)
    return result
