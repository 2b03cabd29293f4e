"""Counts the requests of a caller for all replicas, in Valkey or Redis: by one question to it, within a short time.

While it is away no request waits for it: each replica counts by itself, and one task looks whether it is back.
"""

import asyncio
import hashlib
import hmac
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from pydantic import SecretStr
from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError
from yarl import URL

from gateway.limits import Rate, Taken
from gateway.settings import BY_TLS, GatewaySettings
from gateway.signals import TABLE
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

CONNECTIONS = 4
CONNECT_SECONDS = 2
LOOK_SECONDS = 1
AWAY = (RedisError, OSError, TimeoutError)

log = get_logger(__name__)

_alone = TABLE.counter("switchboard_gateway_counted_alone_total")


class Valkey:
    """The buckets of callers, filled at `rate`. A request waits `seconds` for one; `secret` makes their names."""

    def __init__(self, server: Redis, rate: Rate, seconds: float, secret: SecretStr) -> None:
        self._server, self._rate, self._seconds = server, rate, seconds
        self._secret = secret.get_secret_value().encode()
        self._returning: asyncio.Task[None] | None = None

    async def take(self, user_id: str) -> Taken | None:
        """One request; None while Valkey is away."""
        if self._returning is None:
            try:
                return await self._count(user_id, self._seconds)
            except AWAY as error:
                self._note_away(error)
        _alone.inc()
        return None

    async def look(self) -> None:
        """Whether it is there, noted and told; connections are made here, so that no request waits for one."""
        try:
            await self._connect()
        except AWAY as error:
            self._note_away(error)

    async def close(self) -> None:
        if self._returning is not None:
            self._returning.cancel()
        await self._server.aclose()

    async def _connect(self) -> None:
        """Raises: one of `AWAY` unless it answers, and answers in time once there are connections."""
        await asyncio.gather(*(self._count("", CONNECT_SECONDS) for _ in range(CONNECTIONS)))
        await self._count("", self._seconds)

    async def _count(self, user_id: str, seconds: float) -> Taken:
        digest = hmac.new(self._secret, user_id.encode(), hashlib.sha256).hexdigest()[:32]
        async with asyncio.timeout(seconds):
            passes, left = await self._server.eval(
                SCRIPT, 1, START + digest, str(self._rate.per_second), str(self._rate.burst)
            )
        return Taken(passes == 1, float(left))

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
        return "its user may not do this", f"let it: +eval +hmget +hset +pexpire +time ~{START}*"
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
    valkey = Valkey(server_of(settings), rate, settings.limits_seconds, settings.names_secret)
    try:
        await valkey.look()
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
