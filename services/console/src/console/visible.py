"""Text as it is: what nobody would see, or what turns the text around, stands there as its number."""

import json
import unicodedata
from typing import Any

from markupsafe import Markup, escape

_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0\u034f\u17b4\u17b5")
"""Letters and marks that have no shape."""


def is_invisible(character: str) -> bool:
    if character in "\n\t ":
        return False
    category, number = unicodedata.category(character), ord(character)
    is_selector = 0xFE00 <= number <= 0xFE0F or 0xE0100 <= number <= 0xE01EF or 0x180B <= number <= 0x180F
    return category[0] in "CZ" or is_selector or character in _BLANK


def visible(text: str) -> Markup:
    """As HTML in which every invisible character is a mark with its number and name."""
    parts: list[Markup] = []
    plain: list[str] = []
    for character in text:
        if not is_invisible(character):
            plain.append(character)
            continue
        parts += [escape("".join(plain)), _mark(character)]
        plain = []
    return Markup("").join([*parts, escape("".join(plain))])


def plain(text: str) -> str:
    """As text, in which every invisible character is its number."""
    return "".join(f"U+{ord(each):04X}" if is_invisible(each) else each for each in text)


def hidden_in(text: str) -> bool:
    return any(map(is_invisible, text))


def told(value: Any) -> str:
    """A value of JSON as plain text: a string as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)


def _mark(character: str) -> Markup:
    number = f"U+{ord(character):04X}"
    name = unicodedata.name(character, "a character that nobody sees").lower()
    return Markup('<span class="unseen" title="{}">{}</span>').format(name, number)
