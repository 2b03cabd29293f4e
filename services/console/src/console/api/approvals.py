"""Calls that wait for a person's yes: listed, read and decided."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from console.api import examples
from console.api.asked import BEARER, ApprovalId, Decides, Here, Limit, Reads, acted, answers, desk_of, named
from console.api.shapes import Approve, Deny, Edit
from console.rendering import APPROVAL
from contracts import ApprovalPage, ApprovalShown, Ruling
from runtime.api.asked import API, body_of, described

router = APIRouter(prefix=API, tags=["approvals"], dependencies=[BEARER])

DECIDING = ("approval_role", "own_approval", "decided", "expired", "other_arguments")


@router.get("/approvals", responses=answers(examples.APPROVALS), summary="List approvals")
async def approvals(
    here: Here,
    who: Reads,
    status: Annotated[Literal["pending", "decided"], Query(examples=["pending"])] = "pending",
    limit: Limit = 50,
    after: Annotated[
        str,
        Query(
            max_length=96,
            pattern=r"^([0-9]{1,17}~appr_[A-Za-z0-9]{16,64})?$",
            description="`next` of the page before.",
            examples=[f"1767323045000000~appr_{'0' * 32}"],
        ),
    ] = "",
) -> ApprovalPage:
    """Those that wait, the most urgent first; or those that do not, the latest first."""
    return await desk_of(here, who).approvals(decided=status == "decided", limit=limit, cursor=after)


@router.get("/approvals/{id}", responses=answers(examples.APPROVAL_SHOWN), summary="Read an approval")
async def approval(here: Here, who: Reads, approval_id: ApprovalId) -> ApprovalShown:
    """The call that is asked for, with all that is decided about."""
    return await desk_of(here, who).approval(named(APPROVAL, approval_id))


@router.post(
    "/approvals/{id}/approve",
    responses=acted(examples.RULING, *DECIDING),
    openapi_extra=described(Approve),
    summary="Approve a call",
)
async def approve(
    act: Decides, approval_id: ApprovalId, wanted: Annotated[Approve, Depends(body_of(Approve))]
) -> Ruling:
    """It is made as it was shown."""
    return await act.desk.decide(named(APPROVAL, approval_id), wanted.digest, "approve", wanted.reason)


@router.post(
    "/approvals/{id}/deny",
    responses=acted(examples.RULING, *DECIDING),
    openapi_extra=described(Deny),
    summary="Deny a call",
)
async def deny(act: Decides, approval_id: ApprovalId, wanted: Annotated[Deny, Depends(body_of(Deny))]) -> Ruling:
    """It is not made, and the agent is told why."""
    return await act.desk.decide(named(APPROVAL, approval_id), wanted.digest, "deny", wanted.reason)


@router.post(
    "/approvals/{id}/edit",
    responses=acted(examples.RULING, *DECIDING, "arguments_do_not_fit"),
    openapi_extra=described(Edit),
    summary="Approve a call with other arguments",
)
async def edit(act: Decides, approval_id: ApprovalId, wanted: Annotated[Edit, Depends(body_of(Edit))]) -> Ruling:
    """They have to fit the tool's `parameters`; those that are `fixed` stay."""
    found = named(APPROVAL, approval_id)
    return await act.desk.decide(found, wanted.digest, "edit", wanted.reason, wanted.arguments)
