"""The rooms behind the console in a few lines, so that a test says itself what staff find there.

They answer as Restate's ingress does, and check staff tokens as the real ones do.
"""

import asyncio
import hashlib
import json
import secrets
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from aiohttp import web
from pydantic import ValidationError

from contracts import (
    ApprovalShown,
    ApprovalsQuery,
    AuditLine,
    AuditQuery,
    ChangingTicket,
    Decide,
    RunLine,
    RunsQuery,
    StopRun,
    TicketAssign,
    TicketChange,
    TicketMerge,
    TicketNote,
    TicketReply,
    TicketShown,
    TicketsQuery,
    ToolAct,
    ToolChange,
    ToolLine,
    ToolSwitch,
    WaitingQuery,
    cursor_of,
)
from standalone.ports import free_port

SOURCE = "x-restate-error-source"
STAFF_KEY = "another-secret-of-32-bytes-for-staff"
DEMO_STAFF = [
    {"name": "anna", "shown": "Anna Berg", "roles": ["agent"]},
    {"name": "ben", "shown": "Ben Osei", "roles": ["agent", "approver"]},
    {"name": "dora", "shown": "Dora Lind", "roles": ["approver"]},
    {"name": "carla", "shown": "Carla Ruiz", "roles": ["admin"]},
]
OF_A_CONSOLE = {
    "STAFF_KEY": STAFF_KEY,
    "SESSION_SECRET": "a-secret-of-32-bytes-for-sessions",
    "SECURE_COOKIES": "false",
    "DEMO_STAFF": json.dumps(DEMO_STAFF),
}
"""What it must be told, wherever the others are."""

SCHEMA = {
    "type": "object",
    "properties": {
        "invoice_id": {"type": "string", "description": "Which invoice."},
        "amount": {"type": "number", "description": "How much, in euros."},
        "note": {"type": "string"},
        "speed": {"enum": ["slow", "fast"]},
    },
    "required": ["invoice_id", "amount"],
}


SCOPES = ("read", "act", "approve", "audit")
TICKET_ACTS: dict[str, type[ChangingTicket]] = {
    "reply": TicketReply,
    "note": TicketNote,
    "assign": TicketAssign,
    "change": TicketChange,
    "merge": TicketMerge,
}


class Refuse(Exception):
    def __init__(self, status: int, code: str, message: str = "refused", field: str = "") -> None:
        super().__init__(code)
        self.status, self.code, self.message, self.field = status, code, message, field


class FakeRooms:
    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.approvals: dict[str, ApprovalShown] = {}
        self.dues: dict[str, str] = {}
        """When somebody should have come to a conversation."""
        self.calls: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
        """Each call: its target, who made it, and its body."""
        self.talks: dict[str, list[dict[str, Any]]] = {}
        """The lines of each conversation."""
        self.owners: dict[str, str] = {}
        self.steps: dict[str, list[dict[str, Any]]] = {}
        """What the run of each conversation did; of one that is not there nothing is known."""
        self.runs: list[RunLine] = []
        """The latest last."""
        self.stops: dict[tuple[str, str], StopRun] = {}
        """What was stopped, by whom and under which name."""
        self.accounts: dict[str, dict[str, Any]] = {}
        self.accounts_are_away = False
        self.tickets: dict[str, TicketShown] = {}
        self.ticket_acts: dict[tuple[str, str | None], str] = {}
        """What was done under which name, so that it is done once."""
        self.audit: list[AuditLine] = []
        """What was done, in any order."""
        self.tools: dict[str, ToolLine] = {}
        self.tool_changes: list[ToolChange] = []
        self.tool_acts: list[ToolAct] = []
        """The oldest first."""
        self.ticket_changes: list[str] = []
        self.streams: set[asyncio.Queue[str]] = set()
        """What each console that follows has still to be told; empty: its stream ends."""
        self.tells_nothing = False
        """Nobody is let in who wants to follow what changes."""
        self.keys: dict[str, dict[str, Any]] = {}
        """API keys of the staff's tools, by their digest."""
        self.answered: dict[tuple[str, str], dict[str, Any]] = {}
        """What was answered to what was asked once under a name."""
        self.away = False
        self.fails = False
        """Whatever is to be changed ends in an error that no room has foreseen."""
        self.refuses_tokens = False
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/restate/call/{target:.*}", self._call)
        app.router.add_post("/{target:desk/.*}", self._call)
        app.router.add_get("/restate/health", self._health)
        app.router.add_get("/desk/events", self._events)
        app.router.add_post("/desk/keys", self._key)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def asked(
        self, tool: str = "refund_invoice", arguments: Mapping[str, Any] | None = None, **more: Any
    ) -> ApprovalShown:
        """A call that waits for a person."""
        told = {"invoice_id": "INV-1", "amount": 19.5} if arguments is None else dict(arguments)
        now = datetime.now(UTC)
        shown: dict[str, Any] = {
            "approval_id": f"appr_{uuid.uuid4().hex}",
            "status": "pending",
            "tool": tool,
            "user_id": "user_12345",
            "conversation": None,
            "role": "approver",
            "why": "the tool asks for it",
            "asked_at": now.isoformat(),
            "expires_at": (now + timedelta(hours=24)).isoformat(),
            "run": "run_1",
            "message": "Please refund my invoice.",
            "arguments": told,
            "digest": hashlib.sha256(json.dumps(told).encode()).hexdigest(),
            "fixed": ["user_id"] if "user_id" in told else [],
            "parameters": SCHEMA,
            "decided_by": "",
            "decided_at": "",
            "reason": "",
            "changes": [],
        }
        approval = ApprovalShown.model_validate(shown | more)
        self.approvals[approval.approval_id] = approval
        self.tell("approval", approval.approval_id)
        return approval

    def talk(self, *lines: tuple[str, dict[str, Any]], user_id: str = "user_12345") -> str:
        """A conversation that waits for a person; `lines` come after what was asked."""
        key = f"conv_{uuid.uuid4().hex}"
        self.talks[key], self.owners[key] = [], user_id
        self.line(key, "message", text="I want to talk to a human.")
        for kind, body in lines:
            self.line(key, kind, **body)
        self.line(key, "owner", speaker="person", person="", by="")
        return key

    def line(self, key: str, kind: str, **body: Any) -> int:
        lines, at = self.talks[key], datetime.now(UTC).isoformat()
        run = "run_of_a_person" if kind in ("owner", "packet", "person") else "run_1"
        lines.append({"position": len(lines) + 1, "kind": kind, "run": run, "at": at, "body": body})
        self.tell("conversation", key, len(lines))
        if kind == "owner":
            self.tell("wait", key)
        return len(lines)

    def ran(self, **more: Any) -> RunLine:
        """A run of a conversation of its own, which is at work."""
        user_id = more.pop("user_id", "user_12345")
        key, began = self.talk(user_id=user_id), datetime.now(UTC).isoformat()
        shown = {"conversation": key, "user_id": user_id, "run": f"run_{uuid.uuid4().hex}", "state": "running"}
        self.runs.append(RunLine.model_validate(shown | {"begun_at": began, "seconds": 1.5} | more))
        self.tell("run", key)
        return self.runs[-1]

    def ends(self, run: RunLine, **more: Any) -> RunLine:
        """It is not at work any more."""
        ended = RunLine.model_validate(run.model_dump() | {"state": "ended", "outcome": "answered"} | more)
        self.runs[self.runs.index(run)] = ended
        self.tell("run", run.conversation)
        return ended

    def tell(self, kind: str, of: str, entries: int = 0) -> None:
        """Consoles that follow are told that it has changed."""
        for stream in self.streams:
            stream.put_nowait(json.dumps({"kind": kind, "id": of, "entries": entries, "events": 0}))

    def cut_streams(self) -> None:
        for stream in self.streams:
            stream.put_nowait("")

    def holder(self, key: str) -> str | None:
        """Who has it: a name, nobody yet (empty), or None for the agent."""
        body = next(line["body"] for line in reversed(self.talks[key]) if line["kind"] == "owner")
        return body.get("person", "") if body["speaker"] == "person" else None

    def ticket(self, **more: Any) -> TicketShown:
        now, number = datetime.now(UTC).isoformat(), 100_000 + len(self.tickets)
        shown: dict[str, Any] = {
            "ticket_id": f"TCK-{number}",
            "user_id": "user_12345",
            "subject": "The dashboard is down",
        }
        shown |= {"state": "new", "category": "bug", "priority": "high", "created_at": now, "updated_at": now}
        ticket = TicketShown.model_validate(shown | {"due_at": now, "description": "It shows nothing."} | more)
        self.tickets[ticket.ticket_id] = ticket
        self.ticket_changes.append(ticket.ticket_id)
        return ticket

    def key(
        self, *roles: str, scopes: Sequence[str] = SCOPES, name: str = "bot", person: str = "", days: int = 1
    ) -> str:
        """A new key of a tool; of `days` below 0 one that is no more."""
        key = f"sbd_{uuid.uuid4().hex[:12]}_{secrets.token_urlsafe(32)}"
        until = (datetime.now(UTC) + timedelta(days=days)).isoformat()
        told: dict[str, Any] = {"key_id": key.split("_")[1], "name": name, "scopes": list(scopes), "roles": list(roles)}
        self.keys[hashlib.sha256(key.encode()).hexdigest()] = told | {"person": person, "expires_at": until}
        return key

    def made(self, target: str) -> list[dict[str, Any]]:
        """The bodies of the calls of one handler."""
        return [body for called, _, body in self.calls if called == target]

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response(status=503 if self.away else 200)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        by = self._who(request.headers.get("Authorization", "").removeprefix("Bearer "))
        if self.tells_nothing or not by["roles"]:
            return web.Response(status=503)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        stream = asyncio.Queue[str]()
        self.streams.add(stream)
        try:
            await response.write(b"id: 1-1:1:\nevent: here\ndata: {}\n\n")
            if "Last-Event-ID" in request.headers:  # it keeps nothing
                await response.write(b"event: all\ndata: {}\n\n")
            while told := await stream.get():
                await response.write(f"id: 1-1:1:\nevent: change\ndata: {told}\n\n".encode())
        finally:
            self.streams.discard(stream)
        return response

    async def _key(self, request: web.Request) -> web.Response:
        try:
            self._who(request.headers.get("Authorization", "").removeprefix("Bearer "))
        except Refuse as refuse:
            return web.json_response({"code": refuse.code}, status=refuse.status)
        told = self.keys.get((await request.json())["digest"])
        if self.away:
            return web.Response(status=503)
        return web.json_response(told or {"code": "unknown_key"}, status=200 if told else 404)

    async def _call(self, request: web.Request) -> web.Response:
        target, body = request.match_info["target"], await request.json()
        if self.away or (self.accounts_are_away and target == "AccountDesk/show"):
            return web.json_response({"message": "no"}, status=503)
        try:
            by = self._who(body.pop("staff_token", ""))
            self.calls.append((target, by, body))
            if self.fails and not target.endswith(("/show", "/list", "/counts", "/audit", "/changed", "/tools")):
                return web.json_response({"message": "no"}, status=500, headers={SOURCE: "invocation"})
            named = (target, request.headers.get("Idempotency-Key") or uuid.uuid4().hex)
            if named not in self.answered:
                self.answered[named] = await self._answer(target, by, body)
            return web.json_response(self.answered[named])
        except ValidationError:
            return web.json_response({"message": "no", "metadata": {"code": "invalid_request"}}, status=422)
        except Refuse as refuse:
            told = {"message": refuse.message, "metadata": {"code": refuse.code, "field": refuse.field}}
            return web.json_response(told, status=refuse.status, headers={SOURCE: "invocation"})

    def _who(self, token: str) -> dict[str, Any]:
        try:
            claims = jwt.decode(token, STAFF_KEY, ["HS256"], audience="switchboard-staff")
        except jwt.PyJWTError:
            raise Refuse(401, "staff_token_invalid") from None
        if self.refuses_tokens or claims["exp"] - claims["iat"] > 600:
            raise Refuse(401, "staff_token_invalid")
        return claims

    async def _answer(self, target: str, by: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        service, _, rest = target.partition("/")
        if rest == "audit":
            return self._audited(service, by, body)
        handlers: dict[str, Callable[..., dict[str, Any]]] = {
            "Approvals": self._approvals,
            "ConversationDesk": self._standing,
            "Conversation": self._conversation,
            "TicketDesk": self._ticket_desk,
            "AccountDesk": self._account,
            "desk": self._tool_desk,
        }
        return handlers[service](rest, by, body)

    def _audited(self, service: str, by: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        if "admin" not in by["roles"]:
            raise Refuse(403, "staff_role")
        asked = AuditQuery.model_validate(body | {"staff_token": ""})
        kinds = {"TicketDesk": {"ticket"}, "ConversationDesk": {"approval", "conversation"}, "desk": {"tool"}}
        found = [line for line in self.audit if line.kind in kinds[service] and asked.kind in (None, line.kind)]
        found = [line for line in found if asked.who in ("", line.who) and asked.subject in ("", line.subject)]
        found = [line for line in found if not asked.cursor or _place(line.cursor) < _place(asked.cursor)]
        found.sort(key=lambda line: _place(line.cursor), reverse=True)
        return {"lines": [line.model_dump() for line in found[: asked.limit]]}

    def _standing(self, handler: str, by: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        if handler == "runs":
            return self._ran(RunsQuery.model_validate(body | {"staff_token": ""}))
        asked, name = WaitingQuery.model_validate(body | {"staff_token": ""}), by["sub"]
        rows = [self._stands(key) for key in self.talks]
        with_people = [row for row in rows if row["speaks"] == "person"]
        people = [row["person"] for row in with_people]
        counts = {"waiting": people.count(""), "mine": people.count(name), "taken": len(people) - people.count("")}
        found = [row for row in rows if self._says(row, asked.search)] if asked.search else with_people
        found = [row for row in found if asked.user_id in (None, row["user_id"]) and not asked.overdue]
        found = [row for row in found if asked.who == "all" or row["person"] == (name if asked.who == "mine" else "")]
        found = sorted(found, key=lambda row: bool(row["person"]))
        left = [row for row in found if not asked.cursor or row["place"] > asked.cursor]
        return {"conversations": left[: asked.limit], "counts": counts, "more": len(left) > asked.limit}

    def _stands(self, key: str) -> dict[str, Any]:
        lines, has = self.talks[key], self.holder(key)
        reason = next((line["body"]["reason"] for line in lines if line["kind"] == "packet"), "")
        place = f"infinity~{list(self.talks).index(key):09}~{key}"
        row = {"conversation": key, "user_id": self.owners[key], "person": has or "", "since": lines[0]["at"]}
        row |= {"due_at": self.dues.get(key, ""), "speaks": "agent" if has is None else "person"}
        return row | {"reason": reason, "place": place}

    def _says(self, row: dict[str, Any], words: str) -> bool:
        """Whether these words were said in it; then the line with them is what was found."""
        texts = (str(line["body"].get("text", "")) for line in self.talks[row["conversation"]])
        row["found"] = next((text for text in texts if words in text), "")
        return bool(row["found"])

    def _ran(self, asked: RunsQuery) -> dict[str, Any]:
        at_work = {"running", "stopping"}
        of_kind = {"all": at_work | {"ended", "failed"}, "running": at_work, "failed": {"failed"}}[asked.kind]
        found = [each for each in self.runs if each.state in of_kind and asked.user_id in (None, each.user_id)]
        places = [cursor_of(datetime.fromisoformat(each.begun_at), each.run) for each in found]
        rows = sorted(zip(map(_place, places), places, found, strict=True), key=lambda row: row[0], reverse=True)
        rows = [row for row in rows if not asked.cursor or row[0] < _place(asked.cursor)]
        shown = rows[: asked.limit]
        told = {"runs": [each.model_dump() for _, _, each in shown]}
        return told | {"next": shown[-1][1] if len(rows) > len(shown) else ""}

    def _stop(self, key: str, by: dict[str, Any], asked: StopRun) -> dict[str, Any]:
        if not {"agent", "admin"} & set(by["roles"]):
            raise Refuse(403, "staff_role")
        known = self.stops.get((by["sub"], asked.act_id))
        run = next((each for each in self.runs if (each.conversation, each.run) == (key, asked.expected_run)), None)
        if known and known != asked:
            raise Refuse(409, "act_id_taken")
        if not known and (run is None or run.state != "running"):
            raise Refuse(409, "run_changed", field="expected_run")
        if run and not known:
            self.stops[by["sub"], asked.act_id] = asked
            self.ends(run, state="stopping", outcome="", stopped_by=by["sub"], why=asked.why)
            self.line(key, "note", text="The support staff stopped the agent.", by=by["sub"], reason=asked.why)
        return {"run": asked.expected_run, "position": len(self.talks[key])}

    def _conversation(self, rest: str, by: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        key, _, handler = rest.partition("/")
        if key not in self.talks:
            raise Refuse(404, "unknown_conversation")
        has, name = self.holder(key), by["sub"]
        if handler == "show":
            return self._transcript(key, body)
        if handler == "steps":
            return self._steps(key, body)
        if handler == "stop":
            return self._stop(key, by, StopRun.model_validate(body | {"staff_token": ""}))
        if handler == "take" and has not in (None, "", name):
            raise Refuse(409, "taken", f"{has} has this conversation")
        if handler == "say":
            if has != name:
                raise Refuse(409, "not_yours")
            return {"position": self.line(key, "person", text=body["text"], person=name)}
        if handler == "return":
            self.line(key, "owner", speaker="agent", by=name, seconds=60, said=1)
            return {"person": "", "waiting": False}
        self.line(key, "owner", speaker="person", person=body.get("to", name), by=name)
        return {"person": body.get("to", name), "waiting": False}

    def _transcript(self, key: str, body: dict[str, Any]) -> dict[str, Any]:
        before, limit = body.get("before") or len(self.talks[key]) + 1, body["limit"]
        lines = [line for line in self.talks[key] if body.get("after", 0) < line["position"] < before]
        page, more = (lines[-limit:], "earlier") if body.get("latest") else (lines[:limit], "next")
        has, packets = self.holder(key), [line["body"] for line in self.talks[key] if line["kind"] == "packet"]
        told = {"entries": page, "user_id": self.owners[key], "packet": packets[-1] if packets else None}
        told |= {"held": {"person": has or "", "waiting": has == ""}, "of_people": ["run_of_a_person"]}
        end = 0 if more == "earlier" else -1
        return told | {more: page[end]["position"] if len(lines) > limit else None}

    def _account(self, _: str, by: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        if not {"agent", "admin"} & set(by["roles"]):
            raise Refuse(403, "staff_role")
        if body["user_id"] not in self.accounts:
            raise Refuse(404, "unknown_customer", field="user_id")
        return self.accounts[body["user_id"]]

    def tool(self, name: str = "export_account", **more: Any) -> ToolLine:
        """One of somebody else's, on offer."""
        told: dict[str, Any] = {"name": name, "state": "on", "switchable": True, "handler": f"Exports/{name}"}
        told |= {"address": "http://exports:9080", "description": "Exports what is kept of the customer."}
        self.tools[name] = ToolLine.model_validate(told | more)
        return self.tools[name]

    def _tool_desk(self, handler: str, by: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        if handler == "tools":
            lines = [each.model_dump() for each in self.tools.values()]
            changes = [each.model_dump() for each in self.tool_changes]
            acts = [each.model_dump() for each in reversed(self.tool_acts)]
            return {"tools": lines, "changes": changes, "acts": acts, "since": "2026-11-01T09:00:00+00:00"}
        if "admin" not in by["roles"]:
            raise Refuse(403, "staff_role")
        return self.switched(ToolSwitch.model_validate(body | {"staff_token": ""}), by["sub"]).model_dump()

    def switched(self, asked: ToolSwitch, who: str) -> ToolAct:
        if known := next((act for act in self.tool_acts if act.act_id == asked.act_id), None):
            return known
        if asked.tool not in self.tools:
            raise Refuse(404, "unknown_tool", field="tool")
        line = self.tools[asked.tool]
        if not line.switchable:
            raise Refuse(409, "forbidden", field="tool")
        if asked.on == (line.act is None):
            raise Refuse(409, "stands_so", field="tool")
        told = asked.model_dump(exclude={"staff_token"}) | {"who": who, "at": datetime.now(UTC).isoformat()}
        self.tool_acts.append(ToolAct.model_validate(told))
        act, state = (None, "on") if asked.on else (self.tool_acts[-1], "off")
        self.tools[asked.tool] = line.model_copy(update={"state": state, "act": act})
        return self.tool_acts[-1]

    def _steps(self, key: str, body: dict[str, Any]) -> dict[str, Any]:
        known = next((each for each in self.runs if (each.conversation, each.run) == (key, body["run"])), None)
        if body["run"] != "run_1" and known is None:
            raise Refuse(404, "unknown_run", field="run")
        turns = [each for each in self.steps.get(key, []) if each["turn"] > body["after"]]
        told: dict[str, Any] = {"run": "run_1", "state": "ended", "outcome": "answered"}
        told |= {"begun_at": "2026-11-30T09:00:00+00:00", "ended_at": "2026-11-30T09:00:04+00:00"}
        told |= {"invocation": "inv_1aBcD", "trace_id": "0af7651916cd43dd8448eb211c80319c"}
        if known:
            state = {"running": "active", "stopping": "stopped"}.get(known.state, "ended")
            told |= known.model_dump(include={"run", "outcome", "begun_at", "stopped_by", "why"}) | {"state": state}
        return told | {"turns": turns[:10], "next": turns[9]["turn"] if len(turns) > 10 else None}

    def _ticket_desk(self, handler: str, by: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        if handler == "changed":
            seen = int(body["seen"].split(":")[1]) if body["seen"] else len(self.ticket_changes) + 1
            told = {"seen": f"1:{len(self.ticket_changes) + 1}:", "is_whole": bool(body["seen"])}
            return told | {"tickets": self.ticket_changes[seen - 1 :]}
        if handler == "counts":
            return {"new": len(self.tickets), "open": 0, "waiting": 0, "mine": 0, "unassigned": 0, "overdue": 0}
        if handler == "list":
            asked = TicketsQuery.model_validate(body | {"staff_token": ""})
            wanted = [each for each in self.tickets.values() if self._is_wanted(each, asked, by["sub"])]
            found = [each.model_dump() | {"place": f"~{each.ticket_id[4:]}"} for each in wanted]
            found = [each for each in found if not asked.cursor or each["place"] > asked.cursor]
            page = found[: asked.limit]
            return {"tickets": page, "next": page[-1]["place"] if len(found) > len(page) else ""}
        if body["ticket_id"] not in self.tickets:
            raise Refuse(404, "no_such_ticket", "there is no such ticket", "ticket_id")
        if handler in TICKET_ACTS:
            self._change(handler, by["sub"], TICKET_ACTS[handler].model_validate(body | {"staff_token": ""}))
        return self.tickets[body["ticket_id"]].model_dump()

    def _is_wanted(self, ticket: TicketShown, asked: TicketsQuery, name: str) -> bool:
        chosen = {"priority": asked.priority, "user_id": asked.user_id, "assignee": name if asked.mine else None}
        chosen |= {"assignee": ""} if asked.unassigned else {}
        is_like_it = all(getattr(ticket, field) == value for field, value in chosen.items() if value is not None)
        return is_like_it and ticket.state in asked.states and asked.search in ticket.subject

    def _change(self, handler: str, name: str, asked: ChangingTicket) -> None:
        told = f"{handler} {asked.model_dump_json(exclude={'staff_token', 'act_id', 'seen'})}"
        ticket, known = self.tickets[asked.ticket_id], self.ticket_acts.get((name, asked.act_id))
        if known is not None:
            if known != told:
                raise Refuse(409, "act_id_taken")
            return
        if asked.seen is not None and asked.seen != ticket.changes:
            raise Refuse(409, "changed")
        if ticket.state == "closed" and handler != "note":
            raise Refuse(409, "closed")
        self.changed(asked.ticket_id, name, handler, **self._becomes(ticket, name, asked))
        self.ticket_acts[name, asked.act_id] = told

    def _becomes(self, ticket: TicketShown, name: str, asked: ChangingTicket) -> dict[str, Any]:
        said = {"number": 1 + len(ticket.messages), "who": name, "at": ticket.created_at}
        match asked:
            case TicketReply():
                message = said | {"kind": "reply", "text": asked.text}
                return {"state": asked.state, "assignee": ticket.assignee or name, "messages": [message]}
            case TicketNote():
                return {"messages": [said | {"kind": "note", "text": asked.text}]}
            case TicketAssign():
                return {"assignee": asked.to, "state": "open" if asked.to else "new"}
            case TicketMerge():
                other = self.tickets.get(asked.into)
                if other is None:
                    raise Refuse(404, "no_such_ticket", field="ticket_id")
                if other is ticket or other.user_id != ticket.user_id:
                    raise Refuse(422, "itself" if other is ticket else "other_customer", field="into")
                if other.state == "closed":
                    raise Refuse(409, "closed")
                return {"state": "closed", "merged_into": asked.into}
            case TicketChange():
                wanted = {"priority": asked.priority, "category": asked.category, "state": asked.state}
                return {field: value for field, value in wanted.items() if value}
            case _:
                raise AssertionError(asked)

    def changed(self, ticket_id: str, who: str, action: str, **more: Any) -> None:
        """Somebody has changed a ticket; `messages` come after those that there are."""
        ticket = self.tickets[ticket_id].model_dump()
        ticket["messages"] += more.pop("messages", [])
        ticket["history"] += [{"who": who, "acting": "staff", "action": action, "note": "", "at": ticket["created_at"]}]
        self.tickets[ticket_id] = TicketShown.model_validate(ticket | {"changes": ticket["changes"] + 1} | more)
        self.ticket_changes.append(ticket_id)

    def _approvals(self, handler: str, by: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        if handler == "list":
            asked = ApprovalsQuery.model_validate(body | {"staff_token": ""})
            chosen = [each for each in self.approvals.values() if (each.status != "pending") == asked.decided]
            begin = int(asked.cursor.partition("~")[0] or 0)
            end, page = begin + asked.limit, chosen[begin : begin + asked.limit]
            following = f"{end}~{page[-1].approval_id}" if len(chosen) > end else ""
            return {"approvals": [each.model_dump() for each in page], "next": following}
        shown = self.approvals.get(body["approval_id"])
        if shown is None:
            raise Refuse(404, "unknown_approval", "there is no such approval", "approval_id")
        return shown.model_dump() if handler == "show" else self._decide(shown, by, body)

    def _decide(self, shown: ApprovalShown, by: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        wanted = Decide.model_validate(body | {"staff_token": ""})
        if shown.role not in by["roles"]:
            raise Refuse(403, "approval_role")
        if shown.user_id.lower() == by["sub"].lower():
            raise Refuse(403, "own_approval")
        if shown.status != "pending":
            raise Refuse(409, "decided", f"this is {shown.status} already")
        if wanted.digest != shown.digest:
            raise Refuse(409, "other_arguments")
        if wanted.arguments and "refused" in str(wanted.arguments):
            raise Refuse(422, "arguments_do_not_fit", "invoice_id: no such invoice", "arguments")
        status = {"approve": "approved", "deny": "denied", "edit": "edited"}[wanted.choice]
        at = datetime.now(UTC).isoformat()
        changes = [
            {"name": name, "before": shown.arguments.get(name), "after": value}
            for name, value in (wanted.arguments or {}).items()
            if shown.arguments.get(name) != value
        ]
        decided = {"status": status, "decided_by": by["sub"], "decided_at": at, "reason": wanted.reason}
        self.approvals[shown.approval_id] = ApprovalShown.model_validate(
            shown.model_dump() | decided | {"changes": changes}
        )
        self.tell("approval", shown.approval_id)
        return {"approval_id": shown.approval_id, "status": status, "by": by["sub"], "at": at}


def _place(cursor: str) -> tuple[int, str]:
    moment, _, key = cursor.partition("~")
    return int(moment), key


@asynccontextmanager
async def fake_rooms() -> AsyncGenerator[FakeRooms]:
    rooms = FakeRooms()
    await rooms.start()
    try:
        yield rooms
    finally:
        await rooms.stop()
