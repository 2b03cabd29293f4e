"""What must not change by itself: where a service lives, and what a tool says of itself once it was accepted."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from yarl import URL

from contracts import Tool
from registry.admin import Deployment, Service
from registry.prune import family_of_host, host_of
from registry.tools import NotOffered

DIGEST_CHARACTERS = 16

_SAID = {"description", "parameters", "service", "handler", "key", "workflow", "bind", "mode", "readonly", "roles"}
"""What a person accepts. Times and sizes are bounded by the router, and may change."""

_SAID_IF_SET = {"approval", "destinations", "trusted", "compensate"}
"""The same, but a tool that is silent about them has the digest that it had before they were known."""

SHOWN_CHARACTERS = 120

NOWHERE = "a place without a URL"


class Withdrawn(NotOffered):
    """This tool was on offer, or is meant to be, and is not what was accepted; the message says what differs."""


@dataclass(frozen=True)
class Homes:
    """Where services live, by their names, and which have left the place that is theirs."""

    uris: Mapping[str, str] = field(default_factory=dict[str, str])
    moved: Mapping[str, str] = field(default_factory=dict[str, str])
    """Why what such a service offers is withdrawn."""
    own: frozenset[str] = frozenset()
    """The product's own services that are at home."""

    @staticmethod
    def of(services: Iterable[Service], deployments: Iterable[Deployment], wanted: Iterable[str]) -> "Homes":
        """`wanted` are the URLs of the product's own deployments, in any version."""
        known = list(deployments)
        by_id = {each.id: each.uri for each in known}
        uris = {service.name: by_id.get(service.deployment_id, "") for service in services}
        families = {family(url) for url in wanted}
        homes = {service.name: each.uri for each in known if family(each.uri) in families for service in each.services}
        moved = {
            name: f"{name} moved from {homes[name]} to {uri or NOWHERE}, which is none of its own deployments"
            for name, uri in uris.items()
            if name in homes and family(uri) not in families
        }
        return Homes(uris, moved, frozenset(name for name, uri in uris.items() if family(uri) in families))


def family(uri: str) -> tuple[str, ...]:
    """What all versions at a place have in common: its address, but for the hash in its name or its path."""
    if not uri:
        return ()
    versioned = family_of_host(host_of(uri))
    return (*versioned, str(URL(uri).port)) if versioned else (address(uri),)


def address(uri: str) -> str:
    """Where a deployment answers, without its path."""
    return str(URL(uri).origin())


def digest(tool: Tool) -> str:
    """Names what this tool says of itself."""
    told = json.dumps(said(tool), sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:DIGEST_CHARACTERS]


def difference(former: Tool, tool: Tool) -> str:
    """What has changed, to read."""
    return changes(said(former), said(tool))


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs between what was said and what is said, to read."""
    keys = [key for key in dict.fromkeys([*now, *before]) if before.get(key) != now.get(key)]
    return "; ".join(f"{key}: {_short(before.get(key))} -> {_short(now.get(key))}" for key in keys)


def said(tool: Tool) -> dict[str, Any]:
    """What a person accepts."""
    return tool.model_dump(include=_SAID) | tool.model_dump(include=_SAID_IF_SET, exclude_defaults=True)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
