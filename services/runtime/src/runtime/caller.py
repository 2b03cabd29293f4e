"""What a call is told beside its arguments, for logs alone: the run and the call that it belongs to, and the prompt.

For whom it is made, a token says: `runtime.call_tokens`.
"""

import re
from typing import Any

RUN_HEADER = "x-switchboard-run"
"""The id of the run that a call belongs to."""
CALL_HEADER = "x-switchboard-call"
"""The id of the call itself, as the model knows it."""
PROMPT_HEADER = "x-switchboard-prompt"
"""The digest of the system prompt with which the model chose this call."""


ROUTE = ("ToolRouter", "route")
"""The handler whose invocations are the runs, and the only one that a client reaches: its headers prove nothing."""

_RUN = re.compile(r"inv_[A-Za-z0-9]{1,64}")
_CALL = re.compile(r"call_[0-9]{1,4}_[0-9]{1,4}")
_PROMPT = re.compile(r"[0-9a-f]{12}")


def run_of(ctx: Any) -> str:
    """The id of the run that this invocation belongs to; empty if nobody said so."""
    return ctx.request().id if _is_route(ctx) else _told(ctx, RUN_HEADER, _RUN)


def call_of(ctx: Any) -> str:
    """The id of the tool call that this invocation belongs to; empty if nobody said so."""
    return "" if _is_route(ctx) else _told(ctx, CALL_HEADER, _CALL)


def prompt_of(ctx: Any) -> str:
    """The digest of the prompt with which the model chose this call; empty if nobody said so."""
    return "" if _is_route(ctx) else _told(ctx, PROMPT_HEADER, _PROMPT)


def passed_on(ctx: Any) -> dict[str, str]:
    """The headers by which what this invocation starts belongs to the same run and call."""
    told = {RUN_HEADER: run_of(ctx), CALL_HEADER: call_of(ctx)}
    return {header: value for header, value in told.items() if value}


def _is_route(ctx: Any) -> bool:
    return (ctx.handler.service_tag.name, ctx.handler.name) == ROUTE


def _told(ctx: Any, header: str, shape: re.Pattern[str]) -> str:
    value = ctx.request().headers.get(header, "")
    return value if shape.fullmatch(value) else ""
