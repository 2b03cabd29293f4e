"""Questions of their own: asked, waited for, looked up."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Mapping
from typing import Annotated, Any, NamedTuple, TypeVar

from fastapi import APIRouter, Depends, Query, Response

from contracts import Answer
from gateway.api.asked import QUESTION, SIGNED_IN, Here, QuestionId, Who
from gateway.api.shapes import MAX_WAIT, Answered, Asked, Running
from gateway.callers import Visitor
from gateway.names import fresh
from gateway.parts import Parts
from runtime.api.asked import API, BODY, COMMON, Key, body_of, described, is_named, problems
from runtime.api.problems import Problem
from runtime.proof import for_question

Result = TypeVar("Result")

PATH = f"{API}/questions"

router = APIRouter(prefix=API, tags=["questions"], dependencies=[SIGNED_IN])


@router.post(
    "/questions",
    response_model=Answered,
    responses={202: {"model": Running, "description": "Not answered yet; `url` says where to look."}}
    | problems(*BODY, *COMMON, "in_progress", "cancelled"),
    openapi_extra=described(Asked),
    summary="Ask a question",
)
async def ask(here: Here, who: Who, key: Key, asked: Annotated[Asked, Depends(body_of(Asked))]) -> Response:
    """Waits up to `wait` seconds for the answer. A question that was accepted is answered, whatever crashes."""
    wait = min(asked.wait, here.settings.max_wait_seconds)
    put = await put_question(here, who, key, PATH, {"message": asked.message}, wait)
    if put.answer is None:
        return running(put.id)
    return answered(put.id, put.answer, {"Idempotency-Replayed": "true"} if put.is_repeated else None)


class Put(NamedTuple):
    """A question that was put, its answer if it came in time, and whether it had been put before."""

    id: str
    answer: Answer | None
    is_repeated: bool


async def put_question(
    here: Parts, who: Visitor, key: str | None, path: str, question: dict[str, Any], wait: float
) -> Put:
    """Raises: `Problem` 409 for a key whose question is not answered yet, 422 for one of another question."""
    name = here.names.of_request(who.user_id, "POST", path, key) if key else fresh()
    id_, request = f"q_{name}", fingerprint(question)
    hidden = here.names.at_restate(who.user_id, id_)
    token = here.token(who, for_question(question["message"]))
    sent = {**question, "caller_token": token, "request": request}
    async with here.limits.held("questions", who.user_id):
        if key or not wait:
            before = await here.restate.send_question(hidden, sent)
            answer = await waited(here, here.restate.answer(hidden, wait))
        else:
            before, answer = False, await asked_at_once(here, hidden, sent, wait)
    if before and answer is None:
        raise Problem("in_progress", "this key's question is not answered yet")
    if answer is not None and answer.request != request:
        raise Problem("key_reused", "this Idempotency-Key was another question's", field="Idempotency-Key")
    return Put(id_, answer, before)


@router.get(
    "/questions/{id}",
    response_model=Answered,
    responses={202: {"model": Running, "description": "Not answered yet."}}
    | problems(*COMMON, "invalid_request", "cancelled"),
    summary="Look for an answer",
)
async def look(
    here: Here,
    who: Who,
    question: QuestionId,
    wait: Annotated[
        float,
        Query(ge=0, le=MAX_WAIT, allow_inf_nan=False, description="Seconds to wait for it.", examples=[10]),
    ] = 0,
) -> Response:
    """Answers are kept for a day."""
    hidden = here.names.at_restate(who.user_id, is_named(QUESTION, question))
    async with here.limits.held("questions", who.user_id):
        answer = await waited(here, here.restate.answer(hidden, min(wait, here.settings.max_wait_seconds)))
    return running(question) if answer is None else answered(question, answer)


async def asked_at_once(here: Parts, hidden: str, sent: dict[str, Any], wait: float) -> Answer | None:
    """The answer to a question whose name is new, by one request to Restate. What is not answered in time is sent once
    more, by the same name: whoever is told where the answer will be has to be told the truth."""
    answer = await waited(here, here.restate.ask(hidden, sent, wait))
    if answer is None:
        await here.restate.send_question(hidden, sent)
    return answer


async def waited(here: Parts, asking: Awaitable[dict[str, Any] | None]) -> Answer | None:
    """Until it is answered, the time is over, or this process is asked to end."""
    told = await until_leaving(here, asking)
    return None if told is None else Answer.model_validate(told)


async def until_leaving(here: Parts, work: Awaitable[Result]) -> Result | None:
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(here.leaving.now.wait())
    try:
        await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        leaving.cancel()


def fingerprint(asked: Any) -> str:
    """What makes two bodies the same."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def answered(question: str, answer: Answer, headers: Mapping[str, str] | None = None) -> Response:
    told = Answered.model_validate({"id": question, **answer.model_dump(exclude={"request"})})
    return Response(told.model_dump_json(), headers=headers, media_type="application/json")


def running(question: str) -> Response:
    url = f"{PATH}/{question}"
    told = Running(id=question, url=url).model_dump_json()
    return Response(told, 202, {"Location": url, "Retry-After": "1"}, "application/json")
