"""The ASGI app of a service: what Restate calls, under a revision of its own if it has one."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import restate

from runtime.settings import RestateServiceSettings

RestateService = restate.Service | restate.VirtualObject | restate.Workflow
AsgiApp = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


def endpoint(services: Sequence[RestateService], settings: RestateServiceSettings) -> AsgiApp:
    """The ASGI app of these services. With a revision it answers under `/rev/<revision>` alone.

    So a journal that was written by other code is never replayed by this one.
    """
    app: AsgiApp = restate.app(services, protocol="bidi", identity_keys=list(settings.identity_keys) or None)
    prefix = f"/rev/{settings.revision}/" if settings.revision else "/"

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["path"].startswith(prefix) or scope["path"] == "/health":
            await app(scope, receive, send)
        else:
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b"another revision is served here"})

    return answer


async def _lifespan(receive: Any, send: Any) -> None:
    for _ in ("startup", "shutdown"):
        event = await receive()
        await send({"type": f"{event['type']}.complete"})
