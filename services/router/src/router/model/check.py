"""Whether an endpoint is fit: one request with the whole catalogue and one token, which also warms its cache."""

import asyncio
import json
import time
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Literal

from yarl import URL

from router.model.endpoint import Asked, Endpoint
from router.model.faults import CallUnreadable, Filtered, ModelBusy, ModelFault, TooFewTokens
from router.transcript import Chat
from runtime.steps import pause_after
from runtime.telemetry.logs import get_logger

FEW_TOKENS = (1, 16)
"""Of the reply: some endpoints give none that is shorter than the second."""

SLOW_SECONDS = 10.0
PATIENCE_SECONDS = 300.0
"""How long an endpoint may take to be there. What it has worked for is never asked again."""

CHARACTERS_PER_TOKEN = 6
TOOL_CHARACTERS_PER_TOKEN = 10
"""More than tokenizers and templates get into one: a prompt of fewer tokens was not read whole."""

Found = Literal["fit", "slow", "tools_dropped", "context_too_small", "refused", "no_answer"]

_MEND: dict[Found, str] = {
    "slow": "OPENAI_TIMEOUT and MAX_SECONDS",
    "tools_dropped": "OPENAI_MODEL, or the template or the context of its server",
    "context_too_small": "the context of the model's server, or MAX_OFFERED",
}

log = get_logger(__name__)


@dataclass(frozen=True)
class Finding:
    """What the check of one endpoint found. `mend` names the setting that mends it."""

    found: Found
    seconds: float
    prompt_tokens: int = 0
    mend: str = ""


def is_own(url: str) -> bool:
    """Whether an endpoint is on this machine or in a private network, so that a request to it costs nothing."""
    host = URL(url).host or ""
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal", ".svc", ".lan"))


async def check(endpoint: Endpoint, asked: Asked, seconds: float) -> Finding:
    """Asks once, and says so. Only what cost nothing is asked again, while a server loads its model."""
    began, attempt = time.monotonic(), 0
    reason = ""
    while True:
        log.info("model_check_waits", extra={"endpoint": endpoint.name, "reason": reason})
        try:
            return await _ask(endpoint, asked, seconds)
        except ModelBusy as busy:
            waited = time.monotonic() - began
            if busy.paid or waited > PATIENCE_SECONDS:
                return Finding("no_answer", waited, mend=busy.mend)
            reason = busy.reason
        attempt += 1
        await asyncio.sleep(pause_after(min(attempt, 5)).total_seconds())


async def _ask(endpoint: Endpoint, asked: Asked, seconds: float) -> Finding:
    began, tokens = time.monotonic(), 0
    for most_tokens in FEW_TOKENS:
        began = time.monotonic()
        try:
            reply = await endpoint.ask(replace(asked, most_tokens=most_tokens), seconds, compacting=_as_it_is)
            tokens = reply.prompt_tokens
        except TooFewTokens:
            continue
        except (Filtered, CallUnreadable):
            pass
        except ModelFault as fault:
            found: Found = "context_too_small" if fault.outcome == "tokens_exhausted" else "refused"
            return Finding(found, time.monotonic() - began, mend=fault.mend or _MEND.get(found, ""))
        break
    taken = time.monotonic() - began
    found = judged(tokens, fewest_tokens(asked, asked.chat(endpoint.name)), taken)
    return Finding(found, taken, tokens, _MEND.get(found, ""))


def judged(tokens: int, fewest: int, seconds: float) -> Found:
    """What a reply shows that came. Without a count of tokens nobody can tell what was read."""
    if 0 < tokens < fewest:
        return "tools_dropped"
    return "slow" if seconds > SLOW_SECONDS else "fit"


def fewest_tokens(asked: Asked, chat: Chat) -> int:
    """How many tokens a server counts at least that has read messages and tools."""
    words, tools = sum(len(message["content"]) for message in chat), sum(map(_size, asked.tools))
    return words // CHARACTERS_PER_TOKEN + tools // TOOL_CHARACTERS_PER_TOKEN


def _size(tool: str) -> int:
    """The characters of a tool, without what JSON writes for those beyond ASCII."""
    return len(json.dumps(json.loads(tool), ensure_ascii=False))


def _as_it_is(chat: Chat) -> Chat:
    return chat
