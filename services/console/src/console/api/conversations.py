"""Whose key it is; conversations in which a person speaks or is waited for."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from console.api import examples
from console.api.asked import (
    BEARER,
    ConversationKey,
    Customer,
    Here,
    Limit,
    Reads,
    ReadsAccounts,
    RunId,
    Talks,
    acted,
    answers,
    desk_of,
    named,
)
from console.api.shapes import Assign, Conversation, Conversations, Me, Nothing, Say
from console.rendering import CONVERSATION, RUN
from contracts import AccountShown, Held, RunSteps, Said
from runtime.api.asked import API, body_of, described, optional_body_of
from runtime.api.problems import Problem

router = APIRouter(prefix=API, tags=["conversations"], dependencies=[BEARER])


@router.get("/me", tags=["you"], responses=answers(examples.ME), summary="Whose key it is")
async def me(who: Reads) -> Me:
    """As whom the key acts, and what it may."""
    key = who.key
    return Me(name=who.member.name, key=key.name, roles=key.roles, scopes=key.scopes, expires_at=key.expires_at)


@router.get(
    "/conversations", responses=answers(examples.CONVERSATIONS), summary="List conversations that need a person"
)
async def conversations(
    here: Here,
    who: Reads,
    whose: Annotated[
        Literal["all", "nobody", "mine"],
        Query(alias="who", description="`nobody`: those that wait; `mine`: those of this key.", examples=["nobody"]),
    ] = "all",
    overdue: Annotated[bool, Query(description="Those in which nobody came in time.", examples=[False])] = False,
    customer: Customer = None,
    search: Annotated[
        str,
        Query(
            max_length=200,
            description="Words of what was said: then also those in which the agent speaks.",
            examples=["invoice"],
        ),
    ] = "",
    limit: Limit = 50,
    after: Annotated[
        str,
        Query(
            max_length=120,
            pattern=r"^(([0-9]{1,17}|infinity)~-?[0-9]{1,17}~conv_[A-Za-z0-9]{16,64})?$",
            description="`place` of the last one before.",
            examples=[f"infinity~1~conv_{'0' * 32}"],
        ),
    ] = "",
) -> Conversations:
    """Those that wait for a person, the most urgent first, then those that a person has."""
    asked = {"who": whose, "overdue": overdue, "search": search, "limit": limit, "cursor": after}
    page = await desk_of(here, who).standing(**asked, **({"user_id": customer} if customer else {}))
    return Conversations(**page.model_dump())


@router.get("/conversations/{key}", responses=answers(examples.CONVERSATION), summary="Read a conversation")
async def read(
    here: Here,
    who: Reads,
    key: ConversationKey,
    after: Annotated[
        int, Query(ge=0, le=2**53, description="The position behind which the page begins.", examples=[0])
    ] = 0,
    before: Annotated[
        int,
        Query(ge=0, le=2**53, description="With `latest`: before which position it ends; 0: none.", examples=[0]),
    ] = 0,
    latest: Annotated[bool, Query(description="From its end, instead of its beginning.", examples=[True])] = False,
    limit: Limit = 50,
) -> Conversation:
    """What was said and done in it, in order, with what staff alone see."""
    wanted = {"after": after, "limit": limit, "latest": latest, "before": before}
    page = await desk_of(here, who).page(named(CONVERSATION, key), **wanted)
    return Conversation(conversation=key, **page.model_dump(exclude={"of_people"}))


@router.get(
    "/conversations/{key}/runs/{run}", responses=answers(examples.RUN), summary="Read what the agent did in a run"
)
async def run(
    here: Here,
    who: Reads,
    key: ConversationKey,
    run: RunId,
    after: Annotated[int, Query(ge=0, le=999_999, description="The turn behind which it begins.", examples=[0])] = 0,
) -> RunSteps:
    """Its turns and their calls, with arguments and results as text, ten turns at a time."""
    return await desk_of(here, who).steps(named(CONVERSATION, key), named(RUN, run), after)


@router.get("/conversations/{key}/account", responses=answers(examples.ACCOUNT), summary="Read the customer's account")
async def account(here: Here, who: ReadsAccounts, key: ConversationKey) -> AccountShown:
    """Of whoever has this conversation; for the roles that talk with customers."""
    return await desk_of(here, who).account(named(CONVERSATION, key))


@router.post(
    "/conversations/{key}/take",
    responses=acted(examples.HELD, "taken"),
    openapi_extra=described(Nothing, required=False),
    summary="Take a conversation",
)
async def take(act: Talks, key: ConversationKey, _: Annotated[Nothing, Depends(optional_body_of(Nothing))]) -> Held:
    """The agent is silent from now on, and the key speaks."""
    return await act.desk.take(named(CONVERSATION, key), act.name)


@router.post(
    "/conversations/{key}/say",
    responses=acted(examples.SAID, "not_yours"),
    openapi_extra=described(Say),
    summary="Say something to the customer",
)
async def say(act: Talks, key: ConversationKey, told: Annotated[Say, Depends(body_of(Say))]) -> Said:
    """As whoever has the conversation."""
    return await act.desk.say(named(CONVERSATION, key), told.text, act.name)


@router.post(
    "/conversations/{key}/assign",
    responses=acted(examples.HELD),
    openapi_extra=described(Assign),
    summary="Give a conversation to somebody",
)
async def assign(act: Talks, key: ConversationKey, wanted: Annotated[Assign, Depends(body_of(Assign))]) -> Held:
    """Whoever has it now."""
    held = await act.desk.assign(named(CONVERSATION, key), wanted.to, act.name)
    if act.is_repeatable and held.person != wanted.to:
        raise Problem("key_reused", "this Idempotency-Key gave it to somebody else", field="Idempotency-Key")
    return held


@router.post(
    "/conversations/{key}/return",
    responses=acted(examples.HELD, "not_taken"),
    openapi_extra=described(Nothing, required=False),
    summary="Give a conversation back to the agent",
)
async def give_back(
    act: Talks, key: ConversationKey, _: Annotated[Nothing, Depends(optional_body_of(Nothing))]
) -> Held:
    """The agent speaks again, and answers what nobody has answered."""
    return await act.desk.give_back(named(CONVERSATION, key), act.name)
