"""The command `accept`: shows what a tool says of itself now and what has changed; accepts what was read."""

import json
from collections.abc import Mapping, Sequence

from contracts import Tool
from registry.accepted import AcceptedTool, parsed
from registry.admin import Admin, Handler, Service
from registry.catalogue import name_of, tool_handlers
from registry.commands import Failed
from registry.kept import NotKept, Store, store_at
from registry.pins import Homes, address, digest, said
from registry.policy import Policy, PolicyError, PolicyFile
from registry.settings import AcceptSettings
from registry.tools import NotOffered, build_tool
from runtime.terminal import printable, show


async def accept(settings: AcceptSettings, names: Sequence[str]) -> None:
    """Prints what these tools say. Of `<tool>=<digest>`, the digest that was read, it accepts what was read."""
    try:
        policy = PolicyFile(settings.policy_file).policy
        store = store_at(settings, settings.accepted_configmap, settings.accepted_dir)
        kept = {name: parsed(text) for name, text in (await store.read()).texts.items()} if store else {}
        wanted = dict(_name_and_digest(each) for each in names)
        found = await _found(settings, policy, wanted)
        for name, read in wanted.items():
            tool, uri = found[name]
            show(_told(tool, uri, kept.get(name)))
            if read:
                await _accept(tool, uri, read, policy, store)
    except (PolicyError, NotKept) as error:
        raise Failed(str(error)) from error


def _name_and_digest(text: str) -> tuple[str, str]:
    name, _, read = text.partition("=")
    return name, read


async def _found(settings: AcceptSettings, policy: Policy, names: Mapping[str, str]) -> dict[str, tuple[Tool, str]]:
    """Each of these tools, and where it lives."""
    async with Admin(settings.restate_admin_url, settings.admin_token) as admin:
        services, deployments = await admin.services(), await admin.deployments()
    uris = Homes.of(services, deployments, ()).uris
    found: dict[str, list[Tool]] = {name: [] for name in names}
    for service, handler in tool_handlers(services):
        name = name_of(service, handler, policy)
        if name in names:
            found[name].append(_built(service, handler, name))
    tools = {name: _only(name, candidates, policy) for name, candidates in found.items()}
    return {name: (tool, uris[tool.service or ""]) for name, tool in tools.items()}


def _built(service: Service, handler: Handler, name: str) -> Tool:
    try:
        return build_tool(service, handler, name)
    except NotOffered as error:
        raise Failed(f"{name}: {error}") from error


def _only(name: str, tools: list[Tool], policy: Policy) -> Tool:
    if not tools:
        raise Failed(f"nobody offers a tool named {name!r}")
    wanted = policy.of(name).service
    tools = [tool for tool in tools if wanted in (None, tool.service)]
    if len(tools) != 1:
        services = ", ".join(str(tool.service) for tool in tools) or "none of them"
        raise Failed(f"{name}: offered by {services}: say by `service` in the policy which is meant")
    return tools[0]


def _told(tool: Tool, uri: str, accepted: AcceptedTool | None) -> str:
    """What a person reads, which is also what a policy could say."""
    lines = [f"# {key}: {json.dumps(value, ensure_ascii=True)}" for key, value in said(tool).items()]
    if accepted is None:
        lines += ["# nothing was accepted under this name yet"]
    elif accepted.digest != digest(tool):
        lines += [f"# changed: {accepted.difference(tool)}"]
    elif accepted.deployment in ("", address(uri) if uri else ""):
        lines += ["# it is what was accepted"]
    else:
        lines += [f"# moved: {accepted.deployment} -> {uri}"]
    lines += [f"# to accept this: python -m registry accept {tool.name}={digest(tool)}; or in the policy:"]
    lines += [f"[tools.{tool.name}]", f'service = "{tool.service}"']
    lines += [f'deployment = "{address(uri)}"'] if uri else []
    lines += [f'accepted = "{digest(tool)}"']
    return "\n".join(printable(line, lines=False) for line in [*lines, ""])


async def _accept(tool: Tool, uri: str, read: str, policy: Policy, store: Store | None) -> None:
    if read != digest(tool):
        raise Failed(f"{tool.name}: it does not say {read} any more: read it again")
    if policy.of(tool.name).accepted:
        raise Failed(f"{tool.name}: the policy says what is accepted of it: change it there")
    if store is None:
        raise Failed("setting ACCEPTED_DIR: there is no place to keep it; the lines above can stand in the policy")
    await store.write({tool.name: AcceptedTool.of(tool, address(uri) if uri else "").model_dump_json()})
    show(f"# {tool.name} is accepted")
