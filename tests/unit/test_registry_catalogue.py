"""From what handlers say about themselves to the tools on offer: every row of the contract, and it fails closed."""

import random
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from contracts import Catalogue, Tool
from registry.admin import Deployment, Handler, Service
from registry.bounds import UnusableSchema
from registry.catalogue import build_catalogue, first_registered, odd_policies
from registry.policy import Policy, PolicyError, PolicyFile
from registry.schema import closed
from registry.tools import NotOffered, build_tool

SCHEMA: dict[str, Any] = {
    "title": "Lookup",
    "type": "object",
    "properties": {
        "email": {"type": "string", "title": "Email", "description": "Whose"},
        "count": {"type": "integer"},
        "user_id": {"type": "string", "title": "User Id"},
    },
    "required": ["email", "user_id"],
    "examples": [{"email": "ada@example.org", "user_id": "u1"}],
}


def handler(called: str = "look", schema: Any = SCHEMA, ty: str | None = None, **said: str) -> Handler:
    metadata = {"mcp.type": "tool"} | {f"tool.{key}": value for key, value in said.items()}
    return Handler(
        name=called, ty=ty, documentation="Looks.", metadata=metadata, input_json_schema=schema, public=False
    )


def service(*handlers: Handler, name: str = "Users", ty: Any = "Service", deployment: str = "dp_1") -> Service:
    return Service(name=name, ty=ty, deployment_id=deployment, handlers=list(handlers))


def tool(ty: Any = "Service", handler_ty: str | None = None, schema: Any = SCHEMA, **said: str) -> Tool:
    offered = handler(schema=schema, ty=handler_ty, **said)
    return build_tool(service(offered, ty=ty), offered)


def catalogue(*services: Service, ages: Any = None, policy: str = "", owners: Any = None) -> Catalogue:
    return build_catalogue(services, ages or {}, policy_of(policy), {"check_task"}, owners or {})


def policy_of(text: str) -> Policy:
    return Policy.model_validate(tomllib.loads(text))


def object_schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


# What a handler may say


def test_a_handler_that_says_nothing_more_gets_the_defaults() -> None:
    offered = tool()
    assert (offered.name, offered.description, offered.service, offered.handler) == ("look", "Looks.", "Users", "look")
    assert (offered.key, offered.bind, offered.mode, offered.readonly) == (None, {}, "call", False)
    assert (offered.timeout, offered.roles, offered.max_result_bytes) == (60, [], 32768)


def test_every_key_of_the_contract_is_taken_over() -> None:
    offered = tool(
        name="find_user",
        bind="user_id=caller.user_id",
        mode="send",
        readonly="true",
        timeout="2.5",
        approval="never",
        roles="staff, admin",
        max_result_bytes="100",
        max_per_run="2",
        destinations="email, count",
        trusted="true",
    )
    assert offered.name == "find_user"
    assert offered.bind == {"user_id": "caller.user_id"}
    assert (offered.mode, offered.readonly, offered.timeout) == ("send", True, 2.5)
    assert (offered.roles, offered.max_result_bytes, offered.max_per_run) == (["admin", "staff"], 100, 2)
    assert (offered.approval, offered.destinations, offered.trusted) == ("never", ["email", "count"], True)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "no spaces"),
        ("name", "x" * 65),
        ("name", "look\n"),
        ("bind", ""),
        ("bind", "user_id"),
        ("bind", "user_id=caller.roles"),
        ("bind", "user_id=caller.user_id,user_id=caller.user_id"),
        ("bind", "user=caller.user_id"),
        ("bind", "user_id=caller.user_id,"),
        ("mode", "Call"),
        ("mode", ""),
        ("readonly", "yes"),
        ("readonly", "True"),
        ("timeout", "30s"),
        ("timeout", "0"),
        ("timeout", "-1"),
        ("timeout", "inf"),
        ("timeout", "nan"),
        ("timeout", "1e3"),
        ("approval", "sometimes"),
        ("approval", "Required"),
        ("approval", ""),
        ("approval", "when:"),
        ("approval", "when: "),
        ("approval", "when:arguments.count >"),
        ("approval", "when:argument.count > 1"),
        ("approval", "when:arguments.cuont > 1"),
        ("approval", "when:run.trun > 1"),
        ("approval", "when:caller.role == 'staff'"),
        ("approval", "when:length(arguments.email) > 1"),
        ("approval", "when:arguments.email.beginsWith('a')"),
        ("approval", "when:" + " || ".join(["true"] * 500)),
        ("approval", "when:" + "(" * 900 + "true" + ")" * 900),
        ("approval", "required,when:true"),
        ("approval", "provenance"),
        ("destinations", ""),
        ("destinations", "email,"),
        ("destinations", "email;count"),
        ("destinations", "nobody"),
        ("destinations", "email.domain"),
        ("trusted", "yes"),
        ("compensate", ""),
        ("compensate", "look"),
        ("compensate", "unlook"),
        ("roles", ""),
        ("roles", "staff,,admin"),
        ("roles", "a role"),
        ("max_per_run", "0"),
        ("max_per_run", "1.5"),
        ("max_result_bytes", "0"),
        ("max_result_bytes", "32KiB"),
        ("max_result_bytes", "1.5"),
        ("max_attempts", "3"),
        ("Name", "look"),
    ],
)
def test_what_this_version_does_not_enforce_is_left_out(key: str, value: str) -> None:
    offered = catalogue(service(handler(**{key: value})))
    assert offered.tools == []
    assert [entry.handler for entry in offered.left_out] == ["Users/look"]
    assert f"tool.{key}" in offered.left_out[0].reason or key in ("name", "bind")


def test_handlers_that_do_not_ask_for_it_are_neither_offered_nor_listed() -> None:
    quiet = Handler(name="look", metadata={"mcp.type": "resource", "tool.name": "look"}, input_json_schema=SCHEMA)
    assert catalogue(service(quiet)) == Catalogue()


# Keys


@pytest.mark.parametrize(
    ("ty", "handler_ty", "said", "key"),
    [
        ("Workflow", "Workflow", None, "run"),
        ("Workflow", "Workflow", "argument:email", "argument:email"),
        ("Workflow", "Shared", "caller.user_id", "caller.user_id"),
        ("VirtualObject", "Exclusive", "run", "run"),
        ("VirtualObject", "Exclusive", "caller.user_id", "caller.user_id"),
        ("VirtualObject", "Shared", "argument:email", "argument:email"),
        ("Service", None, None, None),
    ],
)
def test_the_key_of_a_keyed_handler(ty: str, handler_ty: str | None, said: str | None, key: str | None) -> None:
    assert tool(ty, handler_ty, **({"key": said} if said else {})).key == key


@pytest.mark.parametrize(
    ("ty", "handler_ty", "said"),
    [
        ("Service", None, {"key": "run"}),
        ("VirtualObject", "Exclusive", {}),
        ("Workflow", "Shared", {}),
        ("VirtualObject", "Exclusive", {"key": ""}),
        ("VirtualObject", "Exclusive", {"key": "email"}),
        ("VirtualObject", "Exclusive", {"key": "argument:"}),
        ("VirtualObject", "Exclusive", {"key": "argument:nobody"}),
        ("VirtualObject", "Exclusive", {"key": "argument:count"}),
        ("VirtualObject", "Exclusive", {"key": "argument:user_id", "bind": "user_id=caller.user_id"}),
    ],
)
def test_a_key_that_cannot_be_made_leaves_the_tool_out(ty: str, handler_ty: str | None, said: dict[str, str]) -> None:
    with pytest.raises(NotOffered, match=r"tool\.key"):
        tool(ty, handler_ty, **said)


def test_a_key_may_be_an_argument_whose_type_is_a_definition() -> None:
    schema = object_schema(plan={"$ref": "#/$defs/Plan"}) | {
        "required": ["plan"],
        "$defs": {"Plan": {"type": "string", "enum": ["free", "pro"]}},
    }
    assert tool("VirtualObject", "Exclusive", schema=schema, key="argument:plan").key == "argument:plan"


# Schemas


def test_bound_properties_titles_and_examples_with_them_vanish_from_the_schema() -> None:
    assert tool(bind="user_id=caller.user_id").parameters == {
        "type": "object",
        "properties": {"email": {"type": "string", "description": "Whose"}, "count": {"type": "integer"}},
        "required": ["email"],
        "additionalProperties": False,
    }


def test_a_property_named_title_stays() -> None:
    schema = closed(object_schema(title={"type": "string", "title": "Title"}), set())
    assert schema["properties"] == {"title": {"type": "string"}}


def test_every_object_level_is_closed_unless_it_says_otherwise() -> None:
    schema = closed(
        object_schema(
            inner={"anyOf": [{"$ref": "#/$defs/Inner"}, {"type": "null"}]},
            rows={"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
            labels={"type": "object", "additionalProperties": {"type": "string"}},
        )
        | {"additionalProperties": True, "$defs": {"Inner": object_schema(b={"type": "string"})}},
        set(),
    )
    validator = jsonschema_rs.validator_for(schema)
    assert validator.is_valid({"inner": {"b": "x"}, "rows": [{"a": "x"}], "labels": {"any": "x"}})
    for hostile in ({"more": 1}, {"inner": {"c": 1}}, {"rows": [{"b": 1}]}):
        assert not validator.is_valid(hostile)


def test_a_recursive_model_publishes_its_top_level_as_a_reference() -> None:
    node = object_schema(children={"type": "array", "items": {"$ref": "#/$defs/Node"}}, user_id={"type": "string"})
    schema = closed({"$ref": "#/$defs/Node", "$defs": {"Node": node}}, {"user_id"})
    assert "user_id" not in schema["properties"]
    assert jsonschema_rs.is_valid(schema, {"children": [{"children": []}]})


@pytest.mark.parametrize(
    "schema",
    [
        None,
        True,
        [],
        {},
        {"type": "string"},
        {"type": "number"},
        {"type": ["object", "null"]},
        {"type": "object", "properties": []},
        {"type": "object", "required": "email"},
        {"type": "object", "properties": {"a": 7}},
        {"type": "object", "properties": {"a": {"type": "strin"}}},
        {"type": "object", "properties": {"a": {"pattern": "(("}}},
        {"type": "object", "properties": {"a": {"items": "x"}}},
        {"$ref": "#/$defs/Missing"},
        {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}},
        {"type": "object", "$schema": "http://example.com/own-schema"},
        object_schema(a={"$ref": "http://127.0.0.1:9070/services"}),
        object_schema(a={"$ref": "file:///etc/hostname"}),
        object_schema(a={"$ref": "other.json"}),
        object_schema(a={"$ref": "#/$defs/Missing"}),
        object_schema(a={"$ref": "#"}),
        object_schema(a={"$ref": 7}),
        object_schema(a={"$id": "http://example.com/a", "type": "string"}),
        object_schema(a={"$dynamicRef": "#a"}),
        object_schema(a={"propertyNames": {"$ref": "http://127.0.0.1:9/x"}}),
        object_schema(a={"not": {"$ref": "#/$defs/A"}}) | {"$defs": {"A": object_schema()}},
    ],
)
def test_a_schema_that_cannot_be_closed_is_not_offered(schema: Any) -> None:
    with pytest.raises(UnusableSchema):
        closed(schema, set())
    assert [entry.tool for entry in catalogue(service(handler(schema=schema))).left_out] == ["look"]


def test_a_schema_nested_without_end_is_not_offered() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(500):
        schema = object_schema(a=schema)
    with pytest.raises(UnusableSchema, match="deeper than"):
        closed(schema, set())


def test_a_reference_to_a_bound_property_is_not_offered() -> None:
    schema = object_schema(user_id={"type": "string"}, other={"$ref": "#/properties/user_id"})
    with pytest.raises(UnusableSchema, match="compile"):
        closed(schema, {"user_id"})


def test_no_schema_however_malformed_ends_the_registry() -> None:
    chance = random.Random(3)
    sound = SCHEMA | {
        "$defs": {"A": object_schema(b={"allOf": [{"$ref": "#/$defs/A"}]})},
        "properties": SCHEMA["properties"]
        | {
            "a": {"$ref": "#/$defs/A"},
            "n": {"not": {"type": "null"}},
            "l": {"type": "array", "items": {"anyOf": [{}]}},
        },
    }
    outcomes = set[bool]()
    for _ in range(3000):
        offered = catalogue(service(handler(schema=mangled(sound, chance), bind="user_id=caller.user_id")))
        outcomes.add(bool(offered.tools))
        assert len(offered.tools) + len(offered.left_out) == 1
    assert outcomes == {True, False}


def mangled(value: Any, chance: random.Random) -> Any:
    """The same JSON with some parts replaced by others."""
    if chance.random() < 0.03:
        return chance.choice(
            [None, 7, -1.5, "x", "#/$defs/A", [], [{}], {}, True, ["a", "a"], {"$ref": 1}, {"type": []}]
        )
    if isinstance(value, dict):
        return {chance.choice([key] * 30 + ["$ref", "$id"]): mangled(part, chance) for key, part in value.items()}
    return [mangled(part, chance) for part in value] if isinstance(value, list) else value


# Names


def ages(**days: int) -> dict[str, datetime]:
    return {name: datetime(2026, 1, day, tzinfo=UTC) for name, day in days.items()}


def test_the_tool_that_was_registered_before_keeps_its_name() -> None:
    pair = (service(handler(), name="A"), service(handler(), name="B"))
    offered = catalogue(*pair, ages=ages(A=2, B=1))
    assert [each.service for each in offered.tools] == ["B"]
    assert offered.left_out[0].reason == "the name belongs to B/look"


def test_a_new_deployment_does_not_cost_a_tool_its_name() -> None:
    first = catalogue(service(handler(), name="A"), ages=ages(A=1))
    owners = {"look": "A/look"}
    second = catalogue(service(handler(), name="A"), service(handler(), name="B"), ages=ages(A=3, B=2), owners=owners)
    assert second.tools == first.tools


def test_the_age_of_a_service_is_that_of_its_first_deployment() -> None:
    def deployment(day: int, *names: str) -> Deployment:
        services = [{"name": name} for name in names]
        return Deployment.model_validate(
            {"id": f"dp_{day}", "created_at": datetime(2026, 1, day, tzinfo=UTC), "services": services}
        )

    found = first_registered([deployment(3, "A", "B"), deployment(1, "A"), deployment(2, "B")])
    assert found == ages(A=1, B=2)


def test_the_names_of_local_tools_are_taken() -> None:
    offered = catalogue(service(handler("check_task")))
    assert offered.tools == []
    assert "a local tool" in offered.left_out[0].reason


def test_an_unusable_tool_does_not_hold_its_name() -> None:
    broken, sound = service(handler(mode="?"), name="A"), service(handler(), name="B")
    assert [each.service for each in catalogue(broken, sound, ages=ages(A=1, B=2)).tools] == ["B"]


def test_the_order_in_which_restate_lists_handlers_changes_nothing() -> None:
    one, two = handler("one"), handler("two")
    assert catalogue(service(one, two)) == catalogue(service(two, one))
    assert [each.name for each in catalogue(service(two, one)).tools] == ["one", "two"]


# Open at the ingress


def test_a_tool_that_anybody_may_call_is_left_out() -> None:
    offered = catalogue(service(handler().model_copy(update={"public": True}), handler("other")))
    assert [each.name for each in offered.tools] == ["other"]
    assert "open at Restate's ingress" in offered.left_out[0].reason


def test_a_handler_that_does_not_say_is_taken_as_open() -> None:
    silent = Handler.model_validate({"name": "look", "metadata": {"mcp.type": "tool"}, "input_json_schema": SCHEMA})
    assert catalogue(service(silent)).tools == []


# Other names

TWINS = (service(handler(), name="A"), service(handler(), name="B"))


@pytest.mark.parametrize(
    ("names", "offered"),
    [
        ("", ["A/look look"]),
        ('"B/look" = "look_twice"', ["A/look look", "B/look look_twice"]),
        ('"A/look" = "look_twice"', ["B/look look", "A/look look_twice"]),
        ('"B/*" = "b_*"', ["B/look b_look", "A/look look"]),
        ('"B/*" = "b_*"\n"B/look" = "see"', ["A/look look", "B/look see"]),
        ('"A/look" = "same"\n"B/look" = "same"', ["A/look same"]),
        ('"B/look" = "check_task"', ["A/look look"]),
    ],
)
def test_policy_renames_a_tool_or_all_of_a_service(names: str, offered: list[str]) -> None:
    found = catalogue(*TWINS, ages=ages(A=1, B=2), policy=f"[names]\n{names}")
    assert [f"{each.service}/{each.handler} {each.name}" for each in found.tools] == offered
    assert len(found.tools) + len(found.left_out) == 2


def test_a_policy_goes_by_the_name_that_the_model_reads() -> None:
    found = catalogue(*TWINS, policy='[names]\n"B/look" = "see"\n[tools.see]\ntimeout = 5')
    assert [each.timeout for each in found.tools] == [60, 5]


def test_a_name_for_a_tool_that_nobody_offers_is_reported() -> None:
    policy = policy_of('[names]\n"A/look" = "see"\n"C/look" = "find"\n"D/*" = "d_*"')
    assert odd_policies(TWINS, policy, ()) == {
        "no tool is 'C/look', which has another name",
        "no tool is 'D/*', which has another name",
    }


def test_what_is_switched_off_beside_the_policy_is_off_whatever_it_says(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text("[tools.check_task]\nenabled = true\n[tools.look]\ntimeout = 5")
    file = PolicyFile(path, {"check_task"}, {"check_task", "look"})
    assert file.policy.switched_off() == ["check_task", "look"]
    assert PolicyFile(None, (), {"look"}).policy.switched_off() == ["look"]


# Policy


def test_policy_switches_a_tool_off() -> None:
    offered = catalogue(service(handler()), policy="[tools.look]\nenabled = false")
    assert (offered.tools, offered.switched_off) == ([], ["look"])
    assert offered.left_out[0].reason == "switched off by the policy"


def test_policy_tightens() -> None:
    policy = '[tools.look]\ntimeout = 5\nmax_result_bytes = 10\nroles = ["staff"]\nreadonly = false'
    offered = catalogue(service(handler(readonly="true", roles="staff,admin")), policy=policy).tools[0]
    assert (offered.timeout, offered.max_result_bytes, offered.roles, offered.readonly) == (5, 10, ["staff"], False)


LOOSER = '[tools.look]\ntimeout = 500\nmax_result_bytes = 99999\nroles = ["staff", "guest"]\nreadonly = true\n'


def test_policy_loosens_nothing_without_override() -> None:
    services = [service(handler(roles="staff,admin"))]
    offered = catalogue(*services, policy=LOOSER).tools[0]
    assert (offered.timeout, offered.max_result_bytes, offered.roles, offered.readonly) == (60, 32768, ["staff"], False)
    assert odd_policies(services, policy_of(LOOSER), ()) == {"'look' would be loosened, which needs override = true"}


def test_policy_loosens_with_override() -> None:
    services = [service(handler(roles="staff,admin"))]
    offered = catalogue(*services, policy=LOOSER + "override = true").tools[0]
    assert (offered.timeout, offered.roles, offered.readonly) == (500, ["staff", "guest"], True)
    assert odd_policies(services, policy_of(LOOSER + "override = true"), ()) == set()


def test_roles_without_overlap_mean_nobody_and_not_everybody() -> None:
    offered = catalogue(service(handler(roles="admin")), policy='[tools.look]\nroles = ["staff"]')
    assert offered.tools == []
    assert "no role" in offered.left_out[0].reason


def test_policy_pins_a_name_to_a_service() -> None:
    pair = (service(handler(), name="A"), service(handler(), name="B"))
    offered = catalogue(*pair, ages=ages(A=1, B=2), owners={"look": "A/look"}, policy='[tools.look]\nservice = "B"')
    assert [each.service for each in offered.tools] == ["B"]
    assert "pins this name" in offered.left_out[0].reason


def test_a_policy_for_a_tool_that_nobody_offers_is_reported() -> None:
    odd = odd_policies(
        [], policy_of("[tools.lok]\nenabled = false\n[tools.check_task]\nenabled = false"), {"check_task"}
    )
    assert odd == {"nobody offers a tool named 'lok'"}


@pytest.mark.parametrize(
    "text",
    [
        "tools = ",
        "[tool.look]\nenabled = false",
        "[tools.look]\nenable = false",
        "[tools.look]\nenabled = 'no'",
        "[tools.look]\ntimeout = 0",
        "[tools.look]\nroles = []",
        "[tools.check_task]\ntimeout = 5",
        '[names]\n"A/look" = "no spaces"',
        '[names]\nlook = "see"',
        '[names]\n"A/*" = "all"',
        '[names]\n"A/look" = "a_*"',
    ],
)
def test_a_bad_policy_file_is_refused_with_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(text)
    with pytest.raises(PolicyError, match=r"policy\.toml") as refused:
        PolicyFile(path, {"check_task"})
    assert "\n" not in str(refused.value)


def test_a_policy_that_goes_bad_later_leaves_the_last_good_one_in_force(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text("[tools.look]\nenabled = false")
    file = PolicyFile(path)
    path.write_text("broken")
    file.refresh()
    assert file.policy.switched_off() == ["look"]
    path.write_text("[tools.other]\nenabled = false")
    file.refresh()
    assert file.policy.switched_off() == ["other"]
    path.unlink()
    file.refresh()
    assert file.policy.switched_off() == ["other"]
