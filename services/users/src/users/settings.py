"""Settings of the users service."""

from pydantic import Field, SecretStr

from runtime.settings import RestateServiceSettings, Settings


class UserSettings(RestateServiceSettings):
    """What serving needs."""

    port: int = Field(default=9082, ge=1, le=65535, description="Port to listen on")
    database_url: SecretStr = Field(description="PostgreSQL, as the login role `users_app`")
    export_seconds: float = Field(default=20, ge=0, description="How long `export_account` takes")


class OwnerSettings(Settings):
    """What `migrate` and `seed` need."""

    migration_database_url: SecretStr = Field(description="PostgreSQL, as the owner role `users_owner`")
