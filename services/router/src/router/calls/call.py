"""What all kinds of calls have in common."""

import json
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from pydantic import BaseModel
from restate import Context, TerminalError
from restate.context import RestateDurableFuture

from contracts import Caller, CallStatus, ConversationRun, Tool
from router.alarm import Alarm
from router.apart import Target
from router.run import must_end_at
from router.transcript import as_data, as_error, cut, cut_words
from router.turn import Fault, Plan, Result, RunFacts
from runtime.bounded import Unreadable, read
from runtime.telemetry.tracing import Trace

_OPENS_A_DOOR = re.compile(r"\b(?:inv|prom|sign)_1[A-Za-z0-9_-]{20,}")
"""Ids of Restate's: of an invocation, an awakeable, a signal. Whoever knows one can use it at the ingress."""


@dataclass(frozen=True)
class LocalTool:
    """A tool of the router's own: a read, done inside `ctx.run`. `run` takes the checked arguments and who asks."""

    tool: Tool
    run: Callable[[bytes, Caller], Awaitable[BaseModel]]


LocalTools = Mapping[str, LocalTool]


class Within(Protocol):
    """The run that calls belong to, as far as they know it. `of` is its name in its conversation, `known_at` is the
    latest time that the journal knows, `waited` for how long people were waited for; both in seconds."""

    id: str
    of: str
    ctx: Context
    alarm: Alarm
    message: str
    waited: float
    conversation: ConversationRun | None

    @property
    def facts(self) -> RunFacts: ...

    @property
    def known_at(self) -> float: ...

    @property
    def prompt(self) -> str: ...

    @property
    def trace(self) -> Trace | None: ...

    def headers(self, token: str, call_id: str = "") -> dict[str, str]: ...


class Call(ABC):
    """One call of a turn, from its plan to its result.

    First `start` of all calls, in the model's order, then `follow` of each; `settled` may be known after either.
    """

    def __init__(self, plan: Plan, run: Within, local: LocalTools) -> None:
        self.plan = plan
        self.run = run
        self.local = local
        self.settled: Result | None = None
        self.started_at = run.known_at
        """In seconds since the epoch, by the journal."""
        self.begun = False
        self.future: RestateDurableFuture[bytes]
        """The tool's result, while it is waited for."""

    @property
    def deadline(self) -> float:
        """Until when it is waited for, in seconds since the epoch; a call that keeps its own time has none."""
        return math.inf

    @property
    def waits_its_turn(self) -> bool:
        """Whether it waits for all calls before it in the model's order, and those after it wait for this one."""
        return False

    @property
    def asks_person(self) -> bool:
        """Whether a person decides it first. Such calls that follow on each other are decided side by side."""
        return False

    @property
    def limit(self) -> float:
        """How many bytes of a result the model reads."""
        return self.plan.max_result_bytes

    @abstractmethod
    def start(self) -> None: ...

    async def follow(self) -> None:  # noqa: B027 - most kinds have nothing more to do
        """What can be done only once all have started."""

    async def leave(self) -> None:
        """The deadline has passed."""
        raise NotImplementedError(f"a {self.plan.kind} call has no deadline")

    async def outlast(self, now: float) -> None:
        """The run has been stopped before this call was settled."""
        self.settle(
            "error", as_error("not made: the customer stopped this" if not self.begun else "stopped"), "refused"
        )

    async def take(self) -> None:
        """The result of the completed call. An error read here is the tool's own, a 409 too."""
        try:
            body = await self.future
        except TerminalError as error:
            fault = _fault(error.status_code)
            why = "the tool failed" if fault == "failed" else cut_words(error.message)
            told = as_error(why) if fault == "failed" else as_data("error", why)
            self.settle("denied" if error.status_code == 403 else "error", told, fault)
        else:
            self._take(body or b"null")

    def settle(self, status: CallStatus, content: str, fault: Fault | None = None) -> Result:
        plan = self.plan
        told = _OPENS_A_DOOR.sub("[removed]", content)
        self.settled = Result(call_id=plan.call_id, tool=plan.tool, status=status, content=told, fault=fault)
        return self.settled

    def _take(self, body: bytes) -> None:
        value: Any
        try:
            value = read(body)
        except Unreadable as problem:
            if body.lstrip()[:1] in (b"{", b"[", b'"'):
                why = f"the call was made, and its result cannot be used: {problem}"
                self.settle("error", as_error(why), "failed")
                return
            value = body.decode("utf-8", "replace").replace("\0", "")
        ticket_id = ticket_in(value, self.run.facts.ticket_pattern) if self.plan.makes_ticket else None
        if len(body) > self.limit:
            value = cut(body, self.plan.max_result_bytes)
        self.settle("ok", as_data("ok", value)).ticket_id = ticket_id


def ticket_in(value: Any, pattern: str) -> str | None:
    """The ticket that a tool says it has made; only an id of the known form is one."""
    ticket_id = cast(dict[str, Any], value).get("ticket_id") if isinstance(value, dict) else None
    return ticket_id if isinstance(ticket_id, str) and re.fullmatch(pattern, ticket_id) else None


class RemoteCall(Call):
    """A call of a Restate handler, anywhere."""

    @property
    def timeout(self) -> float:
        """In seconds; less than the plan says when the run's own time ends before, but never less than one."""
        left = must_end_at(self.run.facts, self.run.waited) - self.started_at
        return min(self.plan.timeout, max(round(left, 1), 1.0))

    @property
    def deadline(self) -> float:
        return self.started_at + self.timeout

    @property
    def target(self) -> tuple[str, str, bytes, str | None]:
        plan = self.plan
        if not plan.apart:
            return plan.service, plan.handler, plan.body.encode(), plan.key
        target = Target(service=plan.service, handler=plan.handler, key=plan.key, body=plan.body)
        return target.apart("read" if plan.kind == "read" else "make")

    @property
    def headers(self) -> dict[str, str]:
        return self.run.headers(self.plan.token, self.plan.call_id)


def _fault(status: int) -> Fault:
    if status == 504:
        return "timeout"
    return "refused" if 400 <= status < 500 else "failed"


def as_json(**told: Any) -> str:
    """A tool message of the router's own."""
    return json.dumps(told, ensure_ascii=False)
