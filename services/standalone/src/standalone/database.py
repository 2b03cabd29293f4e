"""The database of the one-machine shape: roles with passwords of their own, migrations, demo customers."""

import json
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
from yarl import URL

import conversations.store
import tickets.store
import users.demo
import users.store
from runtime.postgres import migrate, provision
from standalone.ports import is_free
from standalone.postgres import SUPERUSER, superuser_url
from standalone.process import StartError
from standalone.settings import StandaloneSettings

ROLES = {
    "users": ("owner", "app"),
    "tickets": ("owner", "app", "staff"),
    "conversations": ("owner", "app", "router"),
}


class Database:
    """Where the data are: the URL of an administrator, and for each service the URLs of its own roles."""

    def __init__(self, admin_url: str, passwords: dict[str, str], prefix: str = "") -> None:
        self.admin_url = admin_url
        self._passwords = passwords
        self._prefix = prefix

    def url(self, schema: str, kind: str) -> str:
        role = f"{schema}_{kind}"
        return str(URL(self.admin_url).with_user(self._prefix + role).with_password(self._passwords[role]))

    async def prepare(self) -> None:
        """Roles and schemas, migrations, demo customers: all of it repeatable."""
        try:
            for schema, kinds in ROLES.items():
                passwords = {kind: self._passwords[f"{schema}_{kind}"] for kind in kinds}
                await provision(self.admin_url, schema, passwords, prefix=self._prefix)
            for room in (users.store, tickets.store, conversations.store):
                await migrate(self.url(room.SCHEMA, "owner"), room.SCHEMA, room.MIGRATIONS, prefix=self._prefix)
            customers = users.demo.demo_customers(datetime.now(UTC))
            await users.store.replace_customers(self.url("users", "owner"), customers)
        except ValueError as error:
            raise StartError(f"setting DATABASE_URL: {error}") from error
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise StartError(f"setting DATABASE_URL: {type(error).__name__}: {error}".rstrip(": ")) from error


def staff_url(settings: StandaloneSettings) -> str:
    """Where the staff's command finds the tickets, while `make run` is up."""
    return running_database(settings).url("tickets", "staff")


def running_database(settings: StandaloneSettings) -> Database:
    """Raises: `StartError` while `make run` is not up."""
    if settings.database_url is None and is_free(settings.postgres_port):
        raise StartError(
            f"no database at port {settings.postgres_port}: is `make run` up? (POSTGRES_PORT) "
            "For tickets on Kubernetes see docs/kubernetes.md, The staff's command"
        )
    passwords = read_passwords(settings.data_dir)
    return Database(administrator(settings, passwords), passwords, settings.database_role_prefix)


def administrator(settings: StandaloneSettings, passwords: dict[str, str]) -> str:
    """The URL of the role that makes all others."""
    if settings.database_url:
        url, password = settings.database_url.get_secret_value(), settings.database_password
        return str(URL(url).with_password(password.get_secret_value())) if password else url
    return superuser_url(settings.postgres_port, passwords[SUPERUSER])


def read_passwords(data_dir: Path) -> dict[str, str]:
    """Made once for each role and kept where only this account may read them."""
    path = data_dir / "passwords.json"
    passwords: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    wanted = [SUPERUSER, *(f"{schema}_{kind}" for schema, kinds in ROLES.items() for kind in kinds)]
    if missing := [role for role in wanted if role not in passwords]:
        passwords |= {role: secrets.token_urlsafe(24) for role in missing}
        write_private(path, json.dumps(passwords, indent=2))
    return passwords


def write_private(path: Path, text: str) -> None:
    """Complete or not at all, and never readable by others in between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with open(unfinished, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)
    unfinished.rename(path)
