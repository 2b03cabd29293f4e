"""What the metrics tell of the counted tickets."""

from itertools import product

from tickets.counts import Count, gauges

STATES, PRIORITIES = ("open", "assigned", "closed"), ("low", "normal", "high", "urgent")


def test_without_any_ticket_every_state_and_priority_is_zero() -> None:
    assert gauges([], {}) == {
        "switchboard_tickets": dict.fromkeys(product(STATES, PRIORITIES), 0),
        "switchboard_tickets_past_sla": {(priority,): 0 for priority in PRIORITIES},
        "switchboard_notifications_undelivered": {("refused",): 0, ("wanted",): 0, ("sending",): 0},
    }


def test_tickets_past_their_promise_are_added_up_over_the_states() -> None:
    told = gauges([Count("open", "high", 5, 2), Count("assigned", "high", 4, 1), Count("closed", "high", 9, 0)], {})
    assert told["switchboard_tickets"]["open", "high"] == 5
    assert told["switchboard_tickets"]["closed", "high"] == 9
    assert told["switchboard_tickets_past_sla"]["high",] == 3


def test_notifications_that_are_delivered_after_all_are_zero_again() -> None:
    told = gauges([], {"refused": 2})["switchboard_notifications_undelivered"]
    assert told == {("refused",): 2, ("wanted",): 0, ("sending",): 0}
