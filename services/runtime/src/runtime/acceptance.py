"""When Restate accepted an invocation: the registry asks Restate's admin API, which no other room may reach."""

from datetime import timedelta

import aiohttp
from restate.exceptions import RetryableError
from yarl import URL

from contracts import Accepted

TIMEOUT = aiohttp.ClientTimeout(total=5)


class Acceptance:
    """Asks the registry at this URL, such as `http://127.0.0.1:9084/accepted`."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = URL(url)

    async def of(self, invocation_id: str) -> float:
        """In seconds since the epoch. Raises: `RetryableError` while nobody can say it."""
        try:
            async with self._session.get(self._url / invocation_id, timeout=TIMEOUT) as reply:
                reply.raise_for_status()
                return Accepted.model_validate_json(await reply.read()).accepted_at
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            reason = f"the registry does not say when this was accepted: {type(error).__name__}"
            raise RetryableError(reason, retry_after=timedelta(seconds=1)) from None
