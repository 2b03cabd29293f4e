"""Settings: read once from the environment, at the edge; passed down as arguments."""

import os
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from runtime.database_url import FILES, USUAL, address, check_file
from runtime.terminal import leave


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


class RestateServiceSettings(ServiceSettings):
    """A service that Restate calls."""

    revision: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9._-]*$",
        description="Version of the code; when set, Restate is answered only under `/rev/<revision>`",
    )
    drain_seconds: float = Field(default=3, ge=0, description="After SIGTERM, how long attempts may run on")
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
