"""The caller of a tool, told beside its arguments.

The router sends the proven caller with every call in a header of its own, and transactions see that caller's rows
alone: a `user_id` that got into the arguments on any other way finds nothing.
"""

from typing import Any

CALLER_HEADER = "x-switchboard-caller"


def caller_of(ctx: Any) -> str:
    """The user id of the proven caller of this invocation; empty, which row-level security takes for nobody."""
    return ctx.request().headers.get(CALLER_HEADER, "")
