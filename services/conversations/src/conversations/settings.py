"""Settings of the conversations and of their commands."""

from typing import Self

from pydantic import Field, SecretStr, model_validator

from runtime.postgres.commands import SchemaSettings
from runtime.proof import CallerSettings, StaffSettings
from runtime.settings import DatabaseUrl, Settings


class DatabaseSettings(Settings):
    """What `api-key` and `staff-key` need, and the service, too."""

    database_url: DatabaseUrl = Field(description="PostgreSQL, as the login role `conversations_app`")
    database_password: SecretStr = Field(default=SecretStr(""), description="Its password; empty: the URL's own")


class ConversationSettings(CallerSettings, StaffSettings, DatabaseSettings):
    port: int = Field(default=9087, ge=1, le=65535, description="Port to listen on")
    accepted_url: str = Field(
        default="http://127.0.0.1:9084/accepted", description="Where the registry says when Restate accepted a call"
    )
    coalesce_ms: int = Field(
        default=800, ge=0, le=10_000, description="How long a short line waits for more of the same question"
    )
    journals_url: str = Field(
        default="http://127.0.0.1:9084/journals", description="Where the registry removes the journals of runs"
    )
    retention_days: float = Field(
        default=90, gt=0, le=36_500, description="How long a conversation is kept after the last word in it"
    )
    watch_port: int = Field(
        default=9088, ge=1, le=65535, description="Port for watchers: the gateway and the console, never the internet"
    )
    watch_seconds: float = Field(
        default=900, gt=0, description="After how long a watcher has to come again, with a token that is good then"
    )
    events_hours: float = Field(default=24, gt=0, description="How long events are kept for those who watch")
    count_seconds: float = Field(
        default=15,
        ge=1,
        description="How often who waits for people is counted for the metrics, if `METRICS_PORT` is set",
    )
    max_watchers: int = Field(default=2000, ge=1, description="Watchers at a time")
    person_minutes: float = Field(
        default=15, gt=0, le=10_080, description="How long a customer waits for a person before they are told"
    )

    @model_validator(mode="after")
    def _staff_are_told_from_callers(self) -> Self:
        if set(self.staff_keys) & set(self.caller_keys) and self.staff_audience == self.caller_audience:
            raise ValueError("STAFF_KEYS and CALLER_KEYS share a key and an audience: any caller would be staff")
        return self


class AdminSettings(SchemaSettings):
    """What `provision` needs."""

    conversations_owner_password: SecretStr = Field(
        min_length=1, description="What `conversations_owner` gets for a password"
    )
    conversations_app_password: SecretStr = Field(
        min_length=1, description="What `conversations_app` gets for a password"
    )
    conversations_router_password: SecretStr = Field(
        min_length=1, description="What `conversations_router` gets for a password"
    )
