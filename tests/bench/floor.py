"""The floor: a handler that does nothing, in as many journal entries as it is told."""

import asyncio
import os

import hypercorn.asyncio
import restate
from hypercorn.config import Config
from pydantic import BaseModel

floor = restate.Service("Floor")


class Steps(BaseModel):
    steps: int


async def nothing() -> str:
    return ""


@floor.handler()
async def run(ctx: restate.Context, wanted: Steps) -> str:
    for _ in range(wanted.steps):
        await ctx.run_typed("step", nothing)
    return "done"


async def main() -> None:
    config = Config()
    config.bind = [f"127.0.0.1:{os.environ['PORT']}"]
    await hypercorn.asyncio.serve(restate.app(services=[floor]), config)


if __name__ == "__main__":
    asyncio.run(main())
