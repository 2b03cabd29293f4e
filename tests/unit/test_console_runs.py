"""The agent's runs at the desk: who sees them, who stops one, and that nobody stops another one than they saw."""

import html
import re
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from console.rendering import lasting
from contracts import RunLine
from tests.browser.injections import INJECTIONS
from tests.parts.fake_rooms import OF_A_CONSOLE, FakeRooms, fake_rooms
from tests.parts.service import Service
from tests.parts.staff import StaffBrowser

LINKS = {
    "RESTATE_UI_URL": "https://restate.example.com/ui/invocations/{invocation}",
    "TRACE_URL": "https://traces.example.com/trace/{trace_id}",
}
MAY_STOP = {"anna": True, "ben": True, "dora": False, "carla": True}


@pytest.fixture(scope="module")
async def rooms() -> AsyncIterator[FakeRooms]:
    async with fake_rooms() as rooms:
        yield rooms


@pytest.fixture(autouse=True)
def _nothing_ran(rooms: FakeRooms) -> None:
    rooms.runs.clear()


@pytest.fixture(scope="module")
async def console(rooms: FakeRooms, service: Callable[..., Awaitable[Service]]) -> Service:
    return await service("console", RESTATE_INGRESS_URL=rooms.url, **(OF_A_CONSOLE | LINKS))


@pytest.fixture
async def staff(console: Service) -> AsyncIterator[StaffBrowser]:
    async with StaffBrowser(console.address) as staff:
        yield staff


def page_of(run: RunLine) -> str:
    return f"/conversations/{run.conversation}/runs/{run.run}"


def now(rooms: FakeRooms, run: RunLine) -> RunLine:
    return next(each for each in rooms.runs if each.run == run.run)


async def test_nobody_who_is_not_signed_in_sees_or_stops_any(rooms: FakeRooms, staff: StaffBrowser) -> None:
    run = rooms.ran()
    for path in ("/runs", page_of(run)):
        assert (await staff.get(path)).path.startswith("/login")
    assert (await staff.post(page_of(run), why="x", act_id="a")).status == 401
    assert now(rooms, run).state == "running"


@pytest.mark.parametrize("name", MAY_STOP)
async def test_each_role_reads_and_those_who_talk_stop(rooms: FakeRooms, staff: StaffBrowser, name: str) -> None:
    run = rooms.ran()
    await staff.sign_in(name)
    seen = await staff.get("/runs")
    assert ('href="/runs"' in seen.text, page_of(run) in seen.text) == (True, True)
    assert (f"{page_of(run)}#stop" in seen.text) == MAY_STOP[name]
    page = await staff.get(page_of(run))
    assert ("Stop this run" in page.text) == MAY_STOP[name]
    told = page.fields | {"form_token": (await staff.get("/approvals")).fields["form_token"]}
    done = await staff.post(page_of(run), **(told | {"act_id": "a1", "why": "It goes round in circles."}))
    assert done.status == (200 if MAY_STOP[name] else 403)
    by = (name, "It goes round in circles.") if MAY_STOP[name] else ("", "")
    assert (now(rooms, run).stopped_by, now(rooms, run).why) == by


async def test_a_stop_that_is_sent_twice_is_made_once(rooms: FakeRooms, staff: StaffBrowser) -> None:
    run = rooms.ran()
    await staff.sign_in("anna")
    told = (await staff.get(page_of(run))).fields | {"why": "It is wrong."}
    for _ in range(2):
        done = await staff.post(page_of(run), **told)
        assert (done.status, "It was stopped, and ends what it had begun." in done.text) == (200, True)
    assert len([line for line in rooms.talks[run.conversation] if line["kind"] == "note"]) == 1
    other = await staff.post(page_of(run), **(told | {"why": "Another reason."}))
    assert (other.status, "with another reason" in other.text) == (409, True)


async def test_what_is_over_meanwhile_is_not_stopped_and_the_reason_stays(
    rooms: FakeRooms, staff: StaffBrowser
) -> None:
    run = rooms.ran()
    await staff.sign_in("anna")
    opened = await staff.get(page_of(run))
    rooms.ends(run)
    late = await staff.post(page_of(run), **(opened.fields | {"why": "My long reason."}))
    assert (late.status, "nothing was done" in late.text, "My long reason." in late.text) == (409, True, True)
    assert now(rooms, run).stopped_by == ""


@pytest.mark.parametrize("why", ["", "  ", "x" * 501])
async def test_a_stop_without_a_reason_is_not_sent(rooms: FakeRooms, staff: StaffBrowser, why: str) -> None:
    run = rooms.ran()
    await staff.sign_in("anna")
    before = len(rooms.calls)
    seen = await staff.send(page_of(run), why=why)
    assert (seen.status, "Say why" in seen.text) == (422, True)
    assert rooms.made(f"Conversation/{run.conversation}/stop") == []
    assert len(rooms.calls) == before + 2  # the page, twice


@pytest.mark.parametrize("trouble", ["away", "fails"])
async def test_a_stop_that_no_room_answers_is_kept_and_made_once(
    rooms: FakeRooms, staff: StaffBrowser, trouble: str
) -> None:
    run = rooms.ran()
    await staff.sign_in("anna")
    fields = (await staff.get(page_of(run))).fields | {"why": "It is wrong."}
    setattr(rooms, trouble, True)
    kept = await staff.post(page_of(run), **fields)
    setattr(rooms, trouble, False)
    assert (kept.status, "It is wrong." in kept.text) == (503, True)
    assert (await staff.post(page_of(run), **(fields | kept.fields))).status == 200
    assert now(rooms, run).stopped_by == "anna"


async def test_the_address_says_which_are_listed(rooms: FakeRooms, staff: StaffBrowser) -> None:
    kinds = {"running": rooms.ran(), "failed": rooms.ran(state="failed", outcome="model_unavailable")}
    kinds["ended"] = rooms.ran(user_id="user_9", state="ended", outcome="answered")
    await staff.sign_in("dora")
    found = {}
    for query in ("", "show=running", "show=failed", "customer=user_9", "show=king&customer=%00&after=%27"):
        text = (await staff.get(f"/runs?{query}")).text
        found[query] = [kind for kind, run in kinds.items() if page_of(run) in text]
    assert found == {
        "": ["running", "failed", "ended"],
        "show=running": ["running"],
        "show=failed": ["failed"],
        "customer=user_9": ["ended"],
        "show=king&customer=%00&after=%27": ["running", "failed", "ended"],
    }
    assert "No run is like that" in (await staff.get("/runs?customer=nobody")).text


async def test_page_after_page_each_run_stands_on_one(rooms: FakeRooms, staff: StaffBrowser) -> None:
    runs = [rooms.ran(begun_at=f"2026-11-30T09:00:{number // 4:02}+00:00") for number in range(120)]
    await staff.sign_in("dora")
    address, found = "/runs?show=running", list[str]()
    while address:
        text = (await staff.get(address)).text
        found += re.findall(r'class="row" href="([^"]+)"', text)
        more = re.search(r'href="(/runs\?[^"]+)">Older', text)
        address = html.unescape(more[1]) if more else ""
    assert sorted(found) == sorted(map(page_of, runs))


async def test_a_row_tells_what_is_known_and_leads_on(rooms: FakeRooms, staff: StaffBrowser) -> None:
    known = {"turns": 3, "prompt_tokens": 700, "completion_tokens": 30, "invocation": "inv_1aBcD", "trace_id": "0" * 32}
    run = rooms.ran(state="failed", outcome="model_unavailable", seconds=75, **known)
    await staff.sign_in("dora")
    text = (await staff.get("/runs")).text
    for told in ("1 min 15 s", "3 turns, 700 tokens in, 30 out", "model unavailable: its server failed"):
        assert told in text
    links = re.findall(r'href="([^"]+)"', text)
    assert {
        f"/conversations/{run.conversation}",
        "https://restate.example.com/ui/invocations/inv_1aBcD",
        f"https://traces.example.com/trace/{'0' * 32}",
    } < set(links)


async def test_what_others_have_written_is_shown_as_text(rooms: FakeRooms, staff: StaffBrowser) -> None:
    await staff.sign_in("anna")
    plain = (await staff.get("/runs")).text
    for text in INJECTIONS:
        told = {"outcome": text, "stopped_by": text, "why": text, "invocation": text, "trace_id": text}
        rooms.ran(user_id=text, **told)
    first = (await staff.get("/runs")).text
    rest = html.unescape(re.findall(r'href="(/runs\?[^"]+)">Older', first)[0])
    pages = [rest, *map(page_of, rooms.runs)]
    seen = first + "".join([(await staff.get(each)).text for each in pages])
    assert set(re.findall(r"<(\w+)", seen)) - set(re.findall(r"<(\w+)", plain)) <= {
        *("ol", "li", "time", "section", "h2", "textarea", "code"),
    }
    assert "javascript:" not in "".join(re.findall(r'(?:href|src|action)="([^"]*)"', seen))


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.04, "0.0 s"), (59.94, "59.9 s"), (61, "1 min 1 s"), (7500, "2 h 5 min")]
)
def test_a_time_is_told_as_people_say_it(seconds: float, told: str) -> None:
    assert lasting(seconds) == told
