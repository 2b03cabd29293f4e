"""One OpenAI-compatible endpoint: a chat completion over HTTP, fitted to what the endpoint takes.

The client library returns `null`, `[]` and error objects as success and retries in secret; so only its transport is
used: no retries of its own, deadlines of ours, the raw body read by `reply`, the raw error by `refusal`.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import NoReturn

import httpx2

from router.model.breaker import Breaker
from router.model.exchange import Address, Exchange
from router.model.faults import (
    CallUnreadable,
    ContextTooLong,
    Filtered,
    ModelBusy,
    ModelFault,
    TooFewTokens,
    again,
)
from router.model.live import Live, OnText
from router.model.refusal import Refusal, read_refusal
from router.model.reply import RefusedInside, Reply, read_reply
from router.model.request import Fit
from router.seen.metrics import count_model_call, expect_model
from router.transcript import Chat
from runtime.telemetry.logs import get_logger

MAX_LESSONS = 8
"""How often one call is fitted anew: each lesson leaves something out, so there are not many."""

_SETTING_TO_MEND = {
    401: "OPENAI_API_KEY",
    403: "OPENAI_API_KEY",
    404: "OPENAI_MODEL or OPENAI_BASE_URL",
}
REQUEST_TO_MEND = "OPENAI_MODEL, OPENAI_EXTRA_BODY or OPENAI_TEMPERATURE"

log = get_logger(__name__)


@dataclass(frozen=True)
class Asked:
    """What is asked of a model.

    `chat` builds the messages for the endpoint of a name; `names` are those of `tools`. `silent`: how many replies
    before this one had no words. `most_tokens`: of the reply; None: as the settings say. With `on_text` the reply comes
    as a stream, and what may be shown of it is told while it comes. `may_cut`: what is too long may be cut. `spent` are
    the tokens of all replies so far, those of no use among them, as `prompt` and `completion`.
    """

    chat: Callable[[str], Chat]
    tools: list[str]
    names: Collection[str]
    may_call: bool = True
    silent: int = 0
    most_tokens: int | None = None
    on_text: OnText | None = None
    may_cut: bool = True
    spent: Counter[str] = field(default_factory=Counter[str])


class Endpoint:
    """What is known of one endpoint while the process lives."""

    def __init__(self, address: Address, fit: Fit, http: httpx2.AsyncClient) -> None:
        self.name = address.name
        self.model = address.model
        self.url = address.url
        self.breaker = Breaker()
        self._address = address
        self._fit = fit
        self._http = http
        self._thinks_first = False
        expect_model(self.model)

    async def ask(self, asked: Asked, seconds: float, *, compacting: Callable[[Chat], Chat]) -> Reply:
        """One usable reply. A request that is refused for its form is fitted and sent again, one that is too long is
        compacted once.

        Raises: `ModelBusy` when asking again may help, `ModelFault` when it cannot, `CallUnreadable`, `Filtered`,
        `ContextTooLong` when nothing may be cut.
        """
        chat, compacted, until = asked.chat(self.name), False, time.monotonic() + seconds
        for _ in range(MAX_LESSONS):
            try:
                return await self._counted(chat, asked, until - time.monotonic())
            except ContextTooLong:
                if not asked.may_cut:
                    raise
                shorter = chat if compacted else compacting(chat)
                if shorter == chat:
                    raise ModelFault("tokens_exhausted") from None
                log.warning("conversation_compacted", extra={"messages": len(chat)})
                chat, compacted = shorter, True
            except _Fitted:
                continue
        raise ModelFault("model_misconfigured")

    async def _counted(self, chat: Chat, asked: Asked, seconds: float) -> Reply:
        exchange = self._exchange(chat, asked)
        started, outcome = time.perf_counter(), "broken_off"
        try:
            reply = await self._complete(exchange, chat, asked, seconds)
            outcome = "ok"
            return reply
        except ModelBusy as error:
            outcome = error.reason
            raise
        except ModelFault as error:
            outcome = error.outcome
            raise
        except (ContextTooLong, Filtered, CallUnreadable, TooFewTokens, _Fitted) as error:
            outcome = _OUTCOMES[type(error)]
            raise
        finally:
            prompt, completion = exchange.spent
            asked.spent.update(prompt=prompt, completion=completion)
            tokens = exchange.spent if any(exchange.spent) else None
            count_model_call(self.model, outcome, time.perf_counter() - started, tokens)

    def _exchange(self, chat: Chat, asked: Asked) -> Exchange:
        streamed = self._fit.streams(wanted=asked.on_text is not None)
        body = self._fit.body(
            self.model, chat, asked.tools, may_call=asked.may_call, streamed=streamed, most_tokens=asked.most_tokens
        )
        live = Live(asked.on_text, asked.names, thinks_first=self._thinks_first) if asked.on_text else None
        return Exchange(body, streamed=streamed, live=live)

    async def _complete(self, exchange: Exchange, chat: Chat, asked: Asked, seconds: float) -> Reply:
        """The reply; what was shown of one that turns out to be none is taken back."""
        try:
            reply = await self._read(exchange, chat, asked, seconds)
        except Exception:
            if exchange.live:
                exchange.live.show("")
            raise
        reply.endpoint = self.name
        if exchange.live:
            exchange.live.show(reply.text)
            self._thinks_first = self._thinks_first or exchange.live.thought_unmarked
        return reply

    async def _read(self, exchange: Exchange, chat: Chat, asked: Asked, seconds: float) -> Reply:
        try:
            async with asyncio.timeout(min(self._address.timeouts.total, seconds)):
                await exchange.run(self._http, self._address)
        except (httpx2.HTTPError, OSError, TimeoutError) as error:
            raise self._not_reached(error, exchange) from None
        if exchange.status >= 400:
            told = read_refusal(exchange.status, exchange.headers, bytes(exchange.content), time.time())
            self._refused(told, chat, asked)
        try:
            reply = read_reply(bytes(exchange.content), asked.names)
        except RefusedInside as inside:
            exchange.spent = inside.spent
            self._refused(inside.refusal, chat, asked)
        except ModelBusy as busy:
            exchange.spent = (busy.spent[0] or exchange.estimate[0], busy.spent[1])
            raise
        reply.prompt_tokens = reply.prompt_tokens or exchange.estimate[0]
        exchange.spent = (reply.prompt_tokens, reply.completion_tokens)
        return reply

    def _not_reached(self, error: Exception, exchange: Exchange) -> ModelBusy:
        """The endpoint has probably worked for what it was too slow for, or began to send."""
        reason, paid = type(error).__name__, isinstance(error, TimeoutError) or exchange.status == 200
        if paid:
            exchange.spent = exchange.estimate
        advice = _advice(error)
        if advice:
            log.warning("model_not_reached", extra={"reason": reason, "mend": advice})
        busy = again(reason, paid=paid)
        busy.mend = advice
        return busy

    def _refused(self, refusal: Refusal, chat: Chat, asked: Asked) -> NoReturn:
        meaning = refusal.meaning
        if meaning == "context":
            raise ContextTooLong
        if meaning == "filtered":
            raise Filtered
        if meaning == "bad_call":
            raise CallUnreadable
        if meaning in ("limited", "busy"):
            reason = "rate_limited" if meaning == "limited" else f"status_{refusal.status}"
            raise again(reason, refusal.retry_after)
        if asked.most_tokens is not None and refusal.wants_more_tokens:
            raise TooFewTokens
        told = refusal.scrubbed(_texts(chat))
        facts = {
            "endpoint": self.name,
            "status": told.status,
            "code": told.code,
            "type": told.type,
            "param": told.param,
            "said": told.message,
        }
        if meaning == "unfitting" and (lesson := self._fit.learn(refusal)):
            log.warning("model_request_fitted", extra=facts | {"lesson": lesson})
            raise _Fitted
        mend = "the endpoint's quota" if meaning == "spent" else _SETTING_TO_MEND.get(refusal.status, REQUEST_TO_MEND)
        log.error("model_refused", extra=facts | {"mend": mend})
        raise ModelFault("model_unavailable" if meaning == "spent" else "model_misconfigured", mend)


class _Fitted(Exception):
    """The request was refused for its form, and the next one will be another."""


_OUTCOMES = {
    ContextTooLong: "context_too_long",
    Filtered: "filtered",
    CallUnreadable: "call_unreadable",
    TooFewTokens: "too_few_tokens",
    _Fitted: "fitted",
}


def _texts(chat: Chat) -> list[str]:
    """Everything that was sent as text, so that a log line repeats nothing of it."""
    calls = (call["function"]["arguments"] for message in chat for call in message.get("tool_calls", ()))
    return [*(message["content"] for message in chat if message["content"]), *calls]


def _advice(error: Exception) -> str:
    """Which setting is to blame when the endpoint cannot even be reached."""
    told = f"{type(error).__name__} {error}".lower()
    if "certificate" in told or "ssl" in told:
        return "SSL_CERT_FILE, or OPENAI_BASE_URL"
    if "proxy" in told:
        return "HTTPS_PROXY and NO_PROXY"
    if isinstance(error, TimeoutError):
        return "OPENAI_TIMEOUT, OPENAI_FIRST_BYTE_TIMEOUT or OPENAI_MAX_OUTPUT_TOKENS, if the model is only slow"
    return "OPENAI_BASE_URL" if isinstance(error, httpx2.ConnectError) else ""
