"""Tasks: calls that outlive their run, remembered for each caller, so that a later question can ask how they stand.

Restate keeps the result of a call for a day. How a task ended is kept here until newer tasks take its place: somebody
looks after it again and again, at last once an hour, for as long as it goes on.
"""

from datetime import timedelta
from typing import Any, Literal

import restate
from pydantic import BaseModel, ConfigDict, Field
from restate import ObjectContext, ObjectSharedContext, TerminalError
from restate.serde import BytesSerde

from contracts import ApprovalStatus, ApprovalWanted, Tool
from contracts.tool import DEFAULT_MAX_RESULT_BYTES
from router.approval.settled import Settled, Stands
from router.transcript import cut, cut_words
from runtime.bounded import Unreadable, read
from runtime.checked import RAW, checked
from runtime.errors import Refused
from runtime.retries import RETRY, RETRY_UNTIL_DONE
from runtime.schemas import as_schema
from runtime.serving import ABORT_TIMEOUT

MAX_TASKS = 50
LOOK_FOR = timedelta(milliseconds=500)
FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(hours=1)
"""Between two looks; far less than Restate keeps a result."""

KEPT_RESULT_BYTES = 4096
"""Of a result, when Restate has forgotten it."""

MANY_LOOKS = 12
"""After so many the pause is the longest. What waits for people begins there: they take their time."""

LOOKS_KEPT_FOR = timedelta(minutes=10)
"""How long Restate shows a look that has ended: there are many of them."""

NOT_FOUND = (404, "not found")
"""What Restate says of an invocation that it has forgotten."""

WAITS = "a person has to say yes first; nobody has decided, and nothing has been done"
HOW_IS_UNKNOWN = "it has ended; its result is not kept any more"


class Task(BaseModel):
    """A call that lives on: the invocation that it is. One with an `approval_id` waits for a person first."""

    task_id: str
    invocation_id: str
    tool: str
    approval_id: str = ""


class TaskList(BaseModel):
    """A caller's tasks, newest last."""

    tasks: list[Task] = Field(default_factory=list[Task])


class CheckTask(BaseModel):
    model_config = ConfigDict(extra="forbid")

    task_id: str = Field(pattern=r"^task_[0-9a-f]{16}$", description="The id of the task, as it was told before.")


State = Literal["running", "waiting_for_approval", "done", "failed", "denied", "expired", "withdrawn", "ended"]
"""`done` has a result, `failed` a reason; of what has `ended` Restate knows nothing any more. A call that waits for a
person's yes is not made yet, and one that is `denied`, `expired` or `withdrawn` never was."""


NOT_MADE: dict[ApprovalStatus, State] = {"denied": "denied", "expired": "expired", "withdrawn": "withdrawn"}
"""What a person has decided, or not decided in time, where the call was not made."""


class Standing(BaseModel):
    """How a task stands. `note` is what else is to be known of it."""

    state: State
    result: Any = None
    error: str | None = None
    note: str | None = None


class TaskState(Standing):
    """How this task stands, as the model reads it."""

    task_id: str
    tool: str


class Look(BaseModel):
    """A look after one task; `number` is how many came before it."""

    task_id: str
    number: int = 0


class Remembered(BaseModel):
    pass


tasks = restate.VirtualObject(
    "RouterTasks",
    description="The calls of one caller that outlived their run; keyed by user id",
    abort_timeout=ABORT_TIMEOUT,
    ingress_private=True,
    invocation_retry_policy=RETRY,
)


@tasks.handler(input_serde=RAW, metadata={"switchboard.deadline": "none"}, invocation_retry_policy=RETRY_UNTIL_DONE)
@checked
async def remember(ctx: ObjectContext, task: Task) -> Remembered:
    """Note a task of this caller; the oldest are forgotten."""
    known = await ctx.get("tasks", type_hint=TaskList) or TaskList()
    noted = [*(each for each in known.tasks if each.task_id != task.task_id), task]
    for forgotten in noted[:-MAX_TASKS]:
        ctx.clear(_ending(forgotten.task_id))
    ctx.set("tasks", TaskList(tasks=noted[-MAX_TASKS:]))
    _look_later(ctx, Look(task_id=task.task_id, number=MANY_LOOKS if task.approval_id else 0))
    return Remembered()


@tasks.handler(
    input_serde=RAW,
    metadata={"switchboard.deadline": "none"},
    invocation_retry_policy=RETRY_UNTIL_DONE,
    journal_retention=LOOKS_KEPT_FOR,
)
@checked
async def keep(ctx: ObjectContext, look: Look) -> Remembered:
    """Keep how a task ended, or look again later."""
    task = await _find(ctx, look.task_id)
    if task is None:
        return Remembered()
    standing = await _look(ctx, task, KEPT_RESULT_BYTES)
    if standing.state == "running":
        _look_later(ctx, look.model_copy(update={"number": look.number + 1}))
    else:
        ctx.set(_ending(task.task_id), standing)
    return Remembered()


@tasks.handler(kind="shared", input_serde=RAW)
@checked
async def check(ctx: ObjectSharedContext, wanted: CheckTask) -> TaskState:
    """Tell how a task stands that was started earlier and had not ended: still running, waiting for a person's yes,
    done with its result, failed, or never made since nobody said yes. Use it when the customer asks about a task, an
    export or a request by its task id."""
    task = await _find(ctx, wanted.task_id)
    if task is None:
        raise Refused(404, "unknown_task", "there is no such task of this caller", "task_id")
    standing = await _look(ctx, task, DEFAULT_MAX_RESULT_BYTES)
    if standing.state == "running" and task.approval_id:
        standing = await _asked(ctx, task)
    if standing.state == "ended":
        standing = await ctx.get(_ending(task.task_id), type_hint=Standing) or standing
    return TaskState(task_id=task.task_id, tool=task.tool, **standing.model_dump())


def _ending(task_id: str) -> str:
    """The name in the object's state of how this task ended."""
    return f"ending {task_id}"


def _look_later(ctx: ObjectContext, look: Look) -> None:
    """By a new invocation, which Restate routes to the newest version; a waiting one would keep its version alive."""
    pause = min(FIRST_PAUSE * 2 ** min(look.number, 16), LONGEST_PAUSE)
    ctx.object_send(keep, key=ctx.key(), arg=look, send_delay=pause)


async def _find(ctx: ObjectContext | ObjectSharedContext, task_id: str) -> Task | None:
    known = await ctx.get("tasks", type_hint=TaskList) or TaskList()
    return next((task for task in known.tasks if task.task_id == task_id), None)


async def _look(ctx: ObjectContext | ObjectSharedContext, task: Task, most_bytes: int) -> Standing:
    result = ctx.attach_invocation(task.invocation_id, serde=BytesSerde())
    timer = ctx.sleep(LOOK_FOR, "look for the result")
    done, _ = await restate.wait_completed(result, timer)
    if result not in done:
        return Standing(state="running")
    try:
        body = await result or b""
        if task.approval_id:
            return standing_of(Settled.model_validate_json(body), most_bytes)
        return Standing(state="done", result=_json(body, most_bytes))
    except TerminalError as error:
        if (error.status_code, error.message) == NOT_FOUND:
            return Standing(state="ended", error=HOW_IS_UNKNOWN)
        why = cut_words(error.message) if error.status_code < 500 else "the tool failed"
        return Standing(state="failed", error=why)


async def _asked(ctx: ObjectSharedContext, task: Task) -> Standing:
    """Whether a person has said yes to what has not ended."""
    body = ApprovalWanted(approval_id=task.approval_id).model_dump_json().encode()
    reply = await ctx.generic_call("ApprovedCall", "stands", body, key=task.approval_id)
    stands = Stands.model_validate_json(reply)
    if stands.settled is not None:
        return standing_of(stands.settled, DEFAULT_MAX_RESULT_BYTES)
    if stands.approved:
        return Standing(state="running", note="a person has said yes; it is being done")
    return Standing(state="waiting_for_approval", note=WAITS)


def standing_of(settled: Settled, most_bytes: int) -> Standing:
    """What became of a call that a person decided, as whoever asks after its task reads it."""
    told = _json(settled.result.content.encode(), most_bytes)
    state = NOT_MADE.get(settled.approval)
    if state is None:
        return Standing(state="done" if settled.result.status == "ok" else "failed", result=told)
    fields = as_schema(told)
    return Standing(state=state, error=fields.get("reason") or fields.get("error"))


def _json(body: bytes, most_bytes: int) -> Any:
    """The value, or the text where it is no value that can be told on; never anything that cannot be written again."""
    if len(body) > most_bytes:
        return cut(body, most_bytes)
    try:
        return read(body)
    except Unreadable:
        return body.decode("utf-8", "replace").replace("\0", "")


CHECK_TASK = Tool(
    name="check_task",
    description=" ".join((check.__doc__ or "").split()),
    parameters=CheckTask.model_json_schema() | {"title": "check_task"},
    service="RouterTasks",
    handler="check",
    key="caller.user_id",
    readonly=True,
    steady=True,
    timeout=30,
)
