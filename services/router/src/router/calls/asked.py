"""Calls that a person decides: a workflow of their own waits for that, and the run waits for it a while."""

from restate import TerminalError

from contracts import ApprovalWanted
from router.approval.asking import Asked
from router.approval.settled import Settled, Stands
from router.calls.call import as_json
from router.calls.effect import EffectCall
from router.calls.noting import note
from router.transcript import as_error
from runtime.telemetry.tracing import TRACEPARENT

WAITS = "a person has to say yes first, and nothing has been done yet; it waits as task {task_id}"
GOES_ON = "a person has said yes; it is being done, as task {task_id}"
TOLD = "the outcome is told when it comes; do not repeat the call"


class AskedCall(EffectCall):
    @property
    def asks_person(self) -> bool:
        return True

    @property
    def waits_its_turn(self) -> bool:
        return True

    @property
    def timeout(self) -> float:
        return self.run.facts.limits.approval_wait

    def start(self) -> None:
        run, given = self.run, self.run.conversation
        note(run, self.plan)
        asked = Asked(
            plan=self.plan,
            facts=run.facts,
            run=run.id,
            of=run.of,
            epoch=given.epoch if given else 0,
            message=run.message,
            prompt=run.prompt,
            at=run.known_at,
        )
        body = asked.model_dump_json(exclude_defaults=True).encode()
        headers = {TRACEPARENT: run.trace.traceparent(self.plan.call_id)} if run.trace else None
        self._sent = run.ctx.generic_send("ApprovedCall", "run", body, self._approval_id, headers=headers)

    async def take(self) -> None:
        """An operator may have ended the workflow, which is an error of the call, not of the run."""
        try:
            self.settled = Settled.model_validate_json(await self.future).result
        except TerminalError:
            self.settle("error", as_error("the tool failed"), "failed")

    async def leave(self) -> None:
        """The workflow is told, so that it tells the conversation what becomes of the call."""
        body = ApprovalWanted(approval_id=self._approval_id).model_dump_json().encode()
        reply = await self.run.ctx.generic_call("ApprovedCall", "leave", body, self._approval_id)
        stands = Stands.model_validate_json(reply)
        if stands.settled is not None:
            self.settled = stands.settled.result
            return
        self._remember(self._invocation_id, self._approval_id)
        task_id = self.plan.task_id
        why = (GOES_ON if stands.approved else WAITS).format(task_id=task_id)
        self.settle("unknown", as_json(status="waiting_for_approval", task_id=task_id, note=f"{why}; {TOLD}"))

    @property
    def _approval_id(self) -> str:
        return self.plan.approval.approval_id if self.plan.approval else ""
