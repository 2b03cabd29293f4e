"""The stand-in model's settings."""

from pathlib import Path

from pydantic import Field

from runtime.settings import ServiceSettings


class DemoModelSettings(ServiceSettings):
    """What can be set."""

    port: int = Field(default=9085, ge=1, le=65535, description="Port to listen on")
    latency_seconds: float = Field(default=0.0, ge=0, description="How long every reply is held back")
    context_tokens: int = Field(
        default=0, ge=0, description="Longer requests are refused as a model refuses them; 0: none is"
    )
    ledger_file: Path | None = Field(default=None, description="File that the ledger is appended to; none: memory only")
    admin_endpoints: bool = Field(default=True, description="Whether tests may steer it under `/admin`")
