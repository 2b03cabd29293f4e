"""The crash sweep in short: each second position of a question, a few of a conversation, one victim each.

`make sweep`, with and without `ARGS=--talk` or `ARGS=--people`, kills every victim at all of them.
"""

from collections.abc import AsyncIterator

import pytest

from tests.conftest import ALWAYS_REPLAY
from tests.sweep.deciding import Deciding
from tests.sweep.points import Position
from tests.sweep.sweep import VICTIMS, Sweep, Victim
from tests.sweep.talks import Talks
from tests.sweep.world import SweepWorld, world

EFFECTS = (
    "run model turn 1, POST completions in flight",
    "run model turn 3, POST completions in flight",
    "run tool check_service_status, GET summary.json in flight",
    "run insert ticket, before COMMIT",
    "run insert ticket, after COMMIT",
    "run post webhook, POST webhook in flight",
    "query_user_database, before COMMIT",
)
JOURNAL = ("entered", " begins", " done", " read", "send SupportTicketWorkflow/run", "send Notifier/deliver", "ended")
TALKED: tuple[tuple[str, Victim], ...] = (
    ("Conversation/input, run take in, after COMMIT, after input 1", "service"),
    ("Conversation/begin, run begin run, before COMMIT, after input 1", "postgres"),
    ("Conversation/begin, send ToolRouter/converse, after input 1", "conversations"),
    ("Conversation/input, run take in, before COMMIT, after input 2", "service"),
    ("ToolRouter/converse, run model turn 2, after COMMIT, after input 3", "postgres"),
    ("ToolRouter/converse, send Conversation/finished, after input 3", "conversations"),
    ("Conversation/finished, run settle, after COMMIT, after input 3", "service"),
    ("Conversation/finished, run settle, before COMMIT, after input 3", "postgres"),
)
"""Between input and start, during a steer, between settle and report."""
DECIDED: tuple[tuple[str, Victim], ...] = (
    ("Approvals/decide, run decide, after COMMIT, after input 2", "service"),
    ("InvoiceRefund/run, run refund, after COMMIT, after input 2", "postgres"),
    ("Conversation/undo, run ask to undo, after COMMIT, after input 7", "service"),
    ("RouterUndo/run, send InvoiceRefund/cancel_refund, after input 7", "conversations"),
)
"""Between decided and executed, executed and returned, asked to undo and undone."""


@pytest.fixture(scope="module")
async def parts(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SweepWorld]:
    async with world(tmp_path_factory.mktemp("sweep"), always_replay=ALWAYS_REPLAY) as started:
        yield started


@pytest.fixture(scope="module")
def sweep(parts: SweepWorld) -> Sweep:
    return Sweep(parts)


@pytest.fixture(scope="module")
async def positions(sweep: Sweep) -> list[Position]:
    return await sweep.positions()


@pytest.mark.parametrize("place", [*EFFECTS, *JOURNAL])
async def test_the_sweep_stands_at_every_effect_and_in_the_journal(positions: list[Position], place: str) -> None:
    assert any(position.label.endswith(place) for position in positions)


async def test_a_kill_right_after_the_answer_loses_no_span(sweep: Sweep, positions: list[Position]) -> None:
    assert positions
    assert not (await sweep.strike_after_the_answer()).violations


@pytest.mark.timeout(300)
async def test_a_kill_loses_nothing_and_doubles_nothing(sweep: Sweep, positions: list[Position]) -> None:
    for index, position in list(enumerate(positions))[::2]:
        await sweep.strike(position, VICTIMS[index % len(VICTIMS)])
    assert not {str(case): case.violations for case in sweep.audit()}


@pytest.mark.timeout(300)
async def test_a_kill_in_a_conversation_loses_no_input_and_answers_none_twice(parts: SweepWorld) -> None:
    talks = Talks(parts)
    moments = {str(moment): moment for moment in await talks.positions()}
    assert not [place for place, _ in TALKED if place not in moments]
    for place, victim in TALKED:
        await talks.strike(moments[place], victim)
    assert not {str(case): case.violations for case in talks.audit()}


@pytest.mark.timeout(300)
async def test_a_kill_while_people_decide_and_undo_refunds_once_and_takes_that_back_once(parts: SweepWorld) -> None:
    deciding = Deciding(parts)
    moments = {str(moment): moment for moment in await deciding.positions()}
    assert not [place for place, _ in DECIDED if place not in moments]
    for place, victim in DECIDED:
        await deciding.strike(moments[place], victim)
    assert not {str(case): case.violations for case in deciding.audit()}
