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


class Control(BaseModel):
    """The state of a conversation. `owner` is who opened it, with the roles that the latest token told; `believed`: it
    was no token that told.

    `steered` are for the active run, which may not have read them; `following` is the question of the run that begins
    when the active one has settled; `queue` are questions of their own. `paused`: the queue waits for a word of the
    customer. `rollback`: what the stopping run was asked and said leaves the model's view.
    """

    owner: Caller | None = None
    believed: bool = False
    speaker: Literal["agent"] = "agent"
    epoch: int = 0
    active: Active | None = None
    steered: list[str] = Field(default_factory=list[str])
    following: list[str] = Field(default_factory=list[str])
    queue: list[str] = Field(default_factory=list[str])
    paused: bool = False
    rollback: bool = False

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
    """A run is over, or lost. `read` are the steered inputs that it has read, `run_next` names the run after it."""

    run: str
    failed: bool
    read: frozenset[str]
    run_next: str


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


class Settles(NamedTuple):
    """A run is over. `posts`: what it said is said. `superseded`: its question and text leave the model's view."""

    run: str
    posts: bool
    superseded: bool = False


Effect = Begins | Joins | Stops | Settles


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
    return Decision(control, (_stop(control),), "superseded", active.run)


def take_stop(before: Control, stop: Stop) -> Decision:
    """Silence: the active run loses the word at once, and whatever waits goes on waiting."""
    control, active = before.model_copy(deep=True), before.active
    if stop.expected and (active is None or active.run != stop.expected):
        return Decision(before, run=active.run if active else "", why="run_changed")
    if active is None:
        return Decision(before, disposition="superseded")
    control.queue = control.following + control.queue
    control.following = []
    control.paused = True
    if active.phase == "gathering":
        control.epoch += 1
        control.active = None
        return Decision(control, (Settles(active.run, posts=False),), "superseded", active.run)
    effects = (_stop(control),) if active.phase == "running" else ()
    return Decision(control, effects, "superseded", active.run)


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
    settles = Settles(active.run, posts=not stopped, superseded=control.rollback)
    control.rollback = False
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
