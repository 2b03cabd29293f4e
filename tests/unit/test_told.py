"""What the router tells of runs outside the journal: in order, bounded, and never in anybody's way."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any, cast

import asyncpg
import pytest
from prometheus_client import REGISTRY

from contracts import Caller, ConversationRun, RunEvent
from router import told as module
from router.plan import scrub
from router.steps import Moment
from router.told import Told, events_of
from router.turn import Plan, Result, Turn
from runtime.postgres import Pool
from tests.parts.polling import eventually


@dataclass
class Database:
    """Takes what is told, unless it is away or refuses."""

    fails: Callable[[str], Exception | None] = lambda _: None
    events: list[tuple[str, str]] = field(default_factory=list)
    shown: list[tuple[float, dict[tuple[str, int], tuple[int, str]]]] = field(default_factory=list)
    statements: int = 0

    async def execute(self, statement: str, *arguments: str) -> None:
        self.statements += 1
        problem = self.fails(arguments[0])
        await asyncio.sleep(0)
        told: list[dict[str, Any]] = json.loads(arguments[-1])
        if problem:
            raise problem
        if "append_events" in statement:
            self.events += [(arguments[0], each["key"]) for each in told]
        else:
            now = asyncio.get_running_loop().time()
            self.shown.append((now, {(each["run"], each["turn"]): (each["attempt"], each["text"]) for each in told}))


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
async def told(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Told]:
    monkeypatch.setattr(module, "AWAY_SECONDS", 0.01)
    telling = Told(cast(Pool, database))
    yield telling
    await telling.close()


def given(run: str) -> ConversationRun:
    return ConversationRun(
        conversation="conv_0123456789abcdef", run=run, epoch=1, caller=Caller(user_id="user_1"), inputs=["?"]
    )


def events(*keys: str) -> list[RunEvent]:
    return [RunEvent(key=key, kind="turn") for key in keys]


async def has_shown(database: Database, times: int) -> bool:
    return len(database.shown) >= times


def left_out() -> float:
    return REGISTRY.get_sample_value("switchboard_events_left_out_total") or 0


async def test_the_events_of_each_run_are_told_in_order(told: Told, database: Database) -> None:
    for number in range(120):
        told.tell(given("run_a"), events(f"a{number}"))
        told.tell(given("run_b"), events(f"b{number}"))

    async def all_told() -> bool:
        return len(database.events) == 240

    await eventually(all_told)
    for run in "ab":
        assert [key for of, key in database.events if of == f"run_{run}"] == [f"{run}{n}" for n in range(120)]
    assert database.statements <= 8


async def test_while_the_database_is_away_events_wait_and_texts_give_way_to_later_ones(
    told: Told, database: Database
) -> None:
    tried: list[str] = []

    def refuse(_: Any) -> Exception:
        tried.append("once more")
        return ConnectionRefusedError()

    async def tried_again() -> bool:
        return len(tried) > before + 1

    database.fails = refuse
    told.tell(given("run_a"), events("1", "2"))
    with told.writing(given("run_a"), [], Moment(5.0)) as show:
        assert show is not None
        show("a")
        before = len(tried)
        await eventually(tried_again)
        told.tell(given("run_a"), events("3"))
        show("ab")
        assert (database.events, database.shown) == ([], [])
        database.fails = lambda _: None

        async def all_told() -> bool:
            return len(database.events) == 3 and len(database.shown) > 0

        await eventually(all_told)
    assert [key for _, key in database.events] == ["1", "2", "3"]
    assert [text for _, text in database.shown[0][1].values()] == ["ab"]


async def test_what_waits_is_bounded_and_what_is_left_out_is_counted(
    told: Told, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 10)
    database.fails = lambda _: ConnectionRefusedError()
    before = left_out()
    for number in range(30):
        told.tell(given("run_a"), events(str(number)))
    assert left_out() == before + 20
    database.fails = lambda _: None

    async def all_told() -> bool:
        return len(database.events) == 10

    await eventually(all_told)
    assert [key for _, key in database.events] == [str(number) for number in range(20, 30)]


async def test_events_that_are_refused_hold_up_no_others(told: Told, database: Database) -> None:
    before = left_out()
    database.fails = lambda run: asyncpg.DataError() if run == "run_bad" else None
    told.tell(given("run_bad"), events("x", "y"))
    told.tell(given("run_good"), events("1"))

    async def told_good() -> bool:
        return database.events == [("run_good", "1")]

    await eventually(told_good)
    assert left_out() == before + 2


async def test_texts_of_all_runs_go_in_one_statement_every_100_ms(told: Told, database: Database) -> None:
    with (
        told.writing(given("run_a"), [], Moment(5.0)) as first,
        told.writing(given("run_b"), [Turn(text="done")], Moment(5.0)) as second,
    ):
        assert first is not None
        assert second is not None
        for number in range(1, 41):
            first("a" * number)
            second("b" * number)
            await asyncio.sleep(0.01)
    times = [at for at, _ in database.shown]
    assert len(times) >= 3
    assert all(later - earlier > 0.09 for earlier, later in pairwise(times))
    assert {frozenset(texts) for _, texts in database.shown} == {frozenset({("run_a", 1), ("run_b", 2)})}


async def test_the_first_text_of_an_attempt_waits_for_no_tick_and_a_later_one_does(
    told: Told, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIVE_SECONDS", 60)

    async def is_shown() -> bool:
        return database.shown[-1:] != [] and "word" in [text for _, text in database.shown[-1][1].values()]

    with (
        told.writing(given("run_a"), [], Moment(5.0)) as first,
        told.writing(given("run_b"), [], Moment(5.0)) as second,
    ):
        for show in (first, second):
            assert show is not None
            database.shown.clear()
            show("word")
            await eventually(is_shown)
            shown = database.statements
            show("word for word")
            await asyncio.sleep(module.FIRST_SECONDS * 3)
            assert database.statements == shown


async def test_a_new_attempt_takes_the_text_of_the_former_back(told: Told, database: Database) -> None:
    for count, moment in enumerate((Moment(5.0), Moment(5.0, 2), Moment(6.0)), start=1):
        with told.writing(given("run_a"), [], moment):
            await eventually(partial(has_shown, database, count))
    shown = [texts["run_a", 1] for _, texts in database.shown]
    assert [text for _, text in shown] == [""] * 3
    assert sorted({attempt for attempt, _ in shown}) == [attempt for attempt, _ in shown]
    assert len({attempt for attempt, _ in shown}) == 3


async def test_an_answer_that_was_cut_off_goes_on_where_it_stopped(told: Told, database: Database) -> None:
    former = [Turn(text="What? "), Turn(text="It is ", again="cut"), Turn(again="empty"), Turn(text="al", again="cut")]
    with told.writing(given("run_a"), former, Moment(5.0)) as show:
        assert show is not None
        show("most")
        await eventually(partial(has_shown, database, 1))
    assert database.shown[-1][1]["run_a", 5][1] == "It is almost"


async def test_a_question_without_a_conversation_tells_nobody(told: Told, database: Database) -> None:
    told.tell(None, events("1"))
    with told.writing(None, [], Moment(5.0)) as show:
        assert show is None
    with Told().writing(given("run_a"), [], Moment(5.0)) as show:
        assert show is None
    await asyncio.sleep(0.05)
    assert database.statements == 0


@pytest.mark.parametrize(
    ("text", "kept"), [("ä☎\U0001f600", "ä☎\U0001f600"), ("a\0b", "ab"), ("half \ud83d", "half ?"), ("", "")]
)
def test_text_is_as_the_database_takes_it(text: str, kept: str) -> None:
    assert scrub(text) == kept


def test_all_that_a_run_tells_has_keys_of_its_own_and_nothing_of_arguments_or_results() -> None:
    plans = [
        Plan(call_id="call_1_1", tool="look", arguments='{"secret": 1}', kind="read"),
        Plan(call_id="call_1_2", tool="nope", arguments="{}", kind="refused"),
        Plan(call_id="call_1_3", tool="file", arguments="{}", kind="effect"),
    ]
    results = [
        Result(call_id="call_1_1", tool="look", status="ok", content="secret"),
        Result(call_id="call_1_2", tool="nope", status="error", content="secret"),
        Result(call_id="call_1_3", tool="file", status="ok", content="secret", ticket_id="TCK-1"),
    ]
    turns = [Turn(text="Let me look.", plans=plans), Turn(text="Done.")]
    events = events_of(turns, [results])
    assert [(each.key, each.kind) for each in events] == [
        ("turn/1", "turn"),
        ("tool/call_1_1/started", "tool_started"),
        ("tool/call_1_3/started", "tool_started"),
        ("tool/call_1_1/finished", "tool_finished"),
        ("tool/call_1_3/finished", "tool_finished"),
        ("turn/2", "turn"),
    ]
    assert events[0].body == {"turn": 1, "text": "Let me look.", "tools": ["look", "file"], "last": False}
    assert events[4].body == {"call": "call_1_3", "tool": "file", "status": "ok", "ticket_id": "TCK-1"}
    assert events[5].body == {"turn": 2, "text": "", "tools": [], "last": True}
    assert "secret" not in json.dumps([each.model_dump() for each in events])
