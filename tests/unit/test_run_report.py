"""What a conversation is told of a run that ended without an answer."""

import json
from typing import Any, cast

import pytest
from restate import Context, TerminalError

from contracts import Caller, ConversationRun
from router.converse import run_and_report
from router.run import UNFINISHED, Run
from router.turn import Summary

GIVEN = ConversationRun(
    conversation="conv_0123456789abcdef0123456789abcdef",
    run="run_1",
    epoch=1,
    caller=Caller(user_id="user_1"),
    inputs=["Hello."],
)


class Sends:
    """A context that notes what is sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def generic_send(self, service: str, handler: str, arg: bytes, key: str) -> None:
        assert (service, handler, key) == ("Conversation", "finished", GIVEN.conversation)
        self.sent.append(json.loads(arg))


@pytest.mark.parametrize(
    ("error", "outcome", "text"),
    [
        (TerminalError("cancelled", status_code=409), "stopped", ""),
        (TerminalError("there is no such customer", status_code=404), "failed", "there is no such customer"),
        (TerminalError("KeyError('x')", status_code=500), "failed", UNFINISHED["failed"]),
    ],
    ids=["cancelled outside of its loop", "refused", "a defect"],
)
async def test_a_run_without_an_answer_says_why_and_a_stopped_one_nothing(
    error: TerminalError, outcome: str, text: str
) -> None:
    async def work() -> Run:
        raise error

    async def nothing(_: Run) -> Summary | None:
        return None

    ctx = Sends()
    await run_and_report(cast(Context, ctx), GIVEN, work, nothing)
    (report,) = ctx.sent
    assert (report["outcome"], report.get("text", "")) == (outcome, text)
