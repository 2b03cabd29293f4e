"""Who speaks and what comes next: the decisions of a conversation, and nothing else.

Each function takes the state of a conversation and what has happened, and returns the new state and what must be done
because of it. No I/O, no clock, no chance: `make interleave` drives exactly this code through thousands of orders.
"""

from typing import Literal, NamedTuple

from pydantic import BaseModel, Field

from contracts import Caller, Decided, WhenBusy

MAX_WAITING = 32
"""Inputs that one conversation holds at a time, so that its state stays below 4 KB."""

Phase = Literal["gathering", "running", "stopping"]
"""How far a run is.

- `gathering`: it has not begun, so that more short lines can join its question
- `running`: it is at work
- `stopping`: it may finish what it does, and posts nothing
"""


class Active(BaseModel):
    """The one run that a conversation listens to. `inputs` are its question while it gathers; `invocation` is what
    Restate calls it, once it is sent."""

    run: str
    epoch: int
    phase: Phase
    inputs: list[str]
    invocation: str = ""


class Stretch(BaseModel):
    """A time in which a person speaks instead of the agent. `name` is who; empty while nobody has taken it. `told`: the
    customer knows that nobody has come."""

    run: str
    epoch: int
    name: str = ""
    told: bool = False


class Control(BaseModel):
    """The state of a conversation. `owner` is who opened it, with the roles that the latest token told; `believed`: it
    was no token that told. `person`: the agent is silent.

    `steered` are for the active run, which may not have read them; `following` is the question of the run that begins
    when the active one has settled; `queue` are questions of their own. `paused`: the queue waits for a word of the
    customer. `rollback`: what the stopping run was asked and said leaves the model's view. `undo`: a member of staff
    wants undone what it did.
    """

    owner: Caller | None = None
    believed: bool = False
    person: Stretch | None = None
    epoch: int = 0
    active: Active | None = None
    steered: list[str] = Field(default_factory=list[str])
    following: list[str] = Field(default_factory=list[str])
    queue: list[str] = Field(default_factory=list[str])
    paused: bool = False
    rollback: bool = False
    undo: bool = False

    @property
    def waiting(self) -> int:
        question = self.active.inputs if self.active else []
        return len(question) + len(self.steered) + len(self.following) + len(self.queue)


class Message(NamedTuple):
    """A message has come in. `run` is the name of the run that may begin with it, `short` that more may follow."""

    input_id: str
    when_busy: WhenBusy
    run: str
    short: bool = False
    expected: str | None = None


class Stop(NamedTuple):
    """The customer wants silence."""

    expected: str | None = None


class Ended(NamedTuple):
    """A run is over, or lost. `read` are the steered inputs that it has read, `run_next` names the run after it, or the
    stretch of a person. `hands_over`: it wants a person to go on."""

    run: str
    failed: bool
    read: frozenset[str]
    run_next: str
    hands_over: bool = False


class Begins(NamedTuple):
    """A run begins with these inputs. `gathering`: not yet."""

    run: str
    epoch: int
    inputs: tuple[str, ...]
    gathering: bool = False
    interrupted: bool = False


class Joins(NamedTuple):
    """An input joins the question of the run that gathers."""

    run: str
    input_id: str


class Stops(NamedTuple):
    """A run has lost the word, and is cancelled if it has begun (`invocation`)."""

    run: str
    invocation: str


class Withdraws(NamedTuple):
    """The calls for which a person has not decided yet are wanted no more: those of this run, or all without a name."""

    run: str


class HandsOver(NamedTuple):
    """A stretch of a person begins, or another one has it now. `name` is empty while nobody has taken it."""

    run: str
    epoch: int
    name: str


class Hears(NamedTuple):
    """These inputs are for the person."""

    run: str
    inputs: tuple[str, ...]


class GivesBack(NamedTuple):
    """The stretch of a person is over; these inputs it has not answered."""

    run: str
    unanswered: tuple[str, ...]


class Settles(NamedTuple):
    """A run is over. `posts`: what it said is said. `superseded`: its question and text leave the model's view.
    `undoes`: what it did is undone."""

    run: str
    posts: bool
    superseded: bool = False
    undoes: bool = False


Effect = Begins | Joins | Stops | Withdraws | HandsOver | Hears | GivesBack | Settles


class Decision(NamedTuple):
    """The new state, what must be done, and what the sender of an input is told."""

    control: Control
    effects: tuple[Effect, ...] = ()
    disposition: Decided = "rejected"
    run: str = ""
    why: str = ""


def take_message(before: Control, message: Message) -> Decision:
    """What becomes of a message. Any word of the customer's lets the queue go on."""
    control, active = before.model_copy(deep=True), before.active
    if message.expected and (active is None or active.run != message.expected):
        return Decision(before, run=active.run if active else "", why="run_changed")
    if control.person:
        return Decision(control, (Hears(control.person.run, (message.input_id,)),), "queued")
    if control.waiting >= MAX_WAITING:
        return Decision(before, run=active.run if active else "", why="queue_full")
    if active is None:
        return _when_idle(control, message)
    if message.when_busy == "reject":
        return Decision(before, run=active.run, why="busy")
    control.paused = False
    if message.when_busy == "queue":
        control.queue.append(message.input_id)
        return Decision(control, disposition="queued")
    if active.phase == "stopping":
        control.following.append(message.input_id)
        control.rollback = control.rollback or message.when_busy == "rollback"
        return Decision(control, disposition="queued")
    if message.when_busy == "rollback" or (message.when_busy == "interrupt" and active.phase == "running"):
        return _take_over(control, message)
    return _steer(control, message)


def _when_idle(control: Control, message: Message) -> Decision:
    control.paused = False
    if message.when_busy == "queue" and control.queue:
        control.queue.append(message.input_id)
        begins = _begin(control, [control.queue.pop(0)], message.run)
        return Decision(control, (begins,), "queued", message.run)
    begins = _begin(control, [message.input_id], message.run, gathering=message.short)
    return Decision(control, (begins,), "started", message.run)


def _steer(control: Control, message: Message) -> Decision:
    active = _active(control)
    if active.phase == "gathering":
        active.inputs.append(message.input_id)
        return Decision(control, (Joins(active.run, message.input_id),), "steered", active.run)
    control.steered.append(message.input_id)
    return Decision(control, (), "steered", active.run)


def _take_over(control: Control, message: Message) -> Decision:
    """The message takes the place of the active run: at once if that has not begun, else when it has settled."""
    active = _active(control)
    if active.phase == "gathering":
        control.active = None
        begins = _begin(control, [message.input_id], message.run, gathering=message.short)
        return Decision(control, (Settles(active.run, posts=False, superseded=True), begins), "superseded", active.run)
    control.following.append(message.input_id)
    control.rollback = message.when_busy == "rollback"
    return Decision(control, (_stop(control), Withdraws(active.run)), "superseded", active.run)


def take_stop(before: Control, stop: Stop) -> Decision:
    """Silence: the active run loses the word at once, and whatever waits goes on waiting. No call that waits for a
    person is made any more, whichever run has asked for it."""
    control, active = before.model_copy(deep=True), before.active
    if stop.expected and (active is None or active.run != stop.expected):
        return Decision(before, run=active.run if active else "", why="run_changed")
    if active is None or control.person:
        return Decision(before, (Withdraws(""),), "superseded", active.run if active else "")
    control.queue = control.following + control.queue
    control.following = []
    control.paused = True
    if active.phase == "gathering":
        control.epoch += 1
        control.active = None
        return Decision(control, (Settles(active.run, posts=False), Withdraws("")), "superseded", active.run)
    effects = (_stop(control),) if active.phase == "running" else ()
    return Decision(control, (*effects, Withdraws("")), "superseded", active.run)


def stop_run(before: Control, run: str) -> Decision:
    """A member of staff wants silence of this run: one that is being stopped, or is over, is left as it is."""
    active = before.active
    if active is None or active.run != run or active.phase == "stopping":
        return Decision(before, run=active.run if active else "", why="run_changed")
    return take_stop(before, Stop())


def take_undo(before: Control, run: str) -> Decision:
    """A member of staff wants undone what a run did: one that is at work is stopped, and undone when it has settled."""
    active = before.active
    if active is None or active.run != run:
        return Decision(before)
    stopped = take_stop(before, Stop()) if active.phase != "stopping" else Decision(before.model_copy(deep=True))
    if stopped.control.active:
        stopped.control.undo = True
    return stopped


def launch(before: Control, epoch: int) -> Decision:
    """The time for more lines is over: the run that gathers begins, if it still may."""
    active = before.active
    if active is None or active.phase != "gathering" or active.epoch != epoch:
        return Decision(before)
    control = before.model_copy(deep=True)
    begun = _active(control)
    begun.phase, begun.inputs = "running", []
    return Decision(control, (Begins(begun.run, epoch, tuple(active.inputs)),))


def end_run(before: Control, ended: Ended) -> Decision:
    """A run is over. What it has not read is asked next; after a stop or a failure it waits instead."""
    active = before.active
    if active is None or active.run != ended.run:
        return Decision(before)
    control = before.model_copy(deep=True)
    unread = [each for each in control.steered if each not in ended.read]
    following, control.active, control.steered, control.following = control.following, None, [], []
    stopped = active.phase == "stopping"
    undoes = stopped and (control.rollback or control.undo)
    settles = Settles(active.run, posts=not stopped, superseded=control.rollback, undoes=undoes)
    control.rollback = control.undo = False
    if control.person:
        return Decision(control, (settles, *_heard(control.person, unread)))
    if ended.hands_over and not stopped:
        return _hand_over(control, ended.run_next, "", unread, settles)
    if stopped and following:
        begins = _begin(control, unread + following, ended.run_next, interrupted=not settles.superseded)
        return Decision(control, (settles, begins), run=ended.run_next)
    if stopped or ended.failed:
        control.queue, unread = unread + control.queue, []
        control.paused = control.paused or (ended.failed and not stopped)
    question = unread or ([] if control.paused else control.queue[:1])
    if not question:
        return Decision(control, (settles,))
    if not unread:
        control.queue.pop(0)
    return Decision(control, (settles, _begin(control, question, ended.run_next)), run=ended.run_next)


def take(before: Control, name: str, run: str) -> Decision:
    """A member of staff takes the conversation: the agent loses the word at once. `run` names the stretch."""
    if before.person and before.person.name not in ("", name):
        return Decision(before, why="taken")
    return assign(before, name, run)


def assign(before: Control, name: str, run: str) -> Decision:
    """The conversation is this member of staff's now, whoever had it."""
    control, active = before.model_copy(deep=True), before.active
    if control.person:
        if control.person.name == name:
            return Decision(before)
        control.person.name = name
        return Decision(control, (HandsOver(control.person.run, control.person.epoch, name),))
    if active is None or active.phase == "stopping":
        return _hand_over(control, run, name, [])
    if active.phase == "running":
        return _hand_over(control, run, name, [], _stop(control))
    control.active = None
    return _hand_over(control, run, name, active.inputs, Settles(active.run, posts=False))


def may_say(control: Control, name: str) -> bool:
    """Only whoever has the conversation speaks in it."""
    return control.person is not None and control.person.name == name


def give_back(before: Control, unanswered: list[str], run_next: str) -> Decision:
    """The agent speaks again, and is asked what the person has left unanswered: of very much the end, as a conversation
    holds only so much. It reads the rest as what was said."""
    if before.person is None:
        return Decision(before, why="not_taken")
    control, stretch = before.model_copy(deep=True), before.person
    control.person, unanswered = None, unanswered[-MAX_WAITING:]
    returns = GivesBack(stretch.run, tuple(unanswered))
    if not unanswered:
        return Decision(control, (returns,))
    if control.active:  # it has lost the word, and has not settled yet
        control.following = unanswered
        return Decision(control, (returns,))
    return Decision(control, (returns, _begin(control, unanswered, run_next)), run=run_next)


def nobody_came(before: Control, run: str) -> Control | None:
    """The time for a person to come is over: the state in which the customer has been told, if that is so."""
    if before.person is None or before.person.run != run or before.person.name or before.person.told:
        return None
    control = before.model_copy(deep=True)
    control.person = before.person.model_copy(update={"told": True})
    return control


def _hand_over(control: Control, run: str, name: str, inputs: list[str], *first: Effect) -> Decision:
    """Whatever waits is the person's. What the running run may have read is known when it has settled."""
    waiting = [*inputs, *control.following, *control.queue]
    control.following, control.queue, control.paused = [], [], False
    control.epoch += 1
    control.person = Stretch(run=run, epoch=control.epoch, name=name)
    hands = HandsOver(run, control.epoch, name)
    return Decision(control, (*first, hands, *_heard(control.person, waiting)))


def _heard(stretch: Stretch, inputs: list[str]) -> tuple[Hears, ...]:
    return (Hears(stretch.run, tuple(inputs)),) if inputs else ()


def _begin(
    control: Control, inputs: list[str], run: str, *, gathering: bool = False, interrupted: bool = False
) -> Begins:
    control.epoch += 1
    phase: Phase = "gathering" if gathering else "running"
    control.active = Active(run=run, epoch=control.epoch, phase=phase, inputs=list(inputs) if gathering else [])
    return Begins(run, control.epoch, tuple(inputs), gathering, interrupted)


def _stop(control: Control) -> Stops:
    active = _active(control)
    active.phase = "stopping"
    control.epoch += 1
    return Stops(active.run, active.invocation)


def _active(control: Control) -> Active:
    if control.active is None:
        raise LookupError("no run is active")
    return control.active
