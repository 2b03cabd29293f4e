"""What can go wrong with a model call, and who must act on it."""

from datetime import timedelta
from typing import NoReturn

import openai
from restate.exceptions import RetryableError

from contracts import Outcome
from runtime.telemetry.logs import get_logger

MAX_RETRY_AFTER_SECONDS = 20.0
BACKOFF = timedelta(milliseconds=500)

_SETTING_TO_MEND = {
    401: "OPENAI_API_KEY",
    403: "OPENAI_API_KEY",
    404: "OPENAI_MODEL or OPENAI_BASE_URL",
    400: "OPENAI_MODEL or OPENAI_TEMPERATURE",
    422: "OPENAI_MODEL or OPENAI_TEMPERATURE",
}

log = get_logger(__name__)


class ModelBusy(RetryableError):
    """Asking again may help; `reason` is a short code."""

    def __init__(self, reason: str, delay: timedelta) -> None:
        super().__init__(f"model call failed: {reason}", status_code=503, retry_after=delay)
        self.reason = reason


class ModelFault(Exception):
    """The model will not answer this run, however often it is asked; `outcome` says what the caller reads."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome: Outcome = outcome


class ContextTooLong(Exception):
    """The conversation is longer than the model takes."""


def raise_for_status(error: openai.APIStatusError) -> NoReturn:
    status, code = error.status_code, str(error.code or "")
    if status == 429 and code != "insufficient_quota":
        raise _rate_limited(error.response.headers.get("retry-after"))
    if code == "context_length_exceeded" or status == 413:
        raise ContextTooLong
    if status == 429 or status in _SETTING_TO_MEND:
        mend = _SETTING_TO_MEND.get(status, "the endpoint's quota")
        log.error("model_refused", extra={"status": status, "mend": mend})
        raise ModelFault("model_unavailable" if status == 429 else "model_misconfigured")
    raise again(f"status_{status}")


def _rate_limited(retry_after: str | None) -> Exception:
    try:
        seconds = max(0.0, float(retry_after or BACKOFF.total_seconds()))
    except ValueError:
        seconds = BACKOFF.total_seconds()
    if seconds > MAX_RETRY_AFTER_SECONDS:
        log.warning("model_rate_limited", extra={"retry_after": seconds})
        return ModelFault("model_unavailable")
    return again("rate_limited", timedelta(seconds=seconds))


def again(reason: str, delay: timedelta = BACKOFF) -> ModelBusy:
    log.warning("model_call_failed", extra={"reason": reason})
    return ModelBusy(reason, delay)
