"""What callers have open, counted for all replicas in Valkey or Redis.

A question or a stream holds a lease, which its replica renews for as long as it is open. Those of a replica that was
killed are renewed by nobody, and end by themselves.
"""

import uuid
from collections import defaultdict
from typing import NamedTuple

from redis.asyncio import Redis

TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[2])
if redis.call('ZCARD', KEYS[1]) > tonumber(ARGV[3]) then
    redis.call('ZREM', KEYS[1], ARGV[2])
    return 0
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
"""
"""Of a caller, one set of leases by when they end, by the server's clock; it goes with its last one."""
RENEW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for number = 2, #ARGV do
    redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[number])
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
"""
"""One that the server has forgotten, or was not told of, is there again: what is open counts."""


class Lease(NamedTuple):
    """Something of a caller's that is open: whose, under `key`, and its own name."""

    key: str
    name: str


class Leases:
    """Those of this replica. Each is good for so many `seconds` after it was last renewed."""

    def __init__(self, server: Redis, seconds: float) -> None:
        self.seconds = seconds
        self._server, self._held = server, set[Lease]()

    def hold(self, key: str) -> Lease:
        """Noted here; `take` or `renew` tells the server."""
        lease = Lease(key, uuid.uuid4().hex)
        self._held.add(lease)
        return lease

    def drop(self, lease: Lease) -> None:
        """Noted here; `give_back` tells the server."""
        self._held.discard(lease)

    async def take(self, lease: Lease, most: int) -> bool:
        """Whether all replicas together hold no more than so many, this one among them; else it is not held."""
        return await self._server.eval(TAKE, 1, lease.key, self._milliseconds, lease.name, str(most)) == 1

    async def give_back(self, lease: Lease) -> None:
        await self._server.zrem(lease.key, lease.name)

    async def renew(self) -> None:
        """All that are held. One that was given back meanwhile is so once more, since it may be there again."""
        told, by_key = list(self._held), defaultdict[str, list[str]](list)
        for lease in told:
            by_key[lease.key].append(lease.name)
        async with self._server.pipeline(transaction=False) as renewing:
            for key, names in by_key.items():
                renewing.eval(RENEW, 1, key, self._milliseconds, *names)
            await renewing.execute()
        for lease in told:
            if lease not in self._held:
                await self.give_back(lease)

    @property
    def _milliseconds(self) -> str:
        return str(round(self.seconds * 1000))
