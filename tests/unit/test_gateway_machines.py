"""What the gateway remembers of API keys: good ones alone, for so long, whatever else is tried."""

import asyncio
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from starlette.datastructures import Headers

from contracts import KeyQuery
from gateway.callers import Visitor
from gateway.machines import KeyDoor
from gateway.reading import Conversations
from gateway.settings import GatewaySettings
from gateway.signing import Signer
from runtime.api import keys as api_keys
from runtime.api.keys import ASKED_AT_A_TIME
from runtime.api.problems import Problem
from tests.parts.gateway import OF_A_GATEWAY


def key(number: int) -> str:
    return f"sb_{number:012x}_{'k' * 43}"


class Keys:
    """Knows which keys are good. While it is away nobody is answered; with `silent` no unknown key is."""

    def __init__(self, *good: str) -> None:
        self.good = {hashlib.sha256(each.encode()).hexdigest() for each in good}
        self.away, self.silent = False, False

    async def ask(self, path: str, token: str, asked: KeyQuery) -> dict[str, Any]:
        if self.away:
            raise Problem("unavailable")
        if asked.digest not in self.good:
            if self.silent:
                await asyncio.Event().wait()
            raise Problem("not_found")
        until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        return {"key_id": "1", "name": "backend", "scopes": ["ask"], "expires_at": until}


def door(keys: Keys, seconds: float) -> KeyDoor:
    told = {name.lower(): value for name, value in OF_A_GATEWAY.items()}
    settings = GatewaySettings.model_validate(told | {"demo_customers": json.loads(told["demo_customers"])})
    return KeyDoor(cast(Conversations, keys), Signer(settings), (), seconds)


async def knock(door_: KeyDoor, number: int) -> Visitor | str:
    try:
        visitor = await door_.visitor(key(number), Headers())
    except Problem as problem:
        return problem.code
    assert visitor is not None
    return visitor


async def test_keys_that_are_none_make_no_good_one_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "KEPT_KEYS", 2)
    keys = Keys(key(0))
    ours = door(keys, seconds=60)
    assert isinstance(await knock(ours, 0), Visitor)
    assert {await knock(ours, number) for number in range(1, 6)} == {"token_invalid"}
    keys.away = True
    assert isinstance(await knock(ours, 0), Visitor)


async def test_a_revoked_key_opens_nothing_however_many_others_are_tried() -> None:
    keys = Keys(key(0), key(99))
    ours = door(keys, seconds=0)
    assert isinstance(await knock(ours, 0), Visitor)
    keys.silent = True
    tried = [asyncio.create_task(knock(ours, number)) for number in range(1, ASKED_AT_A_TIME + 1)]
    await asyncio.sleep(0)
    try:
        assert await knock(ours, 99) == "unavailable"
        assert isinstance(await knock(ours, 0), Visitor)
        keys.good.clear()
        keys.silent = False
        assert await knock(ours, 0) == "token_invalid"
    finally:
        for each in tried:
            each.cancel()
