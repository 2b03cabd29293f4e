"""The commands that each room with a schema has: `provision` makes it and its roles, `migrate` brings it up to date."""

from pathlib import Path

from pydantic import Field, SecretStr

from runtime.postgres.migrations import migrate
from runtime.postgres.pool import run_command
from runtime.postgres.roles import provision
from runtime.settings import DatabaseUrl, RolePrefix, Settings


class RoleSettings(Settings):
    """How the roles of this installation are called."""

    database_role_prefix: RolePrefix = Field(
        default="", description="What the names of all roles begin with, where several installations share a server"
    )


class OwnerSettings(RoleSettings):
    """What `migrate` needs."""

    migration_database_url: DatabaseUrl = Field(description="PostgreSQL, as the role that owns the schema")
    migration_database_password: SecretStr = Field(
        default=SecretStr(""), description="Its password; empty: the URL's own"
    )

    @property
    def owner(self) -> tuple[str, str]:
        """URL and password."""
        return self.migration_database_url.get_secret_value(), self.migration_database_password.get_secret_value()


class SchemaSettings(RoleSettings):
    """What `provision` needs; a room adds the passwords of its roles, as `<schema>_<kind>_password`."""

    admin_database_url: DatabaseUrl = Field(description="PostgreSQL, as a role that may create roles and schemas")
    admin_database_password: SecretStr = Field(default=SecretStr(""), description="Its password; empty: the URL's own")

    def passwords(self, schema: str) -> dict[str, str]:
        """By the kind of role."""
        told = {name: value for name, value in self if name.startswith(f"{schema}_") and isinstance(value, SecretStr)}
        return {
            name.removeprefix(f"{schema}_").removesuffix("_password"): value.get_secret_value()
            for name, value in told.items()
        }


def make_schema(settings: SchemaSettings, schema: str) -> None:
    url, password = settings.admin_database_url.get_secret_value(), settings.admin_database_password.get_secret_value()
    prefix = settings.database_role_prefix

    async def work() -> None:
        try:
            await provision(url, schema, settings.passwords(schema), password, prefix=prefix)
        except ValueError as error:
            raise ValueError(f"setting ADMIN_DATABASE_URL: {error}") from None

    run_command("ADMIN_DATABASE_URL", work)


def update_schema(settings: OwnerSettings, schema: str, migrations: Path) -> None:
    url, password = settings.owner
    prefix = settings.database_role_prefix
    run_command("MIGRATION_DATABASE_URL", lambda: migrate(url, schema, migrations, password, prefix=prefix))
