"""Whether a database is a demo's: demo data never come beside what is real."""

from collections.abc import Collection

from pydantic import Field

from runtime.postgres import connect
from standalone.database import Database
from standalone.process import StartError
from standalone.settings import StandaloneSettings

_SEES_ALL = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
_OTHERS = {
    "users": "SELECT user_id FROM users.customers WHERE user_id <> ALL($1::text[]) LIMIT 1",
    "tickets": "SELECT user_id FROM tickets.tickets WHERE user_id <> ALL($1::text[]) LIMIT 1",
    "conversations": "SELECT user_id FROM conversations.conversations WHERE user_id <> ALL($1::text[]) LIMIT 1",
}


class SeedSettings(StandaloneSettings):
    """With what would make this a real installation."""

    issuers: str = Field(default="", description="Who says who a customer is; none in a demo")
    oidc_issuer: str = Field(default="", description="Who says who a member of staff is; none in a demo")

    def check(self) -> None:
        """Raises: `StartError` where somebody really signs in."""
        for name in ("issuers", "oidc_issuer"):
            if getattr(self, name) not in ("", "[]"):
                raise StartError(f"setting {name.upper()} is set: people sign in here, and demo data have no place")


async def check_database(database: Database, customers: Collection[str]) -> None:
    """Raises: `StartError` unless all that is in it is of demo customers."""
    connection = await connect(database.admin_url)
    try:
        if not await connection.fetchval(_SEES_ALL):
            raise StartError(
                "setting DATABASE_URL: its role does not see all rows, so whether they are a demo's is unknown"
            )
        for schema, query in _OTHERS.items():
            if found := await connection.fetchval(query, list(customers)):
                raise StartError(f"this is no demo: {found}, of whom something stands in {schema}, is no demo customer")
    finally:
        await connection.close()
