"""Settings of the gateway."""

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator
from yarl import URL

from contracts import USER_ID
from runtime.call_tokens import SigningKey
from runtime.database_url import check_file
from runtime.issuer import Algorithm
from runtime.settings import DoorSettings, LongSecret, Words, can_be_read_on_the_way


class DemoCustomer(BaseModel):
    """Somebody whom every visitor may be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user_id: USER_ID
    name: str = Field(min_length=1, max_length=100)


"""By which a token may be signed: none that needs a shared secret."""


class Issuer(BaseModel):
    """An identity provider, and what its tokens must be like."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str = Field(pattern=r"^https?://[^\s?#]+$")
    audience: str = Field(min_length=1)
    algorithms: tuple[Algorithm, ...] = Field(default=("RS256",), min_length=1)
    jwks_url: str = Field(default="", pattern=r"^(https?://\S+)?$")
    user_claim: str = Field(default="sub", min_length=1)
    roles_claim: str = ""
    tenant_claim: str = ""
    prefix: str = Field(default="", pattern=r"^[A-Za-z0-9_-]{0,16}$")
    max_life_seconds: float = Field(default=86_400, gt=0)

    @model_validator(mode="after")
    def _nobody_can_change_its_keys_on_the_way(self) -> Self:
        for url in (self.issuer, self.jwks_url):
            if can_be_read_on_the_way(url):
                raise ValueError(f"{url}: keys come by https alone, but from this machine")
        return self


PLAIN, BY_TLS = ("valkey", "redis"), ("valkeys", "rediss")
USUAL = "like valkey://host:6379/0, or valkeys://host:6379/0 for TLS; in a password @ is written %40, / %2F, : %3A"


def _valkey(url: SecretStr) -> SecretStr:
    if told := url.get_secret_value():
        try:
            parsed = URL(told)
            fits = parsed.scheme in PLAIN + BY_TLS and parsed.host and re.fullmatch(r"/?|/\d{1,3}", parsed.path)
        except ValueError:
            raise ValueError(USUAL) from None
        if not fits or parsed.query_string or parsed.fragment:
            raise ValueError(USUAL)
    return url


def _certificates(path: Path | None) -> Path | None:
    if path is not None:
        check_file(str(path), "it")
    return path


class GatewaySettings(DoorSettings):
    port: int = Field(default=9089, ge=1, le=65535, description="Port to listen on")
    conversations_url: str = Field(
        default="http://127.0.0.1:9088", description="`WATCH_PORT` of the conversations: what is read and watched"
    )
    signing_key: SigningKey = Field(
        description="Private Ed25519 key in PEM, which signs caller tokens; its public key is `CALLER_KEYS` elsewhere"
    )
    caller_audience: str = Field(default="switchboard", description="`aud` of the caller tokens")
    caller_issuer: str = Field(default="", description="`iss` of the caller tokens; empty: none")
    names_secret: LongSecret = Field(
        description="At least 32 random bytes, from which ids are made. With another one, what was sent with an"
        " `Idempotency-Key` before is new"
    )
    issuers: tuple[Issuer, ...] = Field(
        default=(), description="Identity providers whose tokens let customers in: a JSON list"
    )
    demo_customers: tuple[DemoCustomer, ...] = Field(
        default=(),
        description='Customers whom anybody may be: a JSON list of `{"user_id": ..., "name": ...}`; for demos alone',
    )
    api_keys: bool = Field(default=True, description="Whether machines come in by API keys")
    api_key_seconds: float = Field(
        default=10,
        gt=0,
        le=300,
        description="How long what is known of an API key is believed: one that is revoked opens nothing after that",
    )
    user_headers: Words = Field(
        default=("X-OpenWebUI-User-Id", "X-LibreChat-User-Id"),
        description="Headers in which chat UIs name their user: a key that may not act for users is refused with one",
    )
    chat_headers: Words = Field(
        default=("X-OpenWebUI-Chat-Id", "X-LibreChat-Conversation-Id"),
        description="Headers in which chat UIs name a conversation",
    )
    message_headers: Words = Field(
        default=("X-OpenWebUI-Message-Id", "X-LibreChat-Message-Id"),
        description="Headers in which chat UIs name a message, which is said once however often it is sent",
    )
    steps_as_reasoning: bool = Field(
        default=False, description="Whether clients of OpenAI are told the steps of a conversation as reasoning text"
    )
    requests_per_minute: int = Field(default=120, ge=1, description="Requests of one caller, in the long run")
    burst: int = Field(default=60, ge=1, description="Requests of one caller that may come at once")
    limits_url: Annotated[SecretStr, AfterValidator(_valkey)] = Field(
        default=SecretStr(""),
        description="Valkey or Redis, in which all replicas count together what a caller asks and has open:"
        " `valkey://host:6379`, by TLS `valkeys://host:6379`; empty: each replica counts by itself",
    )
    limits_password: SecretStr = Field(
        default=SecretStr(""), description="Its password, if none stands in `LIMITS_URL`"
    )
    limits_ca_file: Annotated[Path | None, AfterValidator(_certificates)] = Field(
        default=None, description="PEM file with whom its certificate comes from; empty: whom this machine believes"
    )
    limits_seconds: float = Field(
        default=0.1, gt=0, le=10, description="How long a request waits for it at most, and is then counted here"
    )
    limits_lease_seconds: float = Field(
        default=30,
        ge=1,
        le=3600,
        description="How long questions and streams of a replica that was killed still count there",
    )
    waiting_per_caller: int = Field(default=8, ge=1, description="Questions of one caller that are waited for")
    streams_per_caller: int = Field(default=10, ge=1, description="Streams of one caller at a time")
    max_in_flight: int = Field(
        default=500, ge=1, description="Requests of all callers at a time, without streams; more are sent away"
    )
    allowed_origins: Words = Field(
        default=(),
        description="Origins whose pages may call the API, comma-separated: `https://www.example.com`",
    )
    max_wait_seconds: float = Field(
        default=60,
        ge=0,
        le=600,
        description="How long a request under `/api/v1` may wait for an answer at most; more than 60 is as 60",
    )
    frame_ancestors: Words = Field(
        default=(), description="Origins whose pages may show the chat page in a frame, comma-separated; empty: none"
    )
    page_dir: Path | None = Field(
        default=None, description="Folder with the chat page; empty: the one that was built into this package, if any"
    )

    @model_validator(mode="after")
    def _somebody_can_come_in(self) -> Self:
        if not self.issuers and not self.demo_customers and not self.api_keys:
            raise ValueError("set ISSUERS or API_KEYS, or DEMO_CUSTOMERS for a demo: nobody could come in")
        if self.issuers and self.demo_customers:
            raise ValueError("ISSUERS and DEMO_CUSTOMERS are both set: where real customers come in, none is made up")
        names = [each.issuer for each in self.issuers]
        if len(set(names)) < len(names):
            raise ValueError("ISSUERS names one twice")
        prefixes = [each.prefix for each in self.issuers]
        if len(names) > 1 and (len(set(prefixes)) < len(prefixes) or "" in prefixes):
            raise ValueError(
                "ISSUERS: of several, each needs a prefix of its own, or the user of one could be another's"
            )
        return self
