"""Where a customer's words go: to the gateway; where there is none, to Restate's ingress."""

import asyncio
import secrets
from pathlib import Path
from typing import Any, Protocol

import aiohttp
from pydantic import SecretStr

from gateway.names import Names
from standalone.keys import read_names_secret
from standalone.settings import AskSettings

LOOK_SECONDS = 2.0
ASK_PATH = "/api/v1/questions"
WAIT_SECONDS = 60


class Door(Protocol):
    """Requests, as this door takes them from one customer: the address and the body."""

    headers: dict[str, str]
    at: str

    def question(self, message: str) -> tuple[str, dict[str, Any]]: ...
    def key_at_restate(self, key: str) -> str:
        """By which Restate knows the question that was asked with this `Idempotency-Key`."""
        ...

    async def open(self, http: aiohttp.ClientSession) -> str:
        """A new conversation. Raises: what aiohttp raises."""
        ...

    def input(self, conversation: str, told: dict[str, str]) -> tuple[str, dict[str, Any]]: ...
    def events(self, conversation: str) -> str: ...


class GatewayDoor:
    """The customer is one of the demo customers."""

    def __init__(self, settings: AskSettings, user_id: str) -> None:
        self.at = settings.gateway_url
        self.headers = {"Authorization": f"Bearer demo-{user_id}"}
        self._user_id, self._data_dir = user_id, settings.data_dir

    def question(self, message: str) -> tuple[str, dict[str, Any]]:
        return self.at + ASK_PATH, {"message": message, "wait": WAIT_SECONDS}

    def key_at_restate(self, key: str) -> str:
        names = _names(self._data_dir)
        question = f"q_{names.of_request(self._user_id, 'POST', ASK_PATH, key)}"
        return names.at_restate(self._user_id, question)

    async def open(self, http: aiohttp.ClientSession) -> str:
        async with http.post(f"{self.at}/api/v1/conversations", headers=self.headers, raise_for_status=True) as reply:
            return (await reply.json())["id"]

    def input(self, conversation: str, told: dict[str, str]) -> tuple[str, dict[str, Any]]:
        return f"{self.at}/api/v1/conversations/{conversation}/inputs", told

    def events(self, conversation: str) -> str:
        return f"{self.at}/api/v1/conversations/{conversation}/events"


class IngressDoor:
    """The customer is believed, as `TRUST_USER_ID` says there."""

    def __init__(self, settings: AskSettings, user_id: str) -> None:
        self.at = settings.ingress_url
        self.headers = {"X-User-Id": user_id}
        self._user_id = user_id
        self._watch = f"http://127.0.0.1:{settings.conversations_watch_port}"

    def question(self, message: str) -> tuple[str, dict[str, Any]]:
        return f"{self.at}/restate/call/ToolRouter/route", {"message": message, "user_id": self._user_id}

    def key_at_restate(self, key: str) -> str:
        return key

    async def open(self, http: aiohttp.ClientSession) -> str:
        return f"conv_{secrets.token_hex(16)}"

    def input(self, conversation: str, told: dict[str, str]) -> tuple[str, dict[str, Any]]:
        url = f"{self.at}/restate/call/Conversation/{conversation}/input"
        return url, {**told, "user_id": self._user_id}

    def events(self, conversation: str) -> str:
        return f"{self._watch}/conversations/{conversation}/events"


async def find_door(http: aiohttp.ClientSession, settings: AskSettings, user_id: str) -> Door:
    """The gateway, if it answers within a moment or has ever been started from here."""
    for _ in range(10 if (settings.data_dir / "names_secret").exists() else 1):
        try:
            timeout = aiohttp.ClientTimeout(total=LOOK_SECONDS)
            async with http.get(f"{settings.gateway_url}/livez", timeout=timeout) as reply:
                if reply.status == 200:
                    return GatewayDoor(settings, user_id)
        except (aiohttp.ClientError, TimeoutError):
            pass
        await asyncio.sleep(0.1)
    return IngressDoor(settings, user_id)


def _names(data_dir: Path) -> Names:
    return Names(SecretStr(read_names_secret(data_dir)))
