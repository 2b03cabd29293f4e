"""`python -m tests.parts.back_door`: calls private handlers for a test, which no ingress does."""

import asyncio
import json
from typing import Any

import restate
from pydantic import BaseModel
from restate.serde import BytesSerde

from runtime.checked import RAW, checked
from runtime.retries import RETRY
from runtime.serving import serve
from runtime.settings import RestateServiceSettings


class Through(BaseModel):
    service: str
    handler: str
    key: str | None = None
    body: dict[str, Any]


back_door = restate.Service("BackDoor", invocation_retry_policy=RETRY)


@back_door.handler(input_serde=RAW, output_serde=BytesSerde())
@checked
async def call(ctx: restate.Context, through: Through) -> bytes:
    body = json.dumps(through.body).encode()
    return await ctx.generic_call(through.service, through.handler, body, through.key)


if __name__ == "__main__":
    asyncio.run(serve(RestateServiceSettings.read(), [back_door]))
