"""What the router reads from its environment."""

import re
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from router.presets import PRESETS, PresetName
from router.prompt import read_prompt
from runtime.call_tokens import SigningKey
from runtime.proof import CallerSettings
from runtime.settings import DatabaseUrl

ARTICLES = Path(__file__).parent / "articles"
PROMPT = Path(__file__).parent / "prompt.md"


_WITHIN = (
    ("openai_connect_timeout", "openai_first_byte_timeout"),
    ("openai_connect_timeout", "openai_timeout"),
    ("openai_first_byte_timeout", "openai_timeout"),
    ("openai_timeout", "max_seconds"),
)
"""Settings of which the first must not be longer than the second."""


class ModelTimeouts(NamedTuple):
    """Until a connection stands, until the first byte of a reply, and all in all."""

    connect: float
    first_byte: float
    total: float


def _holds_a_prompt(file: Path) -> Path:
    read_prompt(file)
    return file


def _is_a_pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as problem:
        raise ValueError(f"no regular expression: {problem}") from None
    return text


class Fallback(BaseModel):
    """Another endpoint; what is not set is as it is for the first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: str = Field(pattern=r"^https?://\S+$")
    model: str = Field(min_length=1)
    api_key: SecretStr = SecretStr("none")
    preset: PresetName | None = None
    extra_body: dict[str, Any] = Field(default_factory=dict[str, Any])
    extra_query: dict[str, str] = Field(default_factory=dict[str, str])
    extra_headers: dict[str, SecretStr] = Field(default_factory=dict[str, SecretStr])


class RouterSettings(CallerSettings):
    """The model, the callers, the budgets of a run, and where the catalogue and the status page are."""

    port: int = Field(default=9081, ge=1, le=65535, description="Port to listen on")

    openai_base_url: str = Field(
        default="https://api.openai.com/v1", pattern=r"^https?://\S+$", description="Any OpenAI-compatible endpoint"
    )
    openai_api_key: SecretStr = Field(default=SecretStr("none"), description="Key of that endpoint")
    openai_model: str = Field(default="gpt-4.1-mini", min_length=1, description="Name of the model")
    openai_preset: PresetName | None = Field(
        default=None, description="What is known of an endpoint, by its name; empty: by its address"
    )
    openai_temperature: float | None = Field(default=None, ge=0, le=2, description="Empty: none is sent")
    openai_max_output_tokens: int = Field(
        default=4096, ge=0, description="Most tokens of one reply, thinking included; 0: no limit is sent"
    )
    openai_reasoning_effort: str = Field(
        default="", pattern=r"^[a-z]{0,20}$", description="How long a thinking model thinks; empty: not sent"
    )
    openai_parallel_tool_calls: bool | None = Field(
        default=None, description="Whether a reply may hold several calls; empty: not sent"
    )
    openai_extra_body: dict[str, Any] = Field(default={}, description="More fields of each request: a JSON object")
    openai_extra_query: dict[str, str] = Field(default={}, description="More of the address's query: a JSON object")
    openai_extra_headers: dict[str, SecretStr] = Field(
        default={}, description="More headers of each request: a JSON object"
    )
    openai_fallbacks: list[Fallback] = Field(
        default=[], description="Endpoints to ask when this one does not answer, in this order: a JSON list"
    )
    openai_stream: bool = Field(
        default=False, description="Ask for replies as streams; of these each part has the time of the first byte"
    )
    openai_check_at_start: bool | None = Field(
        default=None, description="Ask each endpoint once at start; empty: only those of one's own, which cost nothing"
    )
    openai_timeout: float = Field(default=90, gt=0, description="Seconds for one model call, all in all")
    openai_first_byte_timeout: float | None = Field(
        default=None, gt=0, description="Seconds until the first byte of a reply; empty: as `OPENAI_TIMEOUT`"
    )
    openai_connect_timeout: float = Field(default=10, gt=0, description="Seconds until a connection stands")
    openai_attempts: int = Field(default=8, ge=1, le=20, description="Model calls for one turn, retries included")

    otel_instrumentation_genai_capture_message_content: bool = Field(
        default=False, description="Put questions, answers, tool arguments and results into traces: personal data"
    )

    catalogue_url: str = Field(default="http://127.0.0.1:9084/tools", description="The registry's catalogue")
    catalogue_seconds: float = Field(default=2, gt=0, description="How often the catalogue is asked for")
    status_url: str = Field(
        default="http://127.0.0.1:9086/api/v2/summary.json", description="Statuspage summary that is read out"
    )
    status_max_bytes: int = Field(default=1024 * 1024, ge=1024, description="The largest summary that is read")
    articles_dir: Path = Field(default=ARTICLES, description="Folder of help articles in Markdown")

    prompt_file: Annotated[Path, AfterValidator(_holds_a_prompt)] = Field(
        default=PROMPT, description="The system prompt, as text in UTF-8"
    )

    customer_check: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9_.]+/[A-Za-z0-9_]+)?$",
        description="`Service/handler` that knows customers; asked about a `user_id` that was believed",
    )
    call_key: SigningKey

    conversations_database_url: DatabaseUrl | None = Field(
        default=None,
        description="PostgreSQL, as the role `conversations_router`; empty: runs do not read what comes in meanwhile",
    )
    conversations_database_password: SecretStr = Field(
        default=SecretStr(""), description="Its password; empty: the URL's own"
    )

    ticket_pattern: Annotated[str, AfterValidator(_is_a_pattern)] = Field(
        default="TCK-[0-9]{1,18}", description="Regular expression that the id of a ticket matches as a whole"
    )
    ticket_tool: str = Field(
        default="create_support_ticket",
        description="The tool that makes a ticket of a conversation to which no person came",
    )
    question_effects: int = Field(
        default=0,
        ge=0,
        le=128,
        description="Kinds of effects that a run may make without a person: the best for what was asked; 0: any",
    )
    approval_shadow: bool = Field(
        default=False, description="Only count what `provenance` and `QUESTION_EFFECTS` would have asked a person"
    )
    max_offered: int = Field(
        default=40, ge=8, le=128, description="Tools that one turn offers to the model; of more, the best"
    )
    compact_tokens: int = Field(
        default=6000,
        ge=100,
        description="Tokens of the older part of what the model reads, past which it is summarised",
    )
    approval_wait: float = Field(
        default=10, ge=0, le=3600, description="Seconds that a run waits for a person's decision before it goes on"
    )
    approval_hours: float = Field(
        default=24, gt=0, le=720, description="After how long nobody may decide about a call any more"
    )
    max_turns: int = Field(default=8, ge=1, description="Model turns in a run")
    max_calls: int = Field(default=16, ge=0, description="Tool calls in a run")
    max_tokens: int = Field(default=60_000, ge=1, description="Tokens in a run, as the model's server counts them")
    max_seconds: float = Field(default=120, gt=0, description="Seconds in a run")
    max_errors: int = Field(default=6, ge=1, description="Failed tool calls in a run")

    @model_validator(mode="before")
    @classmethod
    def _take_the_address_of_the_preset(cls, values: dict[str, Any]) -> dict[str, Any]:
        name = values.get("openai_preset")
        if name not in PRESETS or "openai_base_url" in values:
            return values
        if not PRESETS[name].base_url:
            raise ValueError(f"OPENAI_PRESET={name} needs OPENAI_BASE_URL: each customer has an address of their own")
        return {**values, "openai_base_url": PRESETS[name].base_url}

    @model_validator(mode="after")
    def _times_can_be_kept(self) -> Self:
        """Each time lies within the next; what is not set follows from what is."""
        for shorter, longer in _WITHIN:
            if {shorter, longer} <= self.model_fields_set and getattr(self, shorter) > getattr(self, longer):
                raise ValueError(f"{shorter.upper()} is longer than {longer.upper()}")
        return self

    @property
    def model_timeouts(self) -> ModelTimeouts:
        """In seconds, each within the next and all within the time of a run."""
        total = min(self.openai_timeout, self.max_seconds)
        first_byte = min(self.openai_first_byte_timeout or total, total)
        return ModelTimeouts(min(self.openai_connect_timeout, first_byte), first_byte, total)
