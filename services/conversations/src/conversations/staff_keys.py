"""Keys by which the staff's own tools come in at the desk: made, listed and revoked by a command."""

import re
from typing import Annotated, NamedTuple, get_args

import typer

from contracts import KEYS, STAFF_NAME_PATTERN, StaffKey, StaffRole, StaffScope
from conversations.api_keys import MAX_DAYS, NAME, Door, Kept, KeyStore, show_keys, show_revoked, show_the_key
from runtime.postgres import Pool
from runtime.terminal import leave

CONSOLE = Door("console", "sbd_")
"""Its keys are told from those of machines at the gateway, and open nothing there."""
ROLES: tuple[StaffRole, ...] = get_args(StaffRole)
SCOPES: tuple[StaffScope, ...] = get_args(StaffScope)
NEEDS: dict[str, frozenset[str]] = {
    "read": frozenset(ROLES),
    "act": frozenset({"agent", "admin"}),
    "approve": frozenset({"approver"}),
    "audit": frozenset({"admin"}),
}
"""For each scope the roles of which one allows it."""


class Wanted(NamedTuple):
    """A key that shall be made. Without `scopes` it may what its roles allow."""

    name: str
    roles: tuple[str, ...]
    scopes: tuple[str, ...] = ()
    person: str = ""
    days: float = 365

    @property
    def kept(self) -> Kept:
        allowed = [scope for scope in SCOPES if NEEDS[scope] & set(self.roles)]
        scopes = [scope for scope in allowed if not self.scopes or scope in (*self.scopes, "read")]
        return Kept(self.name, scopes, self.days, roles=list(self.roles), person=self.person)


def check(wanted: Wanted) -> None:
    """Raises: ValueError for what a key cannot be."""
    if not NAME.fullmatch(wanted.name):
        raise ValueError("NAME: a key needs a name of up to 32 small letters, digits and hyphens")
    if not wanted.roles or not set(wanted.roles) <= set(ROLES):
        raise ValueError(f"ROLES: one or more of {', '.join(ROLES)}, comma-separated")
    for scope in wanted.scopes:
        if scope not in SCOPES:
            raise ValueError(f"--scopes: some of {', '.join(SCOPES)}, comma-separated")
        if not NEEDS[scope] & set(wanted.roles):
            raise ValueError(f"--scopes: {scope} needs the role {' or '.join(sorted(NEEDS[scope]))}")
    if wanted.person and (
        not re.fullmatch(STAFF_NAME_PATTERN, wanted.person) or wanted.person.lower().startswith(KEYS)
    ):
        raise ValueError("--person: the name by which the desk knows a member of staff")
    if not 0 < wanted.days <= MAX_DAYS:
        raise ValueError(f"--days: above 0, up to {MAX_DAYS}")


def is_person(name: str) -> bool:
    """Whether a member of staff may be called so."""
    return bool(re.fullmatch(STAFF_NAME_PATTERN, name)) and not name.lower().startswith(KEYS)


async def find_staff_key(pool: Pool, digest: bytes) -> StaffKey | None:
    """The key, if it is good now; that it was used is noted."""
    row = await KeyStore(pool, CONSOLE).find(digest)
    return None if row is None else StaffKey.model_validate(row)


commands = typer.Typer(no_args_is_help=True, help="Keys by which the staff's own tools come in at the desk.")


@commands.command("make")
def make(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which tool it is for.")],
    roles: Annotated[str, typer.Option(help="Its roles, comma-separated: agent, approver, admin.")] = "",
    scopes: Annotated[str, typer.Option(help="Less than its roles allow: read, act, approve, audit.")] = "",
    person: Annotated[str, typer.Option(help="The member of staff as whom it acts; none: it acts as itself.")] = "",
    days: Annotated[float, typer.Option(help="How long it is good.")] = 365,
) -> None:
    """Make a key. It stands on standard output, and nowhere else ever again."""
    wanted = Wanted(name, _words(roles), _words(scopes), person, days)
    try:
        check(wanted)
    except ValueError as error:
        leave(str(error))
    show_the_key(CONSOLE, wanted.kept, f"{', '.join(wanted.kept.scopes)} as {person or KEYS + name}")


@commands.command("list")
def list_keys() -> None:
    """All keys: id, name, state, when they were used last, until when they are good, what they may do, and as whom."""
    show_keys(CONSOLE, lambda row: f"{','.join(row['scopes'])} as {row['person'] or KEYS + row['name']}")


@commands.command("revoke")
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")]) -> None:
    """A key is good no more, within seconds."""
    show_revoked(CONSOLE, key_id)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
