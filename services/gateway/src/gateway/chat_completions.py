"""The door for clients of OpenAI's chat completions: a request is one question, with what came before as its past, or,
from a chat UI that names its conversation, the next message of that.

Errors come in OpenAI's envelope. What is streamed is final: a text that might be taken back is not sent to a client
that cannot take it back, unless it asks for that.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from contracts import MAX_EARLIER, MESSAGE_CHARACTERS, Answer, Disposition, Usage
from gateway.api.asked import MAX_CHAT_BYTES, SIGNED_IN, Here, Known, Who
from gateway.api.questions import Put, put_question
from gateway.callers import Visitor
from gateway.chats import Chat, chat_of, followed, say, unseen
from gateway.events import Watched
from gateway.openai_errors import envelope
from gateway.parts import Parts
from gateway.telling import A_PERSON_READS, STOPPED, Frame, Piece, Telling
from runtime.api.asked import Key, body_of
from runtime.api.problems import Problem

MODEL = "switchboard"
LIVE = "X-Switchboard-Live"
"""With `true`, a text is sent as it is written; what is taken back is then said to be void."""
PATH = "/v1/chat/completions"
WAIT_SECONDS = 180.0
HEARTBEAT_SECONDS = 10.0
REFUSED_SECONDS = 0.2
"""How long a stream waits to begin, since what is refused at once is better told by a status."""
PIECE_CHARACTERS = 200
EARLIER_CHARACTERS = 20_000
QUESTION_BYTES = 56 * 1024
"""Of a question with what came before, in JSON: its token and the like fit beside it into what the router takes."""
TEXTS = ("text", "input_text", "refusal")
"""Parts of a message that can be read."""

router = APIRouter(tags=["openai"], dependencies=[SIGNED_IN], include_in_schema=False)


class Part(BaseModel):
    model_config = ConfigDict(extra="ignore")

    type: str
    text: str = ""


class Message(BaseModel):
    """As clients send them. What the system says to a model is ours to say, so theirs is not passed on."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None

    @property
    def text(self) -> str:
        """Those of its parts that are text."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.type in TEXTS)
        return self.content or ""

    @property
    def is_text(self) -> bool:
        return not isinstance(self.content, list) or all(part.type in TEXTS for part in self.content)


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    include_usage: bool = False


class Completion(BaseModel):
    """What is read of a request; a temperature and the like are the operator's to set."""

    model_config = ConfigDict(extra="ignore", strict=True)

    model: str
    messages: list[Message] = Field(min_length=1)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: int | None = Field(default=1, ge=1, le=1)


@router.get("/v1/models")
async def models(who: Known) -> dict[str, Any]:
    return {"object": "list", "data": [_model()]}


@router.get("/v1/models/{id}")
async def model(who: Known, id: str) -> dict[str, Any]:  # noqa: A002
    _is_known(id)
    return _model()


@router.post("/v1/chat/completions")
async def complete(
    request: Request,
    here: Here,
    who: Who,
    key: Key,
    asked: Annotated[Completion, Depends(body_of(Completion, MAX_CHAT_BYTES))],
) -> Response:
    """The answer to the last message of the user."""
    _is_known(asked.model)
    question = question_of(asked)
    chat = chat_of(request.headers, here, who, key)
    if helping := help_for(question["message"]):
        return _answer(asked, "helper", Answer(text=helping, outcome="answered"))
    if chat is not None:
        return await spoken(here, who, chat, asked, question["message"], live=request.headers.get(LIVE) == "true")
    if asked.stream:
        async with AsyncExitStack() as stack:
            putting = asyncio.ensure_future(put_question(here, who, key, PATH, question, seconds_of(who)))
            stack.callback(putting.cancel)
            await asyncio.wait([putting], timeout=REFUSED_SECONDS)
            if putting.done():
                putting.result()
            return Watched(streamed(asked, putting), stack.pop_all())
    put = await put_question(here, who, key, PATH, question, WAIT_SECONDS)
    if put.answer is None:
        raise Problem("unavailable", "the answer takes too long")
    return _answer(asked, put.id, put.answer)


def seconds_of(who: Visitor) -> float:
    """How long a stream may be: until its caller's token ends."""
    return WAIT_SECONDS if who.until is None else max(0.0, min(WAIT_SECONDS, who.until - time.time()))


async def spoken(here: Parts, who: Visitor, chat: Chat, asked: Completion, text: str, *, live: bool) -> Response:
    """The next message of a conversation whose transcript we hold: nothing else of the request is read."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(here.limits.held("questions", who.user_id))
        said = await say(here, who, chat, text)
        shown = [each.text for each in asked.messages if each.role == "assistant"]
        before = await unseen(here, who, chat, said, shown)
        run, former = (said.run, "") if said.disposition == "started" else ("", said.run)
        shows = {"live": live and bool(asked.stream), "steps": here.settings.steps_as_reasoning}
        telling = Telling(said.position, run, former, **shows)
        seconds = seconds_of(who) if asked.stream else WAIT_SECONDS
        pieces = told(followed(here, who, chat, said, seconds), telling, said, before)
        if asked.stream:
            return Watched(streamed_pieces(asked, said.run or chat.input_id, pieces), stack.pop_all())
        parts = [each async for each in pieces if each is not None]
    text = "".join(each.text for each in parts if each.kind == "content")
    reasoning = "".join(each.text for each in parts if each.kind == "reasoning_content")
    outcome = telling.outcome or "answered"
    answer = Answer.model_validate({"text": text, "outcome": outcome, "tickets": telling.tickets})
    return _answer(asked, said.run or chat.input_id, answer, reasoning)


async def told(
    frames: AsyncGenerator[Frame | None], telling: Telling, said: Disposition, before: list[str]
) -> AsyncGenerator[Piece | None]:
    """The answer to a message, behind what the client has not seen; None when there is nothing to tell yet."""
    for text in before:
        for piece in telling.say(text):
            yield piece
    if said.person:
        for piece in telling.say(A_PERSON_READS):
            yield piece
        return
    async with aclosing(frames):
        async for frame in frames:
            if frame is None:
                yield None
                continue
            for piece in telling.take(frame) or [None]:
                yield piece
            if telling.is_over:
                break
    if not telling.has_told:
        if not telling.was_stopped:
            raise Problem("failed")
        for piece in telling.say(STOPPED):
            yield piece


async def streamed_pieces(asked: Completion, id_: str, pieces: AsyncGenerator[Piece | None]) -> AsyncGenerator[bytes]:
    """Each piece as a chunk; comments while there is none, so that no proxy cuts the line."""
    shared = _shared(id_, "chat.completion.chunk")
    counts = bool(asked.stream_options and asked.stream_options.include_usage)
    more: dict[str, Any] = {"usage": None} if counts else {}

    def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
        return _frame({**shared, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more})

    yield chunk({"role": "assistant", "content": ""})
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                yield b": at work\n\n" if piece is None else chunk({piece.kind: piece.text})
        yield chunk({}, "stop")
        if counts:
            yield _frame({**shared, "choices": [], "usage": usage_of(Usage())})
        yield b"data: [DONE]\n\n"
    except Problem as problem:
        yield _frame(envelope(problem))


def question_of(asked: Completion) -> dict[str, Any]:
    """The question, and what the client says was said before. Raises: `Problem` when nothing is asked."""
    messages = [each for each in asked.messages if each.role in ("user", "assistant")]
    said = [(each.role, each.text.strip()) for each in messages]
    if messages and not messages[-1].is_text:
        raise Problem("invalid_request", "messages: only text can be read", field="messages")
    if not said or said[-1][0] != "user" or not said[-1][1]:
        raise Problem("invalid_request", "messages: the last one must be the user's, with a text", field="messages")
    if len(said[-1][1]) > MESSAGE_CHARACTERS:
        raise Problem("invalid_request", f"messages: more than {MESSAGE_CHARACTERS} characters", field="messages")
    message = said[-1][1]
    return {"message": message, "earlier": latest([one for one in said[:-1] if one[1]], QUESTION_BYTES - size(message))}


def latest(said: list[tuple[str, str]], most_bytes: int) -> list[dict[str, str]]:
    """The end of what was said before, as much as a question may bring along."""
    kept: list[dict[str, str]] = []
    characters, bytes_ = 0, 0
    for role, text in reversed(said[-MAX_EARLIER:]):
        one = {"role": role, "text": text[:MESSAGE_CHARACTERS]}
        characters, bytes_ = characters + len(one["text"]), bytes_ + size(one)
        if characters > EARLIER_CHARACTERS or bytes_ > most_bytes:
            break
        kept.insert(0, one)
    return kept


def size(told: object) -> int:
    """Bytes of it in JSON, as it is sent."""
    return len(json.dumps(told, ensure_ascii=False).encode()) + len(", ")


_HELPERS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"follow[- _]?up", re.IGNORECASE), '{"follow_ups": []}'),
    (re.compile(r"\btags?\b", re.IGNORECASE), '{"tags": ["Support"]}'),
    (re.compile(r"\btitle\b", re.IGNORECASE), '{"title": "Support"}'),
    (re.compile(r"\bquer(y|ies)\b", re.IGNORECASE), '{"queries": []}'),
)
_TITLE = re.compile(
    r"(please )?(generate|provide|create|write) (a|the) ((?!ticket\b)[\w-]+,? ){0,5}title"
    r" for (the|this) (following |above )?(conversation|chat)\b"
    r"|analyze this conversation and provide\b[\s\S]{0,300}\btitle\b",
    re.IGNORECASE,
)
"""Only what asks for the title itself: a customer may well write of one."""


def help_for(message: str) -> str:
    """What a chat UI asks for itself, such as a title: answered here, so that no tool is called for it. Empty: it is a
    customer who asks."""
    if message.startswith("### Task:"):
        return next((told for pattern, told in _HELPERS if pattern.search(message[:400])), "{}")
    return "Support" if _TITLE.match(message) else ""


async def streamed(asked: Completion, putting: asyncio.Future[Put]) -> AsyncGenerator[bytes]:
    """Comments while the answer is awaited, so that no proxy cuts the line; then the answer."""
    try:
        yield b": asked\n\n"
        while not putting.done():
            await asyncio.wait([putting], timeout=HEARTBEAT_SECONDS)
            if not putting.done():
                yield b": at work\n\n"
        put = putting.result()
        if put.answer is None:
            raise Problem("unavailable", "the answer takes too long")
        for chunk in chunks(asked, put.id, put.answer):
            yield _frame(chunk)
        yield b"data: [DONE]\n\n"
    except Problem as problem:
        yield _frame(envelope(problem))


def chunks(asked: Completion, id_: str, answer: Answer) -> list[dict[str, Any]]:
    """The answer in pieces: the role, the text, the end, and what it took if that was asked for."""
    pieces = [answer.text[at : at + PIECE_CHARACTERS] for at in range(0, len(answer.text), PIECE_CHARACTERS)]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *({"content": piece} for piece in pieces), {}]
    choices = [[{"index": 0, "delta": each, "finish_reason": None if each else "stop"}] for each in deltas]
    shared = _shared(id_, "chat.completion.chunk")
    if not (asked.stream_options and asked.stream_options.include_usage):
        return [{**shared, "choices": each} for each in choices]
    told = [{**shared, "choices": each, "usage": None} for each in choices]
    return [*told, {**shared, "choices": [], "usage": usage_of(answer.usage)}]


def _answer(asked: Completion, id_: str, answer: Answer, reasoning: str = "") -> Response:
    if asked.stream:
        body = b"".join([*map(_frame, chunks(asked, id_, answer)), b"data: [DONE]\n\n"])
        return Response(body, media_type="text/event-stream")
    message = {"role": "assistant", "content": answer.text, "refusal": None}
    if reasoning:
        message["reasoning_content"] = reasoning
    told = _shared(id_, "chat.completion") | {
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": usage_of(answer.usage),
        "switchboard": {"outcome": answer.outcome, "tickets": answer.tickets},
    }
    return Response(json.dumps(told), media_type="application/json")


def usage_of(usage: Usage) -> dict[str, int]:
    prompt, completion = usage.prompt_tokens, usage.completion_tokens
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _shared(id_: str, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{id_}", "object": kind, "created": int(time.time()), "model": MODEL}


def _model() -> dict[str, Any]:
    return {"id": MODEL, "object": "model", "created": 0, "owned_by": "switchboard"}


def _is_known(model_: str) -> None:
    if model_ != MODEL:
        raise Problem("model_not_found", f"the only model is {MODEL}", field="model")


def _frame(told: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(told).encode() + b"\n\n"
