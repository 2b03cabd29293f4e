"""What the pages work with."""

from collections.abc import Sequence
from dataclasses import dataclass

from console.api.keys import KeyDoor
from console.desk import Desk
from console.following import Following
from console.logins import Logins
from console.macros import Macro
from console.members import Member
from console.oidc import Oidc
from console.rendering import Pages
from console.restate import Registry, Restate
from console.sessions import Sessions
from console.settings import ConsoleSettings
from console.tokens import Signer


@dataclass(frozen=True)
class Parts:
    settings: ConsoleSettings
    sessions: Sessions
    signer: Signer
    restate: Restate
    registry: Registry
    pages: Pages
    logins: Logins
    following: Following
    macros: Sequence[Macro] = ()
    oidc: Oidc | None = None
    """By whom staff sign in; None in a demo."""
    keys: KeyDoor | None = None
    """By which tools of the staff's own come in; None where none may."""

    def desk(self, member: Member) -> Desk:
        return Desk(self.restate, self.registry, self.signer, member)
