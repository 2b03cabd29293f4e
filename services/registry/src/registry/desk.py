"""What staff ask of the tools, at a port of its own: a staff token opens it, and an admin's switches."""

import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel

from contracts import (
    AuditLine,
    AuditPage,
    AuditQuery,
    ByStaff,
    LeftOut,
    Tool,
    ToolAct,
    ToolLine,
    ToolsQuery,
    ToolsShown,
    ToolSwitch,
    cursor_of,
)
from contracts.tool import TOOL_NAME
from registry.catalogue import ServedCatalogue, handler_of
from registry.kept import NotKept
from registry.pins import Homes
from registry.policy import SWITCHED_OFF
from registry.record import Record
from runtime.checked import MAX_BODY_BYTES, parse
from runtime.errors import Refused
from runtime.proof import Staff, StaffSettings, must_be, prove_staff
from runtime.telemetry.logs import get_logger

log = get_logger("registry")

READERS = frozenset({"agent", "approver", "admin"})
"""Roles that see the tools."""

Asked = TypeVar("Asked", bound=ByStaff)


class ToolDesk:
    def __init__(self, served: ServedCatalogue, record: Record, settings: StaffSettings) -> None:
        self._served, self._record, self._settings = served, record, settings

    def application(self) -> web.Application:
        application = web.Application(middlewares=[_refusals], client_max_size=MAX_BODY_BYTES)
        application.add_routes(
            [
                web.post("/desk/tools", self._answering(ToolsQuery, self._show)),
                web.post("/desk/switch", self._answering(ToolSwitch, self._switch)),
                web.post("/desk/audit", self._answering(AuditQuery, self._audit)),
            ]
        )
        return application

    def _answering(
        self, model: type[Asked], work: Callable[[Asked, Staff], Awaitable[BaseModel]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            asked = parse(model, await request.read())
            staff = await self._proven(asked.staff_token)
            told = await work(asked, staff)
            return web.Response(body=told.model_dump_json().encode(), content_type="application/json")

        return answer

    async def _proven(self, token: str) -> Staff:
        now = time.time()

        async def accepted_at() -> float:
            return now

        return await prove_staff(token, self._settings, now, accepted_at)

    async def _show(self, _: ToolsQuery, staff: Staff) -> ToolsShown:
        if not READERS & set(staff.roles):
            raise Refused(403, "staff_role", "this needs a role at the desk", "staff_token")
        return shown(self._served, self._record)

    async def _switch(self, asked: ToolSwitch, staff: Staff) -> ToolAct:
        must_be("admin", staff)
        act = await self._record.switch(asked, staff.name, self._check)
        self._served.publish()
        return act

    async def _audit(self, asked: AuditQuery, staff: Staff) -> AuditPage:
        must_be("admin", staff)
        return audited(self._record.acts, asked)

    def _check(self, asked: ToolSwitch) -> None:
        """A switch tightens the policy, or takes back what another switch has tightened; nothing else."""
        lines = [each for each in shown(self._served, self._record).tools if each.name == asked.tool]
        line = next((each for each in lines if each.switchable), None)
        if line is None and lines:
            raise Refused(409, "forbidden", "the operators' policy has it switched off", "tool")
        if line is None:
            raise Refused(404, "unknown_tool", "there is no such tool", "tool")
        if asked.on == (line.act is None):
            raise Refused(409, "stands_so", f"it is switched {'on' if asked.on else 'off'} already", "tool")


def shown(served: ServedCatalogue, record: Record) -> ToolsShown:
    """Raises `NotKept` before there is a catalogue."""
    whole, off = served.whole, record.off
    if whole is None:
        raise NotKept("there is no catalogue yet")
    lines = [_offered(tool, served.homes) for tool in whole.tools]
    lines += [_left_out(entry, served.homes) for entry in whole.left_out]
    lines += [_local(name, served.forbidden) for name in served.reserved]
    known, offered = {line.name for line in lines}, {line.name for line in lines if line.state == "on"}
    lines += [ToolLine(name=name, state="left_out", why="nobody offers it now") for name in off if name not in known]
    lines = [line if line.name in offered and line.state != "on" else _switched(line, off) for line in lines]
    lines.sort(key=lambda line: (line.name, line.handler))
    acts = list(reversed(record.acts))
    return ToolsShown(tools=lines, changes=record.seen.changes, acts=acts, since=record.seen.since)


def _offered(tool: Tool, homes: Homes) -> ToolLine:
    service = tool.service or ""
    return ToolLine(
        name=tool.name,
        state="on",
        description=tool.description,
        origin="product" if service in homes.own else "others",
        handler=handler_of(tool),
        address=homes.uris.get(service, ""),
        readonly=tool.readonly,
        approval=tool.approval,
        roles=tool.roles,
    )


def _left_out(entry: LeftOut, homes: Homes) -> ToolLine:
    service = entry.handler.partition("/")[0]
    return ToolLine(
        name=entry.tool,
        state="forbidden" if entry.reason == SWITCHED_OFF else "left_out",
        origin="product" if service in homes.own else "others",
        handler=entry.handler,
        address=homes.uris.get(service, ""),
        withdrawn=entry.withdrawn,
        why=entry.reason,
    )


def _local(name: str, forbidden: frozenset[str]) -> ToolLine:
    is_off = name in forbidden
    why = SWITCHED_OFF if is_off else ""
    return ToolLine(name=name, state="forbidden" if is_off else "on", origin="agent", why=why)


def _switched(line: ToolLine, off: Mapping[str, ToolAct]) -> ToolLine:
    """How it stands under what admins have switched off; of several lines with a name this is the one that counts."""
    act = off.get(line.name)
    state = "off" if act and line.state == "on" else line.state
    switchable = bool(act) or (state != "forbidden" and bool(re.fullmatch(TOOL_NAME, line.name)))
    return line.model_copy(update={"act": act, "state": state, "switchable": switchable})


def audited(acts: list[ToolAct], asked: AuditQuery) -> AuditPage:
    """A page of who switched what, the newest first."""
    moment, key = asked.before
    lines = [_audit_line(act) for act in reversed(acts) if _is_wanted(act, asked)]
    if moment is not None:
        lines = [line for line in lines if (datetime.fromisoformat(line.at), _key(line)) < (moment, key)]
    return AuditPage(lines=lines[: asked.limit])


def _is_wanted(act: ToolAct, asked: AuditQuery) -> bool:
    at = datetime.fromisoformat(act.at)
    return (
        asked.kind in (None, "tool")
        and asked.who in ("", act.who)
        and asked.subject in ("", act.tool)
        and (asked.since is None or at >= asked.since)
        and (asked.until is None or at < asked.until)
    )


def _audit_line(act: ToolAct) -> AuditLine:
    action = "switch_on" if act.on else "switch_off"
    cursor = cursor_of(datetime.fromisoformat(act.at), f"tool/{act.act_id}")
    return AuditLine(kind="tool", at=act.at, who=act.who, action=action, subject=act.tool, note=act.why, cursor=cursor)


def _key(line: AuditLine) -> str:
    return line.cursor.partition("~")[2]


@web.middleware
async def _refusals(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """As Restate's ingress tells them, so that the desk reads one form."""
    try:
        return await handler(request)
    except Refused as refused:
        return _no(refused.status_code, refused.message, refused.metadata or {})
    except NotKept as error:
        log.warning("record_not_kept", extra={"reason": str(error)})
        return _no(503, "come again in a moment", {})


def _no(status: int, message: str, metadata: dict[str, str]) -> web.Response:
    return web.Response(
        status=status,
        text=json.dumps({"code": status, "message": message, "metadata": metadata}),
        content_type="application/json",
        headers={"Retry-After": "2"} if status == 503 else {},
    )
