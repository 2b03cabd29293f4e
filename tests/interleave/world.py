"""The world around the decisions: runs, what is on its way between them and the object, and a seeded chance."""

import random
from dataclasses import dataclass, field

from conversations.control import (
    Begins,
    Control,
    Decision,
    Ended,
    GivesBack,
    HandsOver,
    Hears,
    Joins,
    Message,
    Settles,
    Stop,
    Stops,
    Withdraws,
    assign,
    end_run,
    give_back,
    launch,
    may_say,
    nobody_came,
    stop_run,
    take,
    take_message,
    take_stop,
    take_undo,
)
from tests.interleave.reference import Broken, Policy, Reference

POLICIES: tuple[Policy, ...] = ("steer", "queue", "reject", "interrupt", "rollback")
STAFF = ("anna", "ben")
MAX_STATE_BYTES = 4096


@dataclass
class LiveRun:
    """A run of the router's that is at work. `read`: the steered messages that it took."""

    name: str
    read: set[str] = field(default_factory=set[str])


@dataclass
class Row:
    """An approval as the database has it."""

    run: str
    epoch: int
    status: str = "pending"


class World:
    """One conversation, moved by one random step after the other."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.reference = Reference()
        self.control = Control()
        self.live: dict[str, LiveRun] = {}
        self.read: dict[str, set[str]] = {}
        self.steered: list[str] = []
        self.launches: list[int] = []
        self.reports: list[tuple[str, bool, bool]] = []
        self.before_person: list[str] = []
        self.waits: list[str] = []
        self.epochs: dict[str, int] = {}
        self.asking: list[tuple[str, str]] = []
        self.rows: dict[str, Row] = {}
        self.withdrawn_upto = 0
        self.made: dict[str, list[str]] = {}
        """The effects of each run, in order; those that were undone are gone."""
        self.undoing: list[str] = []
        """Runs of which the router undoes the latest effect next."""
        self.names = 0

    def step(self) -> None:
        moves = [self.message, self.message, self.stop, self.launch, self.take_inputs, self.end, self.kill, self.report]
        staff = [self.take, self.assign, self.say, self.give_back, self.give_back, self.wait_in_vain]
        staff += [self.undo, self.stop_by_staff]
        approvals = [self.want, self.propose, self.decide, self.decide, self.make]
        effects = [self.affect, self.affect, self.compensate]
        self.chance.choice([*moves, *moves, *staff, *approvals, *effects])()
        self.crash()

    def rest(self) -> None:
        """Let everything arrive, with a customer who says one more word whenever the queue waits for it."""
        for _ in range(1000):
            if self.asking:
                self.propose()
            elif any(row.status == "approved" for row in self.rows.values()):
                self.make()
            elif self.launches:
                self.launch()
            elif self.live:
                self.end()
            elif self.reports:
                self.report()
            elif self.waits:
                self.wait_in_vain()
            elif self.undoing:
                self.compensate()
            elif self.control.person:
                self.give_back()
            elif self.control.queue:
                self.message("queue")
            else:
                break
        self.reference.at_rest()

    def crash(self) -> None:
        """The object is loaded anew: all that it knows is its state, which is small."""
        written = self.control.model_dump_json()
        if len(written) > MAX_STATE_BYTES:
            raise Broken(f"{len(written)} bytes of state")
        self.control = Control.model_validate_json(written)

    def message(self, policy: Policy | None = None) -> None:
        policy, name = policy or self.chance.choice(POLICIES), self._name("m")
        decision = take_message(self.control, Message(name, policy, self._name("run"), self.chance.random() < 0.3))
        if decision.why == "queue_full":
            return
        self.reference.came(name, policy, decision.disposition)
        if policy == "rollback":
            self.reference.taken_back()
        if decision.disposition == "superseded":
            self.reference.superseded(decision.run)
        self._follow(decision)
        self._check_place(name)

    def stop(self) -> None:
        decision = take_stop(self.control, Stop())
        self.reference.stopped()
        self._follow(decision)

    def stop_by_staff(self) -> None:
        """A member of staff stops a run that was shown to them, perhaps long ago."""
        runs = sorted(self.reference.runs)
        if not runs:
            return
        run = self.chance.choice(runs)
        decision = stop_run(self.control, run)
        self.reference.stopped_by_staff(run, stops=not decision.why)
        self._follow(decision)

    def undo(self) -> None:
        """A member of staff wants undone what a run did, whether it is at work or over."""
        runs = sorted(self.reference.runs)
        if not runs:
            return
        run = self.chance.choice(runs)
        decision = take_undo(self.control, run)
        active = self.control.active
        if active and active.run == run:
            self.reference.silenced()
        self.reference.undo_wanted(run)
        self._follow(decision)
        if not (decision.control.active and decision.control.active.run == run):
            self.undoing += [run]

    def affect(self) -> None:
        """A run makes an effect; it was noted before. One that was stopped may still do so."""
        if self.live:
            run = self.chance.choice(sorted(self.live))
            self.made.setdefault(run, []).append(self._name("e"))
            self.reference.affected(run, self.made[run][-1])

    def compensate(self) -> None:
        """The router undoes one effect, the latest of its run."""
        if not self.undoing:
            return
        run = self.chance.choice(self.undoing)
        if self.made.get(run):
            self.reference.undone(run, self.made[run].pop())
        else:
            self.undoing.remove(run)

    def launch(self) -> None:
        if self.launches:
            self._follow(launch(self.control, self.launches.pop(0)))

    def take_inputs(self) -> None:
        """As the published function does: only the active run reads, and what it reads is its own."""
        active = self.control.active
        if active and active.phase == "running" and active.run in self.live:
            for message in self.control.steered:
                if message not in self.read[active.run]:
                    self.read[active.run].add(message)
                    self.reference.asked(active.run, message)

    def end(self) -> None:
        if self.live:
            run = self.chance.choice(sorted(self.live))
            del self.live[run]
            failed, hands_over = self.chance.random() < 0.2, self.chance.random() < 0.2
            self.reports += [(run, failed, hands_over and not failed)] * self.chance.choice((1, 1, 2))

    def kill(self) -> None:
        """The run says nothing: whoever follows it reports that it is lost."""
        if self.live and self.chance.random() < 0.3:
            run = self.chance.choice(sorted(self.live))
            del self.live[run]
            self.reports.append((run, True, False))

    def report(self) -> None:
        if not self.reports:
            return
        run, failed, hands_over = self.reports.pop(self.chance.randrange(len(self.reports)))
        read = frozenset(self.read[run])
        self._follow(end_run(self.control, Ended(run, failed, read, self._name("run"), hands_over)))

    def want(self) -> None:
        """The model of a run wants a call that a person decides; it is on its way."""
        if self.live:
            self.asking.append((self._name("appr"), self.chance.choice(sorted(self.live))))

    def propose(self) -> None:
        """The row is written, perhaps long after its run has ended or was stopped."""
        if self.asking:
            name, run = self.asking.pop(self.chance.randrange(len(self.asking)))
            self.rows[name] = row = Row(run, self.epochs[run])
            if row.epoch <= self.withdrawn_upto:
                row.status = "withdrawn"
            self.reference.asks(name, run)

    def decide(self) -> None:
        if self.rows:
            name, how = self.chance.choice(sorted(self.rows)), self.chance.choice(("approved", "denied", "expired"))
            row = self.rows[name]
            self.reference.decided(name, how, counts=row.status == "pending")
            row.status = how if row.status == "pending" else row.status

    def make(self) -> None:
        """The workflow has looked at its row, perhaps twice."""
        approved = sorted(name for name, row in self.rows.items() if row.status == "approved")
        if approved:
            name = self.chance.choice(approved)
            self.reference.made(name)
            self.rows[name].status = self.chance.choice(("approved", "done"))

    def take(self) -> None:
        name = self.chance.choice(STAFF)
        decision = take(self.control, name, self._name("run"))
        if (decision.why == "taken") != (self.reference.person not in (None, "", name)):
            raise Broken(f"{name} took from {self.reference.person}: {decision.why}")
        if not decision.why:
            self.reference.handed_over(name)
        self._follow(decision)

    def assign(self) -> None:
        name = self.chance.choice(STAFF)
        self.reference.handed_over(name)
        self._follow(assign(self.control, name, self._name("run")))

    def say(self) -> None:
        name = self.chance.choice(STAFF)
        said = may_say(self.control, name)
        self.reference.person_says(name, said=said)
        if said:
            self.before_person.clear()

    def give_back(self) -> None:
        unanswered = sorted(self.before_person, key=lambda name: int(name[2:]))  # in the order of the transcript
        decision = give_back(self.control, unanswered, self._name("run"))
        if (decision.why == "not_taken") != (self.reference.person is None):
            raise Broken(f"given back by {self.reference.person}: {decision.why}")
        self._follow(decision)

    def wait_in_vain(self) -> None:
        if not self.waits:
            return
        told = nobody_came(self.control, self.waits.pop(0))
        if told is None:
            return
        self.reference.nobody_came()
        self.control = told

    def _follow(self, decision: Decision) -> None:
        self.control = decision.control
        for effect in decision.effects:
            match effect:
                case Withdraws(run=run):
                    for row in self.rows.values():
                        if row.status == "pending" and run in ("", row.run):
                            row.status = "withdrawn"
                    self.withdrawn_upto = max(self.withdrawn_upto, decision.control.epoch)
                case Begins():
                    self.epochs[effect.run] = effect.epoch
                    self.reference.begins(effect.run, list(effect.inputs), gathering=effect.gathering)
                    if effect.gathering:
                        self.launches.append(effect.epoch)
                    else:
                        self.live[effect.run] = LiveRun(effect.run)
                        self.read[effect.run] = set()
                case Joins(run=run, input_id=message):
                    self.reference.asked(run, message)
                case Stops():
                    pass
                case HandsOver(run=run, name=name):
                    self.reference.handed_over(name)
                    self.waits += [] if name else [run, run]  # a timer may go off twice
                case Hears(inputs=inputs):
                    self.reference.heard(list(inputs))
                    self.before_person += inputs
                case GivesBack(unanswered=inputs):
                    self.reference.given_back(list(inputs))
                    self.before_person.clear()
                case Settles(run=run, posts=posts):
                    self.reference.over(run, posts=posts)
                    self.undoing += [run] if effect.undoes else []

    def _check_place(self, name: str) -> None:
        control = self.control
        places = [*control.steered, *control.following, *control.queue]
        gathers = control.active.inputs if control.active else []
        places += self.before_person
        asked = self.reference.messages.get(name) == "asked"
        if name in self.reference.messages and places.count(name) + (name in gathers or asked) != 1:
            raise Broken(f"{name} stands in {places.count(name)} places")

    def _name(self, what: str) -> str:
        self.names += 1
        return f"{what}_{self.names}"


def play(seed: int, steps: int = 40) -> World:
    """One interleaving. Raises: `Broken`."""
    world = World(seed)
    for _ in range(steps):
        world.step()
    world.rest()
    return world
