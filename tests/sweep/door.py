"""The crash sweep of the door: kill the gateway and what stands behind it at every moment of a request and of a stream.

A client that sends again with its `Idempotency-Key`, and comes again with its `Last-Event-ID`, loses nothing and sees
nothing twice.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from standalone.watching import Frame, Written, frames
from tests.parts.restate import HttpReply, request
from tests.sweep.points import Position
from tests.sweep.sweep import Case, Victim
from tests.sweep.talks import TALKING, Act, Talks
from tests.sweep.world import DEADLINE_SECONDS, SweepWorld, answered

KNOCKING: tuple[Victim, ...] = (*TALKING, "gateway")
"""What is killed in turn: at a position of the gateway each but `gateway`, which is what stands there; elsewhere the
gateway alone, for the rest is in the other sweeps."""

STREAMING = {"OPENAI_STREAM": "true"}
"""Of the router, so that there is text to see while it is written."""
CHUNK_SECONDS = 0.01

EVENTS = Counter(
    {"input": 1, "run_started": 1, "tool_started": 1, "tool_finished": 1, "turn": 2, "answer": 1, "run_ended": 1}
)
"""What a watcher sees, whatever was killed."""


@dataclass
class Visit:
    """A client of the gateway, who watches the conversation that they have opened."""

    conversation: str = ""
    seen: list[Frame] = field(default_factory=list[Frame])
    written: Written = field(default_factory=Written)
    texts: list[str] = field(default_factory=list[str])
    watching: asyncio.Task[None] | None = None
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    """The gateway has said something to the watcher."""

    async def watch(self, gateway: str, who: dict[str, str]) -> None:
        url = f"{gateway}/api/v1/conversations/{self.conversation}/events"
        traced = aiohttp.TraceConfig()
        traced.on_request_end.append(self._note)
        async with aiohttp.ClientSession(trace_configs=[traced]) as http:
            async for frame in frames(http, url, who):
                self.written.take(frame)
                if frame.kind == "text":
                    self.texts.append(self.written.text)
                elif frame.kind != "end":
                    self.seen.append(frame)

    async def _note(self, *_: Any) -> None:
        self.answered.set()

    def has_seen(self, kind: str) -> bool:
        return any(frame.kind == kind for frame in self.seen)


class Door(Talks):
    """One client after the other, each with its fault: asks, opens a conversation, watches, speaks, reads, and asks
    as a client of OpenAI does."""

    first_number = 1501
    rooms = ("gateway", "conversations", "router")

    def __init__(self, world: SweepWorld) -> None:
        super().__init__(world)
        self._visit = Visit()
        """Of the case that is under way."""

    def is_struck(self, position: Position, victim: Victim) -> bool:
        return (position.service == "gateway") != (victim == "gateway")

    def key(self, case: Case) -> str:
        return self._visit.conversation

    async def ask(self, case: Case, script: list[dict[str, Any]] | None = None) -> None:
        """Do all of it, wait until it is over, and check every ledger."""
        for message, replies in _scripts(case).items():
            await self._world.script(message, replies)
        self._visit = Visit()
        try:
            told = await self._hold(case)
            await self._world.notified(case.subject)
            await self._world.idle()
        except TimeoutError as error:
            case.lost += 1
            case.violations.append(str(error))
            return
        finally:
            await self._leave()
        self._passed(len(told))
        await self._world.healthy()
        await self._check_repeats(case, told)
        self._check_answer(case, told[0])
        case.require(told[-1].text == case.words, f"a client of OpenAI got: {told[-1].text}")
        self._check_events(case)
        self._check_transcript(case)
        await self._check_list(case)
        self._check_tickets(case)
        self._check_notifications(case)
        await self._check_model_calls(case)
        await self._check_failures(case)

    def _acts(self) -> list[Act]:
        return [
            Act(lambda case, once: self._question(case, once)),
            Act(lambda case, once: self._open(case, once)),
            Act(lambda case, once: self._say(case, once), self._watched),
            Act(lambda case, _: self._read(case), self._over),
            Act(lambda case, once: self._completion(case, once)),
        ]

    async def _question(self, case: Case, once: str) -> HttpReply:
        return await self._post(case, once, "/api/v1/questions", {"message": case.message})

    async def _open(self, case: Case, once: str) -> HttpReply:
        reply = await self._post(case, once, "/api/v1/conversations", {})
        if reply.status_code == 201 and not self._visit.conversation:
            self._visit.conversation = reply.json()["id"]
            self._visit.watching = asyncio.create_task(self._visit.watch(self._gateway, _signed(case)))
        return reply

    async def _say(self, case: Case, once: str) -> HttpReply:
        path = f"/api/v1/conversations/{self._visit.conversation}/inputs"
        return await self._post(case, once, path, {"text": _said(case)})

    async def _read(self, case: Case) -> HttpReply:
        return await self._get(case, f"/api/v1/conversations/{self._visit.conversation}")

    async def _completion(self, case: Case, once: str) -> HttpReply:
        """Its text alone: the rest tells the time."""
        body = {"model": "switchboard", "stream": True, "messages": [{"role": "user", "content": _chatted(case)}]}
        reply = await self._post(case, once, "/v1/chat/completions", body, _is_cut_off)
        chunks = [json.loads(line[6:]) for line in reply.text.splitlines() if line.startswith("data: {")]
        words = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
        return HttpReply(reply.status_code, words, reply.headers)

    async def _post(
        self,
        case: Case,
        once: str,
        path: str,
        body: dict[str, Any],
        is_none: Callable[[HttpReply], bool] | None = None,
    ) -> HttpReply:
        headers = {**_signed(case), "Idempotency-Key": once}
        url = self._gateway + path
        return await answered(lambda: request("POST", url, body, headers, seconds=30), is_none or _is_to_be_sent_again)

    async def _get(self, case: Case, path: str) -> HttpReply:
        url = self._gateway + path
        return await answered(lambda: request("GET", url, None, _signed(case), seconds=30), _is_to_be_sent_again)

    @property
    def _gateway(self) -> str:
        return self._world.services["gateway"].address

    async def _watched(self, case: Case) -> None:
        del case
        async with asyncio.timeout(DEADLINE_SECONDS):
            await self._visit.answered.wait()

    async def _over(self, case: Case) -> None:
        del case
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not self._visit.has_seen("run_ended"):
                self._require_that_it_watches()
                await asyncio.sleep(0.02)

    def _require_that_it_watches(self) -> None:
        watching = self._visit.watching
        if watching and watching.done():
            watching.result()

    async def _leave(self) -> None:
        if self._visit.watching:
            self._visit.watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._visit.watching

    def _check_events(self, case: Case) -> None:
        """The watcher has seen each line of the log once and in order, and of the text nothing that was not said."""
        places = [frame.data.get("position") for frame in self._visit.seen]
        kept = [
            event["position"] for event in self._rows("SELECT position FROM conversations.events", case, "position")
        ]
        case.require(places == kept == list(range(1, len(kept) + 1)), f"seen {places} of {kept}")
        self._compare(case, "event", Counter(frame.kind for frame in self._visit.seen), EVENTS)
        strange = [text for text in self._visit.texts if not case.words.startswith(text)]
        case.require(not strange, f"text that nobody wrote: {strange[:1]}")
        case.require(bool(self._visit.texts) or case.position is not None, "no text was seen while it was written")

    def _check_transcript(self, case: Case) -> None:
        lines = self._rows("SELECT kind, body FROM conversations.entries", case, "position")
        said = Counter(f"{line['kind']}: {line['body'].get('text')}" for line in lines)
        self._compare(case, "line", said, Counter([f"message: {_said(case)}", f"answer: {case.words}"]))

    async def _check_list(self, case: Case) -> None:
        listed = (await self._get(case, "/api/v1/conversations")).json()["conversations"]
        ids = [each["id"] for each in listed]
        case.require(ids == [self._visit.conversation], f"opened {self._visit.conversation}, there are {ids}")

    async def _check_model_calls(self, case: Case) -> None:
        for message, replies in _scripts(case).items():
            extra = len(await self._world.model_calls(message)) - len(replies)
            case.extra_paid_calls += extra
            case.require(extra >= 0, f"a model turn of {message!r} is missing")
        extra, allowed = case.extra_paid_calls, case.allowed_extra_calls
        case.require(extra <= allowed, f"{extra} extra model calls, {allowed} allowed")


def _is_to_be_sent_again(reply: HttpReply) -> bool:
    return (reply.status_code == 202 and reply.json().get("status") == "running") or _is_retryable(reply)


def _is_retryable(reply: HttpReply) -> bool:
    return reply.status_code >= 400 and bool(reply.json().get("retryable"))


def _is_cut_off(reply: HttpReply) -> bool:
    """As clients of OpenAI decide it; of a stream, whether it came to its end."""
    return reply.status_code in (408, 409, 429, 503) or (reply.status_code == 200 and "data: [DONE]" not in reply.text)


def _signed(case: Case) -> dict[str, str]:
    return {"Authorization": f"Bearer demo-customer_{case.number}"}


def _said(case: Case) -> str:
    return f"What stands in my account, and since when has it been there? ({case.number})"


def _chatted(case: Case) -> str:
    return f"Is there an outage of anything at all? ({case.number})"


def _scripts(case: Case) -> dict[str, list[dict[str, Any]]]:
    """What the model replies to each message."""
    words = {"text": case.words, "chunk_seconds": CHUNK_SECONDS}
    return {
        case.message: case.script(),
        _said(case): [{"tool_calls": [{"name": "query_user_database"}]}, words],
        _chatted(case): [words],
    }
