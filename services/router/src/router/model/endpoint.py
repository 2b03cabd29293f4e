"""One OpenAI-compatible endpoint: a chat completion over HTTP, fitted to what the endpoint takes.

The client library returns `null`, `[]` and error objects as success and retries in secret; so only its transport is
used: no retries of its own, deadlines of ours, the raw body read by `reply`, the raw error by `refusal`.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import NoReturn

import httpx2

from router.model.breaker import Breaker
from router.model.faults import CallUnreadable, ContextTooLong, Filtered, ModelBusy, ModelFault, again
from router.model.refusal import Refusal, read_refusal
from router.model.reply import MAX_REPLY_BYTES, RefusedInside, Reply, read_reply
from router.model.request import Fit
from router.seen.metrics import count_model_call, expect_model
from router.settings import ModelTimeouts
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
    before this one had no words.
    """

    chat: Callable[[str], Chat]
    tools: list[str]
    names: Collection[str]
    may_call: bool = True
    silent: int = 0


@dataclass(frozen=True)
class Address:
    """Where an endpoint is, what it is asked for, and how long it may take."""

    name: str
    model: str
    url: str
    headers: dict[str, str]
    timeouts: ModelTimeouts


class Endpoint:
    """What is known of one endpoint while the process lives."""

    def __init__(self, address: Address, fit: Fit, http: httpx2.AsyncClient) -> None:
        self.name = address.name
        self.model = address.model
        self.breaker = Breaker()
        self._address = address
        self._fit = fit
        self._http = http
        expect_model(self.model)

    async def ask(self, asked: Asked, seconds: float, *, compacting: Callable[[Chat], Chat]) -> Reply:
        """One usable reply. A request that is refused for its form is fitted and sent again, one that is too long is
        compacted once.

        Raises: `ModelBusy` when asking again may help, `ModelFault` when it cannot, `CallUnreadable`, `Filtered`.
        """
        chat, compacted, until = asked.chat(self.name), False, time.monotonic() + seconds
        for _ in range(MAX_LESSONS):
            try:
                return await self._counted(chat, asked, until - time.monotonic())
            except ContextTooLong:
                if compacted:
                    raise ModelFault("tokens_exhausted") from None
                log.warning("conversation_compacted", extra={"messages": len(chat)})
                chat, compacted = compacting(chat), True
            except _Fitted:
                continue
        raise ModelFault("model_misconfigured")

    async def _counted(self, chat: Chat, asked: Asked, seconds: float) -> Reply:
        started, outcome, tokens = time.perf_counter(), "broken_off", None
        try:
            reply = await self._complete(chat, asked, seconds)
            outcome, tokens = "ok", (reply.prompt_tokens, reply.completion_tokens)
            return reply
        except ModelBusy as error:
            outcome = error.reason
            raise
        except ModelFault as error:
            outcome = error.outcome
            raise
        except (ContextTooLong, Filtered, CallUnreadable, _Fitted) as error:
            outcome = _OUTCOMES[type(error)]
            raise
        finally:
            count_model_call(self.model, outcome, time.perf_counter() - started, tokens)

    async def _complete(self, chat: Chat, asked: Asked, seconds: float) -> Reply:
        body = self._fit.body(self.model, chat, asked.tools, may_call=asked.may_call)
        try:
            async with asyncio.timeout(min(self._address.timeouts.total, seconds)):
                status, headers, content = await self._post(body)
        except (httpx2.HTTPError, OSError, TimeoutError) as error:
            raise self._not_reached(error) from None
        if status >= 400:
            self._refused(read_refusal(status, headers, content, time.time()), chat)
        try:
            reply = read_reply(content, asked.names)
        except RefusedInside as inside:
            self._refused(inside.refusal, chat)
        reply.endpoint = self.name
        return reply

    async def _post(self, body: bytes) -> tuple[int, httpx2.Headers, bytes]:
        """Past the client's own `post`, which builds URL and headers anew: that takes half of a call's CPU."""
        address = self._address
        request = httpx2.Request(
            "POST",
            address.url,
            headers=address.headers,
            content=body,
            extensions={"timeout": httpx2.Timeout(None, connect=address.timeouts.connect).as_dict()},
        )
        async with asyncio.timeout(address.timeouts.first_byte):
            response = await self._http.send(request, stream=True)
        try:
            content = bytearray()
            async for part in response.aiter_bytes():
                content += part
                if len(content) > MAX_REPLY_BYTES:
                    break
            return response.status_code, response.headers, bytes(content)
        finally:
            await response.aclose()

    def _not_reached(self, error: Exception) -> ModelBusy:
        reason = type(error).__name__
        advice = _advice(error)
        if advice:
            log.warning("model_not_reached", extra={"reason": reason, "mend": advice})
        return again(reason, paid=isinstance(error, TimeoutError))

    def _refused(self, refusal: Refusal, chat: Chat) -> NoReturn:
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
        raise ModelFault("model_unavailable" if meaning == "spent" else "model_misconfigured")


class _Fitted(Exception):
    """The request was refused for its form, and the next one will be another."""


_OUTCOMES = {
    ContextTooLong: "context_too_long",
    Filtered: "filtered",
    CallUnreadable: "call_unreadable",
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
        return "OPENAI_TIMEOUT or OPENAI_FIRST_BYTE_TIMEOUT, if the model is only slow"
    return "OPENAI_BASE_URL" if isinstance(error, httpx2.ConnectError) else ""
