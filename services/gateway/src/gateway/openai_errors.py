"""Problems in the form that clients of OpenAI read."""

from typing import Any

from runtime.api.problems import Problem

_KINDS_OF_OPENAI = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_CODES_OF_OPENAI = {
    **dict.fromkeys(("caller_unknown", "token_invalid", "token_expired"), "invalid_api_key"),
    "too_many": "rate_limit_exceeded",
}


def envelope(problem: Problem) -> dict[str, Any]:
    """The same in the form that clients of OpenAI read."""
    status, title = problem.kind.status, problem.kind.title
    usual = "server_error" if status >= 500 else "invalid_request_error"
    error = {
        "message": problem.detail or title,
        "type": _KINDS_OF_OPENAI.get(status, usual),
        "param": problem.more.get("field"),
        "code": _CODES_OF_OPENAI.get(problem.code, problem.code),
    }
    return {"error": error}


def status_for_openai(problem: Problem) -> int:
    """Their clients know 400 for whatever is wrong with a request."""
    return 400 if problem.kind.status in (415, 422) else problem.kind.status
