"""Effects: sent, then attached to, so that neither a timeout nor the end of a run ends them: they go on as tasks."""

from restate.context import SendHandle
from restate.serde import BytesSerde

from router.calls.call import RemoteCall, as_json
from router.calls.noting import note
from router.tasks import Task, remember

OUTLAST_SECONDS = 10.0
"""How long a stopped run waits to learn what became of an effect."""


class SentCall(RemoteCall):
    """What is sent belongs to no run; Restate makes it once, by its key or by the id of its task."""

    is_followed = False

    @property
    def waits_its_turn(self) -> bool:
        return not self.plan.concurrent

    def start(self) -> None:
        note(self.run, self.plan)
        once = None if self.plan.workflow and not self.plan.apart else self.plan.once
        self._sent: SendHandle = self.run.ctx.generic_send(*self.target, headers=self.headers, idempotency_key=once)

    async def outlast(self, now: float) -> None:
        """What was sent will be made: wait a little for its result. Sent again, it is the same by its key."""
        if not self.begun:
            await super().outlast(now)
            return
        if not self.is_followed:
            self.start()
            await self.follow()
        if self.settled is not None:
            return
        done, _ = await self.run.alarm.wait([self.future], min(self.deadline, now + OUTLAST_SECONDS), now)
        if self.future in done:
            await self.take()
        else:
            await self.leave()

    def _remember(self, invocation_id: str, approval_id: str = "") -> None:
        """Sent, not called: no run waits for the list of its caller's tasks."""
        plan = self.plan
        task = Task(task_id=plan.task_id, invocation_id=invocation_id, tool=plan.tool, approval_id=approval_id)
        self.run.ctx.object_send(remember, key=self.run.facts.caller.user_id, arg=task)


class EffectCall(SentCall):
    """The run waits for its result as long as its timeout allows."""

    async def follow(self) -> None:
        self._invocation_id = await self._sent.invocation_id()
        self.is_followed = True
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
