"""Whether two subjects name the same problem: a model words it anew each time, and two invoices are two problems."""

import re

_WORD = re.compile(r"[^\W_]+")
_SMALL = frozenset(
    {
        *("a", "an", "and", "are", "at", "be", "do", "does", "for", "from", "has", "have", "i", "in", "is", "it", "my"),
        *("of", "on", "or", "our", "the", "to", "when", "with"),
    }
)
ALIKE = 0.5
"""Of all words of two subjects, this part stands in both."""


def is_same(one: str, other: str) -> bool:
    first, second = _words(one), _words(other)
    if _numbers(first) != _numbers(second):
        return False
    return len(first & second) >= ALIKE * len(first | second)


def _words(subject: str) -> set[str]:
    words = {word.removesuffix("s") for word in _WORD.findall(subject.casefold())}
    return words - _SMALL or words


def _numbers(words: set[str]) -> set[str]:
    return {word for word in words if any(character.isdigit() for character in word)}
