"""The registry's settings."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode
from yarl import URL

from runtime.settings import ServiceSettings, Words


def _pairs(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    pairs = [part.strip().partition("=") for part in value.split(",") if part.strip()]
    names = [name.strip() for name, _, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError("a name stands there twice")
    return {name.strip(): url.strip() for name, _, url in pairs}


def _http_urls(deployments: dict[str, str]) -> dict[str, str]:
    for name, text in deployments.items():
        url = URL(text)
        if not name or url.scheme not in ("http", "https") or not url.host:
            raise ValueError(f"expected name=url,name=url with http URLs, at {name!r}")
    return deployments


Deployments = Annotated[dict[str, str], NoDecode, BeforeValidator(_pairs), AfterValidator(_http_urls)]
"""`name=url,name=url` in one environment variable."""


class RegistrySettings(ServiceSettings):
    port: int = Field(default=9084, ge=1, le=65535, description="Port to listen on")
    restate_admin_url: str = Field(default="http://127.0.0.1:9070", description="Restate's admin API")
    deployments: Deployments = Field(
        default_factory=dict[str, str],
        description="What to register: `name=url,name=url`; each URL as Restate reaches it",
    )
    health_seconds: float = Field(
        default=60, gt=0, description="After this long without health, a deployment is reported; it is still tried"
    )
    end_former: bool = Field(
        default=False,
        description="End the runs of deployments at the same host and port as a named one, but with another path",
    )
    catalogue_poll_seconds: float = Field(default=2, gt=0, description="How often Restate is asked for tools")
    reserved_tools: Words = Field(
        default=("check_service_status", "search_help_articles", "check_task"),
        description="Names of the router's local tools, which no handler may take; comma-separated",
    )
    policy_file: Path | None = Field(default=None, description="TOML file that switches tools off or tightens them")
    stuck_poll_seconds: float = Field(default=15, gt=0, description="How often stuck runs are looked for")
    paused_grace_seconds: int = Field(default=30, ge=0, description="How long a run that gave up may stay paused")
    run_deadline_seconds: int = Field(
        default=600, gt=0, description="How long a run may fail without progress, unless its handler says otherwise"
    )
