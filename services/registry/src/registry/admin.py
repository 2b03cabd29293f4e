"""Restate's admin API: the part of it that the registry needs, typed.

The API is unauthenticated and can do everything, so no other room talks to it.
"""

import json
import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
from pydantic import AwareDatetime, BaseModel, Field, TypeAdapter, ValidationError
from yarl import URL

CALL_SECONDS = 10
REGISTER_SECONDS = 30

_INVOCATION_ID = re.compile(r"inv_[A-Za-z0-9]+")
_DEPLOYMENT_ID = re.compile(r"dp_[A-Za-z0-9]+")

_PAUSED_OR_FAILING = """
    SELECT id, target_service_name AS service, target_handler_name AS handler, status, modified_at,
        journal_size AS entries, last_failure, last_failure_error_code
    FROM sys_invocation
    WHERE status IN ('paused', 'backing-off') OR (status = 'running' AND retry_count > 1)
"""
_PAUSE_EVENTS = """
    SELECT id, event_json FROM sys_journal_events WHERE event_type = 'Paused' AND id IN ({ids}) ORDER BY appended_at
"""
_CANCELLED = """
    SELECT DISTINCT id FROM sys_journal WHERE entry_type = 'Notification: Signal' AND id IN ({ids})
"""
_UNFINISHED_ONE = "SELECT id FROM sys_invocation_status WHERE status <> 'completed' AND id = '{id}'"
_UNFINISHED_PINNED = """
    SELECT id, target_service_name AS service FROM sys_invocation_status
    WHERE status <> 'completed' AND pinned_deployment_id = '{id}'
"""

_ACCEPTED_AT = "SELECT created_at FROM sys_invocation WHERE id = '{id}'"

_TARGET = """
    SELECT target_service_name AS service, target_handler_name AS handler FROM sys_invocation WHERE id = '{id}'
"""

_NOW = "SELECT date_part('epoch', now()) AS now"

_UNFINISHED_BY_DEPLOYMENT = """
    SELECT coalesce(pinned_deployment_id, last_attempt_deployment_id) AS id, count(1) AS unfinished
    FROM sys_invocation WHERE status <> 'completed' GROUP BY 1
"""

# Restate 1.7 leaves scheduled_start_at empty in queries that do not read scheduled_at as well; it is the greater one.
_UNFINISHED_GROUPS = """
    SELECT target_service_name AS service, target_handler_name AS handler, status,
        coalesce(pinned_deployment_id, last_attempt_deployment_id) AS deployment,
        CASE WHEN status = 'paused' THEN id END AS paused,
        CASE WHEN status = 'backing-off' THEN last_failure_error_code END AS code,
        CASE WHEN status = 'backing-off' THEN split_part(split_part(last_failure, '(', 1), ':', 1) END AS failure,
        count(1) AS invocations,
        max(date_part('epoch', now())
            - date_part('epoch', coalesce(greatest(scheduled_at, scheduled_start_at), created_at))) AS age
    FROM sys_invocation WHERE status <> 'completed' GROUP BY 1, 2, 3, 4, 5, 6, 7
"""

_T = TypeVar("_T")


class AdminError(Exception):
    """Restate cannot be reached (`status` None), or it refused; the message is Restate's own reason."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


class Handler(BaseModel):
    name: str
    ty: str | None = None
    """Exclusive, Shared or Workflow; None for the handlers of a plain service."""
    documentation: str | None = None
    metadata: dict[str, str] = Field(default_factory=dict[str, str])
    input_json_schema: Any = None
    public: bool = True
    """Whether Restate's ingress lets anybody call it."""


class Service(BaseModel):
    name: str
    ty: str
    """Service, VirtualObject or Workflow; all but the first have keys."""
    deployment_id: str
    handlers: list[Handler]


class ServiceRevision(BaseModel):
    name: str


class Deployment(BaseModel):
    id: str
    uri: str = ""
    """Empty for what is not called over HTTP."""
    created_at: AwareDatetime
    services: list[ServiceRevision]


class Registered(BaseModel):
    """What `POST /deployments` found at a URL; its services are not yet proven to be routed there."""

    id: str
    services: list[ServiceRevision]


class Unfinished(BaseModel):
    """An invocation that is paused, backing off, or tried again just now; `entries` is how long its journal is."""

    id: str
    service: str
    handler: str
    status: str
    modified_at: AwareDatetime
    entries: int = 0
    last_failure: str | None = None
    last_failure_error_code: str | None = None

    @property
    def progress(self) -> datetime | int:
        """Changes whenever it goes on. A try that fails in a new way also modifies it, but adds no entry."""
        return self.modified_at if self.status == "paused" else self.entries


class UnfinishedGroup(BaseModel):
    """Invocations that are alike. What is paused stands alone, since its reason has to be asked for by its id."""

    service: str
    handler: str
    status: str
    deployment: str | None = None
    """The one that must finish them, or that tries them now."""
    paused: str | None = None
    """The id of the one that is paused."""
    code: str | None = None
    failure: str | None = None
    """Of those that back off, the last error up to the first bracket or colon."""
    invocations: int
    age: float
    """Seconds since the oldest one was made or, if it was scheduled for later, was due."""


_SERVICES = TypeAdapter(list[Service])
_DEPLOYMENTS = TypeAdapter(list[Deployment])
_UNFINISHED = TypeAdapter(list[Unfinished])
_TIME: TypeAdapter[AwareDatetime] = TypeAdapter(AwareDatetime)
_GROUPS = TypeAdapter(list[UnfinishedGroup])


class Admin:
    """A client of one Restate's admin API; use it as an async context manager."""

    def __init__(self, url: str, token: str = "") -> None:
        self._url = url.rstrip("/")
        self._shown = str(URL(self._url).with_user(None))
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_SECONDS), headers=self._headers)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()

    async def services(self) -> list[Service]:
        return _parse(_SERVICES, (await self._call("GET", "/services"))["services"])

    async def deployments(self) -> list[Deployment]:
        return _parse(_DEPLOYMENTS, (await self._call("GET", "/deployments"))["deployments"])

    async def register(self, url: str, force: bool, dry_run: bool = False) -> Registered:
        """Let Restate discover what this URL serves. Without force, a URL that it knows already is left as it is.

        Force also overrides Restate's refusals, such as that of a changed service type.
        """
        body = {"uri": url, "force": force, "dry_run": dry_run}
        return _parse(TypeAdapter(Registered), await self._call("POST", "/deployments", body, REGISTER_SECONDS))

    async def delete(self, deployment_id: str) -> None:
        """Forget a deployment at once: without force Restate answers 501, with it nothing checks what is in flight."""
        await self._call("DELETE", f"/deployments/{_checked(_DEPLOYMENT_ID, deployment_id)}?force=true")

    async def kill(self, invocation_id: str) -> None:
        """End an invocation and its calls; fine if it has just ended by itself."""
        try:
            await self._call("PATCH", f"/invocations/{_checked(_INVOCATION_ID, invocation_id)}/kill")
        except AdminError as error:
            if error.status not in (404, 409):
                raise

    async def purge(self, invocation_id: str) -> None:
        """Remove all that is kept of an invocation that has ended; fine if nothing is.

        Raises: `AdminError` 409 while it goes on.
        """
        try:
            await self._call("PATCH", f"/invocations/{_checked(_INVOCATION_ID, invocation_id)}/purge")
        except AdminError as error:
            if error.status != 404:
                raise

    async def target_of(self, invocation_id: str) -> str | None:
        """The handler of an invocation, as `Service/handler`; None if Restate knows none of that id."""
        rows = await self.query(_TARGET.format(id=_checked(_INVOCATION_ID, invocation_id)))
        return f"{rows[0]['service']}/{rows[0]['handler']}" if rows else None

    async def query(self, sql: str) -> list[dict[str, Any]]:
        """Rows of Restate's own tables. It takes no parameters: whatever goes into the text is checked first."""
        return (await self._call("POST", "/query", {"query": sql}))["rows"]

    async def paused_or_failing(self) -> list[Unfinished]:
        return _parse(_UNFINISHED, await self.query(_PAUSED_OR_FAILING))

    async def cancelled(self, invocation_ids: Sequence[str]) -> AbstractSet[str]:
        """Those of them that somebody has cancelled: no handler of ours waits for another signal."""
        if not invocation_ids:
            return frozenset()
        ids = ", ".join(f"'{_checked(_INVOCATION_ID, each)}'" for each in invocation_ids)
        return {row["id"] for row in await self.query(_CANCELLED.format(ids=ids))}

    async def pause_event(self, invocation_id: str) -> dict[str, Any]:
        """Why an invocation was paused; `sys_invocation` no longer says so."""
        return (await self.pause_events([invocation_id])).get(invocation_id, {})

    async def pause_events(self, invocation_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Why each of them was paused last. What keeps no journal is missing."""
        if not invocation_ids:
            return {}
        ids = ", ".join(f"'{_checked(_INVOCATION_ID, each)}'" for each in invocation_ids)
        events = {row["id"]: _json(row["event_json"]) for row in await self.query(_PAUSE_EVENTS.format(ids=ids))}
        return {each: event for each, event in events.items() if isinstance(event, dict)}

    async def accepted_at(self, invocation_id: str) -> float | None:
        """When Restate accepted an invocation, in seconds since the epoch; None if it knows none of that id."""
        rows = await self.query(_ACCEPTED_AT.format(id=_checked(_INVOCATION_ID, invocation_id)))
        return _parse(_TIME, rows[0]["created_at"]).timestamp() if rows else None

    async def now(self) -> float:
        """What time it is at Restate, in seconds since the epoch."""
        return _parse(TypeAdapter(float), (await self.query(_NOW))[0]["now"])

    async def unfinished(self) -> list[UnfinishedGroup]:
        return _parse(_GROUPS, await self.query(_UNFINISHED_GROUPS))

    async def is_unfinished(self, invocation_id: str) -> bool:
        return bool(await self.query(_UNFINISHED_ONE.format(id=_checked(_INVOCATION_ID, invocation_id))))

    async def pinned_to(self, deployment_id: str) -> dict[str, str]:
        """The unfinished invocations that only this deployment's code can go on with: their ids, and their services."""
        rows = await self.query(_UNFINISHED_PINNED.format(id=_checked(_DEPLOYMENT_ID, deployment_id)))
        return {row["id"]: row["service"] for row in rows}

    async def unfinished_by_deployment(self) -> dict[str, int]:
        """How many invocations each deployment may still be needed for, whatever they do: run, wait, or stand paused.

        What has made progress is pinned to its deployment, and only that one's code can go on with it. What has not is
        queued, scheduled, or paused without a pin: Restate sends it to whatever has its service when it is tried next,
        and that is never a deployment without routes. It counts for the deployment that tries it now, if one does,
        since that attempt may be about to pin it.
        """
        return {row["id"]: row["unfinished"] for row in await self.query(_UNFINISHED_BY_DEPLOYMENT) if "id" in row}

    async def _call(self, method: str, path: str, body: object = None, seconds: float = CALL_SECONDS) -> Any:
        try:
            async with self._http.request(
                method,
                self._url + path,
                json=body,
                headers={"Accept": "application/json"},
                timeout=aiohttp.ClientTimeout(total=seconds),
            ) as reply:
                text = await reply.text()
        except TimeoutError as error:
            raise AdminError(f"Restate's admin API at {self._shown} gave no answer within {seconds:g} s") from error
        except aiohttp.ClientError as error:
            raise AdminError(f"Restate's admin API cannot be reached at {self._shown}") from error
        if reply.status >= 400:
            raise AdminError(_reason(text), reply.status)
        return _json(text)


def _json(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError as error:
        raise AdminError("Restate's admin API answered something that is not JSON") from error


def _reason(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text[:500]


def _parse(shape: TypeAdapter[_T], value: object) -> _T:
    try:
        return shape.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        problem = f"Restate's admin API answered in a shape that this version does not know: {where}: {first['msg']}"
        raise AdminError(problem) from error


def _checked(pattern: re.Pattern[str], value: str) -> str:
    """Ids go into SQL and paths; Restate made them, but nothing else may pass."""
    if not pattern.fullmatch(value):
        raise ValueError(f"not an id of Restate: {value!r}")
    return value
