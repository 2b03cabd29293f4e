"""`python -m tests.bench.reading`: a tool that only reads, and returns much."""

import asyncio

import restate
from pydantic import BaseModel, Field

from runtime.checked import RAW, checked
from runtime.retries import RETRY
from runtime.serving import serve
from runtime.settings import RestateServiceSettings


class Wanted(BaseModel):
    part: int = Field(description="Which part.", ge=0)
    size: int = Field(description="How many bytes to return.", ge=0)


class Much(BaseModel):
    read: str


reading = restate.Service("Reading", ingress_private=True, invocation_retry_policy=RETRY)


@reading.handler(metadata={"mcp.type": "tool", "tool.readonly": "true"}, input_serde=RAW)
@checked
async def read_much(ctx: restate.Context, wanted: Wanted) -> Much:
    """Reads a long part of a log."""
    return Much(read=f"line of part {wanted.part}; " * (wanted.size // 20))


if __name__ == "__main__":
    asyncio.run(serve(RestateServiceSettings.read(), [reading]))
