"""What the router reads from its environment."""

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator, model_validator

from router.keys import Algorithm, parse
from router.prompt import read_prompt
from runtime.call_tokens import SigningKey
from runtime.settings import RestateServiceSettings, Words

ARTICLES = Path(__file__).parent / "articles"
PROMPT = Path(__file__).parent / "prompt.md"


def _holds_a_prompt(file: Path) -> Path:
    read_prompt(file)
    return file


def _is_a_pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as problem:
        raise ValueError(f"no regular expression: {problem}") from None
    return text


class RouterSettings(RestateServiceSettings):
    """The model, the callers, the budgets of a run, and where the catalogue and the status page are."""

    port: int = Field(default=9081, ge=1, le=65535, description="Port to listen on")

    openai_base_url: str = Field(default="https://api.openai.com/v1", description="Any OpenAI-compatible endpoint")
    openai_api_key: SecretStr = Field(default=SecretStr("none"), description="Key of that endpoint")
    openai_model: str = Field(default="gpt-4.1-mini", min_length=1, description="Name of the model")
    openai_temperature: float | None = Field(default=0.2, ge=0, le=2, description="Empty: the endpoint's own default")
    openai_timeout: float = Field(default=30, gt=0, description="Seconds for one model call, all in all")
    openai_attempts: int = Field(default=3, ge=1, le=5, description="Model calls for one turn, retries included")

    otel_instrumentation_genai_capture_message_content: bool = Field(
        default=False, description="Put questions, answers, tool arguments and results into traces: personal data"
    )

    catalogue_url: str = Field(default="http://127.0.0.1:9084/tools", description="The registry's catalogue")
    catalogue_seconds: float = Field(default=2, gt=0, description="How often the catalogue is asked for")
    status_url: str = Field(
        default="http://127.0.0.1:9086/api/v2/summary.json", description="Statuspage summary that is read out"
    )
    articles_dir: Path = Field(default=ARTICLES, description="Folder of help articles in Markdown")

    prompt_file: Annotated[Path, AfterValidator(_holds_a_prompt)] = Field(
        default=PROMPT, description="The system prompt, as text in UTF-8"
    )

    trust_user_id: bool = Field(default=False, description="Believe a plain `user_id`; for demos and tests alone")
    customer_check: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9_.]+/[A-Za-z0-9_]+)?$",
        description="`Service/handler` that knows customers; asked about a `user_id` that was believed",
    )
    caller_algorithm: Algorithm = Field(default="HS256", description="How caller tokens are signed")
    caller_keys: Words = Field(
        default=(), description="Keys that sign caller tokens: shared secrets or PEM public keys"
    )
    caller_issuer: str = Field(default="", description="Required `iss` of caller tokens; empty: not checked")
    caller_audience: str = Field(default="switchboard", description="Required `aud` of caller tokens")

    call_key: SigningKey

    ticket_pattern: Annotated[str, AfterValidator(_is_a_pattern)] = Field(
        default="TCK-[0-9]{1,18}", description="Regular expression that the id of a ticket matches as a whole"
    )
    max_offered: int = Field(
        default=40, ge=8, le=128, description="Tools that one turn offers to the model; of more, the best"
    )
    max_turns: int = Field(default=8, ge=1, description="Model turns in a run")
    max_calls: int = Field(default=16, ge=0, description="Tool calls in a run")
    max_tokens: int = Field(default=60_000, ge=1, description="Tokens in a run, as the model's server counts them")
    max_seconds: float = Field(default=120, gt=0, description="Seconds in a run")
    max_errors: int = Field(default=6, ge=1, description="Failed tool calls in a run")

    @field_validator("caller_keys")
    @classmethod
    def _fit_the_algorithm(cls, keys: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        algorithm = info.data.get("caller_algorithm")
        for number, key in enumerate(keys if algorithm else (), start=1):
            try:
                parse(key, algorithm)
            except ValueError as problem:
                raise ValueError(f"key {number}: {problem}") from None
        return keys

    @model_validator(mode="after")
    def _callers_can_be_known(self) -> Self:
        if not self.trust_user_id and not self.caller_keys:
            raise ValueError("set CALLER_KEYS, or TRUST_USER_ID=true for a demo: no caller could be believed")
        return self
