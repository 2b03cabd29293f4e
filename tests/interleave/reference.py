"""What must be true of a conversation, told as plainly as possible and without a look at how it is done.

A ledger of every accepted message and every run. It knows nothing of states, epochs and queues of the room.
"""

from dataclasses import dataclass, field
from typing import Literal

Standing = Literal["waiting", "asked", "heard"]
Policy = Literal["steer", "queue", "reject", "interrupt", "rollback"]


@dataclass
class KnownRun:
    """A run as the world sees it. `listened`: what it says would be said."""

    name: str
    begun: bool = False
    over: bool = False
    listened: bool = True
    asked: list[str] = field(default_factory=list[str])
    effects: list[str] = field(default_factory=list[str])
    undo_wanted: bool = False


@dataclass
class KnownApproval:
    """A call that a person decides. `wanted`: nobody has called it off before it was decided."""

    run: str
    wanted: bool
    decided: str = ""
    made: bool = False


class Broken(AssertionError):
    """The conversation did what it must not."""


class Reference:
    """Told of everything; complains at once."""

    def __init__(self) -> None:
        self.messages: dict[str, Standing] = {}
        self.policies: dict[str, Policy] = {}
        self.runs: dict[str, KnownRun] = {}
        self.said: list[str] = []
        self.silent = False
        """The customer wanted silence, and has said nothing since."""
        self.person: str | None = None
        """Whose turn it is to speak, instead of the agent; empty while nobody has come."""
        self.told = False
        self.approvals: dict[str, KnownApproval] = {}
        self.called_off: set[str] = set()
        """Runs of which no call is wanted any more that a person has not decided."""

    @property
    def listened(self) -> KnownRun | None:
        return next((run for run in self.runs.values() if run.listened and not run.over), None)

    @property
    def unsettled(self) -> list[KnownRun]:
        return [run for run in self.runs.values() if not run.over]

    def came(self, message: str, policy: Policy, disposition: str) -> None:
        """A message was answered with this disposition, before any run was told of it."""
        busy = bool(self.unsettled)
        if self.person is not None:
            if disposition != "queued":
                raise Broken(f"a message for a person was {disposition}")
            self.messages[message], self.policies[message] = "waiting", policy
            return
        if (policy == "reject" and busy) != (disposition == "rejected"):
            raise Broken(f"{policy} while busy={busy} was {disposition}")
        if disposition == "rejected":
            return
        if policy == "queue" and busy and disposition != "queued":
            raise Broken(f"a queued message was {disposition}")
        if disposition == "superseded" and policy not in ("interrupt", "rollback"):
            raise Broken(f"{policy} superseded a run")
        self.messages[message] = "waiting"
        self.policies[message] = policy
        self.silent = False

    def stopped(self) -> None:
        """From now on nothing is said that was asked before, and no call made that nobody has decided."""
        self._call_off(set(self.runs))
        if self.person is not None:
            return
        self.silent = True
        if self.listened:
            self.listened.listened = False

    def stopped_by_staff(self, run: str, *, stops: bool) -> None:
        """They stop the run that they were shown, if the conversation listens to it, and no other."""
        listened = self.listened.name if self.listened else ""
        if stops != (run == listened):
            raise Broken(f"{run} was stopped by staff: {stops}, while {listened} was listened to")
        if stops:
            self.silenced()

    def silenced(self) -> None:
        """As if the customer had stopped it, unless a person speaks, for whom it has been stopped."""
        if self.listened:
            self._call_off(set(self.runs))
            self.silent = True
            self.listened.listened = False

    def taken_back(self) -> None:
        """The customer takes back what was asked before: what the run does that has not settled is undone."""
        if self.person is None:
            for run in self.unsettled:
                run.undo_wanted = True

    def undo_wanted(self, run: str) -> None:
        self.runs[run].undo_wanted = True

    def affected(self, run: str, effect: str) -> None:
        self.runs[run].effects.append(effect)

    def undone(self, run: str, effect: str) -> None:
        """Nothing is undone that nobody wants undone, and the latest effect comes first."""
        known = self.runs[run]
        if not known.undo_wanted or not known.over:
            raise Broken(f"{effect} of {run} was undone: wanted={known.undo_wanted}, over={known.over}")
        if known.effects.pop() != effect:
            raise Broken(f"{effect} of {run} was undone out of order")

    def superseded(self, run: str) -> None:
        self.runs[run].listened = False
        if self.runs[run].begun:
            self._call_off({run})

    def _call_off(self, runs: set[str]) -> None:
        self.called_off |= runs
        for approval in self.approvals.values():
            approval.wanted = approval.wanted and (approval.run not in runs or bool(approval.decided))

    def asks(self, approval: str, run: str) -> None:
        """A run asks a person; one that was called off asks in vain."""
        self.approvals[approval] = KnownApproval(run, wanted=run not in self.called_off)

    def decided(self, approval: str, how: str, *, counts: bool) -> None:
        """A person has decided: that counts once, and only while the call is wanted."""
        known = self.approvals[approval]
        if counts != (known.wanted and not known.decided):
            raise Broken(f"{how} of {approval} counts={counts}: {known}")
        known.decided = known.decided or (how if counts else "")

    def made(self, approval: str) -> None:
        known = self.approvals[approval]
        if known.decided != "approved" or not known.wanted:
            raise Broken(f"{approval} was made: {known}")
        known.made = True

    def handed_over(self, name: str) -> None:
        """From now on the agent says nothing, and begins nothing."""
        self.told = self.told and self.person is not None
        self.person, self.silent = name, False
        if self.listened:
            self.listened.listened = False

    def nobody_came(self) -> None:
        """The customer is told so, once."""
        if self.person != "" or self.told:
            raise Broken(f"told that nobody has come: {self.person}, {self.told}")
        self.told = True

    def heard(self, messages: list[str]) -> None:
        """The person has these before them, also the question of a run that had not begun."""
        for message in messages:
            dropped = self.messages.get(message) == "asked" and not any(
                run.begun for run in self.runs.values() if message in run.asked
            )
            if self.person is None or (self.messages.get(message) != "waiting" and not dropped):
                raise Broken(f"{message} is {self.messages.get(message)} and was given to a person")
            self.messages[message] = "heard"

    def person_says(self, name: str, *, said: bool) -> None:
        """What stands before the person is answered."""
        if said != (self.person == name):
            raise Broken(f"{name} said={said} while it was the turn of {self.person}")
        if said:
            self.messages |= {each: "asked" for each, standing in self.messages.items() if standing == "heard"}

    def given_back(self, unanswered: list[str]) -> None:
        """The agent goes on with what nobody has answered."""
        if unanswered != [each for each, standing in self.messages.items() if standing == "heard"]:
            raise Broken(f"given back: {unanswered}")
        self.person = None
        self.messages |= dict.fromkeys(unanswered, "waiting")

    def begins(self, run: str, messages: list[str], *, gathering: bool) -> None:
        if run in self.runs and self.runs[run].begun:
            raise Broken("a run began twice")
        others = [each for each in self.unsettled if each.name != run]
        if others:
            raise Broken(f"{run} beside {[each.name for each in others]}")
        if self.person is not None:
            raise Broken(f"{run} began while a person spoke")
        if self.silent:
            raise Broken("a run began after a stop, without a word of the customer")
        known = self.runs.setdefault(run, KnownRun(run))
        known.begun = not gathering
        for message in messages:
            if message not in known.asked:
                self.asked(run, message)

    def asked(self, run: str, message: str) -> None:
        """A run reads a message: each is read once, and queued ones in order."""
        if self.messages.get(message) != "waiting":
            raise Broken(f"{message} is {self.messages.get(message)} and was read by {run}")
        if self.policies[message] == "queue":
            earlier = [each for each, standing in self.messages.items() if standing == "waiting"]
            queued = [each for each in earlier if self.policies[each] == "queue"]
            if queued[0] != message:
                raise Broken(f"{message} overtook {queued[0]}")
        self.messages[message] = "asked"
        self.runs[run].asked.append(message)

    def over(self, run: str, *, posts: bool) -> None:
        known = self.runs[run]
        if known.over:
            raise Broken(f"{run} ended twice")
        if posts != known.listened:
            raise Broken(f"{run} posts={posts}, listened={known.listened}")
        known.over = True
        if posts:
            self.said.append(run)

    def at_rest(self) -> None:
        """Everything has arrived and the customer has let the queue go on: nothing is left over."""
        if self.person is not None:
            raise Broken("a person still speaks")
        if self.unsettled:
            raise Broken(f"never ended: {[run.name for run in self.unsettled]}")
        forgotten = [name for name, each in self.approvals.items() if each.decided == "approved" and not each.made]
        if forgotten:
            raise Broken(f"approved and never made: {forgotten}")
        standing = [run.name for run in self.runs.values() if run.undo_wanted and run.effects]
        if standing:
            raise Broken(f"not undone: {standing}")
        lost = [message for message, standing in self.messages.items() if standing != "asked"]
        if lost:
            raise Broken(f"lost: {lost}")
