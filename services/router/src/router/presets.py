"""What is known of well-known endpoints, so that an operator names one instead of setting each thing."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from yarl import URL

PresetName = Literal[
    "openai",
    "azure",
    "gemini",
    "mistral",
    "deepseek",
    "groq",
    "openrouter",
    "anthropic",
    "ollama",
    "vllm",
    "llamacpp",
]


class Preset(BaseModel):
    """What an endpoint wants.

    `limit` is its word for an output limit, `key_header` where its key goes (empty: as a bearer token). `foreign`: it
    wants fields of its own back, or bears them. `stream_usage`: it takes the wish to be told the tokens of a stream.
    `hosts` are how its address is known, `port` its usual one.
    """

    model_config = ConfigDict(frozen=True)

    base_url: str = ""
    hosts: tuple[str, ...] = ()
    port: int = 0
    limit: str = "max_tokens"
    key_header: str = ""
    query: dict[str, str] = Field(default_factory=dict[str, str])
    foreign: bool = True
    bare_schemas: bool = False
    stream_usage: bool = True


PRESETS: dict[PresetName, Preset] = {
    "openai": Preset(
        base_url="https://api.openai.com/v1", hosts=("api.openai.com",), limit="max_completion_tokens", foreign=False
    ),
    "azure": Preset(
        hosts=("openai.azure.com", "cognitiveservices.azure.com"),
        limit="max_completion_tokens",
        key_header="api-key",
        query={"api-version": "2024-10-21"},
        foreign=False,
    ),
    "gemini": Preset(
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        hosts=("generativelanguage.googleapis.com",),
    ),
    "mistral": Preset(
        base_url="https://api.mistral.ai/v1", hosts=("api.mistral.ai",), foreign=False, stream_usage=False
    ),
    "deepseek": Preset(base_url="https://api.deepseek.com", hosts=("api.deepseek.com",)),
    "groq": Preset(
        base_url="https://api.groq.com/openai/v1", hosts=("api.groq.com",), limit="max_completion_tokens", foreign=False
    ),
    "openrouter": Preset(base_url="https://openrouter.ai/api/v1", hosts=("openrouter.ai",)),
    "anthropic": Preset(base_url="https://api.anthropic.com/v1", hosts=("api.anthropic.com",)),
    "ollama": Preset(base_url="http://127.0.0.1:11434/v1", port=11434),
    "vllm": Preset(base_url="http://127.0.0.1:8000/v1", port=8000),
    "llamacpp": Preset(base_url="http://127.0.0.1:8080/v1", port=8080),
}
"""By the name of a setting; `docs/models.md` says of each why."""


def preset_for(name: PresetName | None, base_url: str) -> Preset:
    """The preset of that name, else the one whose address this is, else one that suits most endpoints."""
    if name is not None:
        return PRESETS[name]
    url = URL(base_url)
    for each in PRESETS.values():
        if any(url.host == host or (url.host or "").endswith(f".{host}") for host in each.hosts):
            return each
    return next((each for each in PRESETS.values() if each.port and each.port == url.explicit_port), Preset())
