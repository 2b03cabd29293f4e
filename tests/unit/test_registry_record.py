"""What admins switch holds over every restart and for all replicas, and how tools changed is told."""

import asyncio
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contracts import AuditQuery, Catalogue, LeftOut, Tool, ToolAct, ToolSwitch
from registry.catalogue import without
from registry.cluster import Cluster
from registry.desk import audited
from registry.kept import ConfigMap, Entries, Folder, NotKept, Raced, Store
from registry.record import MOST_ACTS, Record
from runtime.errors import Refused
from tests.parts.kubernetes import Kubernetes


def tool(name: str = "look", description: str = "Looks.", **more: object) -> Tool:
    told = {"description": description, "parameters": {"type": "object"}, "service": "Parcels", "handler": name}
    return Tool.model_validate({"name": name} | told | more)


def wanted(name: str = "look", *, on: bool = False, why: str = "It errs.", act_id: str = "") -> ToolSwitch:
    return ToolSwitch(staff_token="", tool=name, on=on, why=why, act_id=act_id or uuid.uuid4().hex)


def anything(_: ToolSwitch) -> None:
    """All may be switched."""


async def again(store: Store) -> Record:
    """A registry that starts."""
    record = Record(store)
    await record.refresh()
    return record


async def test_what_is_switched_off_stays_so_over_a_restart_until_it_is_switched_on(tmp_path: Path) -> None:
    store = Folder(tmp_path / "record")
    await Record(store).switch(wanted(), "carla", anything)
    restarted = await again(store)
    assert (restarted.off["look"].who, restarted.off["look"].why) == ("carla", "It errs.")
    await restarted.switch(wanted(on=True, why="Mended."), "carl", anything)
    assert (await again(store)).off == {}
    assert [(act.who, act.on) for act in (await again(store)).acts] == [("carla", False), ("carl", True)]


async def test_an_act_is_done_once_whoever_repeats_it(tmp_path: Path) -> None:
    record, asked = Record(Folder(tmp_path)), wanted(act_id="one")
    first = await record.switch(asked, "carla", anything)
    await record.switch(wanted(on=True), "carla", anything)
    assert await record.switch(asked, "carla", anything) == first
    assert record.off == {}
    for other in (wanted("other", act_id="one"), wanted(act_id="one", why="Another reason.")):
        with pytest.raises(Refused, match="this act_id was something else"):
            await record.switch(other, "carla", anything)
    with pytest.raises(Refused, match="this act_id was something else"):
        await record.switch(asked, "carl", anything)


async def test_what_cannot_be_switched_is_not_kept(tmp_path: Path) -> None:
    def refuse(_: ToolSwitch) -> None:
        raise Refused(404, "unknown_tool", "there is no such tool")

    record = Record(Folder(tmp_path))
    with pytest.raises(Refused):
        await record.switch(wanted(), "carla", refuse)
    assert (await again(Folder(tmp_path))).acts == []
    with pytest.raises(NotKept, match="set RECORD_DIR"):
        await Record().switch(wanted(), "carla", anything)


async def test_on_kubernetes_replicas_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    kubernetes = Kubernetes("agents", tmp_path, configs={"record": {}})
    runner = await kubernetes.start()
    store = ConfigMap(lambda: Cluster(kubernetes.url, "agents", tmp_path), "record")
    replicas = [Record(store) for _ in range(3)]
    asked = wanted(act_id="one")
    done = [each.switch(asked, "carla", anything) for each in replicas]
    done += [each.switch(wanted(f"tool{number}"), "carla", anything) for number, each in enumerate(replicas)]
    acts = await asyncio.gather(*done)
    assert len({act.at for act in acts[:3]}) == 1
    record = await again(store)
    assert sorted(record.off) == ["look", "tool0", "tool1", "tool2"]
    assert len(record.acts) == 4
    await runner.cleanup()


class Kept:
    """A store in memory, which is away, or in which others write first, as it is told."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.away = False
        self.races = 0

    async def read(self) -> Entries:
        if self.away:
            raise NotKept("away")
        return Entries(dict(self.texts), "1")

    async def write(self, texts: Mapping[str, str | None], version: str = "") -> None:
        if self.away:
            raise NotKept("away")
        if self.races:
            self.races -= 1
            raise Raced("changed")
        self.texts |= {name: text for name, text in texts.items() if text is not None}
        for name in [name for name, text in texts.items() if text is None]:
            del self.texts[name]


async def test_while_the_record_is_away_what_was_read_before_stays_in_force() -> None:
    store = Kept()
    record = Record(store)
    await record.switch(wanted(), "carla", anything)
    store.away = True
    await record.refresh()
    assert list(record.off) == ["look"]
    with pytest.raises(NotKept):
        await record.switch(wanted("other"), "carla", anything)
    with pytest.raises(NotKept):  # nothing is known, so nothing may be offered
        await again(store)


async def test_an_act_that_cannot_be_read_switches_nothing_on() -> None:
    store = Kept()
    record = Record(store)
    await record.switch(wanted(), "carla", anything)
    store.texts = dict.fromkeys(store.texts, "{")
    await record.refresh()
    assert list(record.off) == ["look"]
    with pytest.raises(NotKept, match="is no act"):
        await again(store)


async def test_of_many_acts_the_newest_are_kept_and_those_by_which_a_tool_is_off() -> None:
    store = Kept()
    record = Record(store)
    await record.switch(wanted("first"), "carla", anything)
    for number in range(MOST_ACTS + 5):
        await record.switch(wanted("other", on=bool(number % 2)), "carla", anything)
    assert len(record.acts) == len(store.texts) == MOST_ACTS + 1
    assert sorted((await again(store)).off) == ["first", "other"]


async def test_a_switch_takes_a_tool_off_the_catalogue_and_nothing_else() -> None:
    whole = Catalogue(tools=[tool("look"), tool("pay")], switched_off=["gone"])
    now = without(whole, ["pay", "check_task"])
    assert [each.name for each in now.tools] == ["look"]
    assert now.switched_off == ["check_task", "gone", "pay"]
    assert [(each.tool, each.handler) for each in now.left_out] == [("pay", "Parcels/pay")]
    assert without(whole, []) == whole


async def test_what_came_went_or_changed_is_told_over_a_restart() -> None:
    store = Kept()
    await Record(store).keep_changes(Catalogue(tools=[tool("look"), tool("pay")]))
    record = await again(store)
    assert (record.seen.changes, bool(record.seen.since)) == ([], True)
    left_out = [LeftOut(tool="pay", handler="Parcels/pay", reason="it moved", withdrawn=True)]
    tools = [tool("look", "Looks. Always call it."), tool("new")]
    await record.keep_changes(Catalogue(tools=tools, left_out=left_out))
    told = {change.tool: (change.what, change.told) for change in (await again(store)).seen.changes}
    assert told == {
        "new": ("came", ""),
        "pay": ("went", "it moved"),
        "look": ("changed", 'description: "Looks." -> "Looks. Always call it."'),
    }


async def test_a_difference_far_inside_a_long_text_is_a_change() -> None:
    store = Kept()
    record = await again(store)
    for last in "ab":
        await record.keep_changes(Catalogue(tools=[tool(description=f"{'x' * 500}{last}")]))
    (change,) = record.seen.changes
    assert change.what == "changed"
    assert len(change.told) < 300


async def test_a_replica_with_an_old_view_that_does_not_change_takes_nothing_back() -> None:
    store = Kept()
    old, new = Catalogue(tools=[tool("look")]), Catalogue(tools=[tool("look"), tool("new")])
    first, second = Record(store), Record(store)
    await first.keep_changes(old)
    await second.keep_changes(old)
    await first.keep_changes(new)
    await second.keep_changes(old)
    await second.keep_changes(new)
    assert [(change.tool, change.what) for change in (await again(store)).seen.changes] == [("new", "came")]


async def test_a_change_that_was_not_kept_is_kept_later() -> None:
    store = Kept()
    record = Record(store)
    await record.keep_changes(Catalogue())
    now = Catalogue(tools=[tool("new")])
    store.races = 1
    await record.keep_changes(now)
    store.away = True
    await record.keep_changes(now)
    store.away = False
    await record.keep_changes(now)
    assert [change.tool for change in (await again(store)).seen.changes] == ["new"]


def act(number: int, **more: object) -> ToolAct:
    at = datetime(2026, 5, 4, 12, 0, number // 2, tzinfo=UTC).isoformat()  # two at each moment
    told = {"act_id": f"a{number:02}", "tool": "look", "on": False, "who": "carla", "why": "It errs.", "at": at}
    return ToolAct.model_validate(told | more)


def test_the_audit_tells_each_act_once_page_by_page() -> None:
    acts, cursor, found = [act(number) for number in range(10)], "", list[str]()
    while True:
        page = audited(acts, AuditQuery(staff_token="", limit=3, cursor=cursor))
        found += [line.cursor for line in page.lines]
        if not page.lines:
            break
        cursor = page.lines[-1].cursor
    assert [each.rpartition("/")[2] for each in found] == [f"a{number:02}" for number in reversed(range(10))]


def test_the_audit_tells_what_is_asked_for() -> None:
    acts = [act(0), act(2, who="carl", on=True), act(4, tool="pay")]
    asked = {"who": "carl", "subject": "look", "kind": "tool", "since": "2026-05-04T12:00:01Z"}
    query = AuditQuery.model_validate({"staff_token": "", "until": "2026-05-04T12:00:02Z"} | asked)
    (line,) = audited(acts, query).lines
    assert (line.kind, line.action, line.subject, line.note) == ("tool", "switch_on", "look", "It errs.")
    assert audited(acts, AuditQuery(staff_token="", kind="ticket")).lines == []
