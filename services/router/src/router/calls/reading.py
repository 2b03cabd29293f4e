"""A remote read: a plain call, cancelled at its timeout and with its run; it may be asked again."""

from restate.context import RestateDurableCallFuture

from router.calls.call import RemoteCall
from router.transcript import as_error


class ReadCall(RemoteCall):
    def start(self) -> None:
        self._call: RestateDurableCallFuture[bytes] = self.run.ctx.generic_call(*self.target, headers=self.headers)
        self.future = self._call

    async def leave(self) -> None:
        self.run.ctx.cancel_invocation(await self._call.invocation_id())
        self.settle("error", as_error(f"no answer within {self.timeout:g} seconds"), "timeout")
