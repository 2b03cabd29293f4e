"""The parts of the desk that need nothing beside them: settings, forms from schemas, what nobody would see."""

import json
from typing import Any

import jwt
import pytest
from pydantic import ValidationError

from console.editing import fields_of, read
from console.members import Member
from console.posted import Unfit
from console.routes.conversations import unfolded_at
from console.routes.runs import links_to
from console.settings import ConsoleSettings
from console.tokens import Signer
from console.visible import visible
from contracts import HistoryLine, RunSteps, StaffHistory
from tests.browser.injections import INJECTIONS
from tests.parts.fake_rooms import OF_A_CONSOLE, SCHEMA
from tests.parts.signed import PRIVATE, PUBLIC

GOOD: dict[str, Any] = {
    "staff_key": OF_A_CONSOLE["STAFF_KEY"],
    "session_secret": OF_A_CONSOLE["SESSION_SECRET"],
    "demo_staff": json.loads(OF_A_CONSOLE["DEMO_STAFF"]),
}

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a place in Restate without its placeholder": (
        {"restate_ui_url": "https://restate.example.com/ui"},
        "restate_ui_url",
    ),
    "a place in Restate that is a script": ({"restate_ui_url": "javascript:alert(1)//{invocation}"}, "restate_ui_url"),
    "a trace whose host is its id": ({"trace_url": "https://{trace_id}/"}, "trace_url"),
    "nobody can come in": ({"demo_staff": []}, "nobody could come in"),
    "a short key": ({"staff_key": "x" * 31}, "at least 32 bytes"),
    "a short secret": ({"session_secret": "x" * 31}, "at least 32 bytes"),
    "one secret for both": ({"session_secret": GOOD["staff_key"]}, "are the same"),
    "two of one name": (
        {"demo_staff": [{"name": "a", "roles": ["agent"]}, {"name": "A", "roles": ["agent"]}]},
        "twice",
    ),
    "the name of an API key": ({"demo_staff": [{"name": "Key.a", "roles": ["agent"]}]}, "API keys"),
    "a role that is none": ({"demo_staff": [{"name": "a", "roles": ["king"]}]}, "'agent'"),
    "no role": ({"demo_staff": [{"name": "a", "roles": []}]}, "at least 1"),
    "a name that no token may have": ({"demo_staff": [{"name": "a b", "roles": ["agent"]}]}, "pattern"),
}

WRONG_KEYS = {
    "a key that is none": ({"staff_algorithm": "EdDSA"}, "private Ed25519 key"),
    "a key as a secret": ({"staff_key": PRIVATE}, "set STAFF_ALGORITHM"),
    "an algorithm that others alone have": ({"staff_algorithm": "RS256"}, "EdDSA"),
}

OIDC: dict[str, Any] = {
    "demo_staff": [],
    "oidc_issuer": "https://id.example.com/realms/staff",
    "oidc_client_id": "desk",
    "base_url": "https://desk.example.com",
}
WRONG_OIDC = {
    f"oidc: {name}": (OIDC | changed, told)
    for name, changed, told in (
        ("the demo beside it", {"demo_staff": GOOD["demo_staff"]}, "none is made up"),
        ("no client id", {"oidc_client_id": ""}, "needs OIDC_CLIENT_ID"),
        ("no address", {"base_url": ""}, "needs OIDC_CLIENT_ID and BASE_URL"),
        ("an issuer in the open", {"oidc_issuer": "http://id.example.com"}, "by https alone"),
        ("a desk in the open", {"base_url": "http://desk.example.com"}, "by https alone"),
        ("cookies in the open", {"secure_cookies": False}, "SECURE_COOKIES"),
        ("an address with a path", {"base_url": "https://example.com/desk"}, "pattern"),
        ("an address with a user", {"oidc_issuer": "https://a@id.example.com"}, "pattern"),
        ("scopes without openid", {"oidc_scopes": "profile email"}, "pattern"),
        ("a role that is none", {"oidc_roles": {"king": ["kings"]}}, "'agent'"),
        ("roles for nobody", {"oidc_roles": {"agent": []}}, "gives nobody a role"),
    )
}
ALL_WRONG = WRONG | WRONG_KEYS | WRONG_OIDC


def test_a_staff_token_by_a_private_key_is_believed_by_whoever_knows_the_public_one_alone() -> None:
    settings = ConsoleSettings.model_validate(GOOD | {"staff_algorithm": "EdDSA", "staff_key": PRIVATE})
    token = Signer(settings).token(Member("anna", "Anna", ("agent",)))
    claims = jwt.decode(token, PUBLIC, ["EdDSA"], audience="switchboard-staff")
    assert (claims["sub"], claims["roles"]) == ("anna", ["agent"])
    with pytest.raises(jwt.PyJWTError):
        jwt.decode(token, PUBLIC, ["HS256"], audience="switchboard-staff")


def test_with_an_identity_provider_it_starts() -> None:
    ConsoleSettings.model_validate(GOOD | OIDC)
    on_this_machine = {"base_url": "http://127.0.0.1:9091", "oidc_issuer": "http://localhost:9000/"}
    ConsoleSettings.model_validate(GOOD | OIDC | on_this_machine | {"secure_cookies": False})


@pytest.mark.parametrize(("changed", "told"), ALL_WRONG.values(), ids=ALL_WRONG.keys())
def test_settings_under_which_it_does_not_start(changed: dict[str, Any], told: str) -> None:
    ConsoleSettings.model_validate(GOOD)
    with pytest.raises(ValidationError, match=told):
        ConsoleSettings.model_validate(GOOD | changed)


ARGUMENTS: dict[str, Any] = {
    "invoice_id": "INV-1\r\nand more",
    "amount": 1.0,
    "note": "",
    "speed": "fast",
    "user_id": "user_1",
    "big": 12345678901234567890,
    "deep": {"a": [1, None, "\u202e"]},
    "yes": True,
    "nothing": None,
}


def posted(**changed: str | None) -> dict[str, str]:
    fields = fields_of(SCHEMA, ARGUMENTS, ["user_id"])
    told = {each.key: each.value.replace("\r\n", "\n").replace("\n", "\r\n") for each in fields}
    told |= {each.given_key: "yes" for each in fields if not each.required and not each.left_out}
    for name, value in changed.items():
        if value is None:
            told.pop(f"given:{name}", None)
        else:
            told[f"arg:{name}"] = value
    return told


def test_a_form_that_nobody_touched_says_what_was_asked_and_nothing_fixed() -> None:
    fields = fields_of(SCHEMA, ARGUMENTS, ["user_id"])
    found = read(fields, ARGUMENTS, posted())
    assert json.dumps(found, sort_keys=True) == json.dumps(
        {name: value for name, value in ARGUMENTS.items() if name != "user_id"}, sort_keys=True
    )


EDITS: dict[str, tuple[dict[str, str | None], str, Any]] = {
    "a text": ({"invoice_id": "INV-2"}, "invoice_id", "INV-2"),
    "a text that looks like JSON": ({"invoice_id": "5"}, "invoice_id", "5"),
    "a number": ({"amount": "20"}, "amount", 20),
    "a choice": ({"speed": '"slow"'}, "speed", "slow"),
    "JSON": ({"deep": '{"a": []}'}, "deep", {"a": []}),
    "a truth value": ({"yes": "false"}, "yes", False),
    "two lines": ({"note": "one\r\ntwo"}, "note", "one\ntwo"),
}


@pytest.mark.parametrize(("changed", "name", "value"), EDITS.values(), ids=EDITS.keys())
def test_what_a_form_says_becomes_arguments(changed: dict[str, str | None], name: str, value: Any) -> None:
    found = read(fields_of(SCHEMA, ARGUMENTS, ["user_id"]), ARGUMENTS, posted(**changed))
    assert found[name] == value
    assert type(found[name]) is type(value)


def test_what_is_not_given_is_left_out() -> None:
    found = read(fields_of(SCHEMA, ARGUMENTS, ["user_id"]), ARGUMENTS, posted(note=None))
    assert "note" not in found


@pytest.mark.parametrize("written", ["", "12,5", "NaN", "Infinity", "[" * 100_000])
def test_a_number_that_is_none_is_told_and_not_sent(written: str) -> None:
    with pytest.raises(Unfit):
        read(fields_of(SCHEMA, ARGUMENTS, ["user_id"]), ARGUMENTS, posted(amount=written))


@pytest.mark.parametrize("text", INJECTIONS)
def test_no_markup_and_nothing_unseen_is_left(text: str) -> None:
    shown = str(visible(text)).replace('<span class="unseen" title="', "").replace("</span>", "")
    assert "<" not in shown
    for unseen in "\u202e\u200b\u2066\u00ad\ufeff\U000e0049\U000e0101\x07\x1b\u3164\u2800":
        assert unseen not in shown


def test_a_character_that_nobody_sees_stands_there_by_number_and_name() -> None:
    assert visible("a\u202eb") == 'a<span class="unseen" title="right-to-left override">U+202E</span>b'
    seen = "a b\n\tc \u00e9 \u0639 \u8a9e \U0001f642"
    assert visible(seen) == seen


def test_a_run_is_unfolded_where_it_answered_else_where_it_is_told_of_last() -> None:
    told = [
        *(("message", "run_1"), ("answer", "run_1"), ("approval", "run_1"), ("note", "")),
        *(("message", "run_2"), ("stop", "run_2"), ("message", "run_3"), ("owner", "run_3"), ("person", "run_3")),
    ]
    lines = [
        HistoryLine.model_validate({"position": place, "kind": kind, "run": run, "at": "", "body": {}})
        for place, (kind, run) in enumerate(told, start=1)
    ]
    whole = StaffHistory(entries=lines, of_people=["run_3"])
    assert unfolded_at(whole) == {2: "run_1", 6: "run_2"}
    assert unfolded_at(StaffHistory(entries=lines[5:], of_people=["run_3"])) == {6: "run_2"}


def test_a_run_leads_on_to_where_it_is_known_and_the_settings_say_where() -> None:
    did = {"run": "run_1", "state": "ended", "begun_at": "", "invocation": "inv_1x", "trace_id": "a" * 32}
    places = {"restate_ui_url": "http://r:9070/ui/invocations/{invocation}", "trace_url": "https://t/{trace_id}?x=1"}
    settings, none = ConsoleSettings.model_validate(GOOD | places), ConsoleSettings.model_validate(GOOD)
    known = RunSteps.model_validate(did)
    assert links_to(known, settings) == {
        "In Restate": "http://r:9070/ui/invocations/inv_1x",
        "Its trace": f"https://t/{'a' * 32}?x=1",
    }
    assert links_to(known, none) == {}
    strange = RunSteps.model_validate(did | {"invocation": "inv_1/../..", "trace_id": ""})
    assert links_to(strange, settings) == {}
