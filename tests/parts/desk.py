"""What a member of staff asks of a conversation, through Restate's ingress."""

import time
from typing import Any

import jwt

from tests.parts.conversations import Talk
from tests.parts.restate import HttpReply

STAFF_KEY = "another-secret-of-32-bytes-for-staff"


def staff_token(name: str = "anna", key: str = STAFF_KEY, **changed: Any) -> str:
    now = int(time.time())
    claims = {"sub": name, "aud": "switchboard-staff", "iat": now, "exp": now + 300} | changed
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, key, "HS256")


async def ask(talk: Talk, handler: str, name: str = "anna", **body: Any) -> HttpReply:
    return await talk.board.restate.call(
        "Conversation", handler, {"staff_token": staff_token(name)} | body, key=talk.key
    )


async def done(talk: Talk, handler: str, name: str = "anna", **body: Any) -> dict[str, Any]:
    reply = await ask(talk, handler, name, **body)
    assert reply.status_code == 200, reply.text
    return reply.json()
