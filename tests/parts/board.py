"""The router with a scripted model, the registry and example tools: what most durable tests of the agent ask."""

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tests.parts.restate import HttpReply, RestateServer, request
from tests.parts.service import Service

USER = "user_12345"


def calls(*wanted: tuple[str, Any]) -> dict[str, Any]:
    """A scripted reply that calls tools; arguments that are no dict go as they are."""
    return {"tool_calls": [{"name": name, "arguments": arguments} for name, arguments in wanted]}


def text(words: str) -> dict[str, Any]:
    return {"text": words}


@dataclass
class Board:
    """Running parts and what a test asks of them. Each test takes a `topic` of its own to script the model by."""

    restate: RestateServer
    model: Service
    registry: Service
    router: Service
    tools: Service
    launch: Callable[..., Awaitable[Service]]

    async def script(self, *replies: dict[str, Any], **more: Any) -> str:
        """Scripts the model for one conversation; returns the message that starts it."""
        message = f"topic {uuid.uuid4().hex}"
        script = {"match": message, "replies": list(replies)} | more
        reply = await request("POST", f"{self.model.url}/admin/script", script)
        assert reply.status_code == 200, reply.text
        return message

    async def fault(self, name: str, match: str, times: int = 1, turn: int | None = None, **params: Any) -> None:
        """Arms a fault for the next calls of one conversation, or for its calls at one turn (0 is the first)."""
        fault = {"name": name, "times": times, "match": match, "params": params}
        if turn is not None:
            fault["turn"] = turn
        reply = await request("POST", f"{self.model.url}/admin/fault", fault)
        assert reply.status_code == 200, reply.text

    async def ledger(self, match: str) -> list[dict[str, Any]]:
        """The model calls that were served for a message."""
        return (await request("GET", f"{self.model.url}/admin/ledger?match={quote(match)}")).json()["calls"]

    async def conversation(self, match: str) -> dict[str, Any]:
        """What the model was sent last for a message: messages and tools."""
        return (await request("GET", f"{self.model.url}/admin/conversation?match={quote(match)}")).json()

    async def told(self, match: str) -> list[dict[str, Any]]:
        """What the model was told about each call, in order."""
        messages = (await self.conversation(match))["messages"]
        return [json.loads(message["content"]) for message in messages if message["role"] == "tool"]

    async def ask(self, message: str, user_id: str = USER, **options: Any) -> HttpReply:
        return await self.restate.call("ToolRouter", "route", {"message": message, "user_id": user_id}, **options)

    async def answer(self, message: str, user_id: str = USER, **options: Any) -> dict[str, Any]:
        reply = await self.ask(message, user_id, **options)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def start_run(self, message: str, user_id: str = USER) -> str:
        """Starts a run without waiting for it; returns its invocation id."""
        reply = await self.ask(message, user_id, send=True)
        return reply.json()["invocationId"]

    async def transcript(self, invocation_id: str) -> Any:
        """The answer of a run that was started."""
        return await request("GET", f"{self.restate.ingress_url}/restate/attach/{invocation_id}")


async def start_board(
    restate: RestateServer,
    launch: Callable[..., Awaitable[Service]],
    registry_settings: Mapping[str, str] | None = None,
    /,
    *,
    router: str = "router",
    **router_settings: str,
) -> Board:
    """Starts all parts on free ports and waits until the example tools are on offer; `router` is its module.

    A Restate takes one board: a second router would answer for the first.
    """
    taken = await restate.query("select name from sys_service where name = 'ToolRouter'")
    assert not taken, "this Restate has a router already: take `own_restate` for one with other settings"
    model = await launch("demo_model")
    asked = {"RESTATE_ADMIN_URL": restate.admin_url, "CATALOGUE_POLL_SECONDS": "0.3"}
    registry = await launch("registry", **asked, **(registry_settings or {}))
    settings = {
        "OPENAI_BASE_URL": f"{model.url}/v1",
        "CATALOGUE_URL": f"{registry.url}/tools",
        "CATALOGUE_SECONDS": "0.3",
        "TRUST_USER_ID": "true",
    } | router_settings
    tools = await launch("tests.parts.example_tools")
    routing = await launch(router, **settings)
    for service in (tools, routing):
        await restate.register(service.url, force=True)  # an earlier test may have used the port
    await until(lambda: _offered(registry, "run_job"))
    await asyncio.sleep(0.4)  # one poll of the router's
    return Board(restate, model, registry, routing, tools, launch)


async def _offered(registry: Service, name: str) -> bool:
    reply = await request("GET", f"{registry.url}/tools")
    return reply.status_code == 200 and name in [tool["name"] for tool in reply.json()["tools"]]


async def until(condition: Callable[[], Awaitable[Any]], seconds: float = 60) -> Any:
    """Polls until the condition is true and returns its value; fails at the deadline."""
    deadline = time.monotonic() + seconds
    while not (value := await condition()):
        assert time.monotonic() < deadline, f"not true after {seconds} s"
        await asyncio.sleep(0.05)
    return value
