"""The model's client: endpoints in the operator's order, the first that is well answers."""

import time
from typing import Any

import httpx2
import openai

from router.model.endpoint import Asked, Endpoint
from router.model.exchange import Address
from router.model.faults import CallUnreadable, ContextTooLong, Filtered, ModelBusy, ModelFault
from router.model.reply import REFUSED_TEXT, Reply
from router.model.request import STREAM_OPTIONS, Fit
from router.presets import Preset, preset_for
from router.settings import Fallback, RouterSettings
from router.transcript import compact
from runtime.telemetry.logs import get_logger

SILENT_BEFORE_NEXT = 2
"""After how many replies without a word the next endpoint is asked."""

_ALSO_ANSWERS = (Filtered, CallUnreadable, ContextTooLong, ModelFault)
"""What shows that an endpoint is there, though it gave no reply."""

log = get_logger(__name__)


class Model:
    """A chat model behind one or several OpenAI-compatible endpoints."""

    def __init__(self, settings: RouterSettings) -> None:
        self.name = settings.openai_model
        self._http = openai.DefaultAioHttpClient(follow_redirects=False)
        self.endpoints = _endpoints(settings, self._http)

    async def close(self) -> None:
        await self._http.aclose()

    async def answer(self, asked: Asked, seconds: float) -> Reply:
        """What the model says, within `seconds`.

        Raises: `ModelBusy` when asking again may help, `ModelFault` when it cannot, `ContextTooLong` when what is asked
        may not be cut.
        """
        until = time.monotonic() + seconds
        try:
            return await self._first_that_answers(asked, until)
        except Filtered:
            return Reply(text=REFUSED_TEXT)
        except CallUnreadable:
            return Reply(text="", again="bad_call")

    async def _first_that_answers(self, asked: Asked, until: float) -> Reply:
        """Never past a refusal: what is wrong with a request or a key would be hidden by another endpoint."""
        endpoints = [each for each in self.endpoints if each.breaker.lets_through()] or self.endpoints
        if asked.silent >= SILENT_BEFORE_NEXT:
            endpoints = endpoints[1:] or endpoints
        failures: list[ModelBusy] = []
        for left, endpoint in zip(range(len(endpoints), 0, -1), endpoints, strict=True):
            try:
                seconds = (until - time.monotonic()) / min(left, 2)
                reply = await endpoint.ask(asked, seconds, compacting=compact)
            except ModelBusy as busy:
                endpoint.breaker.failed()
                failures.append(busy)
                if left > 1:
                    log.warning("model_fallback", extra={"endpoint": endpoint.name, "reason": busy.reason})
            except _ALSO_ANSWERS:
                endpoint.breaker.succeeded()
                raise
            else:
                endpoint.breaker.succeeded()
                return reply
        raise min(failures, key=lambda busy: busy.asked or 0)


def _endpoints(settings: RouterSettings, http: httpx2.AsyncClient) -> list[Endpoint]:
    """The first, as the settings say, then those that are asked when it does not answer."""
    first = Fallback(
        base_url=settings.openai_base_url,
        model=settings.openai_model,
        api_key=settings.openai_api_key,
        preset=settings.openai_preset,
        extra_body=settings.openai_extra_body,
        extra_query=settings.openai_extra_query,
        extra_headers=settings.openai_extra_headers,
    )
    return [_endpoint(each, settings, http) for each in (first, *settings.openai_fallbacks)]


def _endpoint(told: Fallback, settings: RouterSettings, http: httpx2.AsyncClient) -> Endpoint:
    preset = preset_for(told.preset, told.base_url)
    url = httpx2.URL(told.base_url)
    query = dict(url.params) | preset.query | told.extra_query
    path = f"{url.path.rstrip('/')}/chat/completions"
    address = Address(
        name=f"{told.model} at {url.host}",
        model=told.model,
        url=str(url.copy_with(path=path, params=query)) if query else str(url.copy_with(path=path)),
        headers=_headers(told, preset),
        timeouts=settings.model_timeouts,
    )
    fit = Fit(
        parameters=_parameters(settings, preset) | told.extra_body,
        limit=preset.limit,
        foreign=preset.foreign,
        bare_schemas=preset.bare_schemas,
        stream=settings.openai_stream,
        refused=set() if preset.stream_usage else {STREAM_OPTIONS},
    )
    return Endpoint(address, fit, http)


def _parameters(settings: RouterSettings, preset: Preset) -> dict[str, Any]:
    """What is sent beside the messages and tools; nothing that is not set."""
    set_to = {
        "temperature": settings.openai_temperature,
        preset.limit: settings.openai_max_output_tokens or None,
        "reasoning_effort": settings.openai_reasoning_effort or None,
        "parallel_tool_calls": settings.openai_parallel_tool_calls,
    }
    return {"stream": False} | {name: value for name, value in set_to.items() if value is not None}


def _headers(told: Fallback, preset: Preset) -> dict[str, str]:
    key = told.api_key.get_secret_value()
    own = {preset.key_header: key} if preset.key_header else {"Authorization": f"Bearer {key}"}
    extra = {name: value.get_secret_value() for name, value in told.extra_headers.items()}
    return {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "switchboard"} | own | extra
