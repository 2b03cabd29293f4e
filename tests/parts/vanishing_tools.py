"""Tools of somebody else's, whose deployment a test takes away: `python -m tests.parts.vanishing_tools`."""

import asyncio

import restate
from pydantic import BaseModel

from runtime.retries import RETRY
from runtime.serving import serve
from runtime.settings import RestateServiceSettings

TOOL = {"mcp.type": "tool", "tool.timeout": "20"}

vanishing = restate.Service("Vanishing", ingress_private=True, invocation_retry_policy=RETRY)
vanishing_workflow = restate.Workflow("VanishingWorkflow", ingress_private=True, invocation_retry_policy=RETRY)


class Nothing(BaseModel):
    """No arguments."""


@vanishing.handler(metadata=TOOL | {"tool.readonly": "true"})
async def vanishing_read(ctx: restate.Context, nothing: Nothing) -> str:
    return "read"


@vanishing.handler(metadata=TOOL)
async def vanishing_effect(ctx: restate.Context, nothing: Nothing) -> str:
    return "done"


@vanishing.handler(metadata=TOOL | {"tool.mode": "send"})
async def vanishing_start(ctx: restate.Context, nothing: Nothing) -> str:
    return "done"


@vanishing_workflow.main(metadata=TOOL | {"tool.name": "vanishing_workflow", "tool.key": "run"})
async def run(ctx: restate.WorkflowContext, nothing: Nothing) -> str:
    return "done"


async def main() -> None:
    await serve(RestateServiceSettings.read(), [vanishing, vanishing_workflow])


if __name__ == "__main__":
    asyncio.run(main())
