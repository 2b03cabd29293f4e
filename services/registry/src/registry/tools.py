"""The tool contract: from what a handler says about itself to the tool on offer.

It fails closed: a key or a value that this version does not enforce keeps the handler off the list.
"""

import re
from collections.abc import Collection, Mapping

from contracts import Mode, Rule, Tool
from contracts.tool import DEFAULT_MAX_PER_RUN, DEFAULT_MAX_RESULT_BYTES, DEFAULT_TIMEOUT_SECONDS, TOOL_NAME
from registry.admin import Handler, Service
from registry.bounds import UnusableSchema
from registry.schema import closed, required_strings
from runtime.conditions import BadCondition, Condition
from runtime.schemas import Schema, as_schema

_PROPERTY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_ROLE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_SECONDS = re.compile(r"[0-9]{1,6}(\.[0-9]{1,3})?")
_TIMES = re.compile(r"[0-9]{1,3}")
_BYTES = re.compile(r"[0-9]{1,9}")

_KEYS = {
    "name",
    "bind",
    "key",
    "mode",
    "readonly",
    "concurrent",
    "ticket",
    "timeout",
    "approval",
    "destinations",
    "trusted",
    "compensate",
    "roles",
    "max_result_bytes",
    "max_per_run",
}


MAX_DESCRIPTION_BYTES = 4096


class NotOffered(Exception):
    """This handler wants to be a tool and must not be one; the message says why."""


def is_tool(handler: Handler) -> bool:
    return handler.metadata.get("mcp.type") == "tool"


def tool_name(handler: Handler) -> str:
    return handler.metadata.get("tool.name", handler.name)


def build_tool(service: Service, handler: Handler, name: str | None = None) -> Tool:
    """The tool that this handler describes, by its own name or by another; raises `NotOffered`."""
    if handler.public:
        raise NotOffered("it is open at Restate's ingress, where anybody may call it as anybody: make it private there")
    said = _said(handler)
    name = tool_name(handler) if name is None else name
    if not re.fullmatch(TOOL_NAME, name):
        raise NotOffered(f"the name does not match {TOOL_NAME}")
    description = handler.documentation or ""
    if (size := len(description.encode())) > MAX_DESCRIPTION_BYTES:
        raise NotOffered(f"the description has {size} bytes, and may have {MAX_DESCRIPTION_BYTES}: shorten it")
    bind = _bind(said.get("bind"))
    parameters = _parameters(handler, set(bind))
    tool = Tool(
        name=name,
        description=description,
        parameters=parameters,
        service=service.name,
        handler=handler.name,
        key=_key(service, handler, said.get("key"), parameters),
        workflow=handler.ty == "Workflow",
        bind=bind,
        mode=_mode(said.get("mode", "call")),
        readonly=_flag("readonly", said),
        concurrent=_flag("concurrent", said),
        ticket=_ticket(said),
        timeout=_positive(said.get("timeout"), "timeout", _SECONDS, DEFAULT_TIMEOUT_SECONDS),
        roles=_roles(said.get("roles")),
        max_per_run=int(_positive(said.get("max_per_run"), "max_per_run", _TIMES, DEFAULT_MAX_PER_RUN)),
        max_result_bytes=int(
            _positive(said.get("max_result_bytes"), "max_result_bytes", _BYTES, DEFAULT_MAX_RESULT_BYTES)
        ),
        approval=_approval(said.get("approval", "never")),
        destinations=_destinations(said.get("destinations")),
        trusted=_flag("trusted", said),
        compensate=_compensate(service, handler, said),
    )
    check_rules(tool)
    return tool


def check_rules(tool: Tool) -> None:
    """Raises `NotOffered` when a person could not be asked as this tool, or the policy over it, says."""
    rule = Rule.of(tool.approval)
    known = as_schema(tool.parameters.get("properties")).keys() | tool.bind.keys()
    if rule.when:
        _check_condition(rule.when, known)
    for name in tool.destinations:
        if name not in known:
            raise NotOffered(f"tool.destinations: {name!r} is no property of the input schema")
    if rule.provenance and not set(tool.destinations) - tool.bind.keys():
        raise NotOffered("tool.approval = provenance needs tool.destinations, of which the model sets at least one")


def _said(handler: Handler) -> dict[str, str]:
    said = {key.removeprefix("tool."): value for key, value in handler.metadata.items() if key.startswith("tool.")}
    for key in sorted(said.keys() - _KEYS):
        raise NotOffered(f"tool.{key} is not a key that this version knows")
    return said


def _parameters(handler: Handler, bound: set[str]) -> Schema:
    try:
        return closed(handler.input_json_schema, bound)
    except UnusableSchema as error:
        raise NotOffered(f"unusable input schema: {error}") from error


def _bind(value: str | None) -> dict[str, str]:
    bind: dict[str, str] = {}
    for part in value.split(",") if value is not None else []:
        name, _, source = (word.strip() for word in part.partition("="))
        if not _PROPERTY.fullmatch(name) or name in bind:
            raise NotOffered(f"tool.bind = {value!r} is not <property>=<source>,...")
        if source != "caller.user_id":
            raise NotOffered(f"tool.bind: {source!r} is not a source that this version knows (caller.user_id)")
        bind[name] = source
    return bind


def _key(service: Service, handler: Handler, value: str | None, parameters: Schema) -> str | None:
    if service.ty == "Service":
        if value is not None:
            raise NotOffered("tool.key on a service that has no keys")
        return None
    if value is None and handler.ty == "Workflow":
        return "run"
    if value in ("run", "caller.user_id"):
        return value
    if value is None:
        raise NotOffered("tool.key is missing on a keyed handler")
    kind, _, name = value.partition(":")
    if kind != "argument" or not _PROPERTY.fullmatch(name):
        raise NotOffered(f"tool.key = {value!r} is none of caller.user_id, argument:<name>, run")
    if name not in required_strings(parameters):
        raise NotOffered(f"tool.key: {name!r} is not a required string among the offered properties")
    return value


def _mode(value: str) -> Mode:
    if value not in ("call", "send"):
        raise NotOffered(f"tool.mode = {value!r} is neither call nor send")
    return value


def _flag(key: str, said: Mapping[str, str]) -> bool:
    value = said.get(key, "false")
    if value not in ("true", "false"):
        raise NotOffered(f"tool.{key} = {value!r} is neither true nor false")
    return value == "true"


def _ticket(said: Mapping[str, str]) -> bool:
    if (makes_one := _flag("ticket", said)) and _flag("readonly", said):
        raise NotOffered("tool.ticket: what only reads makes no ticket")
    return makes_one


def _check_condition(when: str, known: Collection[str]) -> None:
    try:
        unknown = sorted(Condition(when).fields["arguments"] - set(known))
    except BadCondition as error:
        raise NotOffered(f"tool.approval: its condition cannot be used: {error}") from error
    if unknown:
        raise NotOffered(f"tool.approval: its condition names {unknown[0]!r}, which is no property of the input schema")


def _approval(value: str) -> str:
    try:
        return Rule.of(value).text
    except ValueError as error:
        raise NotOffered(f"tool.approval = {value!r}: {error}") from error


def _destinations(value: str | None) -> list[str]:
    names = [name.strip() for name in value.split(",")] if value is not None else []
    if not all(_PROPERTY.fullmatch(name) for name in names):
        raise NotOffered(f"tool.destinations = {value!r} is not a comma-separated list of properties")
    return list(dict.fromkeys(names))


def _compensate(service: Service, handler: Handler, said: Mapping[str, str]) -> str | None:
    if (name := said.get("compensate")) is None:
        return None
    if _flag("readonly", said):
        raise NotOffered("tool.compensate: what only reads cannot be undone")
    undoes = next((each for each in service.handlers if each.name == name), None)
    if undoes is None or name == handler.name:
        raise NotOffered(f"tool.compensate: {service.name} has no other handler {name!r}")
    if undoes.public:
        raise NotOffered(f"tool.compensate: {name!r} is open at Restate's ingress, where anybody may call it")
    return name


def _positive(value: str | None, key: str, pattern: re.Pattern[str], default: float) -> float:
    if value is None:
        return default
    if not pattern.fullmatch(value) or float(value) <= 0:
        raise NotOffered(f"tool.{key} = {value!r} is not a positive number")
    return float(value)


def _roles(value: str | None) -> list[str]:
    if value is None:
        return []
    roles = [role.strip() for role in value.split(",")]
    if not all(_ROLE.fullmatch(role) for role in roles):
        raise NotOffered(f"tool.roles = {value!r} is not a comma-separated list of roles")
    return sorted(set(roles))
