"""A real model's endpoint: is it there, does it take the key, and if not, which setting mends it."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from router.presets import PRESETS, preset_for
from router.settings import RouterSettings
from standalone.process import LOOPBACK, StartError
from standalone.settings import StandaloneSettings

LOOK_SECONDS = 10
LOADING = 503
LOADING_SECONDS = 600
FOLLOWED_SECONDS = 900
TOLD_SECONDS = 5

Tell = Callable[[str], None]

_WAITS = {"": "read prompt and tools for the first time", f"status_{LOADING}": "load its model"}


def check_port(settings: StandaloneSettings) -> None:
    """The port of a model's server on this machine is not one of ours, whether it is up already or not.

    Raises: StartError.
    """
    url = URL(_base_url(settings))
    ours = next((name for name, port in settings.ports().items() if port == url.port), None)
    if settings.real_model and ours and url.host in LOOPBACK:
        raise StartError(
            f"port {url.port} is the model's (OPENAI_BASE_URL, OPENAI_PRESET): set {ours} to another port, for "
            f"`make ask` and `make chat` too, or start the model's server at another and set OPENAI_BASE_URL"
        )


async def check_model(settings: StandaloneSettings, tell: Tell) -> None:
    """Asks for the list of models. Not every server has one: only a refused key or an unreachable host is a fault.

    A server that loads its model is waited for, which is told.
    """
    base_url, began = _base_url(settings), time.monotonic()
    while (status := await _status(settings, base_url)) == LOADING:
        waited = time.monotonic() - began
        if waited > LOADING_SECONDS:
            raise StartError(f"setting OPENAI_BASE_URL: {base_url} has answered {LOADING} for {waited:.0f} s")
        tell(f"waiting for {base_url}: it answers {LOADING}, as if it loads its model ({waited:.0f} s so far)")
        await asyncio.sleep(TOLD_SECONDS)
    if status in (401, 403):
        raise StartError(f"setting OPENAI_API_KEY: {base_url} refuses the key (status {status})")


async def _status(settings: StandaloneSettings, base_url: str) -> int:
    key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else "none"
    preset = preset_for(settings.openai_preset, base_url)
    headers = {preset.key_header: key} if preset.key_header else {"Authorization": f"Bearer {key}"}
    timeout = aiohttp.ClientTimeout(total=LOOK_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=URL(base_url).host not in LOOPBACK) as http,
            http.get(URL(f"{base_url}/models").update_query(preset.query), headers=headers) as reply,
        ):
            return reply.status
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise StartError(f"setting OPENAI_BASE_URL: {base_url} cannot be reached ({type(error).__name__})") from None


async def follow_check(data_dir: Path, tell: Tell) -> None:
    """Tells what the router finds at the model's endpoints, and every few seconds what it waits for.

    Raises: StartError when the first one refuses to answer.
    """
    began = told_at = time.monotonic()
    read, waits_for, is_first = 0, "", True
    while (now := time.monotonic()) - began < FOLLOWED_SECONDS:
        lines = _checks(data_dir)
        for line in lines[read:]:
            if line["event"] == "model_check_waits":
                waits_for = f"{line['endpoint']} to {_WAITS.get(line['reason'], 'be there')}"
                continue
            if line["found"] == "refused" and is_first:
                raise StartError(advice(data_dir))
            is_first = False
            tell(found_at_start(line))
            if not line["left"]:
                return
        read = len(lines)
        if waits_for and now - told_at > TOLD_SECONDS:
            tell(f"waiting for {waits_for} ({now - began:.0f} s so far)")
            told_at = now
        await asyncio.sleep(0.1)


def _checks(data_dir: Path) -> list[dict[str, Any]]:
    """The router's lines about its check, those that are whole."""
    log = data_dir / "logs" / "router.log"
    lines = log.read_text(errors="replace").split("\n")[:-1] if log.exists() else []
    return [json.loads(line) for line in lines if '"event": "model_check' in line]


def found_at_start(line: dict[str, Any]) -> str:
    """One line of the router's check, for a person."""
    endpoint, seconds, tokens = line["endpoint"], line["seconds"], line["prompt_tokens"]
    look = f"; see {line['mend']}" if line["mend"] else ""
    return {
        "fit": f"{endpoint} is fit: prompt and tools are {tokens} tokens, read in {seconds} s",
        "slow": f"{endpoint} is slow: prompt and tools, {tokens} tokens, took {seconds} s{look}",
        "tools_dropped": f"{endpoint} drops tools, or cuts the prompt: it read {tokens} tokens, which should be "
        f"{line['fewest_tokens']} at least{look}",
        "context_too_small": f"{endpoint} has too small a context for prompt and tools{look}",
        "refused": f"{endpoint} refuses to answer{look}",
        "no_answer": f"{endpoint} did not answer within {seconds} s{look}",
    }[line["found"]]


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
