"""The HTTP server: chat completions, models, health, a status page; and the admin endpoints by which tests steer it."""

import asyncio
import json
from dataclasses import replace
from typing import Any

from aiohttp import web

from demo_model.double.faults import FAULTS, UNPAID, Armed, Honest, Streaming, Wire, error_body, send
from demo_model.double.ledger import Ledger, digest
from demo_model.double.script import BadScript, Script, ScriptedReply, number, read_fault, read_reply, read_script
from demo_model.english.turn import next_turn
from demo_model.status_page import STATUS_PATH, show_status
from demo_model.wire.conversation import BadRequest, Conversation, parse
from demo_model.wire.replies import MODEL, Reply, completion, encode, tokens_of
from demo_model.wire.shapes import as_object

MAX_BODY_BYTES = 64 * 1024 * 1024
CONVERSATIONS_KEPT = 1000
_JSON = {"Content-Type": "application/json"}
_ABOUT = {
    "id": MODEL,
    "object": "model",
    "created": 1767225600,
    "owned_by": "switchboard: matches words, understands nothing",
}


class DemoModel:
    """What the endpoints share: the ledger, and what tests have asked for."""

    def __init__(self, ledger: Ledger, latency_seconds: float = 0.0, context_tokens: int = 0) -> None:
        self.ledger = ledger
        self._context_tokens = context_tokens
        self._usual_latency = latency_seconds
        self.chunk_seconds = 0.0
        self._latest: dict[str, Conversation] = {}
        self.reset()

    def reset(self) -> None:
        """Forgets scripts, faults and latency; the ledger stays."""
        self.latency_seconds = self._usual_latency
        self.chunk_seconds = 0.0
        self.scripts: list[Script] = []
        self.armed: list[Armed] = []

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """`POST /v1/chat/completions`: the reply is decided, written down, and only then sent."""
        body = await request.read()
        try:
            conversation = parse(body)
            scripted = self._scripted(request, conversation)
            if 0 < self._context_tokens < tokens_of(body):
                scripted = ScriptedReply(fault=Armed("context_length"))
        except BadRequest as bad:
            self.ledger.record(first="", turns=0, model="", outcome=f"refused: {bad.message}", paid=False, digest="")
            return _refused(bad.message, bad.field)
        except BadScript as bad:
            return _refused(str(bad), "x-demo-model")
        reply = scripted.reply or (Reply() if scripted.raw else next_turn(conversation))
        outcome = _outcome(scripted, reply)
        if conversation.wants_summary and outcome == "text":
            outcome = "summary"
        served = self._record(conversation, outcome, paid=_is_paid(scripted))
        latency = scripted.latency_seconds or self.latency_seconds
        if latency:
            await asyncio.sleep(latency)
        whole = completion(reply, len(body), served)
        streaming = None
        if conversation.stream:
            streaming = Streaming(conversation.stream_usage, scripted.chunk_seconds or self.chunk_seconds)
        if scripted.fault is not None:
            names = tuple(tool["function"]["name"] for tool in conversation.tools)
            return await send(
                request, FAULTS[scripted.fault.name](Honest(whole, names), scripted.fault.params), streaming
            )
        if scripted.raw is not None:
            return web.Response(status=scripted.raw.status, body=scripted.raw.body, headers=scripted.raw.headers)
        return await send(request, Wire(body=encode(whole), completion=whole), streaming)

    def _scripted(self, request: web.Request, conversation: Conversation) -> ScriptedReply:
        """What this call gets: by its own header, else an armed fault, else a script, else the model's own reply."""
        directive = request.headers.get("x-demo-model")
        if directive is not None:
            try:
                return read_reply(json.loads(directive), conversation.turns)
            except ValueError as bad:
                raise BadScript(f"x-demo-model: {bad}") from None
        if not self.armed and not self.scripts:
            return ScriptedReply()
        first, turns = conversation.first, conversation.turns
        script = next((one for one in self.scripts if one.match in first), None)
        scripted = ScriptedReply()
        if script:
            scripted = script.summary if conversation.wants_summary else script.at(turns)
        fault = next((one for one in self.armed if one.hits(first, turns)), None)
        if fault is None:
            return scripted
        fault.fired += 1
        return replace(scripted, raw=None, fault=fault)

    def _record(self, conversation: Conversation, outcome: str, *, paid: bool) -> int:
        if not conversation.wants_summary:
            self._latest.pop(conversation.first, None)
            self._latest[conversation.first] = conversation
        if len(self._latest) > CONVERSATIONS_KEPT:
            del self._latest[next(iter(self._latest))]
        return self.ledger.record(
            first=conversation.first,
            turns=conversation.turns,
            model=conversation.model,
            outcome=outcome,
            paid=paid,
            digest=digest(conversation.messages),
        )

    # --- admin: used by tests and benches ---

    async def add_script(self, request: web.Request) -> web.Response:
        """`POST /admin/script`: the latest script that matches wins; the same `match` replaces the former one."""
        script = read_script(await _body(request))
        self.scripts = [script, *(one for one in self.scripts if one.match != script.match)]
        return _json({"match": script.match, "replies": len(script.replies)})

    async def arm_fault(self, request: web.Request) -> web.Response:
        """`POST /admin/fault`: for the next `times` calls, of conversations that match, at one turn if told so."""
        fault = read_fault(await _body(request))
        self.armed.append(fault)
        return _json(_told(fault))

    async def list_faults(self, _: web.Request) -> web.Response:
        """`GET /admin/fault`: what is armed, and how often each has fired."""
        return _json({"faults": [_told(one) for one in self.armed], "names": sorted(FAULTS)})

    async def set_latency(self, request: web.Request) -> web.Response:
        """`POST /admin/latency`: how long every reply is held back, and a stream between two of its events."""
        told = as_object(await _body(request)) or {}
        self.latency_seconds = number(told.get("seconds"), "seconds")
        self.chunk_seconds = number(told.get("chunk_seconds", 0), "chunk_seconds")
        return _json({"seconds": self.latency_seconds, "chunk_seconds": self.chunk_seconds})

    async def forget(self, _: web.Request) -> web.Response:
        """`POST /admin/reset`: scripts, faults and latency; the ledger has its own `DELETE`."""
        self.reset()
        return _json({})

    async def read_ledger(self, request: web.Request) -> web.Response:
        return _json(self.ledger.read(request.query.get("match", "")))

    async def read_conversation(self, request: web.Request) -> web.Response:
        """`GET /admin/conversation?match=`: the latest messages and tools of one conversation."""
        match = request.query.get("match", "")
        found = next((one for first, one in reversed(self._latest.items()) if match in first), None)
        return _json({"messages": found.messages, "tools": found.tools} if found else {"messages": [], "tools": []})

    async def clear_ledger(self, _: web.Request) -> web.Response:
        self.ledger.clear()
        return _json({})


def build(model: DemoModel, *, admin_endpoints: bool = True) -> web.Application:
    """The application."""
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_errors])
    app.router.add_post("/v1/chat/completions", model.chat)
    app.router.add_get("/v1/models", _models)
    app.router.add_get("/v1/models/{id}", _model)
    app.router.add_get("/health", _health)
    app.router.add_get(STATUS_PATH, show_status)
    if admin_endpoints:
        app.router.add_post("/admin/script", model.add_script)
        app.router.add_post("/admin/fault", model.arm_fault)
        app.router.add_get("/admin/fault", model.list_faults)
        app.router.add_post("/admin/latency", model.set_latency)
        app.router.add_post("/admin/reset", model.forget)
        app.router.add_get("/admin/ledger", model.read_ledger)
        app.router.add_get("/admin/conversation", model.read_conversation)
        app.router.add_delete("/admin/ledger", model.clear_ledger)
    return app


@web.middleware
async def _errors(request: web.Request, handler: Any) -> web.StreamResponse:
    """Errors in OpenAI's shape, whichever endpoint they come from."""
    try:
        return await handler(request)
    except BadScript as bad:
        return _refused(str(bad))
    except web.HTTPException as error:
        said = f"{error.reason} ({request.method} {request.path})"
        return web.json_response(error_body(said), status=error.status)


def _outcome(scripted: ScriptedReply, reply: Reply) -> str:
    if scripted.fault is not None:
        return f"fault {scripted.fault.name}"
    return f"raw {scripted.raw.status}" if scripted.raw else reply.outcome


def _is_paid(scripted: ScriptedReply) -> bool:
    status = scripted.raw.status if scripted.raw else 200
    return status < 400 and (scripted.fault is None or scripted.fault.name not in UNPAID)


def _told(fault: Armed) -> dict[str, Any]:
    return {"name": fault.name, "times": fault.times, "fired": fault.fired, "match": fault.match, "turn": fault.turn}


async def _body(request: web.Request) -> Any:
    try:
        return json.loads(await request.read())
    except ValueError:
        raise BadScript("the body is no JSON") from None


def _json(value: Any) -> web.Response:
    return web.Response(body=encode(value), headers=_JSON)


def _refused(message: str, field: str | None = None) -> web.Response:
    return web.Response(status=400, body=encode(error_body(message, param=field)), headers=_JSON)


async def _models(_: web.Request) -> web.Response:
    return _json({"object": "list", "data": [_ABOUT]})


async def _model(request: web.Request) -> web.Response:
    if request.match_info["id"] != MODEL:
        missing = error_body(f"The model does not exist; there is only {MODEL}.", code="model_not_found")
        return web.Response(status=404, body=encode(missing), headers=_JSON)
    return _json(_ABOUT)


async def _health(_: web.Request) -> web.Response:
    return _json({"status": "ok"})
