"""What can go wrong with a model call, and who must act on it."""

from datetime import timedelta

from restate.exceptions import RetryableError

from contracts import Outcome
from runtime.telemetry.logs import get_logger

log = get_logger(__name__)


class ModelBusy(RetryableError):
    """Asking again may help; `reason` is a short code, `asked` the pause in seconds that the endpoint asks for.

    `paid`: the endpoint probably worked for it, so that it is repeated less often; `spent` are the tokens that it then
    counted, of prompt and reply, as far as that is known. `mend` names the setting to look at first, if there is one.
    """

    mend = ""

    def __init__(
        self, reason: str, asked: float | None = None, *, paid: bool = False, spent: tuple[int, int] = (0, 0)
    ) -> None:
        super().__init__(f"model call failed: {reason}", status_code=503)
        self.reason = reason
        self.asked = asked
        self.paid = paid
        self.spent = spent

    def after(self, pause: timedelta) -> "ModelBusy":
        """The same, with the pause until the next attempt."""
        self.retry_after = pause
        return self


class ModelFault(Exception):
    """The model will not answer this run, however often it is asked.

    `outcome` says what the caller reads, `mend` which setting somebody has to mend.
    """

    def __init__(self, outcome: Outcome, mend: str = "") -> None:
        super().__init__(outcome)
        self.outcome: Outcome = outcome
        self.mend = mend


class ContextTooLong(Exception):
    """The conversation is longer than the model takes."""


class Filtered(Exception):
    """The endpoint's content filter refused the question: nobody has to mend anything."""


class CallUnreadable(Exception):
    """The endpoint could not read the call that its own model wrote."""


class TooFewTokens(Exception):
    """The endpoint gives no reply as short as the one that was asked for."""


def again(reason: str, asked: float | None = None, *, paid: bool = False, spent: tuple[int, int] = (0, 0)) -> ModelBusy:
    log.warning("model_call_failed", extra={"reason": reason})
    return ModelBusy(reason, asked, paid=paid, spent=spent)
