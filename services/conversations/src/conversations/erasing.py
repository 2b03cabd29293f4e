"""What is left of a conversation outside of the database: the journals of its runs, which the registry removes."""

from datetime import timedelta

import aiohttp
from restate.exceptions import RetryableError
from yarl import URL

from conversations.store import Quiet

LOOK_AGAIN = timedelta(days=7)
"""So often a conversation is looked at that is not old yet: a shorter retention holds from then on."""

_TIMEOUT = aiohttp.ClientTimeout(total=10)


class Journals:
    """Asks the registry at this URL, such as `http://127.0.0.1:9084/journals`."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = URL(url)

    async def remove(self, invocation_id: str) -> None:
        """Fine if there is none any more. Raises: `RetryableError` while its run is at work, or nobody can say it."""
        try:
            async with self._session.delete(self._url / invocation_id, timeout=_TIMEOUT) as reply:
                if reply.status < 300:
                    return
                reason = f"status {reply.status}"
        except (aiohttp.ClientError, TimeoutError) as error:
            reason = type(error).__name__
        raise RetryableError(f"a journal is not removed yet: {reason}", retry_after=timedelta(seconds=2))


def look_after(quiet: Quiet, retention: timedelta) -> timedelta:
    """How long until a conversation may be old enough; 0 when it is."""
    left = retention - timedelta(seconds=quiet.seconds or 0)
    return max(timedelta(0), min(left, LOOK_AGAIN))
