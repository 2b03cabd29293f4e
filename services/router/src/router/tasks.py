"""Tasks: calls that outlive their run, remembered for each caller, so that a later question can ask how they stand."""

from datetime import timedelta
from typing import Any

import restate
from pydantic import BaseModel, ConfigDict, Field
from restate import ObjectContext, ObjectSharedContext, TerminalError
from restate.serde import BytesSerde

from contracts import Tool
from contracts.tool import DEFAULT_MAX_RESULT_BYTES
from router.transcript import cut, cut_words
from runtime.bounded import Unreadable, read
from runtime.checked import RAW, checked
from runtime.errors import Refused
from runtime.retries import RETRY, RETRY_UNTIL_DONE
from runtime.serving import ABORT_TIMEOUT

MAX_TASKS = 50
LOOK_FOR = timedelta(milliseconds=500)


class Task(BaseModel):
    """A call that lives on: the invocation that it is."""

    task_id: str
    invocation_id: str
    tool: str


class TaskList(BaseModel):
    """A caller's tasks, newest last."""

    tasks: list[Task] = Field(default_factory=list[Task])


class CheckTask(BaseModel):
    model_config = ConfigDict(extra="forbid")

    task_id: str = Field(pattern=r"^task_[0-9a-f]{16}$", description="The id of the task, as it was told before.")


class TaskState(BaseModel):
    """How a task stands: `running`, `done` with its result, or `failed` with the reason."""

    task_id: str
    tool: str
    state: str
    result: Any = None
    error: str | None = None


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
    ctx.set("tasks", TaskList(tasks=[*known.tasks, task][-MAX_TASKS:]))
    return Remembered()


@tasks.handler(kind="shared", input_serde=RAW)
@checked
async def check(ctx: ObjectSharedContext, wanted: CheckTask) -> TaskState:
    """Tell how a task stands that was started earlier and had not ended: still running, done with its result, or
    failed. Use it when the customer asks about a task, an export or a request by its task id."""
    known = await ctx.get("tasks", type_hint=TaskList) or TaskList()
    task = next((task for task in known.tasks if task.task_id == wanted.task_id), None)
    if task is None:
        raise Refused(404, "unknown_task", "there is no such task of this caller", "task_id")
    return await _look(ctx, task)


async def _look(ctx: ObjectSharedContext, task: Task) -> TaskState:
    result = ctx.attach_invocation(task.invocation_id, serde=BytesSerde())
    timer = ctx.sleep(LOOK_FOR, "look for the result")
    done, _ = await restate.wait_completed(result, timer)
    state = TaskState(task_id=task.task_id, tool=task.tool, state="running")
    if result not in done:
        return state
    try:
        body = await result
        return state.model_copy(update={"state": "done", "result": _json(body or b"")})
    except TerminalError as error:
        why = cut_words(error.message) if error.status_code < 500 else "the tool failed"
        return state.model_copy(update={"state": "failed", "error": why})


def _json(body: bytes) -> Any:
    """The value, or the text where it is no value that can be told on; never anything that cannot be written again."""
    if len(body) > DEFAULT_MAX_RESULT_BYTES:
        return cut(body, DEFAULT_MAX_RESULT_BYTES)
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
    timeout=30,
)
