"""A call that is not made: the plan says why, and the model reads it."""

from router.calls.call import Call
from router.transcript import as_error


class RefusedCall(Call):
    def start(self) -> None:
        denied = self.plan.fault == "forbidden"
        self.settle("denied" if denied else "error", as_error(self.plan.error or ""), self.plan.fault)
