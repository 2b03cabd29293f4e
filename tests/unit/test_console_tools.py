"""The tools at the desk: everybody reads where each comes from and what changed, an admin switches one off, once."""

import html
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from console.routes.tools import told_of
from contracts import ToolAct, ToolChange, ToolsShown
from tests.browser.injections import INJECTIONS
from tests.parts.fake_rooms import OF_A_CONSOLE, FakeRooms, fake_rooms
from tests.parts.service import Service
from tests.parts.staff import StaffBrowser


@pytest.fixture
async def rooms() -> AsyncIterator[FakeRooms]:
    async with fake_rooms() as rooms:
        rooms.tool()
        yield rooms


@pytest.fixture
async def staff(rooms: FakeRooms, service: Callable[..., Awaitable[Service]]) -> AsyncIterator[StaffBrowser]:
    console = await service("console", RESTATE_INGRESS_URL=rooms.url, REGISTRY_URL=rooms.url, **OF_A_CONSOLE)
    async with StaffBrowser(console.address) as staff:
        yield staff


MAY_SWITCH = {"anna": False, "ben": False, "dora": False, "carla": True}


@pytest.mark.parametrize("name", MAY_SWITCH)
async def test_each_role_reads_and_admins_alone_switch(rooms: FakeRooms, staff: StaffBrowser, name: str) -> None:
    seen = await staff.sign_in(name)
    assert 'href="/tools"' in seen.text
    page = await staff.get("/tools")
    assert "Exports/export_account at http://exports:9080" in page.text
    assert ("Switch off export_account" in page.text) == MAY_SWITCH[name]
    told = page.fields | {"tool": "export_account", "act": "off", "why": "It errs.", "act_id": "a" * 32}
    done = await staff.post("/tools", **told)
    assert done.status == (200 if MAY_SWITCH[name] else 403)
    assert [act.who for act in rooms.tool_acts] == ([name] if MAY_SWITCH[name] else [])


async def test_who_is_not_signed_in_reads_and_switches_nothing(rooms: FakeRooms, staff: StaffBrowser) -> None:
    assert (await staff.get("/tools")).path.startswith("/login")
    assert (await staff.post("/tools", tool="export_account", act="off", why="x", act_id="a" * 32)).status == 401
    assert not rooms.made("desk/tools")
    assert rooms.tool_acts == []


async def test_a_tool_is_switched_off_and_on_again_and_who_did_it_stands_there(
    rooms: FakeRooms, staff: StaffBrowser
) -> None:
    await staff.sign_in("carla")
    form = (await staff.get("/tools")).fields | {"act": "off", "why": "It charges twice."}
    await staff.post("/tools", **form)
    seen = await staff.post("/tools", **form)  # as by a double click
    assert (seen.status, seen.path) == (200, "/tools")
    assert "Switched off by <strong>carla</strong>" in seen.text
    assert seen.text.count("It charges twice.") == 2  # beside the tool, and among what changed
    assert len(rooms.tool_acts) == 1
    seen = await staff.send("/tools", act="on", why="It is mended.")
    assert "Switch off export_account" in seen.text
    assert [(act.on, act.why) for act in rooms.tool_acts] == [(False, "It charges twice."), (True, "It is mended.")]


async def test_of_two_admins_who_switch_the_second_reads_who_was_first(rooms: FakeRooms, staff: StaffBrowser) -> None:
    await staff.sign_in("carla")
    form = (await staff.get("/tools")).fields | {"act": "off", "why": "It errs."}
    await staff.post("/tools", **form)
    late = await staff.post("/tools", **(form | {"act_id": "b" * 32}))
    assert late.status == 409
    assert "Somebody did this before you" in late.text
    del rooms.tools["export_account"]
    gone = await staff.post("/tools", **(form | {"act_id": "c" * 32}))
    assert (gone.status, "no such tool any more" in gone.text) == (404, True)
    assert len(rooms.tool_acts) == 1


@pytest.mark.parametrize("why", ["", " \r\n ", "x" * 301])
async def test_without_a_reason_nothing_is_switched_and_what_was_written_stays(
    rooms: FakeRooms, staff: StaffBrowser, why: str
) -> None:
    await staff.sign_in("carla")
    seen = await staff.send("/tools", act="off", why=why)
    assert (seen.status, "Say why" in seen.text, rooms.tool_acts) == (422, True, [])
    assert f">\n{why}</textarea>" in seen.text.replace("\r\n", "\n") or not why.strip()


@pytest.mark.parametrize("wrong", [{"act": "delete"}, {"tool": "../x"}, {"tool": ""}, {"act_id": "x"}], ids=str)
async def test_what_no_form_of_ours_sends_is_refused(
    rooms: FakeRooms, staff: StaffBrowser, wrong: dict[str, str]
) -> None:
    await staff.sign_in("carla")
    assert (await staff.send("/tools", **({"act": "off", "why": "x"} | wrong))).status == 422
    assert rooms.tool_acts == []


async def test_what_was_written_while_the_registry_is_away_can_be_sent_again(
    rooms: FakeRooms, staff: StaffBrowser
) -> None:
    await staff.sign_in("carla")
    form = (await staff.get("/tools")).fields | {"act": "off", "why": "It charges twice."}
    rooms.away = True
    kept = await staff.post("/tools", **form)
    assert (kept.status, "It charges twice." in kept.text) == (503, True)
    assert (await staff.get("/tools")).status == 503
    rooms.away = False
    assert (await staff.post("/tools", **(form | kept.fields))).status == 200
    assert [act.act_id for act in rooms.tool_acts] == [form["act_id"]]


async def test_what_the_policy_forbids_has_no_button_and_a_reason(rooms: FakeRooms, staff: StaffBrowser) -> None:
    rooms.tool(state="forbidden", switchable=False, why="switched off by the policy")
    rooms.tool("odd name", state="left_out", switchable=False, why="the name does not match")
    rooms.tool("moved", state="left_out", withdrawn=True, why="Parcels moved")
    await staff.sign_in("carla")
    page = (await staff.get("/tools")).text
    assert re.findall(r"Switch off (\S+)</button>", page) == ["moved"]
    for words in (
        "Switched off by the operators&#39; policy (1)",
        "the name does not match",
        "withdrawn",
        "Left out (2)",
    ):
        assert words in page or html.unescape(words) in page
    forced = await staff.send("/tools", tool="export_account", act="off", why="x")
    assert (forced.status, "nobody can switch it on here" in forced.text) == (409, True)


def test_what_changed_since_yesterday_stands_apart_from_what_was_before() -> None:
    now = datetime(2026, 5, 4, 12, tzinfo=UTC)
    at = [(now - timedelta(hours=hours)).isoformat() for hours in (1, 2, 25, 99)]
    act = ToolAct(act_id="a", tool="pay", on=False, who="carla", why="It errs.", at=at[1])
    changes = [ToolChange(tool=f"tool{number}", what="came", at=at[number]) for number in (0, 2, 3)]
    news, older = told_of(ToolsShown(tools=[], changes=changes, acts=[act]), now)
    assert [(each["tool"], each["what"]) for each in news] == [("tool0", "came"), ("pay", "switched off")]
    assert [each["tool"] for each in older] == ["tool2", "tool3"]


async def test_words_and_names_of_others_are_shown_as_text(rooms: FakeRooms, staff: StaffBrowser) -> None:
    await staff.sign_in("carla")
    await staff.send("/tools", act="off", why="It errs.")
    plain = (await staff.get("/tools")).text
    for number, words in enumerate(INJECTIONS):
        told = {"description": words, "why": words, "handler": words, "address": words, "approval": words}
        rooms.tool(words, **told, state=("on", "left_out")[number % 2], switchable=False, roles=[words], withdrawn=True)
        rooms.tool_changes.append(ToolChange(tool=words, what="changed", told=words, at=datetime.now(UTC).isoformat()))
    seen = (await staff.get("/tools")).text
    assert set(re.findall(r"<(\w+)", seen)) - set(re.findall(r"<(\w+)", plain)) <= {"ol", "ul", "li", "time", "span"}
    assert "javascript:" not in "".join(re.findall(r'(?:href|src|action|id)="([^"]*)"', seen))
