"""How long to wait before a model is asked again, and when waiting is no use any more."""

from datetime import timedelta

from router.model.faults import ModelBusy, ModelFault
from runtime.steps import pause_after, spread
from runtime.telemetry.logs import get_logger

PAID_ATTEMPTS = 3
"""Calls that the endpoint worked for and that gave nothing: more of them for one turn would be paid in vain."""

LEAST_SECONDS_LEFT = 1.0
LONGEST_OWN_PAUSE = timedelta(seconds=20)

log = get_logger(__name__)


def wait(busy: ModelBusy, attempt: int, seconds_left: float) -> ModelBusy:
    """The same fault with the pause that suits it, for Restate, which waits without holding the process.

    What the endpoint asks for is honoured; without that each pause is twice as long as the one before. Both end with
    the time of the run. Raises: `ModelFault` when another attempt would come too late, or cost too much.
    """
    if busy.paid and attempt >= PAID_ATTEMPTS:
        raise ModelFault("model_unavailable")
    seconds = busy.asked
    if seconds is None:
        seconds = spread(min(pause_after(attempt), LONGEST_OWN_PAUSE)).total_seconds()
    if seconds > seconds_left - LEAST_SECONDS_LEFT:
        log.warning("model_wait_too_long", extra={"reason": busy.reason, "retry_after": round(seconds, 1)})
        raise ModelFault("model_unavailable")
    return busy.after(timedelta(seconds=seconds))
