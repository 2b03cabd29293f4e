"""A question by the door and without it: the same processes, asked at Restate's ingress and by a gateway before it."""

import functools
import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt

from runtime.proof import for_question
from tests.bench.load import Target
from tests.bench.parts import CUSTOMERS, QUESTION, Variant, World
from tests.bench.report import OURS, OURS_BY_THE_GATEWAY, OURS_WITHOUT_A_KEY
from tests.parts.service import Service
from tests.parts.signed import PRIVATE, PUBLIC

ALGORITHM = "EdDSA"
BELIEVING = {"CALLER_KEYS": PUBLIC, "CALLER_ALGORITHM": ALGORITHM}
UNLIMITED = {"REQUESTS_PER_MINUTE": "1000000", "BURST": "1000000", "WAITING_PER_CALLER": "1000"}
"""So that what is measured is the way through, not the bounds."""


def gateway_for(folder: Path, customers: Sequence[str], **env: str) -> Service:
    named = json.dumps([{"user_id": each, "name": each} for each in customers])
    own = {"SIGNING_KEY": PRIVATE, "NAMES_SECRET": "a-secret-of-the-bench-32-bytes-long", "DEMO_CUSTOMERS": named}
    return Service("gateway", folder, own | env, name=f"gateway-{uuid.uuid4().hex[:6]}")


def signed(customer: str) -> dict[str, str]:
    return {"Authorization": f"Bearer demo-{customer}"}


async def both_ways(here: World, **limits: str) -> list[Variant]:
    """Ours, asked at Restate's ingress and by a gateway before it, with a key and without; all with a token of the same
    kind."""
    ours = await here.ours(OURS, await here.restate("shipped"), {"router": BELIEVING})
    at_the_ingress = replace(ours, target=replace(ours.target, body=_signed_question))
    ingress = ours.restate.ingress_url
    gateway = await here.run(gateway_for(here.folder, CUSTOMERS, RESTATE_INGRESS_URL=ingress, **limits))
    target = Target(f"{gateway.address}/api/v1/questions", _question, ours.target.expected, _headers)
    pids = {**ours.pids, "gateway": gateway.pid or 0}
    by_it = replace(ours, name=OURS_BY_THE_GATEWAY, target=target, pids=pids)
    without = replace(by_it, name=OURS_WITHOUT_A_KEY, target=replace(target, keyed=False))
    return [at_the_ingress, by_it, without]


def _customer(number: int) -> str:
    return CUSTOMERS[number % len(CUSTOMERS)]


def _headers(number: int) -> dict[str, str]:
    return signed(_customer(number))


def _question(_: int) -> dict[str, Any]:
    return {"message": QUESTION}


def _signed_question(number: int) -> dict[str, Any]:
    return {"message": QUESTION, "caller_token": _token(_customer(number), int(time.time()) // 300)}


@functools.cache
def _token(customer: str, five_minutes: int) -> str:
    now = five_minutes * 300
    claims = {"sub": customer, "aud": "switchboard", "iat": now, "exp": now + 600, "purpose": for_question(QUESTION)}
    return jwt.encode(claims, PRIVATE, ALGORITHM)
