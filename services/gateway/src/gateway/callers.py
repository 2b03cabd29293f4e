"""Who comes in. A visitor is somebody whom one of the doors has let in; a token that no door takes lets in nobody."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from starlette.datastructures import Headers

from gateway.settings import DemoCustomer
from runtime.api.problems import Problem

MAX_TOKEN_CHARACTERS = 8192
DEMO_PREFIX = "demo-"
MACHINES = "machine."
"""Before the user id of a machine that asks for itself, so that no user can have it."""
ASKS = frozenset({"ask"})


@dataclass(frozen=True)
class Visitor:
    """Who asks. `until` is when their token ends, in seconds since the epoch. `may` are the scopes of a machine's key;
    whoever is no machine may ask. `lacks` is the header in which a machine has not named its user."""

    user_id: str
    name: str = ""
    roles: tuple[str, ...] = ()
    until: float | None = None
    may: frozenset[str] = ASKS
    lacks: str = ""


class Door(Protocol):
    async def visitor(self, token: str, headers: Headers) -> Visitor | None:
        """Whose token it is; None if it is none of this door's. Raises: `Problem` for one that is not good."""
        ...


class DemoDoor:
    """Lets everybody be one of a few made-up customers. Where real ones come in, it is not there."""

    def __init__(self, customers: Sequence[DemoCustomer]) -> None:
        self._customers = {demo_token(each): Visitor(each.user_id, each.name) for each in customers}

    async def visitor(self, token: str, headers: object = None) -> Visitor | None:
        if not self._customers or not token.startswith(DEMO_PREFIX):
            return None
        if token not in self._customers:
            raise Problem("token_invalid")
        return self._customers[token]


def is_reserved(user_id: str) -> bool:
    """Whether it can be the name of no user."""
    return user_id.startswith(MACHINES)


def demo_token(customer: DemoCustomer) -> str:
    return DEMO_PREFIX + customer.user_id


class Doors:
    """All doors of this gateway."""

    def __init__(self, doors: Sequence[Door]) -> None:
        self._doors = doors

    async def visitor(self, headers: Headers) -> Visitor:
        """Raises: `Problem` 401 when nobody lets this in; it says nothing about why."""
        kind, _, token = headers.get("authorization", "").partition(" ")
        token = token.strip()
        if kind.lower() != "bearer" or not token:
            raise Problem("caller_unknown", "send Authorization: Bearer <token>")
        if len(token) > MAX_TOKEN_CHARACTERS or not token.isascii() or not token.isprintable():
            raise Problem("token_invalid")
        for door in self._doors:
            visitor = await door.visitor(token, headers)
            if visitor is not None:
                return visitor
        raise Problem("token_invalid")
