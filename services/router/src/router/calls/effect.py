"""Effects: sent, then attached to, so that neither a timeout nor the end of a run ends them: they go on as tasks."""

from restate.context import SendHandle
from restate.serde import BytesSerde

from router.calls.call import RemoteCall, as_json
from router.tasks import Task, remember


class SentCall(RemoteCall):
    """What is sent belongs to no run; Restate makes it once, by its key or by the id of its task."""

    @property
    def waits_its_turn(self) -> bool:
        return not self.plan.concurrent

    def start(self) -> None:
        once = None if self.plan.workflow and not self.plan.apart else self.plan.once
        self._sent: SendHandle = self.run.ctx.generic_send(*self.target, headers=self.headers, idempotency_key=once)

    def _remember(self, invocation_id: str) -> None:
        """Sent, not called: no run waits for the list of its caller's tasks."""
        task = Task(task_id=self.plan.task_id, invocation_id=invocation_id, tool=self.plan.tool)
        self.run.ctx.object_send(remember, key=self.run.facts.caller.user_id, arg=task)


class EffectCall(SentCall):
    """The run waits for its result as long as its timeout allows."""

    async def follow(self) -> None:
        self._invocation_id = await self._sent.invocation_id()
        self.future = self.run.ctx.attach_invocation(self._invocation_id, serde=BytesSerde())

    async def leave(self) -> None:
        self._remember(self._invocation_id)
        plan = self.plan
        unknown = f"outcome unknown after {self.timeout:g} seconds; it goes on as task {plan.task_id}; do not repeat it"
        self.settle("unknown", as_json(status="unknown", task_id=plan.task_id, error=unknown), "timeout")


class StartedCall(SentCall):
    """The run goes on at once, and the model is told the id of the task."""

    async def follow(self) -> None:
        self._remember(await self._sent.invocation_id())
        note = "it takes a while and goes on by itself; check_task tells how it stands"
        self.settle("ok", as_json(status="started", task_id=self.plan.task_id, note=note))
