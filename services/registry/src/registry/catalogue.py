"""The catalogue: which tools are on offer now, and under whose policy."""

import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime

from contracts import Catalogue, LeftOut, Tool
from registry.accepted import Accepted
from registry.admin import Admin, Deployment, Handler, Service
from registry.kept import NotKept
from registry.pins import NOWHERE, Homes, Withdrawn, difference, digest, family
from registry.policy import Policy, PolicyFile, ToolPolicy
from registry.record import Record
from registry.tools import NotOffered, build_tool, is_tool, tool_name
from runtime.telemetry.logs import get_logger

log = get_logger("registry")

MAX_TOOLS = 200

MAX_SAID = 500
"""Characters of what is told about a tool that is left out: names and values are anybody's."""

SWITCHED_OFF_AT_DESK = "switched off by an admin at the desk"

Ages = Mapping[str, datetime]
"""When Restate first heard of each service."""


class Awaited:
    """The services without which there is no first catalogue. Time counts from when Restate first answered."""

    def __init__(self, services: Collection[str] = (), seconds: float = 0) -> None:
        self._services = set(services)
        self._seconds = seconds
        self._overdue: float | None = None
        self.missing: list[str] = []

    def must_wait(self, services: Iterable[Service]) -> bool:
        """Whether some that may still come are missing; after the time is up it warns, and waits no longer."""
        self._overdue = self._overdue or time.monotonic() + self._seconds
        before, self.missing = self.missing, sorted(self._services - {service.name for service in services})
        if self.missing and time.monotonic() > self._overdue:
            log.warning("services_missing", extra={"missing": self.missing, "after_seconds": self._seconds})
            return False
        if self.missing and self.missing != before:
            log.info("services_awaited", extra={"missing": self.missing})
        return bool(self.missing)


class ServedCatalogue:
    """What `GET /tools` answers. While Restate is away the last good catalogue stays on offer."""

    def __init__(
        self,
        admin: Admin,
        policy: PolicyFile,
        reserved: Collection[str],
        awaited: Awaited | None = None,
        wanted: Callable[[], Mapping[str, str]] = dict,
        accepted: Accepted | None = None,
        record: Record | None = None,
    ) -> None:
        self._admin = admin
        self._policy = policy
        self.reserved = reserved
        """Names of the router's own tools."""
        self._awaited = awaited or Awaited()
        self._wanted = wanted
        self._accepted = accepted or Accepted()
        self._record = record or Record()
        self._own_urls: set[str] = set()
        self._former: dict[str, Tool] = {}
        self._odd_policies: set[str] = set()
        self.homes = Homes()
        self.whole: Catalogue | None = None
        """Without what admins have switched."""
        self.catalogue: Catalogue | None = None
        self.fault = ""
        """Why there is no catalogue yet, if it is for want of what was accepted."""
        self.body = b""
        self.etag = ""

    @property
    def waits_for(self) -> list[str]:
        """The services without which there is no catalogue yet."""
        return [] if self.catalogue else self._awaited.missing

    @property
    def forbidden(self) -> frozenset[str]:
        """What the operators' policy has switched off, which no admin can switch on."""
        return frozenset(self._policy.policy.switched_off())

    async def refresh(self) -> None:
        """Ask Restate for its services and offer what they say now, unless the first offer would lack awaited ones."""
        services = await self._admin.services()
        if self.catalogue is None and self._awaited.must_wait(services):
            return
        deployments = await self._admin.deployments()
        self._policy.refresh()
        try:
            await self._accepted.refresh()
            await self._record.refresh()
        except NotKept as error:
            self.fault = str(error)
            return
        self._own_urls = set(self._wanted().values()) or self._own_urls
        self.homes = Homes.of(services, deployments, self._own_urls)
        self.whole = build_catalogue(
            services,
            first_registered(deployments),
            self._policy.policy,
            self.reserved,
            owners=self._owners(),
            homes=self.homes,
            former=self._former,
            accepted=self._accepted,
        )
        await self._accepted.keep_seen()
        self._former |= {tool.name: tool for tool in self.whole.tools}
        self.publish()
        await self._record.keep_changes(self.whole)
        self._warn_of_odd_policies(services)

    def publish(self) -> None:
        """Offer what is there now, without what admins have switched off."""
        if self.whole is not None:
            self._take_over(without(self.whole, self._record.off))

    def _owners(self) -> dict[str, str]:
        """Who holds each name: whoever was accepted under it, else whoever had it last."""
        former = {name: handler_of(tool) for name, tool in self._former.items()}
        return former | {name: tool.handler for name, tool in self._accepted.tools.items()}

    def _take_over(self, catalogue: Catalogue) -> None:
        if catalogue == self.catalogue:
            return
        _log_change(self.catalogue or Catalogue(), catalogue)
        self.catalogue = catalogue
        self.body = catalogue.model_dump_json().encode()
        self.etag = hashlib.sha256(self.body).hexdigest()

    def _warn_of_odd_policies(self, services: Iterable[Service]) -> None:
        """A policy that has no effect is probably a typing error in the name of a tool."""
        odd = odd_policies(services, self._policy.policy, self.reserved)
        for reason in sorted(odd - self._odd_policies):
            log.warning("policy_without_effect", extra={"reason": reason})
        self._odd_policies = odd


def build_catalogue(
    services: Iterable[Service],
    ages: Ages,
    policy: Policy,
    reserved: Collection[str],
    owners: Mapping[str, str],
    homes: Homes | None = None,
    former: Mapping[str, Tool] | None = None,
    accepted: Accepted | None = None,
) -> Catalogue:
    """The tools of these services.

    `owners` are the handlers that hold a name already; they keep it, even while their service is away from its home.
    `former` are the tools as they were last on offer, to say what has changed. `accepted` is told what is seen first.
    """
    homes, former, accepted = homes or Homes(), former or {}, accepted or Accepted()
    left_out: list[LeftOut] = []
    wanted: dict[str, list[Tool]] = defaultdict(list)
    for service, handler in tool_handlers(services):
        name = name_of(service, handler, policy)
        try:
            wanted[name].append(build_tool(service, handler, name))
        except NotOffered as error:
            left_out.append(_left_out(name, f"{service.name}/{handler.name}", error))
    tools: list[Tool] = []
    for name, candidates in sorted(wanted.items()):
        candidates.sort(key=lambda tool: _precedence(tool, owners.get(tool.name), ages))
        taken_by = "a local tool" if name in reserved else _away(owners.get(name), homes)
        for tool in candidates:
            try:
                offered = _offered(tool, taken_by, policy, homes, former.get(name))
                if tool.service not in homes.own and policy.of(name).accepted is None:
                    accepted.check(tool, homes.uris.get(tool.service or "", ""))
                tools.append(offered)
                taken_by = handler_of(tool)
            except NotOffered as error:
                left_out.append(_left_out(name, handler_of(tool), error))
                taken_by = handler_of(tool) if isinstance(error, Withdrawn) else taken_by
    told = {entry.handler.partition("/")[0] for entry in left_out if entry.withdrawn}
    for service, reason in homes.moved.items():
        if service not in told:  # it offers nothing now, but what it offered is gone
            left_out.append(_left_out(service, f"{service}/*", Withdrawn(reason)))
    tools, too_many = _within_bounds(tools, owners, ages)
    left_out += too_many
    left_out.sort(key=lambda entry: (entry.tool, entry.handler))
    return Catalogue(tools=tools, left_out=left_out, switched_off=policy.switched_off())


def without(catalogue: Catalogue, switched_off: Collection[str]) -> Catalogue:
    """The same as if the policy had these tools switched off."""
    off = [tool for tool in catalogue.tools if tool.name in switched_off]
    left_out = [LeftOut(tool=tool.name, handler=handler_of(tool), reason=SWITCHED_OFF_AT_DESK) for tool in off]
    return Catalogue(
        tools=[tool for tool in catalogue.tools if tool not in off],
        left_out=sorted([*catalogue.left_out, *left_out], key=lambda entry: (entry.tool, entry.handler)),
        switched_off=sorted({*catalogue.switched_off, *switched_off}),
    )


def tool_handlers(services: Iterable[Service]) -> list[tuple[Service, Handler]]:
    """Sorted, since Restate lists handlers in a new order at each request."""
    found = [(service, handler) for service in services for handler in service.handlers if is_tool(handler)]
    return sorted(found, key=lambda pair: (pair[0].name, pair[1].name))


def first_registered(deployments: Iterable[Deployment]) -> dict[str, datetime]:
    ages: dict[str, datetime] = {}
    for deployment in sorted(deployments, key=lambda deployment: deployment.created_at):
        for service in deployment.services:
            ages.setdefault(service.name, deployment.created_at)
    return ages


def odd_policies(services: Iterable[Service], policy: Policy, reserved: Collection[str]) -> set[str]:
    """Policies that nothing answers to, or that would loosen what a tool says about itself."""
    tools = tool_handlers(services)
    known = {name_of(service, handler, policy) for service, handler in tools} | set(reserved)
    odd = {f"nobody offers a tool named {name!r}" for name in policy.tools.keys() - known}
    handlers = {f"{service.name}/{name}" for service, handler in tools for name in (handler.name, "*")}
    odd |= {f"no tool is {handler!r}, which has another name" for handler in policy.names.keys() - handlers}
    return odd | {reason for service, handler in tools for reason in _loosened(service, handler, policy)}


def name_of(service: Service, handler: Handler, policy: Policy) -> str:
    return policy.name_of(service.name, handler.name, tool_name(handler))


def handler_of(tool: Tool) -> str:
    return f"{tool.service}/{tool.handler}"


def _away(owner: str | None, homes: Homes) -> str | None:
    """Whoever owns a name, if its service is away from its home."""
    return owner if owner and owner.partition("/")[0] in homes.moved else None


def _offered(tool: Tool, taken_by: str | None, policy: Policy, homes: Homes, former: Tool | None) -> Tool:
    if reason := homes.moved.get(tool.service or ""):
        raise Withdrawn(reason)
    rules = policy.of(tool.name)
    if rules.service not in (None, tool.service):
        raise NotOffered(f"the policy pins this name to the service {rules.service!r}")
    if taken_by not in (None, handler_of(tool)):
        raise NotOffered(f"the name belongs to {taken_by}")
    _refuse_what_was_not_accepted(tool, rules, homes, former)
    return rules.applied(tool).model_copy(update={"steady": tool.service in homes.own})


def _refuse_what_was_not_accepted(tool: Tool, rules: ToolPolicy, homes: Homes, former: Tool | None) -> None:
    service = tool.service or ""
    uri = homes.uris.get(service, "")
    if rules.deployment is not None and family(uri) != family(rules.deployment):
        raise Withdrawn(f"{service} moved to {uri or NOWHERE}; the policy pins it to {rules.deployment}")
    if rules.accepted not in (None, digest(tool)):
        changed = difference(former, tool) if former and digest(former) == rules.accepted else ""
        about = f": {changed}" if changed else ""
        raise Withdrawn(f"it is not what the policy accepts ({rules.accepted}), but {digest(tool)}{about}")


def _within_bounds(tools: list[Tool], owners: Mapping[str, str], ages: Ages) -> tuple[list[Tool], list[LeftOut]]:
    """As many tools as a catalogue holds, those first that were on offer before, and what is left out."""
    if len(tools) <= MAX_TOOLS:
        return tools, []
    first = sorted(tools, key=lambda tool: _precedence(tool, owners.get(tool.name), ages))
    full = NotOffered(f"there are {MAX_TOOLS} tools already: switch some off by the policy")
    left_out = [_left_out(tool.name, handler_of(tool), full) for tool in first[MAX_TOOLS:]]
    return sorted(first[:MAX_TOOLS], key=lambda tool: tool.name), left_out


def _precedence(tool: Tool, owner: str | None, ages: Ages) -> tuple[bool, float, str]:
    age = ages.get(tool.service or "")
    return (handler_of(tool) != owner, age.timestamp() if age else float("inf"), handler_of(tool))


def _loosened(service: Service, handler: Handler, policy: Policy) -> list[str]:
    name = name_of(service, handler, policy)
    rules = policy.of(name)
    try:
        tool = build_tool(service, handler, name)
        held_back = rules.applied(tool) != rules.wanted(tool)
    except NotOffered:
        return []
    return [f"{tool.name!r} would be loosened, which needs override = true"] if held_back else []


def _left_out(name: str, handler: str, error: NotOffered) -> LeftOut:
    withdrawn = isinstance(error, Withdrawn)
    return LeftOut(tool=_cut(name, 100), handler=handler, reason=_cut(str(error), MAX_SAID), withdrawn=withdrawn)


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[:characters]}… [cut]"


def _log_change(former: Catalogue, catalogue: Catalogue) -> None:
    before, now = ({tool.name for tool in each.tools} for each in (former, catalogue))
    log.info(
        "catalogue_changed",
        extra={"tools": len(now), "added": sorted(now - before), "removed": sorted(before - now)},
    )
    for entry in catalogue.left_out:
        if entry not in former.left_out:
            about = {"tool": entry.tool, "handler": entry.handler, "reason": entry.reason}
            if entry.withdrawn:
                log.warning("tool_withdrawn", extra=about)
            else:
                log.warning("tool_left_out", extra=about)
