"""A conversation of one customer, as a client has it; what was said in it is read in the database."""

import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp

from tests.cluster.parts.product import CUSTOMER, Product
from tests.parts.polling import eventually
from tests.parts.restate import HttpReply, request

_AWAY = (aiohttp.ClientError, TimeoutError, OSError)


_ENTRIES = """
SELECT coalesce(json_agg(
    json_build_array(e.kind, coalesce(nullif(i.run, ''), e.run), coalesce(e.body ->> 'text', '')) ORDER BY e.position
), '[]')
FROM conversations.entries e LEFT JOIN conversations.inputs i USING (conversation_id, position)
WHERE conversation_id = '{key}'
"""


class Entry(NamedTuple):
    """What was said, and the run that said or read it."""

    kind: str
    run: str
    text: str


async def until(events: AsyncIterator[bytes], kind: str) -> None:
    """Reads what a watcher is sent until it is told of this."""
    async for line in events:
        if line == f"event: {kind}\n".encode():
            return
    raise AssertionError(f"the stream has ended before {kind}")


class Talk:
    def __init__(self, product: Product) -> None:
        self.key = f"conv_{uuid.uuid4().hex}"
        self._product = product

    async def say(self, text: str, when_busy: str = "steer") -> str:
        """What becomes of a message. It is sent again and again, with the same id, until the product has answered."""
        url = f"{self._product.ingress.url}/restate/call/Conversation/{self.key}/input"
        body = {"text": text, "when_busy": when_busy, "input_id": uuid.uuid4().hex, "user_id": CUSTOMER}

        async def answer() -> HttpReply | None:
            try:
                reply = await request("POST", url, body)
            except _AWAY:
                return None
            return None if reply.headers.get("x-restate-error-source") == "ingress" else reply

        reply = await eventually(answer, 120)
        assert reply.status_code == 200, reply.text
        return reply.json()["disposition"]

    async def entries(self, *kinds: str) -> list[Entry]:
        """All that was said, or what is of these kinds, in order."""
        found = await self._product.sql(_ENTRIES.format(key=self.key))
        entries = (Entry(*each) for each in json.loads(found))
        return [each for each in entries if each.kind in kinds or not kinds]

    async def answers(self, count: int, seconds: float = 120) -> list[Entry]:
        """The answers, once there are so many."""

        async def enough() -> list[Entry] | None:
            answers = await self.entries("answer")
            return answers if len(answers) >= count else None

        return await eventually(enough, seconds)

    @asynccontextmanager
    async def watched(self) -> AsyncGenerator[AsyncIterator[bytes]]:
        """The lines that a watcher is sent."""
        url = f"{self._product.watch.url}/conversations/{self.key}/events"
        headers = {"X-User-Id": CUSTOMER}
        async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as reply:
            assert reply.status == 200
            yield aiter(reply.content)

    async def reports(self) -> list[dict[str, Any]]:
        """How runs told the object of their end: the status, and the address of the version that took it."""
        return await self._product.query(
            "select i.status, d.endpoint from sys_invocation i join sys_deployment d on i.pinned_deployment_id = d.id "
            f"where i.target_service_key = '{self.key}' and i.target_handler_name = 'finished'"
        )
