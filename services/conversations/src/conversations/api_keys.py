"""Keys by which machines come in at the gateway: made, listed and revoked by a command, and told to the gateway.

A key is 256 random bits, shown once. Of one that is random a plain digest is enough: nobody guesses what it is of.
"""

import hashlib
import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Annotated, Any, NamedTuple, TypeVar

import typer

from contracts import ApiKey, Scope
from conversations.settings import DatabaseSettings
from conversations.store import SCHEMA
from runtime.postgres import Pool, caller_transaction, open_pool, run_command
from runtime.terminal import complain, leave, show

Result = TypeVar("Result")

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
PREFIX = re.compile(r"[A-Za-z0-9_-]{0,16}")
RESERVED = frozenset({"authorization", "cookie", "host", "content-type", "content-length", "idempotency-key"})
MAX_DAYS = 3650

_MAKE = """
INSERT INTO api_keys (key_id, digest, door, name, scopes, expires_at, user_header, prefix, roles, person)
VALUES ($1, $2, $3, $4, $5, now() + $6, $7, $8, $9, $10)
"""
_FIND = """
SELECT key_id, name, scopes, user_header, prefix, roles, person, expires_at FROM api_keys
WHERE digest = $1 AND revoked_at IS NULL AND expires_at > now() AND door = $2
"""
_USED = """
UPDATE api_keys SET used_at = now() WHERE key_id = $1 AND (used_at IS NULL OR used_at < now() - interval '1 minute')
"""
_LIST = """
SELECT key_id, name, scopes, user_header, prefix, person, made_at, expires_at, used_at, revoked_at,
       CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN expires_at <= now() THEN 'expired' ELSE 'good' END AS state
FROM api_keys WHERE door = $1 ORDER BY made_at, key_id
"""
_REVOKE = """
UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE key_id = $1 AND door = $2 RETURNING name
"""


class Door(NamedTuple):
    """Where a key opens. All of its keys begin with `start`: by that one that has leaked is found, and told from other
    tokens."""

    name: str
    start: str


GATEWAY = Door("gateway", "sb_")


class Kept(NamedTuple):
    """What is kept of a key beside its digest; each door knows some of it."""

    name: str
    scopes: Sequence[str]
    days: float
    user_header: str = ""
    prefix: str = ""
    roles: Sequence[str] = ()
    person: str = ""


class Wanted(NamedTuple):
    """A key that shall be made."""

    name: str
    user_header: str = ""
    prefix: str = ""
    days: float = 365
    reads_only: bool = False

    @property
    def scopes(self) -> list[Scope]:
        may: list[Scope] = [] if self.reads_only else ["ask"]
        return [*may, "act-for-users"] if self.user_header else may

    @property
    def kept(self) -> Kept:
        return Kept(self.name, self.scopes, self.days, self.user_header, self.prefix)


class KeyStore:
    """The keys of one door."""

    def __init__(self, pool: Pool, door: Door) -> None:
        self._pool, self._door = pool, door

    async def make(self, kept: Kept) -> str:
        """A new key, which is told this once."""
        key_id = secrets.token_hex(6)
        key = f"{self._door.start}{key_id}_{secrets.token_urlsafe(32)}"
        name, scopes, days, *more = kept
        async with caller_transaction(self._pool, "") as db:
            told = (key_id, digest_of(key), self._door.name, name, scopes, timedelta(days=days))
            await db.execute(_MAKE, *told, *more)
        return key

    async def find(self, digest: bytes) -> dict[str, Any] | None:
        """What is kept of the key, if it is good now; that it was used is noted."""
        async with caller_transaction(self._pool, "") as db:
            row = await db.fetchrow(_FIND, digest, self._door.name)
            if row is None:
                return None
            await db.execute(_USED, row["key_id"])
        return dict(row)

    async def list(self) -> list[dict[str, Any]]:
        async with caller_transaction(self._pool, "") as db:
            return [dict(row) for row in await db.fetch(_LIST, self._door.name)]

    async def revoke(self, key_id: str) -> str | None:
        """The name of the key that is good no more; None if there is no such key."""
        async with caller_transaction(self._pool, "") as db:
            return await db.fetchval(_REVOKE, key_id, self._door.name)


async def find_api_key(pool: Pool, digest: bytes) -> ApiKey | None:
    """The key, if it is good now; that it was used is noted."""
    row = await KeyStore(pool, GATEWAY).find(digest)
    return None if row is None else ApiKey.model_validate(row)


def digest_of(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def check(wanted: Wanted) -> None:
    """Raises: ValueError for what a key cannot be."""
    if not NAME.fullmatch(wanted.name):
        raise ValueError("NAME: a key needs a name of up to 32 small letters, digits and hyphens")
    if wanted.user_header and (not HEADER.fullmatch(wanted.user_header) or wanted.user_header.lower() in RESERVED):
        raise ValueError("USER_HEADER: the name of a header in which users are named, such as X-OpenWebUI-User-Id")
    if not PREFIX.fullmatch(wanted.prefix) or (wanted.prefix and not wanted.user_header):
        raise ValueError("--prefix: up to 16 letters, digits, _ and -, put before the users of a USER_HEADER")
    if not 0 < wanted.days <= MAX_DAYS:
        raise ValueError(f"--days: above 0, up to {MAX_DAYS}")


commands = typer.Typer(no_args_is_help=True, help="Keys by which machines come in at the gateway.")


@commands.command("make")
def make(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which machine it is for.")],
    user_header: Annotated[str, typer.Option(help="The header in which it names its user; none: it asks itself.")] = "",
    prefix: Annotated[str, typer.Option(help="Put before the users that it names, so that it reaches no others.")] = "",
    days: Annotated[float, typer.Option(help="How long it is good.")] = 365,
    reads_only: Annotated[bool, typer.Option(help="It may read, and ask and change nothing.")] = False,
) -> None:
    """Make a key. It stands on standard output, and nowhere else ever again."""
    wanted = Wanted(name, user_header, prefix, days, reads_only)
    try:
        check(wanted)
    except ValueError as error:
        leave(str(error))
    show_the_key(GATEWAY, wanted.kept, _may(wanted.scopes, user_header))


@commands.command("list")
def list_keys() -> None:
    """All keys: id, name, state, what they may do, when they were used last, until when they are good."""
    show_keys(GATEWAY, lambda row: _may(row["scopes"], row["user_header"]))


@commands.command("revoke")
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")]) -> None:
    """A key is good no more, within seconds."""
    show_revoked(GATEWAY, key_id)


def _may(scopes: list[Scope], user_header: str) -> str:
    may = "ask" if "ask" in scopes else "read"
    return f"{may} for users named in {user_header}" if "act-for-users" in scopes else may


def show_the_key(door: Door, kept: Kept, may: str) -> None:
    """Make a key and show it, this once."""
    key = _with_keys(door, lambda keys: keys.make(kept))
    complain(f"This key is shown once. It may: {may}. Days: {kept.days:g}.")
    show(key)


def show_keys(door: Door, may: Callable[[dict[str, Any]], str]) -> None:
    for row in _with_keys(door, lambda keys: keys.list()):
        used = f"{row['used_at']:%Y-%m-%d %H:%M}" if row["used_at"] else "never"
        line = f"{row['key_id']}  {row['state']:<7}  {row['name']:<20}  used {used:<16}"
        show(f"{line}  until {row['expires_at']:%Y-%m-%d}  {may(row)}")


def show_revoked(door: Door, key_id: str) -> None:
    """Revoke a key, and say which that was."""
    name = _with_keys(door, lambda keys: keys.revoke(key_id))
    if name is None:
        leave(f"there is no key {key_id}")
    complain(f"{key_id} ({name}) is revoked")


def _with_keys(door: Door, work: Callable[[KeyStore], Awaitable[Result]]) -> Result:
    settings = DatabaseSettings.read()
    url, password = settings.database_url.get_secret_value(), settings.database_password.get_secret_value()
    found: list[Result] = []

    async def run() -> None:
        async with open_pool(url, SCHEMA, password=password) as pool:
            found.append(await work(KeyStore(pool, door)))

    run_command("DATABASE_URL", run)
    return found[0]
