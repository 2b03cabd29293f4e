"""What rooms refuse, as problems."""

from console.restate import Refusal
from runtime.api.problems import Problem, told_by_a_room
from runtime.telemetry.logs import get_logger

SAME = {
    "unknown_approval": "not_found",
    "unknown_customer": "not_found",
    "unknown_run": "not_found",
    "act_id_taken": "key_reused",
    "say_id_taken": "key_reused",
    "staff_role": "forbidden",
    "assigned": "taken",
}
"""What rooms call what a tool knows by another name."""

log = get_logger(__name__)


def problem_of(refusal: Refusal) -> Problem:
    if refusal.status == 401:
        log.error("staff_token_refused", extra={"code": refusal.code})
        return Problem("failed")
    code = SAME.get(refusal.code, refusal.code)
    return told_by_a_room(refusal.status, code, refusal.message, refusal.field or None)
