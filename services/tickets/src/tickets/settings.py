"""Settings of the ticket services and of their commands."""

import base64
import binascii
from datetime import timedelta
from typing import Self

from pydantic import AnyHttpUrl, Field, SecretStr, ValidationInfo, field_validator, model_validator

from runtime.call_tokens import ToolSettings
from runtime.postgres.commands import SchemaSettings
from runtime.proof import CallerRules
from runtime.proof import StaffSettings as StaffRules
from runtime.settings import DatabaseUrl, Settings
from tickets.hours import parse_holidays, parse_hours, parse_promises, parse_week, parse_zone
from tickets.life import LifeRules

_SECRET_BYTES = range(24, 65)


class TicketSettings(ToolSettings, CallerRules, StaffRules):
    port: int = Field(default=9083, ge=1, le=65535, description="Port to listen on")
    database_url: DatabaseUrl = Field(description="PostgreSQL, as the login role `tickets_app`")
    database_password: SecretStr = Field(default=SecretStr(""), description="Its password; empty: the URL's own")
    webhook_url: AnyHttpUrl | None = Field(
        default=None, description="Where each ticket and each change of it is announced; empty: nobody is told"
    )
    webhook_secret: SecretStr | None = Field(
        default=None,
        validate_default=True,
        description="Signs the webhooks: `whsec_` and 24 to 64 random bytes in base64; required with `WEBHOOK_URL`",
    )

    count_seconds: float = Field(
        default=15, ge=1, description="How often the tickets are counted for the metrics, if `METRICS_PORT` is set"
    )

    business_hours: str = Field(
        default="",
        description="When due times count, such as `mon-fri 09:00-17:00, sat 10:00-14:00`; empty: always",
    )
    business_zone: str = Field(default="UTC", description="The time zone of these hours, such as `Europe/Berlin`")
    holidays: str = Field(
        default="", description="Days on which nobody works, such as `2026-12-25, 2027-01-01`; at most 1000"
    )
    first_reply_hours: str = Field(
        default="urgent=1 high=2 normal=8 low=24",
        description="Business hours after which the first reply is due, by priority",
    )
    solution_hours: str = Field(
        default="urgent=4 high=8 normal=24 low=72",
        description="Business hours after which the solution is due, by priority",
    )
    remind_percent: float = Field(
        default=80, ge=1, lt=100, description="After how much of that time the staff are reminded"
    )
    reopen_days: float = Field(
        default=7, ge=0, le=3650, description="For how many days an answer reopens what was solved"
    )
    close_days: float = Field(
        default=7, gt=0, le=3650, description="After how many days of silence what waits or is solved is closed"
    )

    @property
    def life(self) -> LifeRules:
        return LifeRules(
            hours=parse_hours(self.business_hours, self.business_zone, self.holidays),
            reply=parse_promises(self.first_reply_hours),
            solve=parse_promises(self.solution_hours),
            remind=self.remind_percent / 100,
            reopen=timedelta(days=self.reopen_days),
            close=timedelta(days=self.close_days),
        )

    @field_validator("business_hours")
    @classmethod
    def _are_hours(cls, week: str) -> str:
        parse_week(week)
        return week

    @field_validator("business_zone")
    @classmethod
    def _is_a_zone(cls, zone: str) -> str:
        parse_zone(zone)
        return zone

    @field_validator("holidays")
    @classmethod
    def _are_days(cls, holidays: str) -> str:
        parse_holidays(holidays)
        return holidays

    @field_validator("first_reply_hours", "solution_hours")
    @classmethod
    def _are_promises(cls, promises: str) -> str:
        parse_promises(promises)
        return promises

    @field_validator("webhook_secret")
    @classmethod
    def _can_sign(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if secret is None and info.data.get("webhook_url"):
            raise ValueError("is required when WEBHOOK_URL is set, so that receivers can check who wrote")
        if secret is not None and not _is_signing_secret(secret.get_secret_value()):
            raise ValueError("must be whsec_ and 24 to 64 random bytes in base64")
        return secret

    @model_validator(mode="after")
    def _staff_are_told_from_callers(self) -> Self:
        if set(self.staff_keys) & set(self.caller_keys) and self.staff_audience == self.caller_audience:
            raise ValueError("STAFF_KEYS and CALLER_KEYS share a key and an audience: any caller would be staff")
        return self


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
    """What `staff` needs to read."""

    staff_database_url: DatabaseUrl = Field(description="PostgreSQL, as the staff's login role `tickets_staff`")
    staff_database_password: SecretStr = Field(default=SecretStr(""), description="Its password; empty: the URL's own")


class ActingSettings(Settings):
    """What `staff` needs to change something."""

    restate_ingress_url: str = Field(default="http://127.0.0.1:8080", description="Restate's ingress")
    restate_ingress_token: SecretStr = Field(
        default=SecretStr(""), description="Bearer token that it wants, as Restate Cloud's does; empty: none"
    )
    staff_token: SecretStr = Field(
        default=SecretStr(""), description="A staff token of whoever changes something; reading needs none"
    )
