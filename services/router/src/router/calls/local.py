"""A tool of the router's own: a read inside `ctx.run`, which keeps its own time."""

import asyncio
import json
import math

from restate import RunOptions, TerminalError
from restate.serde import BytesSerde

from router.calls.call import Call
from router.transcript import cut


class LocalCall(Call):
    @property
    def limit(self) -> float:
        """Its result is cut before it is journaled."""
        return math.inf

    def start(self) -> None:
        options = RunOptions[bytes](serde=BytesSerde(), max_attempts=1)
        self.future = self.run.ctx.run_typed(f"tool {self.plan.tool}", self._answer, options)

    async def _answer(self) -> bytes:
        timeout = self.plan.timeout
        try:
            async with asyncio.timeout(timeout):
                result = await self.local[self.plan.tool].run(self.plan.body.encode(), self.run.facts.caller)
        except TimeoutError:
            raise TerminalError(f"no answer within {timeout:g} seconds", status_code=504) from None
        body, limit = result.model_dump_json().encode(), self.plan.max_result_bytes
        return body if len(body) <= limit else json.dumps(cut(body, limit)).encode()
