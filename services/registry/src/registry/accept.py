"""The command `accept`: what a tool says of itself now, to be read, and the lines of the policy that accept it."""

import json
import sys
from collections.abc import Sequence

from contracts import Tool
from registry.admin import Admin, Handler, Service
from registry.catalogue import name_of, tool_handlers
from registry.commands import Failed
from registry.pins import Homes, address, digest, said
from registry.policy import Policy, PolicyError, PolicyFile
from registry.settings import AcceptSettings
from registry.tools import NotOffered, build_tool


async def accept(settings: AcceptSettings, names: Sequence[str]) -> None:
    """Prints what these tools say, and what to write into the policy. It changes nothing."""
    try:
        policy = PolicyFile(settings.policy_file).policy
    except PolicyError as error:
        raise Failed(str(error)) from error
    async with Admin(settings.restate_admin_url) as admin:
        services, deployments = await admin.services(), await admin.deployments()
    homes = Homes.of(services, deployments, ())
    found: dict[str, list[Tool]] = {}
    for service, handler in tool_handlers(services):
        name = name_of(service, handler, policy)
        if name in names:
            found.setdefault(name, []).append(_built(service, handler, name))
    for name in names:
        sys.stdout.write(_told(name, found.get(name, []), homes, policy))


def _built(service: Service, handler: Handler, name: str) -> Tool:
    try:
        return build_tool(service, handler, name)
    except NotOffered as error:
        raise Failed(f"{name}: {error}") from error


def _told(name: str, tools: list[Tool], homes: Homes, policy: Policy) -> str:
    if not tools:
        raise Failed(f"nobody offers a tool named {name!r}")
    wanted = policy.of(name).service
    tools = [tool for tool in tools if wanted in (None, tool.service)]
    if len(tools) != 1:
        services = ", ".join(str(tool.service) for tool in tools) or "none of them"
        raise Failed(f"{name}: offered by {services}: say by `service` in the policy which is meant")
    uri = homes.uris[tools[0].service or ""]
    lines = [f"# {key}: {json.dumps(value, ensure_ascii=True)}" for key, value in said(tools[0]).items()]
    lines += [f"[tools.{name}]", f'service = "{tools[0].service}"']
    lines += [f'deployment = "{address(uri)}"'] if uri else []
    return "\n".join([*lines, f'accepted = "{digest(tools[0])}"', "", ""])
