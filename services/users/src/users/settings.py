"""Settings of the users service and of its commands."""

from pydantic import Field, SecretStr

from runtime.call_tokens import ToolSettings
from runtime.postgres.commands import SchemaSettings
from runtime.proof import StaffSettings
from runtime.settings import DatabaseUrl


class UserSettings(ToolSettings, StaffSettings):
    """What serving needs."""

    port: int = Field(default=9082, ge=1, le=65535, description="Port to listen on")
    database_url: DatabaseUrl = Field(description="PostgreSQL, as the login role `users_app`")
    database_password: SecretStr = Field(default=SecretStr(""), description="Its password; empty: the URL's own")
    export_seconds: float = Field(default=20, ge=0, description="How long `export_account` takes")


class AdminSettings(SchemaSettings):
    """What `provision` needs."""

    users_owner_password: SecretStr = Field(min_length=1, description="What `users_owner` gets for a password")
    users_app_password: SecretStr = Field(min_length=1, description="What `users_app` gets for a password")
