"""The registry's HTTP surface."""

from aiohttp import web

from contracts import Accepted, Clock
from registry.admin import Admin, AdminError
from registry.catalogue import ServedCatalogue
from registry.status import Status

OF_CONVERSATIONS = frozenset({"ToolRouter/converse", "ApprovedCall/run"})
"""What holds words of a conversation, and is removed with it."""


def app(served: ServedCatalogue, status: Status, admin: Admin) -> web.Application:
    async def tools(request: web.Request) -> web.Response:
        if served.catalogue is None:
            missing = ", ".join(served.waits_for)
            reason = f"Restate does not know {missing} yet" if missing else "Restate has not been asked yet"
            return web.json_response({"error": served.fault or reason}, status=503)
        wanted = {tag.value for tag in request.if_none_match or ()}
        not_modified = bool(wanted & {served.etag, "*"})
        reply = web.Response(status=304) if not_modified else _json(served.body)
        reply.etag = served.etag
        return reply

    async def show_status(_: web.Request) -> web.Response:
        return _json(status.model_dump_json().encode())

    async def accepted(request: web.Request) -> web.Response:
        """When an invocation was accepted, which only Restate knows."""
        try:
            accepted_at = await admin.accepted_at(request.match_info["id"])
        except AdminError as error:
            return web.json_response({"error": str(error)}, status=503)
        if accepted_at is None:
            return web.json_response({"error": "there is no such invocation"}, status=404)
        return _json(Accepted(accepted_at=accepted_at).model_dump_json().encode())

    async def clock(_: web.Request) -> web.Response:
        """What time it is at Restate, by which timers ring."""
        try:
            return _json(Clock(now=await admin.now()).model_dump_json().encode())
        except AdminError as error:
            return web.json_response({"error": str(error)}, status=503)

    async def remove_journal(request: web.Request) -> web.Response:
        """Of a run of a conversation alone, which is erased: all else is kept for as long as Restate was told."""
        invocation = request.match_info["id"]
        try:
            target = await admin.target_of(invocation)
            if target is not None and target not in OF_CONVERSATIONS:
                return web.json_response({"error": "this is no run of a conversation"}, status=403)
            await admin.purge(invocation)
        except AdminError as error:
            return web.json_response({"error": str(error)}, status=409 if error.status == 409 else 503)
        return web.Response(status=204)

    async def health(_: web.Request) -> web.Response:
        return web.Response(text="up")

    async def ready(_: web.Request) -> web.Response:
        """Ready means a catalogue on offer, or one held back for services that may themselves wait for this one."""
        return web.Response(status=200 if served.catalogue or served.waits_for else 503)

    application = web.Application()
    application.add_routes(
        [
            web.get("/tools", tools),
            web.get("/status", show_status),
            web.get(r"/accepted/{id:inv_[A-Za-z0-9]+}", accepted),
            web.get("/clock", clock),
            web.delete(r"/journals/{id:inv_[A-Za-z0-9]+}", remove_journal),
            web.get("/health", health),
            web.get("/ready", ready),
        ]
    )
    return application


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")
