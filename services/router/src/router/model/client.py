"""The model's client: one chat completion at an OpenAI-compatible endpoint.

The client library returns `null`, `[]` and error objects as success and retries in secret; so it is used for its
transport, settings and error classes alone: no retries of its own, one total deadline, the raw body read by `reply`.
"""

import asyncio
import json
import time
from typing import Any

import httpx2
import openai
from openai._models import FinalRequestOptions

from router.model.faults import ContextTooLong, ModelBusy, ModelFault, again, raise_for_status
from router.model.reply import Reply, read_reply
from router.seen.metrics import count_model_call, expect_model
from router.settings import RouterSettings
from router.transcript import Chat, compact
from runtime.telemetry.logs import get_logger

log = get_logger(__name__)


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

    async def answer(self, chat: Chat, tools: list[str], seconds: float) -> Reply:
        """As `complete`; a conversation that is too long for the model is sent once more, compacted.

        Raises: `ModelBusy` when asking again may help, `ModelFault` when it cannot.
        """
        try:
            return await self.complete(chat, tools, seconds)
        except ContextTooLong:
            log.warning("conversation_compacted", extra={"messages": len(chat)})
        try:
            return await self.complete(compact(chat), tools, seconds)
        except ContextTooLong:
            raise ModelFault("tokens_exhausted") from None

    async def complete(self, chat: Chat, tools: list[str], seconds: float) -> Reply:
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

    async def _complete(self, chat: Chat, tools: list[str], seconds: float) -> Reply:
        request: dict[str, Any] = {"model": self.name, "messages": chat}
        if self._temperature is not None:
            request["temperature"] = self._temperature
        try:
            async with asyncio.timeout(min(self._timeout, seconds)):
                response = await self._post(_with_tools(json.dumps(request), tools).encode())
        except openai.APIStatusError as error:
            raise_for_status(error)
        except (openai.OpenAIError, httpx2.HTTPError, OSError, TimeoutError) as error:
            raise again(type(error).__name__) from None
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


def _with_tools(request: str, tools: list[str]) -> str:
    """The request with its tools, which are JSON already."""
    return f'{request[:-1]}, "tools": [{", ".join(tools)}]}}' if tools else request
