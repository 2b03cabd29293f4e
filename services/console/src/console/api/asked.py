"""What a request says: by whose key it comes, what that may, what it is about, and under which name it is done once."""

import hashlib
import hmac
import json
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Path, Query, Request, Security
from fastapi.security import HTTPBearer

from console.api.keys import Visitor
from console.desk import Desk, fresh
from console.members import ADMINS, READERS, TALKERS, Member
from console.parts import Parts
from console.visits import parts_of
from contracts import USER_ID, StaffScope
from runtime.api.asked import BODY, Key, problems
from runtime.api.asked import COMMON as OF_ANY_API
from runtime.api.problems import Problem

NAME_DIGITS = 32
"""Of hexadecimal: 128 bits."""

COMMON = (*OF_ANY_API, "invalid_request", "invalid_text")
"""Of every route."""

BEARER = Security(
    HTTPBearer(auto_error=False, description="An API key of the staff's own tools, which `make staff-key` makes")
)


async def here(request: Request) -> Parts:
    return parts_of(request)


Here = Annotated[Parts, Depends(here)]


def who(scope: StaffScope, roles: frozenset[str] = READERS) -> Callable[[Request, Parts], Awaitable[Visitor]]:
    """Lets in a key that may this. Raises: `Problem` 401 for whoever nobody knows, 403 for a key that may not, 429 for
    one that asks too much."""

    async def asks(request: Request, here: Here) -> Visitor:
        assert here.keys is not None
        visitor = await here.keys.visitor(request.headers)
        request.state.member, request.state.key = visitor.member.name, visitor.key.key_id
        request.state.limits = await here.keys.take(visitor)
        if not visitor.may(scope):
            raise Problem("forbidden", f"this key may not {scope}")
        if not visitor.member.may(roles):
            raise Problem("forbidden", "no role of this key allows it")
        return visitor

    return asks


Reads = Annotated[Visitor, Depends(who("read"))]
ReadsAccounts = Annotated[Visitor, Depends(who("read", TALKERS))]
Audits = Annotated[Visitor, Depends(who("audit", ADMINS))]

ConversationKey = Annotated[
    str, Path(alias="key", description="As `GET /queue` says.", examples=["conv_0123456789abcdef0123456789abcdef"])
]
RunId = Annotated[
    str, Path(alias="run", description="As the lines of a conversation say.", examples=["run_0123456789abcdef"])
]
TicketId = Annotated[str, Path(alias="id", examples=["TCK-000001"])]
ApprovalId = Annotated[str, Path(alias="id", examples=["appr_0123456789abcdef0123456789abcdef"])]


Customer = Annotated[USER_ID | None, Query(description="Those of this customer.", examples=["user_12345"])]
Limit = Annotated[int, Query(ge=1, le=200, examples=[50])]


def desk_of(here: Parts, visitor: Visitor) -> Desk:
    return here.desk(visitor.member)


def answers(example: Any, *codes: str) -> dict[int | str, dict[str, Any]]:
    """What a route answers when all is well, and the problems of it, for the OpenAPI document."""
    return {200: {"content": {"application/json": {"example": example}}}, **problems(*COMMON, *codes)}


def named(pattern: re.Pattern[str], name: str) -> str:
    """Raises: `Problem` 404 for what can be the name of nothing."""
    if not pattern.fullmatch(name):
        raise Problem("not_found")
    return name


class Act(NamedTuple):
    """Something that is done by a key. `name` is by what the rooms know it, so that they do it once; `is_repeatable`:
    whoever asks can send it again by that name."""

    desk: Desk
    member: Member
    name: str
    is_repeatable: bool


def acts(scope: StaffScope, roles: frozenset[str] = READERS) -> Callable[..., Awaitable[Act]]:
    """Lets in a key that may do this. Raises: as `who`, and `Problem` 400 for a name that can be none."""

    async def begins(
        request: Request, here: Here, visitor: Annotated[Visitor, Depends(who(scope, roles))], key: Key
    ) -> Act:
        name = _name(here, visitor, f"{request.method} {request.url.path}", key) if key else f"api_{fresh()}"
        return Act(here.desk(visitor.member), visitor.member, name, key is not None)

    return begins


Talks = Annotated[Act, Depends(acts("act", TALKERS))]
Decides = Annotated[Act, Depends(acts("approve"))]


def acted(example: Any, *codes: str) -> dict[int | str, dict[str, Any]]:
    """The same of a route that changes something."""
    return answers(example, *BODY, *codes)


def _name(here: Parts, visitor: Visitor, what: str, key: str) -> str:
    """For each repeat the same, whichever replica it reaches; nobody else can make it."""
    told = json.dumps(["api", visitor.member.name, what, key]).encode()
    secret = here.settings.session_secret.get_secret_value().encode()
    return f"api_{hmac.new(secret, told, hashlib.sha256).hexdigest()[:NAME_DIGITS]}"
