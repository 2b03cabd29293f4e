"""What the metrics tell of who waits for people."""

from typing import get_args

from contracts import ApprovalStatus
from conversations.counts import Count, gauges


def test_while_nobody_waits_every_state_is_zero() -> None:
    assert gauges([], []) == {
        "switchboard_conversations_with_people": {("waiting",): 0, ("taken",): 0},
        "switchboard_conversations_waiting_oldest_seconds": {(): 0},
        "switchboard_approvals": {(status,): 0 for status in get_args(ApprovalStatus)},
        "switchboard_approvals_waiting_oldest_seconds": {(): 0},
    }


def test_only_what_waits_has_an_age() -> None:
    told = gauges(
        [Count("taken", 2, 900), Count("waiting", 1, 30)], [Count("denied", 5, 9000), Count("pending", 3, 60)]
    )
    assert told["switchboard_conversations_with_people"] == {("waiting",): 1, ("taken",): 2}
    assert told["switchboard_conversations_waiting_oldest_seconds"] == {(): 30}
    assert told["switchboard_approvals"]["pending",] == 3
    assert told["switchboard_approvals"]["denied",] == 5
    assert told["switchboard_approvals_waiting_oldest_seconds"] == {(): 60}
