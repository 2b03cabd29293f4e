"""JSON from outside, read within bounds: what is nested too deep or holds no text is refused before anything recursive
touches it."""

import json
from collections.abc import Iterator
from typing import Any, cast

MAX_DEPTH = 32
"""Levels of objects and arrays. Python recurses through a value when it validates or writes it, and stops at a few
hundred levels with an error that no retry can mend."""


class Unreadable(ValueError):
    """A value that is not taken; the message says why and repeats nothing of it."""


def read(text: str | bytes) -> Any:
    """The JSON value of a text in UTF-8.

    Raises: `Unreadable` for what is no JSON, more than `MAX_DEPTH` levels deep, or holds NUL or lone surrogates.
    """
    try:
        value = json.loads(text.decode() if isinstance(text, bytes) else text)
    except (ValueError, RecursionError):
        raise Unreadable("not valid JSON in UTF-8") from None
    if is_too_deep(value):
        raise Unreadable(f"nested more than {MAX_DEPTH} levels deep")
    if not is_text(value):
        raise Unreadable("NUL characters and lone surrogates are not text")
    return value


def is_too_deep(value: Any, levels: int = MAX_DEPTH) -> bool:
    """Whether objects and arrays stand in one another more than `levels` times; itself it does not recurse."""
    level: list[Any] = [value]
    for _ in range(levels):
        level = [item for each in level for item in _items(each)]
        if not level:
            return False
    return any(isinstance(each, dict | list) for each in level)


def is_text(value: Any) -> bool:
    """Whether PostgreSQL and UTF-8 can hold every text in it: NUL characters and lone surrogates they cannot."""
    return all("\0" not in text and is_utf8(text) for text in texts(value))


def is_utf8(text: str) -> bool:
    """Whether it holds no lone surrogate."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def texts(value: Any) -> Iterator[str]:
    """Every text in it, names of fields among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in cast(dict[str, Any], value).items():
            yield key
            yield from texts(item)
    elif isinstance(value, list):
        for item in cast(list[Any], value):
            yield from texts(item)


def _items(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(cast(dict[str, Any], value).values())
    return cast(list[Any], value) if isinstance(value, list) else []
