"""Settings of the ticket services and of their commands."""

import base64
import binascii

from pydantic import AnyHttpUrl, Field, SecretStr, ValidationInfo, field_validator

from runtime.call_tokens import ToolSettings
from runtime.postgres.commands import SchemaSettings
from runtime.settings import DatabaseUrl, Settings

_SECRET_BYTES = range(24, 65)


class TicketSettings(ToolSettings):
    port: int = Field(default=9083, ge=1, le=65535, description="Port to listen on")
    database_url: DatabaseUrl = Field(description="PostgreSQL, as the login role `tickets_app`")
    database_password: SecretStr = Field(default=SecretStr(""), description="Its password; empty: the URL's own")
    webhook_url: AnyHttpUrl | None = Field(
        default=None, description="Where each new ticket is announced; empty: nobody is told"
    )
    webhook_secret: SecretStr | None = Field(
        default=None,
        validate_default=True,
        description="Signs the webhooks: `whsec_` and 24 to 64 random bytes in base64; required with `WEBHOOK_URL`",
    )

    count_seconds: float = Field(
        default=15, ge=1, description="How often the tickets are counted for the metrics, if `METRICS_PORT` is set"
    )

    @field_validator("webhook_secret")
    @classmethod
    def _can_sign(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if secret is None and info.data.get("webhook_url"):
            raise ValueError("is required when WEBHOOK_URL is set, so that receivers can check who wrote")
        if secret is not None and not _is_signing_secret(secret.get_secret_value()):
            raise ValueError("must be whsec_ and 24 to 64 random bytes in base64")
        return secret


def _is_signing_secret(secret: str) -> bool:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        return False
    return secret.startswith("whsec_") and len(key) in _SECRET_BYTES


class AdminSettings(SchemaSettings):
    """What `provision` needs."""

    tickets_owner_password: SecretStr = Field(min_length=1, description="What `tickets_owner` gets for a password")
    tickets_app_password: SecretStr = Field(min_length=1, description="What `tickets_app` gets for a password")
    tickets_staff_password: SecretStr = Field(min_length=1, description="What `tickets_staff` gets for a password")


class StaffSettings(Settings):
    """What `staff` needs."""

    staff_database_url: DatabaseUrl = Field(description="PostgreSQL, as the staff's login role `tickets_staff`")
    staff_database_password: SecretStr = Field(default=SecretStr(""), description="Its password; empty: the URL's own")
