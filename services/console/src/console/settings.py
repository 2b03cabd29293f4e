"""Settings of the console."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from console.macros import read_macros
from contracts import KEYS, STAFF_NAME, StaffRole
from runtime.call_tokens import private_key
from runtime.settings import DoorSettings, LongSecret, can_be_read_on_the_way


class DemoMember(BaseModel):
    """A member of staff whom every visitor may be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: STAFF_NAME
    shown: str = Field(default="", max_length=100)
    roles: tuple[StaffRole, ...] = Field(min_length=1)


class ConsoleSettings(DoorSettings):
    port: int = Field(default=9091, ge=1, le=65535, description="Port to listen on")
    staff_key: LongSecret = Field(
        description="Secret of at least 32 bytes that signs staff tokens, and `STAFF_KEYS` of the other rooms has it"
        " too; for EdDSA a private Ed25519 key in PEM, whose public key they have"
    )
    staff_algorithm: Literal["HS256", "EdDSA"] = Field(default="HS256", description="How staff tokens are signed")
    staff_audience: str = Field(default="switchboard-staff", description="`aud` of the staff tokens")
    staff_issuer: str = Field(default="", description="`iss` of the staff tokens; empty: none")
    conversations_url: str = Field(
        default="http://127.0.0.1:9088", description="`WATCH_PORT` of the conversations, which tell there what changes"
    )
    registry_url: str = Field(
        default="http://127.0.0.1:9092", description="`DESK_PORT` of the registry, which knows and switches the tools"
    )
    session_secret: LongSecret = Field(
        description="At least 32 random bytes, which sign sessions. With another one everybody signs in anew"
    )
    session_minutes: float = Field(
        default=60, gt=0, description="How long nobody may do anything before a session ends"
    )
    session_hours: float = Field(default=12, gt=0, description="After how long a session ends in any case")
    secure_cookies: bool = Field(
        default=True, description="Cookies go over https alone; false for a demo on one machine"
    )
    base_url: str = Field(
        default="",
        pattern=r"^(https?://[^\s/?#@]+/?)?$",
        description="Address of the desk as staff type it: `https://desk.example.com`; for `OIDC_ISSUER`",
    )
    oidc_issuer: str = Field(
        default="",
        pattern=r"^(https?://[^\s?#@]+)?$",
        description="Identity provider by which staff sign in, as its discovery document names it; empty: a demo",
    )
    oidc_client_id: str = Field(default="", description="What the desk is called there")
    oidc_client_secret: SecretStr = Field(
        default=SecretStr(""), description="What the desk shows there when it asks for tokens; empty: PKCE alone"
    )
    oidc_scopes: str = Field(
        default="openid profile email",
        pattern=r"^(\S+ )*openid( \S+)*$",
        description="What the desk asks for, `openid` and more; some providers tell roles for another one alone",
    )
    oidc_name_claim: str = Field(
        default="sub",
        min_length=1,
        description="Claim with the name by which the other rooms know somebody: it must never pass to another person."
        " `email` counts only with `email_verified`",
    )
    oidc_shown_claim: str = Field(default="name", min_length=1, description="Claim with the name on the page")
    oidc_roles_claim: str = Field(
        default="roles", min_length=1, description="Claim with their groups or roles; a path too: `realm_access.roles`"
    )
    oidc_roles: dict[StaffRole, tuple[str, ...]] = Field(
        default={},
        description='Which values of it make which role: JSON, `{"agent": ["support"], "approver": ["leads"]}`; empty:'
        " they are called as the roles",
    )
    macros_file: Path | None = Field(default=None, description="Macros for staff, in TOML; none: there are none")
    restate_ui_url: str = Field(
        default="",
        pattern=r"^(https?://[^\s/{}?#@]+/[^\s{}]*\{invocation\}[^\s{}]*)?$",
        description="Where Restate's UI shows an invocation, `{invocation}` in place of its id:"
        " `https://restate.example.com/ui/invocations/{invocation}`; empty: no link",
    )
    trace_url: str = Field(
        default="",
        pattern=r"^(https?://[^\s/{}?#@]+/[^\s{}]*\{trace_id\}[^\s{}]*)?$",
        description="Where a trace is shown, `{trace_id}` in place of its id:"
        " `https://jaeger.example.com/trace/{trace_id}`; empty: no link",
    )
    demo_staff: tuple[DemoMember, ...] = Field(
        default=(),
        description='Staff whom anybody may be: a JSON list of `{"name": ..., "shown": ..., "roles": [...]}`',
    )

    api_keys: bool = Field(default=True, description="Whether the staff's own tools come in by API keys")
    api_key_seconds: float = Field(
        default=10,
        gt=0,
        le=300,
        description="How long what is known of an API key is believed: one that is revoked opens nothing after that",
    )
    requests_per_minute: int = Field(default=300, ge=1, description="Requests by one API key, in the long run")
    burst: int = Field(default=60, ge=1, description="Requests by one API key that may come at once")

    @field_validator("macros_file")
    @classmethod
    def _has_macros(cls, path: Path | None) -> Path | None:
        read_macros(path)
        return path

    @model_validator(mode="after")
    def _the_key_fits(self) -> Self:
        key = self.staff_key.get_secret_value()
        if self.staff_algorithm == "EdDSA":
            try:
                private_key(key)
            except ValueError as error:
                raise ValueError(f"STAFF_KEY: {error}") from None
        elif "-----BEGIN" in key:
            raise ValueError(
                "STAFF_KEY is a key in PEM, which cannot be the shared secret of HS256: set STAFF_ALGORITHM"
            )
        return self

    @model_validator(mode="after")
    def _somebody_can_come_in(self) -> Self:
        if self.staff_key.get_secret_value() == self.session_secret.get_secret_value():
            raise ValueError("STAFF_KEY and SESSION_SECRET are the same: a cookie could be taken for a token")
        if not self.oidc_issuer and not self.demo_staff:
            raise ValueError("set OIDC_ISSUER, or DEMO_STAFF for a demo: nobody could come in")
        if self.oidc_issuer and self.demo_staff:
            raise ValueError("OIDC_ISSUER and DEMO_STAFF are both set: where real staff come in, none is made up")
        names = [each.name.lower() for each in self.demo_staff]
        if len(set(names)) < len(names):
            raise ValueError("DEMO_STAFF names one twice")
        if any(name.startswith(KEYS) for name in names):
            raise ValueError(f"DEMO_STAFF: names that begin with {KEYS} are those of API keys")
        return self

    @model_validator(mode="after")
    def _nobody_reads_a_login_on_the_way(self) -> Self:
        if not self.oidc_issuer:
            return self
        if not (self.oidc_client_id and self.base_url):
            raise ValueError("OIDC_ISSUER needs OIDC_CLIENT_ID and BASE_URL")
        for name, url in (("OIDC_ISSUER", self.oidc_issuer), ("BASE_URL", self.base_url)):
            if can_be_read_on_the_way(url):
                raise ValueError(f"{name} {url}: staff sign in by https alone, but on this machine")
        if self.base_url.startswith("https://") and not self.secure_cookies:
            raise ValueError("SECURE_COOKIES is false, but BASE_URL is https: cookies could be read on the way")
        if self.oidc_roles and not any(self.oidc_roles.values()):
            raise ValueError("OIDC_ROLES gives nobody a role")
        return self
