"""What a request says: who asks, with which key, and a body that is what it must be."""

import re
from typing import Annotated

from fastapi import Depends, Path, Request, Security
from fastapi.security import HTTPBearer

from gateway.callers import ASKS, MACHINES, Visitor
from gateway.parts import Parts, parts_of
from runtime.api.problems import Problem

MAX_CHAT_BYTES = 1024 * 1024
"""Of a request of a chat client, which sends all that was said before every time."""

_BEARER = HTTPBearer(
    auto_error=False,
    description="A JWT of your identity provider, or the API key of a machine; in a demo, one of"
    " `GET /api/v1/demo/customers`",
)

Here = Annotated[Parts, Depends(parts_of)]
ConversationId = Annotated[
    str, Path(alias="id", description="As `POST /conversations` said.", examples=["conv_0123456789abcdef"])
]
QuestionId = Annotated[str, Path(alias="id", description="As `POST /questions` said.", examples=["q_0123456789abcdef"])]
TicketId = Annotated[str, Path(alias="id", examples=["TCK-000001"])]

CONVERSATION = re.compile(r"conv_[A-Za-z0-9]{16,64}")
QUESTION = re.compile(r"q_[0-9a-f]{32}")
TICKET = re.compile(r"[A-Za-z0-9_-]{1,64}")


async def who_asks(request: Request, here: Here) -> Visitor:
    """Raises: `Problem` 403 for a machine that names no user, or may not do this; else as `who_knocks`."""
    visitor = await who_knocks(request, here)
    if visitor.lacks:
        raise Problem("forbidden", f"{visitor.lacks}: name the user for whom you ask")
    if request.method not in ("GET", "HEAD") and not visitor.may & ASKS:
        raise Problem("forbidden", "this key may only read")
    return visitor


async def who_knocks(request: Request, here: Here) -> Visitor:
    """Whoever is known; a machine need not say for whom it asks. Raises: `Problem` 401 for whoever nobody knows, 429
    for whoever asks too much."""
    visitor = await here.doors.visitor(request.headers)
    request.state.limits = await here.limits.take(visitor.user_id or MACHINES + visitor.name)
    return visitor


Who = Annotated[Visitor, Depends(who_asks)]
Known = Annotated[Visitor, Depends(who_knocks)]
SIGNED_IN = Security(_BEARER)
