"""Settings: read once from the environment, at the edge; passed down as arguments."""

import os
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from yarl import URL

from runtime.database_url import FILES, USUAL, address, check_file
from runtime.terminal import leave

MIN_SECRET_BYTES = 32
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def can_be_read_on_the_way(url: str) -> bool:
    """Whether it is an address of http that leaves this machine."""
    return url.startswith("http://") and URL(url).host not in LOOPBACK


class Settings(BaseSettings):
    """A frozen set of settings. A field `database_url` is the environment variable `DATABASE_URL`; no prefix."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    @classmethod
    def read(cls) -> Self:
        """Read the environment; on a bad value, end the process with one line for each that names the variable."""
        try:
            return cls()
        except ValidationError as error:
            leave("\n".join(_advice(problem["loc"], problem["msg"]) for problem in error.errors()))


def _advice(location: tuple[int | str, ...], message: str) -> str:
    name = str(location[0]).upper() if location else "settings"
    return f"setting {name}: {message.removeprefix('Value error, ')}"


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""A comma-separated list in one environment variable."""


def _postgres(url: SecretStr, info: ValidationInfo) -> SecretStr:
    try:
        address(url.get_secret_value())
    except ValueError as error:
        if str(error) != USUAL:
            raise
        beside = (info.field_name or "").replace("_url", "_password").upper()
        raise ValueError(
            f"{USUAL}; in a password @ is written %40, / %2F, : %3A, ? %3F, # %23 and % itself %25, "
            f"or the password may stand in {beside}"
        ) from None
    for variable in (f"PG{name.upper()}" for name in FILES):
        if path := os.environ.get(variable):  # noqa: TID251 - what the driver reads
            check_file(path, f"the variable {variable}")
    return url


DatabaseUrl = Annotated[SecretStr, AfterValidator(_postgres)]
"""PostgreSQL and the role to be there; the password stands in it, escaped, or as it is in a setting beside it."""


RolePrefix = Annotated[str, Field(pattern=r"^([a-z][a-z0-9_]{0,30})?$")]
"""What names of database roles begin with: lower-case letters, digits and underscores."""


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)]
"""In any case of letters."""


class ServiceSettings(Settings):
    """What every service has: where it listens, how it logs, how long it drains."""

    host: str = Field(default="127.0.0.1", description="Address to listen on")
    port: int = Field(ge=1, le=65535, description="Port to listen on")
    log_level: LogLevel = Field(default="INFO", description="Least level logged")
    metrics_port: int = Field(default=0, ge=0, le=65535, description="Port of the metrics for Prometheus; 0: none")


class WebSettings(ServiceSettings):
    """A service that answers over HTTP and leaves without breaking anything off."""

    drain_seconds: float = Field(default=3, ge=0, description="After SIGTERM, how long attempts may run on")


def _is_long_enough(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value().encode()) < MIN_SECRET_BYTES:
        raise ValueError(f"needs at least {MIN_SECRET_BYTES} bytes")
    return secret


LongSecret = Annotated[SecretStr, AfterValidator(_is_long_enough)]
"""Of at least 32 bytes, so that nobody guesses it."""


class DoorSettings(WebSettings):
    """A service that people or their machines reach, and that reaches Restate for them."""

    drain_seconds: float = Field(default=3, ge=0, description="After SIGTERM, how long requests may go on")
    body_seconds: float = Field(default=10, gt=0, description="How long a request's body may take to come")
    restate_ingress_url: str = Field(default="http://127.0.0.1:8080", description="Restate's ingress")
    restate_ingress_token: SecretStr = Field(
        default=SecretStr(""), description="Bearer token that it wants, as Restate Cloud's does; empty: none"
    )


class RestateServiceSettings(WebSettings):
    """A service that Restate calls."""

    revision: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9._-]*$",
        description="Version of the code; when set, Restate is answered only under `/rev/<revision>`",
    )
    server: Literal["hypercorn", "granian"] = Field(default="hypercorn", description="HTTP/2 server")
    identity_keys: Words = Field(
        default=(),
        description="Restate's public request-identity keys, comma-separated; empty: requests are not checked",
    )
    otel_exporter_otlp_endpoint: str = Field(
        default="",
        pattern=r"^(https?://[^\s]+)?$",
        description="Collector that takes traces by OTLP over HTTP, as a base URL (port 4318 as a rule); empty: none",
    )
    otel_exporter_otlp_headers: SecretStr = Field(
        default=SecretStr(""), description="Headers for that collector: `name=value,name=value`"
    )
