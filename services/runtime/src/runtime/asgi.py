"""What every page and every API does around an answer: bounds of the request, headers that all answers have."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

from runtime.bounded import is_utf8
from runtime.checked import MAX_BODY_BYTES

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class Bounded:
    """Receives a request's body within its bounds, whoever reads it; `seconds` is how long it may take to come.

    Raises what `refuse` makes as soon as it is too large or too slow; what comes then is not read.
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        seconds: float,
        refuse: Callable[[Literal["too_large", "body_too_slow"]], Exception],
        most_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self._receive, self._refuse, self._most = receive, refuse, most_bytes
        self._deadline = asyncio.get_running_loop().time() + seconds
        self._bytes, self._is_whole = 0, False
        self._announced = dict(scope["headers"]).get(b"content-length", b"0")

    async def __call__(self) -> Message:
        if self._is_whole:
            return await self._receive()
        if not self._announced.isdigit() or int(self._announced[:20]) > self._most:
            raise self._refuse("too_large")
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise self._refuse("body_too_slow") from None
        self._bytes += len(message.get("body", b""))
        if self._bytes > self._most:
            raise self._refuse("too_large")
        self._is_whole = not message.get("more_body", False)
        return message


def is_longer(scope: Scope, most: int) -> bool:
    """Whether an address has more than so many bytes."""
    return len(scope.get("raw_path", b"")) + len(scope["query_string"]) > most


def is_text(scope: Scope) -> bool:
    """Whether the path of an address can be the name of something: UTF-8 without NUL."""
    path = unquote_to_bytes(scope.get("raw_path", b""))
    return b"\0" not in path and is_utf8(path.decode(errors="surrogateescape"))


def complete(headers: Iterable[tuple[bytes, bytes]], usual: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """The headers, and of the usual ones those that are not among them."""
    told = list(headers)
    names = {name.lower() for name, _ in told}
    return [*told, *((name, value) for name, value in raw(usual) if name not in names)]


def raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
