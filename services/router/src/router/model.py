"""The model: one chat completion at an OpenAI-compatible endpoint, checked by our own strict model.

The client library returns `null`, `[]` and error objects as success and retries in secret; so it is used for its
transport, settings and error classes alone: no retries of its own, one total deadline, the raw body parsed here.
"""

import asyncio
import json
import time
from datetime import timedelta
from typing import Any, NoReturn

import httpx2
import openai
from openai._models import FinalRequestOptions
from pydantic import BaseModel, ValidationError
from restate.exceptions import RetryableError

from contracts import Outcome
from router.metrics import count_model_call, expect_model
from router.plan import WantedCall, scrub
from router.settings import RouterSettings
from runtime.telemetry.logs import get_logger

MAX_REPLY_BYTES = 1024 * 1024
MAX_RETRY_AFTER_SECONDS = 20.0
BACKOFF = timedelta(milliseconds=500)
BYTES_PER_TOKEN = 4
MODEL_CHARACTERS = 100

REFUSED_TEXT = "I am sorry, but I cannot help with that."

_SETTING_TO_MEND = {
    401: "OPENAI_API_KEY",
    403: "OPENAI_API_KEY",
    404: "OPENAI_MODEL or OPENAI_BASE_URL",
    400: "OPENAI_MODEL or OPENAI_TEMPERATURE",
    422: "OPENAI_MODEL or OPENAI_TEMPERATURE",
}

log = get_logger(__name__)


class ModelBusy(RetryableError):
    """Asking again may help; `reason` is a short code."""

    def __init__(self, reason: str, delay: timedelta) -> None:
        super().__init__(f"model call failed: {reason}", status_code=503, retry_after=delay)
        self.reason = reason


class ModelFault(Exception):
    """The model will not answer this run, however often it is asked; `outcome` says what the caller reads."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome: Outcome = outcome


class ContextTooLong(Exception):
    """The conversation is longer than the model takes."""


class Reply(BaseModel):
    """What the model said, checked and cleaned. `cut`: it ended at its length limit. `model`: what it calls itself."""

    text: str
    calls: list[WantedCall]
    cut: bool
    prompt_tokens: int
    completion_tokens: int
    model: str = ""


class Model:
    """A chat model behind an OpenAI-compatible endpoint."""

    def __init__(self, settings: RouterSettings) -> None:
        self.name = settings.openai_model
        expect_model(self.name)
        self._temperature = settings.openai_temperature
        self._timeout = settings.openai_timeout
        self._http = openai.DefaultAioHttpClient()
        self._client = openai.AsyncOpenAI(
            base_url=settings.openai_base_url,
            api_key=settings.openai_api_key.get_secret_value(),
            timeout=settings.openai_timeout,
            http_client=self._http,
        )
        options = FinalRequestOptions(method="post", url="/chat/completions")
        self._request = self._client._build_request(options)  # pyright: ignore[reportPrivateUsage]
        del self._request.headers["content-length"]

    async def close(self) -> None:
        await self._client.close()

    async def complete(self, chat: list[dict[str, Any]], tools: list[dict[str, Any]], seconds: float) -> Reply:
        """One paid call, at most `seconds` long and never longer than the setting.

        Raises: `ModelBusy` when asking again may help, `ModelFault` when it cannot, `ContextTooLong`.
        """
        started, outcome, reply = time.perf_counter(), "broken_off", None
        try:
            reply = await self._complete(chat, tools, seconds)
            outcome = "ok"
            return reply
        except ModelBusy as error:
            outcome = error.reason
            raise
        except ModelFault as error:
            outcome = error.outcome
            raise
        except ContextTooLong:
            outcome = "context_too_long"
            raise
        finally:
            tokens = (reply.prompt_tokens, reply.completion_tokens) if reply else None
            count_model_call(self.name, outcome, time.perf_counter() - started, tokens)

    async def _complete(self, chat: list[dict[str, Any]], tools: list[dict[str, Any]], seconds: float) -> Reply:
        request: dict[str, Any] = {"model": self.name, "messages": chat}
        if tools:
            request["tools"] = tools
        if self._temperature is not None:
            request["temperature"] = self._temperature
        try:
            async with asyncio.timeout(min(self._timeout, seconds)):
                response = await self._post(json.dumps(request).encode())
        except openai.APIStatusError as error:
            _raise_for_status(error)
        except (openai.OpenAIError, httpx2.HTTPError, OSError, TimeoutError) as error:
            raise _again(type(error).__name__) from None
        return read_reply(response.content)

    async def _post(self, body: bytes) -> httpx2.Response:
        """Past the client's own `post`, which builds URL and headers anew: that takes half of a call's CPU."""
        first = self._request
        response = await self._http.send(
            httpx2.Request("POST", first.url, headers=first.headers, content=body, extensions=first.extensions)
        )
        if response.is_error:
            raise self._client._make_status_error_from_response(response)  # pyright: ignore[reportPrivateUsage]
        return response


def read_reply(body: bytes) -> Reply:
    """The body of a 200 as a `Reply`; raises `ModelBusy` when it is not a usable completion."""
    if len(body) > MAX_REPLY_BYTES:
        raise _again("reply_too_large")
    try:
        raw = json.loads(body.decode())
        completion = _Completion.model_validate(scrub(raw) if b"\\" in body else raw)
    except (ValueError, RecursionError, ValidationError):
        raise _again("reply_malformed") from None
    return _reply(completion, len(body))


def _reply(completion: "_Completion", size: int) -> Reply:
    choice = completion.choices[0]
    message, finish = choice.message, choice.finish_reason
    calls = [_wanted(call.function) for call in message.tool_calls or []]
    text = message.content or ""
    if message.refusal or finish == "content_filter":
        text, calls = message.refusal or REFUSED_TEXT, []
    if not text.strip() and not calls:
        raise _again("reply_empty")
    usage = completion.usage or _Usage(prompt_tokens=0, completion_tokens=size // BYTES_PER_TOKEN)
    return Reply(
        text=text,
        calls=calls,
        cut=finish == "length" and not calls,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        model=completion.model[:MODEL_CHARACTERS] if isinstance(completion.model, str) else "",
    )


def _wanted(function: "_Function") -> WantedCall:
    name = (function.name or "")[:64]
    if isinstance(function.arguments, str):
        return WantedCall(name=name, arguments=function.arguments)
    problem = "the arguments must be a JSON object written as a string"
    return WantedCall(name=name, arguments="{}", problem=problem)


class _Function(BaseModel):
    name: str | None = None
    arguments: Any = None


class _Call(BaseModel):
    function: _Function


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Completion(BaseModel):
    choices: list[_Choice]
    usage: _Usage | None = None
    model: Any = None

    def model_post_init(self, _: Any) -> None:
        if not self.choices:
            raise ValueError("no choices")


def _raise_for_status(error: openai.APIStatusError) -> NoReturn:
    status, code = error.status_code, str(error.code or "")
    if status == 429 and code != "insufficient_quota":
        raise _rate_limited(error.response.headers.get("retry-after"))
    if code == "context_length_exceeded" or status == 413:
        raise ContextTooLong
    if status == 429 or status in _SETTING_TO_MEND:
        mend = _SETTING_TO_MEND.get(status, "the endpoint's quota")
        log.error("model_refused", extra={"status": status, "mend": mend})
        raise ModelFault("model_unavailable" if status == 429 else "model_misconfigured")
    raise _again(f"status_{status}")


def _rate_limited(retry_after: str | None) -> Exception:
    try:
        seconds = max(0.0, float(retry_after or BACKOFF.total_seconds()))
    except ValueError:
        seconds = BACKOFF.total_seconds()
    if seconds > MAX_RETRY_AFTER_SECONDS:
        log.warning("model_rate_limited", extra={"retry_after": seconds})
        return ModelFault("model_unavailable")
    return _again("rate_limited", timedelta(seconds=seconds))


def _again(reason: str, delay: timedelta = BACKOFF) -> ModelBusy:
    log.warning("model_call_failed", extra={"reason": reason})
    return ModelBusy(reason, delay)
