"""`check_service_status`: what the product's public status page says now (Statuspage's `summary.json`)."""

import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated

import aiohttp
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

TIMEOUT_SECONDS = 5.0
PAGE_BYTES = 1024 * 1024
UTF_8 = "utf-8-sig"
"""With or without the mark that some programs put at the beginning."""

# Together they keep the result of the largest page well below what a tool result may weigh.
LINE_CHARACTERS = 80
UPDATE_CHARACTERS = 500
COMPONENTS = 50
NOTICES = 5
AFFECTED = 10

_WORD = re.compile(r"[^\W_]+")
_SHORTEST_BEGINNING = 3
_FILLER = "a all any component components everything nimbus our service services system systems the your"
_NAMES_NOTHING = frozenset(_FILLER.split())


class StatusUnavailable(Exception):
    """The status page did not answer, or with nothing readable. The message names no address."""


@dataclass(frozen=True)
class StatusPage:
    """Where the summary is published, and the HTTP session to read it with."""

    session: aiohttp.ClientSession
    url: str
    timeout_seconds: float = TIMEOUT_SECONDS
    most_bytes: int = PAGE_BYTES


class CheckServiceStatus(BaseModel):
    """Which part of the product to ask about."""

    model_config = ConfigDict(extra="forbid")

    component: str | None = Field(
        default=None,
        max_length=100,
        description="Name of a component such as API or Payments; leave out for all.",
        examples=["Payments"],
    )


class ComponentStatus(BaseModel):
    """One component: operational, degraded_performance, partial_outage, major_outage or under_maintenance."""

    name: str
    status: str


class Incident(BaseModel):
    """A disturbance that is not over, and the latest that was said about it."""

    name: str
    impact: str
    status: str
    updated_at: str
    latest_update: str
    affected_components: list[str]


class Maintenance(BaseModel):
    """Planned work, to come or under way."""

    name: str
    status: str
    scheduled_for: str
    scheduled_until: str
    latest_update: str
    affected_components: list[str]


class ServiceStatus(BaseModel):
    """What the status page says now; `note` tells how to read the rest where that is not plain."""

    overall: str
    updated_at: str
    components: list[ComponentStatus]
    incidents: list[Incident]
    maintenances: list[Maintenance]
    note: str | None = None


async def check_service_status(page: StatusPage, request: CheckServiceStatus) -> ServiceStatus:
    """Check whether the product or one of its components has an outage, an incident or planned maintenance right now.

    Use it whenever something fails, is slow or is said to be down, and for every question about outages or maintenance.
    Returns the overall state, the state of the components asked for, and the open incidents and maintenances that
    affect them, each with its latest public update. It knows nothing about this customer's own account.
    """
    summary = await _read(page)
    names = summary.names()
    found = _find(names, request.component)
    chosen = found or set(names)
    return ServiceStatus(
        overall=summary.status.description,
        updated_at=summary.page.updated_at,
        components=summary.states(names, chosen),
        incidents=[each.incident(names) for each in _affecting(summary.incidents, chosen, names)],
        maintenances=[each.maintenance(names) for each in _affecting(summary.scheduled_maintenances, chosen, names)],
        note=None if found or not names else _unknown(names.values()),
    )


def _line(value: object) -> object:
    return _short(value or "", LINE_CHARACTERS) if value is None or isinstance(value, str) else value


def _short(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"


Line = Annotated[str, BeforeValidator(_line)]
"""One published line: null reads as empty, and what is too long is cut."""


class _Page(BaseModel):
    updated_at: Line = ""


class _Overall(BaseModel):
    description: Line


class _Component(BaseModel):
    id: str
    name: Line
    status: Line
    group: bool = False
    group_id: str | None = None


class _Affected(BaseModel):
    """A component named by a notice (`id`) or by one of its updates (`code`)."""

    id: str | None = None
    code: str | None = None


class _Update(BaseModel):
    body: str | None = None
    created_at: str | None = None
    affected_components: list[_Affected] | None = None


class _Notice(BaseModel):
    """An incident or a maintenance as published."""

    name: Line
    status: Line
    impact: Line = ""
    updated_at: Line = ""
    scheduled_for: Line = ""
    scheduled_until: Line = ""
    components: list[_Affected] | None = None
    incident_updates: list[_Update] | None = None

    def incident(self, names: Mapping[str, str]) -> Incident:
        return Incident(
            name=self.name,
            impact=self.impact,
            status=self.status,
            updated_at=self.updated_at,
            latest_update=self.latest_update(),
            affected_components=self.affected_names(names),
        )

    def maintenance(self, names: Mapping[str, str]) -> Maintenance:
        return Maintenance(
            name=self.name,
            status=self.status,
            scheduled_for=self.scheduled_for,
            scheduled_until=self.scheduled_until,
            latest_update=self.latest_update(),
            affected_components=self.affected_names(names),
        )

    def latest_update(self) -> str:
        newest = max(self.incident_updates or [], key=lambda update: update.created_at or "", default=_Update())
        return _short(newest.body or "", UPDATE_CHARACTERS)

    def affected(self) -> set[str]:
        """Ids of the components that it names; older pages name them in the updates alone."""
        named = list(self.components or [])
        for update in self.incident_updates or []:
            named += update.affected_components or []
        return {identity for each in named for identity in (each.id, each.code) if identity}

    def affected_names(self, names: Mapping[str, str]) -> list[str]:
        affected = self.affected()
        return [name for identity, name in names.items() if identity in affected][:AFFECTED]


class _Summary(BaseModel):
    """The part that matters. A page without status or components is refused, never read as "all is well"."""

    page: _Page = Field(default_factory=_Page)
    status: _Overall
    components: list[_Component]
    incidents: list[_Notice] = Field(default_factory=list[_Notice])
    scheduled_maintenances: list[_Notice] = Field(default_factory=list[_Notice])

    def names(self) -> dict[str, str]:
        """Component ids and the names to show: `Group / Name` for one that stands under a heading."""
        headings = {each.id: f"{each.name} / " for each in self.components if each.group}
        return {
            each.id: headings.get(each.group_id or "", "") + each.name for each in self.components if not each.group
        }

    def states(self, names: Mapping[str, str], chosen: Collection[str]) -> list[ComponentStatus]:
        """The chosen components; those in trouble first, so that these remain where a long list is cut."""
        shown = [each for each in self.components if each.id in chosen]
        shown.sort(key=lambda each: each.status == "operational")
        return [ComponentStatus(name=names[each.id], status=each.status) for each in shown[:COMPONENTS]]


async def _read(page: StatusPage) -> _Summary:
    try:
        return _Summary.model_validate_json(await _download(page))
    except TimeoutError:
        raise StatusUnavailable("the status page did not answer in time") from None
    except aiohttp.ClientResponseError as error:
        raise StatusUnavailable(f"the status page answered with HTTP status {error.status}") from None
    except aiohttp.ClientError as error:
        raise StatusUnavailable("the status page cannot be reached") from error
    except ValidationError:
        raise StatusUnavailable("the status page published something unreadable") from None


async def _download(page: StatusPage) -> str:
    timeout = aiohttp.ClientTimeout(total=page.timeout_seconds)
    async with page.session.get(page.url, timeout=timeout, raise_for_status=True) as response:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > page.most_bytes:
                raise StatusUnavailable(f"the status page published more than {page.most_bytes // 1024} KB")
        return _decoded(bytes(body), response.charset)


def _decoded(body: bytes, charset: str | None) -> str:
    """JSON is UTF-8, whatever a page says of itself; one that is not is read as it says, or byte by byte."""
    for encoding in (UTF_8, charset or "latin-1"):
        with suppress(UnicodeDecodeError, LookupError):
            return body.decode(encoding)
    return body.decode("latin-1")


def _find(names: Mapping[str, str], asked: str | None) -> set[str]:
    """Ids of the components whose names share the most words with what was asked; all, when that names nothing."""
    wanted = _words(asked or "") - _NAMES_NOTHING
    if not wanted:
        return set(names)
    shared = {identity: sum(_occurs(word, name) for word in wanted) for identity, name in names.items()}
    most = max(shared.values(), default=0)
    return {identity for identity, count in shared.items() if count == most > 0}


def _occurs(word: str, name: str) -> bool:
    return any(_alike(word, other) for other in _words(name))


def _alike(word: str, other: str) -> bool:
    """The same word, or the beginning of it: `payment` is like `Payments`."""
    short, long = sorted((word, other), key=len)
    return short == long or (len(short) >= _SHORTEST_BEGINNING and long.startswith(short))


def _affecting(notices: list[_Notice], chosen: set[str], names: Mapping[str, str]) -> list[_Notice]:
    """The notices that affect a chosen component, or that do not say what they affect."""
    known = [(each, each.affected() & names.keys()) for each in notices]
    return [each for each, affected in known if not affected or affected & chosen][:NOTICES]


def _unknown(names: Collection[str]) -> str:
    return f"No component has that name, so all are shown. The components are: {', '.join(list(names)[:COMPONENTS])}."


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold()))
