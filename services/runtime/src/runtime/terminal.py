"""What a person reads on a terminal, whoever wrote it: whatever a program of ours prints goes through here."""

import sys
import unicodedata
from typing import NoReturn

_JOINERS = "\u200c\u200d"
"""They make one sign of several, and nothing else."""


def printable(text: str, *, lines: bool = True) -> str:
    """The text without what a terminal would obey, or what would show it in another order.

    `lines`: whether it may hold ends of lines and tabs, as what fills more than one line does.
    """
    return "".join(char if _is_shown(char, lines) else "\N{REPLACEMENT CHARACTER}" for char in text)


def show(text: str = "") -> None:
    """A line, or several, on standard output."""
    sys.stdout.write(f"{printable(text)}\n")


def complain(text: str) -> None:
    """What went wrong, on standard error."""
    sys.stderr.write(f"{printable(text)}\n")


def leave(text: str) -> NoReturn:
    """End the program with exit status 1; the text says why, and what a person can mend."""
    sys.exit(printable(text))


def _is_shown(char: str, lines: bool) -> bool:
    if char.isprintable() or char in _JOINERS or unicodedata.category(char) == "Zs":
        return True
    return lines and char in "\n\t"
