"""What a form on a ticket's page wants done, and what a refusal of it is called there."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, get_args

from console.posted import MOST_CHARACTERS, Unfit, colleague_of, text_of
from console.problems import Problem
from console.rendering import TICKET
from console.restate import Refusal
from contracts import TicketCategory, TicketPriority, TicketShown

CATEGORIES: tuple[str, ...] = get_args(TicketCategory)
PRIORITIES: tuple[str, ...] = get_args(TicketPriority)
AFTER_REPLY = {"waiting": "waiting for the customer", "open": "open", "solved": "solved"}
"""How a ticket may stand after a reply, and what that is called."""
CHANGED_TO = ("open", "waiting", "solved", "closed")

_ACT_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_SEEN = re.compile(r"[0-9]{1,9}", re.ASCII)


class Wanted(NamedTuple):
    """A handler of `TicketDesk`, and what it is asked for."""

    handler: str
    body: dict[str, Any]


def wanted_by(form: Mapping[str, str], name: str) -> Wanted:
    """What the form wants, when the member of staff called `name` has sent it.

    Raises: `Unfit` for what can be written better, `Problem` for what no form of ours sends.
    """
    handler, body = _asked(form, name)
    act_id, seen = form.get("act_id", ""), form.get("seen", "")
    if not _ACT_ID.fullmatch(act_id) or (handler != "note" and not _SEEN.fullmatch(seen)):
        raise Problem(422)
    body["act_id"] = act_id
    if handler != "note":  # a note is true whatever else was done
        body["seen"] = int(seen)
    return Wanted(handler, body)


def _asked(form: Mapping[str, str], name: str) -> Wanted:
    match form.get("act"):
        case "reply":
            return Wanted("reply", {"text": text_of(form), "state": _one_of(AFTER_REPLY, form, "state")})
        case "note":
            return Wanted("note", {"text": text_of(form)})
        case "take":
            return Wanted("assign", {"to": name, "reassign": True})
        case "release":
            return Wanted("assign", {"to": ""})
        case "assign":
            return Wanted("assign", {"to": colleague_of(form), "reassign": True})
        case "change":
            return Wanted("change", _changes(form))
        case "merge":
            return Wanted("merge", {"into": _ticket(form)})
        case _:
            raise Problem(422)


def _changes(form: Mapping[str, str]) -> dict[str, Any]:
    choices = {"priority": PRIORITIES, "category": CATEGORIES, "state": CHANGED_TO}
    changes: dict[str, Any] = {name: _one_of(known, form, name) for name, known in choices.items() if form.get(name)}
    why = form.get("why", "").strip()
    if not changes:
        raise Unfit("Choose what to change.")
    if len(why) > MOST_CHARACTERS:
        raise Unfit(f"Say why in at most {MOST_CHARACTERS} characters.")
    return changes | {"note": why}


def _ticket(form: Mapping[str, str]) -> str:
    into = form.get("into", "").strip().upper()
    if not TICKET.fullmatch(into):
        raise Unfit("The number of a ticket is like TCK-000123.")
    return into


def _one_of(known: Any, form: Mapping[str, str], name: str) -> str:
    value = form.get(name, "")
    if value not in known:
        raise Problem(422)
    return value


SAID = {
    "changed": "Somebody changed this ticket after you had opened it, so this was not done. Look at it as it is now.",
    "act_id_taken": "This form was sent before with other words. Look at what was done.",
    "itself": "A ticket is no duplicate of itself.",
    "other_customer": "The other ticket is of another customer, so they stay apart.",
    "no_such_ticket": "There is no ticket with this number.",
}


def told_of(refusal: Refusal, form: Mapping[str, str], now: TicketShown) -> str:
    """What to say of a refused act on the page of the ticket, as it is now. Empty: nothing that a page can say."""
    if refusal.code in ("changed", "closed") and now.merged_into:
        return f"This ticket was merged into {now.merged_into}, so this was not done. Go on there."
    if refusal.code in ("changed", "closed") and now.state == "closed":
        return "This ticket is closed, so this was not done."
    if refusal.code == "closed":
        return "The other ticket is closed, so they were not merged."
    if refusal.code == "changed" and form.get("act") in ("take", "release", "assign"):
        return f"{SAID['changed']} {now.assignee or 'Nobody'} has it."
    if refusal.code in SAID:
        return SAID[refusal.code]
    return f"It was not done: {refusal.message}." if refusal.status in (409, 422) else ""
