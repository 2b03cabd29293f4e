"""Counts what a caller asks and has open for all replicas, in Valkey or Redis: by one question to it, in a short time.

While it is away no request waits for it: each replica counts by itself, and one task looks whether it is back.
"""

import asyncio
import hashlib
import hmac
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from pydantic import SecretStr
from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError
from yarl import URL

from gateway.leases import Lease, Leases
from gateway.limits import Kind
from gateway.settings import BY_TLS, GatewaySettings
from gateway.signals import TABLE
from runtime.api.rates import Rate, Taken
from runtime.telemetry.logs import get_logger

START = "switchboard:limits:"
"""Of every key. What follows is a digest that tells nobody whose it is."""
SCRIPT = """
local per_second, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local kept = redis.call('HMGET', KEYS[1], 'left', 'at')
local left, at = tonumber(kept[1]) or burst, tonumber(kept[2]) or now
left = math.min(burst, left + math.max(0, now - at) * per_second)
local passes = 0
if left >= 1 then
    passes, left = 1, left - 1
end
local told = string.format('%.9f', left)
redis.call('HSET', KEYS[1], 'left', told, 'at', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil((burst - left) / per_second * 1000) + 1000)
return {passes, told}
"""
"""The bucket of `limits.py`, by the server's clock; a key goes when its bucket is full, which is as having none."""

RIGHTS = "+eval +time +pexpire +hmget +hset +zadd +zcard +zrem +zremrangebyscore"

CONNECTIONS = 4
CONNECT_SECONDS = 2
LOOK_SECONDS = 1
RENEWALS = 3
"""How often a lease is renewed before it would end."""
AWAY = (RedisError, OSError, TimeoutError)

Result = TypeVar("Result")

log = get_logger(__name__)

_alone = TABLE.counter("switchboard_gateway_counted_alone_total")


class Valkey:
    """The buckets of callers, filled at `rate`, and what they have open, by leases of `lease_seconds`. A request waits
    `seconds` for an answer; `secret` makes the names of callers."""

    def __init__(self, server: Redis, rate: Rate, seconds: float, lease_seconds: float, secret: SecretStr) -> None:
        self._server, self._rate, self._seconds = server, rate, seconds
        self._leases = Leases(server, lease_seconds)
        self._secret = secret.get_secret_value().encode()
        self._returning: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._freeing = set[asyncio.Task[None]]()

    async def take(self, user_id: str) -> Taken | None:
        """One request; None while Valkey is away."""
        taken = await self._told(partial(self._count, user_id))
        if taken is None:
            _alone.inc()
        return taken

    async def hold(self, kind: Kind, user_id: str, most: int) -> Lease | None:
        """One more that is open; None if all replicas together hold so many. A Valkey that is away is told later."""
        lease = self._leases.hold(f"{START}{kind}:{self._digest(user_id)}")
        try:
            is_held = await self._told(partial(self._leases.take, lease, most))
        except BaseException:
            self.free(lease)
            raise
        if is_held is False:
            self._leases.drop(lease)
            return None
        return lease

    def free(self, lease: Lease) -> None:
        """Nobody waits for it: whoever held it may be cancelled by now."""
        self._leases.drop(lease)
        freeing = asyncio.create_task(self._free(lease))
        self._freeing.add(freeing)
        freeing.add_done_callback(self._freeing.discard)

    async def begin(self) -> None:
        """Whether it is there, noted and told; connections are made here, so that no request waits for one."""
        try:
            await self._connect()
        except AWAY as error:
            self._note_away(error)
        self._renewing = asyncio.create_task(self._renew())

    async def close(self) -> None:
        await asyncio.gather(*self._freeing)
        for task in (self._returning, self._renewing):
            if task is not None:
                task.cancel()
        await self._server.aclose()

    async def _connect(self) -> None:
        """Raises: one of `AWAY` unless it answers, does all that is asked of it, and in time once there are
        connections."""
        async with asyncio.timeout(CONNECT_SECONDS):
            await asyncio.gather(*(self._count("") for _ in range(CONNECTIONS)))
            await self._leases.take(Lease(f"{START}probe", "probe"), 0)
            await self._leases.renew()
        async with asyncio.timeout(self._seconds):
            await self._count("")

    async def _told(self, ask: Callable[[], Awaitable[Result]]) -> Result | None:
        """What it answers in time; None while it is away."""
        if self._returning is not None:
            return None
        try:
            async with asyncio.timeout(self._seconds):
                return await ask()
        except AWAY as error:
            self._note_away(error)
            return None

    async def _count(self, user_id: str) -> Taken:
        key, rate = START + self._digest(user_id), self._rate
        passes, left = await self._server.eval(SCRIPT, 1, key, str(rate.per_second), str(rate.burst))
        return Taken(passes == 1, float(left))

    async def _free(self, lease: Lease) -> None:
        await self._told(partial(self._leases.give_back, lease))

    async def _renew(self) -> None:
        """For ever. One that comes back is told all of them at once."""
        while True:
            await asyncio.sleep(self._leases.seconds / RENEWALS)
            if self._returning is None:
                try:
                    async with asyncio.timeout(CONNECT_SECONDS):
                        await self._leases.renew()
                except AWAY as error:
                    self._note_away(error)

    def _digest(self, user_id: str) -> str:
        return hmac.new(self._secret, user_id.encode(), hashlib.sha256).hexdigest()[:32]

    def _note_away(self, error: Exception) -> None:
        """Of many requests that find it away at once, the first tells."""
        if self._returning is None:
            reason, mend = why(error)
            log.warning("limits_away", extra={"reason": reason, "mend": mend})
            self._returning = asyncio.create_task(self._return())

    async def _return(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self._connect()
            except AWAY:
                continue
            self._returning = None
            log.info("limits_back")
            return


def why(error: Exception) -> tuple[str, str]:
    """What is wrong, and which setting mends it. Nothing of an address or a password is in it."""
    cause = error.__cause__ or error.__context__
    if isinstance(error, AuthenticationError):
        return "it takes no such user or password", "LIMITS_PASSWORD, or user and password in LIMITS_URL"
    if isinstance(error, NoPermissionError):
        return "its user may not do this", f"let it: {RIGHTS} ~{START}*"
    if isinstance(error, ssl.SSLError) or isinstance(cause, ssl.SSLError):
        return "no TLS with it, or its certificate is not believed", "LIMITS_URL, LIMITS_CA_FILE"
    if isinstance(error, TimeoutError):
        return "it does not answer in time", "LIMITS_URL, LIMITS_SECONDS"
    if isinstance(error, ResponseError):
        return f"it refuses: {str(error).partition(' ')[0][:20]}", "the server, or LIMITS_URL"
    return "it is not reached", "LIMITS_URL"


@asynccontextmanager
async def connected(settings: GatewaySettings, rate: Rate) -> AsyncGenerator[Valkey | None]:
    """Valkey, there or away, if the settings name one."""
    if not settings.limits_url.get_secret_value():
        yield None
        return
    seconds, lease_seconds = settings.limits_seconds, settings.limits_lease_seconds
    valkey = Valkey(server_of(settings), rate, seconds, lease_seconds, settings.names_secret)
    try:
        await valkey.begin()
        yield valkey
    finally:
        await valkey.close()


def server_of(settings: GatewaySettings) -> Redis:
    """Speaks the protocol that every server knows; a connection that was cut meanwhile is made again, once."""
    url, ca_file = URL(settings.limits_url.get_secret_value()), settings.limits_ca_file
    is_tls = url.scheme in BY_TLS
    believed: dict[str, Any] = {"ssl_ca_certs": str(ca_file)} if is_tls and ca_file else {}
    pool = BlockingConnectionPool(
        max_connections=CONNECTIONS,
        timeout=None,
        connection_class=SSLConnection if is_tls else Connection,
        host=url.host,
        port=url.port or 6379,
        db=int(url.path.strip("/") or 0),
        username=url.user,
        password=url.password or settings.limits_password.get_secret_value() or None,
        protocol=2,
        driver_info=None,
        retry=Retry(NoBackoff(), 1),
        **believed,
    )
    return Redis.from_pool(pool)
