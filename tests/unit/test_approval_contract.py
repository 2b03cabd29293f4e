"""What tools and the policy say about approvals: which of two rules is stricter, and that a digest covers them."""

import tomllib
from typing import Any

import pytest

from contracts import Catalogue, Rule, Tool
from registry.admin import Handler, Service
from registry.catalogue import build_catalogue, odd_policies
from registry.pins import difference, digest
from registry.policy import Policy
from registry.tools import NotOffered, build_tool

SCHEMA = {
    "type": "object",
    "properties": {"to": {"type": "string"}, "amount": {"type": "number"}, "user_id": {"type": "string"}},
}
UNDO = Handler(name="unpay", public=False)


def handler(called: str = "pay", **said: str) -> Handler:
    metadata = {"mcp.type": "tool"} | {f"tool.{key}": value for key, value in said.items()}
    return Handler(name=called, metadata=metadata, input_json_schema=SCHEMA, public=False)


def service(*handlers: Handler) -> Service:
    return Service(name="Bank", ty="Service", deployment_id="dp_1", handlers=list(handlers))


def tool(*others: Handler, **said: str) -> Tool:
    offered = handler(**said)
    return build_tool(service(offered, *others), offered)


def offered(policy: str, **said: str) -> Catalogue:
    return build_catalogue([service(handler(**said))], {}, policy_of(policy), set(), owners={})


def policy_of(text: str) -> Policy:
    return Policy.model_validate(tomllib.loads(f"[tools.pay]\n{text}"))


WHEN = "when:arguments.amount > 50.0"
OTHER = "when:run.turn > 1"
BOTH = "when:(arguments.amount > 50.0\n) || (run.turn > 1\n)"


@pytest.mark.parametrize(
    ("one", "other", "stricter"),
    [
        ("never", "never", "never"),
        ("never", "provenance", "provenance"),
        ("never", WHEN, WHEN),
        ("never", "required", "required"),
        ("provenance", "never", "provenance"),
        ("provenance", "required", "required"),
        ("required", "provenance", "required"),
        ("required", "never", "required"),
        (WHEN, "required", "required"),
        ("provenance", "provenance", "provenance"),
        ("provenance", WHEN, f"provenance,{WHEN}"),
        (WHEN, "provenance", f"provenance,{WHEN}"),
        (WHEN, WHEN, WHEN),
        (f"provenance,{WHEN}", WHEN, f"provenance,{WHEN}"),
        (WHEN, OTHER, BOTH),
        (f"provenance,{WHEN}", OTHER, f"provenance,{BOTH}"),
    ],
)
def test_of_two_rules_the_stricter_holds(one: str, other: str, stricter: str) -> None:
    """And where neither is stricter, a person is asked by either; whoever says which."""
    assert Rule.of(one).or_else(Rule.of(other)).text == stricter
    policy = f"destinations = ['to']\napproval = '''{other}'''"
    assert [each.approval for each in offered(policy, approval=one, destinations="to").tools] == [stricter]


@pytest.mark.parametrize(
    "text", ["", "sometimes", "when:", "provenance,", "required,when:true", "never,when:true", "xwhen:true"]
)
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="none of never"):
        Rule.of(text)


def test_a_comment_in_one_condition_hides_nothing_of_another() -> None:
    joined = Rule.of("when:false // nobody").or_else(Rule.of("when:true"))
    assert joined.when == "(false // nobody\n) || (true\n)"


@pytest.mark.parametrize(
    ("policy", "said", "odd"),
    [
        ("approval = 'never'", {"approval": "required"}, True),
        ("approval = 'provenance'", {"approval": "required", "destinations": "to"}, True),
        ("approval = 'never'", {"approval": WHEN}, True),
        ("trusted = true", {}, True),
        ("approval = 'required'", {"approval": WHEN}, False),
        ("approval = 'provenance'", {"approval": WHEN, "destinations": "to"}, False),
        ("destinations = ['amount']", {"destinations": "to"}, False),
        ("trusted = false", {"trusted": "true"}, False),
    ],
)
def test_the_policy_may_tighten_and_never_loosen(policy: str, said: dict[str, str], odd: bool) -> None:
    """What would loosen has no effect, and is reported."""
    before, (after,) = tool(**said), offered(policy, **said).tools
    assert odd_policies([service(handler(**said))], policy_of(policy), ()) == (
        {"'pay' would be loosened, which needs override = true"} if odd else set()
    )
    assert (after == before) == odd
    loosened = offered(f"{policy}\noverride = true", **said).tools[0]
    assert not odd or loosened != before


def test_the_policy_adds_destinations() -> None:
    (found,) = offered("approval = 'provenance'\ndestinations = ['to']", destinations="amount").tools
    assert (found.approval, found.destinations) == ("provenance", ["amount", "to"])


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        ("approval = 'provenance'", "needs tool.destinations"),
        ("approval = 'when:arguments.sum > 1'", "'sum', which is no property"),
        ("approval = 'when:1 +'", "does not compile"),
        ("destinations = ['nobody']", "'nobody' is no property"),
    ],
)
def test_a_policy_that_nobody_could_keep_leaves_the_tool_out(policy: str, why: str) -> None:
    found = offered(policy)
    assert found.tools == []
    assert why in found.left_out[0].reason


@pytest.mark.parametrize(
    ("said", "others", "why"),
    [
        ({"compensate": "unpay"}, [], "has no other handler 'unpay'"),
        ({"compensate": "pay"}, [], "has no other handler 'pay'"),
        ({"compensate": "unpay"}, [UNDO.model_copy(update={"public": True})], "is open at Restate's ingress"),
        ({"compensate": "unpay", "readonly": "true"}, [UNDO], "what only reads"),
        ({"approval": "provenance", "destinations": "user_id", "bind": "user_id=caller.user_id"}, [], "the model sets"),
    ],
)
def test_what_cannot_be_kept_leaves_the_tool_out(said: Any, others: list[Handler], why: str) -> None:
    with pytest.raises(NotOffered, match=why):
        tool(*others, **said)


def test_what_undoes_an_effect_is_a_handler_of_its_service() -> None:
    assert tool(UNDO, compensate="unpay").compensate == "unpay"


@pytest.mark.parametrize(
    "said", [{"approval": "required"}, {"destinations": "to"}, {"trusted": "true"}, {"compensate": "unpay"}], ids=str
)
def test_whoever_accepts_a_tool_accepts_what_it_says_about_approvals(said: dict[str, str]) -> None:
    silent, telling = tool(UNDO), tool(UNDO, **said)
    (key,) = said
    assert digest(silent) != digest(telling)
    assert difference(telling, silent).startswith(f"{key}: ")
    assert difference(silent, telling).startswith(f"{key}: null -> ")


def test_a_tool_that_says_nothing_of_it_keeps_the_digest_that_was_accepted() -> None:
    """Taken before any tool could ask for approvals."""
    assert digest(tool()) == "5b51eeacd5e91267"
