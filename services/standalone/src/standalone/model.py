"""A real model's endpoint: is it there, does it take the key, and if not, which setting mends it."""

import json
from pathlib import Path

import aiohttp
from yarl import URL

from router.presets import PRESETS
from router.settings import RouterSettings
from standalone.process import LOOPBACK, StartError
from standalone.settings import StandaloneSettings

LOOK_SECONDS = 10


async def check_model(settings: StandaloneSettings) -> None:
    """Asks for the list of models. Not every server has one: only a refused key or an unreachable host is a fault."""
    base_url = _base_url(settings)
    key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else "none"
    headers = {"Authorization": f"Bearer {key}"}
    timeout = aiohttp.ClientTimeout(total=LOOK_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=URL(base_url).host not in LOOPBACK) as http,
            http.get(f"{base_url}/models", headers=headers) as reply,
        ):
            status = reply.status
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise StartError(f"setting OPENAI_BASE_URL: {base_url} cannot be reached ({type(error).__name__})") from None
    if status in (401, 403):
        raise StartError(f"setting OPENAI_API_KEY: {base_url} refuses the key (status {status})")


def _base_url(settings: StandaloneSettings) -> str:
    preset = PRESETS[settings.openai_preset].base_url if settings.openai_preset else ""
    return (settings.openai_base_url or preset or str(RouterSettings.model_fields["openai_base_url"].default)).rstrip(
        "/"
    )


def advice(data_dir: Path) -> str:
    """What the router wrote when the endpoint refused its request."""
    log = data_dir / "logs" / "router.log"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    for line in reversed(lines):
        if '"model_refused"' in line:
            refused = json.loads(line)
            return f"setting {refused['mend']}: the model's endpoint refused the request (status {refused['status']})"
    return "setting OPENAI_API_KEY, OPENAI_BASE_URL or OPENAI_MODEL: the model's endpoint refused the request"
