"""The registry's HTTP surface."""

from aiohttp import web

from registry.catalogue import Offer
from registry.status import Status


def app(offer: Offer, status: Status) -> web.Application:
    async def tools(request: web.Request) -> web.Response:
        if offer.catalogue is None:
            missing = ", ".join(offer.waits_for)
            reason = f"Restate does not know {missing} yet" if missing else "Restate has not been asked yet"
            return web.json_response({"error": reason}, status=503)
        wanted = {tag.value for tag in request.if_none_match or ()}
        not_modified = bool(wanted & {offer.etag, "*"})
        reply = web.Response(status=304) if not_modified else _json(offer.body)
        reply.etag = offer.etag
        return reply

    async def show_status(_: web.Request) -> web.Response:
        return _json(status.model_dump_json().encode())

    async def health(_: web.Request) -> web.Response:
        return web.Response(text="up")

    async def ready(_: web.Request) -> web.Response:
        """Ready means a catalogue on offer, or one held back for services that may themselves wait for this one."""
        return web.Response(status=200 if offer.catalogue or offer.waits_for else 503)

    application = web.Application()
    application.add_routes(
        [
            web.get("/tools", tools),
            web.get("/status", show_status),
            web.get("/health", health),
            web.get("/ready", ready),
        ]
    )
    return application


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")
