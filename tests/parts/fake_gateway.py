"""A gateway of a few lines, so that a test says itself what the page is told, and when nobody answers."""

import asyncio
import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from gateway.pages import BUILT, policy
from standalone.ports import free_port
from tests.parts.polling import eventually

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, DELETE",
    "Access-Control-Allow-Headers": "authorization, content-type, idempotency-key, last-event-id",
}


@dataclass
class FakeTalk:
    """One conversation: its frames, and what came in."""

    key: str
    user_id: str
    frames: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    inputs: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    past: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    gone: bool = False
    position: int = 0

    def event(self, kind: str, run: str = "", **body: Any) -> None:
        self.position += 1
        at = datetime.now(UTC).isoformat()
        self._send(kind, {"position": self.position, "run": run, "epoch": 1, "at": at, "body": body})

    def text(self, run: str, text: str, keep: int = 0, turn: int = 1, attempt: int = 1) -> None:
        self._send("text", {"run": run, "turn": turn, "attempt": attempt, "keep": keep, "text": text})

    def tool(self, run: str, name: str, call: str = "call_1", **ended: Any) -> None:
        """Begins, and ends at once if it is said how."""
        begun = [
            (each["data"]["run"], each["data"]["body"]["call"])
            for each in self.frames
            if each["event"] == "tool_started"
        ]
        if (run, call) not in begun:
            self.event("tool_started", run, call=call, tool=name)
        if ended:
            self.event("tool_finished", run, call=call, tool=name, **ended)

    def answer(self, run: str, text: str, outcome: str = "answered", tickets: tuple[str, ...] = ()) -> None:
        self.event("answer", run, text=text, outcome=outcome, tickets=list(tickets))
        self.event("run_ended", run, outcome=outcome, superseded=False)

    @property
    def said(self) -> list[str]:
        return [each["text"] for each in self.inputs if each["type"] == "message"]

    def _send(self, event: str, data: dict[str, Any]) -> None:
        self.frames.append({"event": event, "data": data})
        self.wake()

    def wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


class FakeGateway:
    """Serves the page and as much of the API as it uses. `port` stays the same over `stop` and `start`."""

    def __init__(self, customers: dict[str, str]) -> None:
        self.customers = dict(customers)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.page = f"{self.url}/chat/"
        self.talks: dict[str, FakeTalk] = {}
        self.opened: dict[str, str] = {}
        self.lose_replies = 0
        self.cut_replies = 0
        """So many replies break off in the middle of their body."""
        self.away = 0
        """So many times nobody says who asks."""
        self.refuse: tuple[int, str] | None = None
        self.places: list[str] = []
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application(middlewares=[self._around])
        app.router.add_get("/chat/", self._page)
        app.router.add_static("/chat/", BUILT)
        app.router.add_get("/api/v1/demo/customers", self._choices)
        api = "/api/v1/conversations"
        app.router.add_get("/api/v1/me", self._me)
        app.router.add_post(api, self._open)
        app.router.add_post(api + "/{key}/inputs", self._input)
        app.router.add_get(api + "/{key}/events", self._events)
        app.router.add_get(api + "/{key}/export", self._export)
        app.router.add_get(api + "/{key}", self._history)
        app.router.add_delete(api + "/{key}", self._erase)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def talk(self) -> FakeTalk:
        """The only one."""
        (talk,) = self.talks.values()
        return talk

    async def _page(self, _: web.Request) -> web.FileResponse:
        return web.FileResponse(BUILT / "index.html")

    @web.middleware
    async def _around(self, request: web.Request, handler: Any) -> web.StreamResponse:
        response: web.StreamResponse = web.Response() if request.method == "OPTIONS" else await handler(request)
        if not response.prepared:
            response.headers.update(CORS | {"Content-Security-Policy": policy(())})
        return response

    async def _choices(self, _: web.Request) -> web.Response:
        found = [{"user_id": id_, "name": name, "token": f"demo-{id_}"} for id_, name in self.customers.items()]
        return web.json_response({"customers": found})

    def _user(self, request: web.Request) -> str:
        user_id = request.headers.get("Authorization", "").removeprefix("Bearer demo-")
        if user_id not in self.customers:
            raise web.HTTPUnauthorized
        return user_id

    async def heard(self, inputs: int = 1) -> FakeTalk:
        """The latest conversation, once so many inputs came in, in all of them."""

        async def enough() -> bool:
            return sum(len(talk.inputs) for talk in self.talks.values()) >= inputs

        await eventually(enough)
        return list(self.talks.values())[-1]

    def _talk(self, request: web.Request) -> FakeTalk:
        talk = self.talks.get(request.match_info["key"])
        if talk is None or talk.gone or talk.user_id != self._user(request):
            raise web.HTTPNotFound
        return talk

    async def _me(self, request: web.Request) -> web.Response:
        if self.away:
            self.away -= 1
            raise web.HTTPServiceUnavailable
        return web.json_response({"user_id": self._user(request)})

    async def _open(self, request: web.Request) -> web.Response:
        name = f"{self._user(request)}/{request.headers['Idempotency-Key']}"
        key = self.opened.setdefault(name, f"conv_{uuid.uuid4().hex}")
        self.talks.setdefault(key, FakeTalk(key, self._user(request)))
        return web.json_response({"id": key}, status=201)

    async def _input(self, request: web.Request) -> web.StreamResponse:
        talk, came = self._talk(request), await request.json()
        if self.refuse:
            status, title = self.refuse
            return web.json_response({"type": "urn:switchboard:problem:x", "title": title}, status=status)
        known = next((each for each in talk.inputs if each["input_id"] == came["input_id"]), None)
        if known is None:
            known = came | {"place": len(talk.inputs) + 1, "run": f"run_{len(talk.inputs) + 1}"}
            talk.inputs.append(known)
            told = {"type": came["type"], "text": came.get("text", ""), "disposition": "started"}
            talk.event("input", known["run"], **told, position=known["place"])
        if self.lose_replies:
            self.lose_replies -= 1
            assert request.transport is not None
            request.transport.abort()
        if self.cut_replies:
            self.cut_replies -= 1
            return web.Response(status=202, text='{"disposition": "sta', content_type="application/json")
        answer = {"disposition": "started", "run": known["run"], "position": known["place"], "person": False}
        return web.json_response(answer, status=202)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        talk = self._talk(request)
        response = web.StreamResponse(headers=CORS | {"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        await response.write(b"retry: 50\n\n")
        self.places.append(request.headers.get("Last-Event-ID", ""))
        at = int(self.places[-1] or "0")
        while not talk.gone:
            changed = talk.changed
            for frame in talk.frames[at:]:
                at += 1
                data = json.dumps(frame["data"], ensure_ascii=False)
                await response.write(f"id: {at}\nevent: {frame['event']}\ndata: {data}\n\n".encode())
            await changed.wait()
        await response.write(b'event: end\ndata: {"reason": "gone"}\n\n')
        return response

    async def _history(self, request: web.Request) -> web.Response:
        return web.json_response({"id": self._talk(request).key, "messages": self._talk(request).past, "next": None})

    async def _export(self, request: web.Request) -> web.Response:
        return web.json_response({"conversation": self._talk(request).key, "entries": []})

    async def _erase(self, request: web.Request) -> web.Response:
        talk = self._talk(request)
        talk.gone = True
        talk.wake()
        return web.Response(status=204)
