"""What Restate holds of the seeded conversations: the state of each one's object."""

import asyncio
from collections.abc import Mapping

import aiohttp

from conversations.acting import STATE
from conversations.control import Control
from standalone.process import StartError

AT_ONCE = 16


class Objects:
    """Writes states by Restate's admin API, as `restate kv edit` does."""

    def __init__(self, http: aiohttp.ClientSession, admin_url: str) -> None:
        self._http, self._url = http, f"{admin_url}/services/Conversation/state"
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def keep(self, states: Mapping[str, Control]) -> None:
        """Raises: `StartError` when Restate does not take them."""
        await asyncio.gather(*(self._keep(key, control) for key, control in states.items()))

    async def _keep(self, key: str, control: Control) -> None:
        state = list(control.model_dump_json().encode())
        async with self._turns:
            try:
                async with self._http.post(self._url, json={"object_key": key, "new_state": {STATE: state}}) as reply:
                    status = reply.status
            except aiohttp.ClientError as error:
                raise StartError(f"Restate does not answer at {self._url}: is `make run` up?") from error
        if status >= 300:
            raise StartError(f"Restate did not keep the state of {key}: {status}")
