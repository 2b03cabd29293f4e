"""The check at start: each endpoint is asked once with what a first turn would send, and what that shows is said."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from contracts import Caller
from router.catalogue import Offers, for_model
from router.model import Asked, Finding, Model, check, fewest_tokens, is_own
from router.prompt import Prompt
from router.settings import RouterSettings
from router.transcript import Chat
from runtime.telemetry.logs import get_logger

GREETING = "Hello."

log = get_logger(__name__)


@asynccontextmanager
async def checking(model: Model, offers: Offers, prompt: Prompt, settings: RouterSettings) -> AsyncGenerator[None]:
    """Beside the block, so that nothing waits for it: a slow endpoint delays neither the start nor a question."""
    task = asyncio.create_task(_check_all(model, offers, prompt, settings))
    try:
        yield
    finally:
        task.cancel()


async def _check_all(model: Model, offers: Offers, prompt: Prompt, settings: RouterSettings) -> None:
    wanted = [endpoint for endpoint in model.endpoints if is_wanted(endpoint.url, settings)]
    if not wanted:
        return
    on_offer = (await offers.read()).at_start(settings.max_offered)
    chat: Chat = [{"role": "system", "content": prompt.text}, {"role": "user", "content": GREETING}]
    asked = Asked(lambda _: chat, for_model(on_offer, Caller(user_id="")), on_offer.keys())
    for left, endpoint in zip(range(len(wanted) - 1, -1, -1), wanted, strict=True):
        _tell(
            endpoint.name, await check(endpoint, asked, settings.model_timeouts.total), fewest_tokens(asked, chat), left
        )


def is_wanted(url: str, settings: RouterSettings) -> bool:
    """By the setting, else only where it costs nothing: every start of every process would be paid."""
    wanted = settings.openai_check_at_start
    return is_own(url) if wanted is None else wanted


def _tell(endpoint: str, finding: Finding, fewest: int, left: int) -> None:
    facts = {
        "endpoint": endpoint,
        "found": finding.found,
        "seconds": round(finding.seconds, 1),
        "prompt_tokens": finding.prompt_tokens,
        "fewest_tokens": fewest,
        "mend": finding.mend,
        "left": left,
    }
    if finding.found == "fit":
        log.info("model_checked", extra=facts)
    elif finding.found in ("slow", "no_answer"):
        log.warning("model_checked", extra=facts)
    else:
        log.error("model_checked", extra=facts)
