"""What a person reads on a terminal, whoever wrote it."""

import unicodedata

_JOINERS = "\u200c\u200d"
"""They make one sign of several, and nothing else."""


def printable(text: str, *, lines: bool = True) -> str:
    """The text without what a terminal would obey, or what would show it in another order.

    `lines`: whether it may hold ends of lines and tabs, as what fills more than one line does.
    """
    return "".join(char if _is_shown(char, lines) else "\N{REPLACEMENT CHARACTER}" for char in text)


def _is_shown(char: str, lines: bool) -> bool:
    if char.isprintable() or char in _JOINERS or unicodedata.category(char) == "Zs":
        return True
    return lines and char in "\n\t"
