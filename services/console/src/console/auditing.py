"""The audit of all rooms as one list: each tells its own part, by the same order and the same cursors."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from contracts import AuditKind, AuditLine, AuditPage

Read = Callable[..., Awaitable[AuditPage]]

PAGE = 50


class Room(NamedTuple):
    """Who tells a part of the audit, and of which kinds."""

    read: Read
    kinds: frozenset[AuditKind]


async def audited(rooms: list[Room], kind: AuditKind | None, asked: dict[str, Any]) -> tuple[list[AuditLine], str]:
    """A page, the newest first, and the cursor of the following one, empty at the end."""
    wanted = [room for room in rooms if kind is None or kind in room.kinds]
    pages = await asyncio.gather(*(room.read(kind=kind, limit=PAGE + 1, **asked) for room in wanted))
    lines = sorted((line for page in pages for line in page.lines), key=place_of, reverse=True)
    shown = lines[:PAGE]
    return shown, shown[-1].cursor if len(lines) > PAGE else ""


def place_of(line: AuditLine) -> tuple[int, str]:
    moment, _, key = line.cursor.partition("~")
    return int(moment), key
