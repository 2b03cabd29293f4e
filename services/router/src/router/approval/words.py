"""Texts, compared as people read them: whatever their case, their spacing, and how their characters are encoded.

A value stands in a text as whole words, never as a part of one. Letters that only look alike stay different, since they
lead elsewhere.
"""

import re
import unicodedata
from collections.abc import Iterator

MIN_CHARACTERS = 3
"""Letters and digits of a value: shorter ones stand everywhere."""

_LOOKS_LIKE_SPACE = dict.fromkeys(map(ord, "\u115f\u1160\u2800\u3164\uffa0"), " ")
_UNSEEN = re.compile("[\u034f\u17b4\u17b5\ufe00-\ufe0f\U000e0000-\U000e0fff]")
_DASH = "\u2212"
_AROUND = ".,;:!?\"'()[]{}<>«»„“”\u2018\u2019\u201a`*|~。、「」『』【】《》"
_POSSESSIVE = re.compile("['\u2019]s$")

_WITHOUT_SPACES = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_SUCH, _OTHER = f"[{_WITHOUT_SPACES}]", f"[^{_WITHOUT_SPACES}\\s]"
_SCRIPT_ENDS = re.compile(f"(?<={_SUCH})(?={_OTHER})|(?<={_OTHER})(?={_SUCH})")
"""Where a script that is written without spaces meets another."""

_WITHIN = re.compile(r"(?<!\d),|,(?!\d)|[:=;|()<>\[\]{}\"]")
_CLAUSE_ENDS = re.compile(r"[,;:.!?](?=\s)")
_PUNCTUATION = re.compile(r"[\s.\-/()·]")
_NUMBER = re.compile(r"\+?\d{6,}")
_INTERNET_ADDRESS = re.compile(r"\s*\d+(\.\d+){3}\s*")
_IBAN = re.compile(r"[a-z]{2}\d{2}[a-z0-9]{11,30}")
_IBAN_GROUPS = 12
_PHONE = re.compile(r"[+(]?\d[\d()/.\-]*|[+(]\d*\)?")

_SMALL_TALK = frozenset(
    """
    a about all am an and any are as at be been but by can could did do does for from get had has have help her
    hello hi him his how i if in into is it its just ll let make may me more my need new no not now of ok on one
    or our out please re s send she should so some t tell than thank thanks that the their them then there these
    they this to too up us use ve very want was we were what when where which who why will with would yes you
    your
    """.split()  # noqa: SIM905 (read as a paragraph)
)


class Text:
    """What somebody wrote, taken apart once."""

    def __init__(self, text: str) -> None:
        words = _words(_plain(text))
        self._line = _line(words)
        self._exact = _line(_words(text))
        self._parts = {part for word in words if "://" not in word for part in _apart(word)}
        self._numbers = {number for part in self._parts if (number := _compact(part))}
        self._numbers |= set(_numbers(_words(_CLAUSE_ENDS.sub(" ¦ ", _plain(text).replace("(0)", "")))))

    def holds(self, value: str) -> bool:
        """Whether the value stands in it. Characters that nobody sees have to stand there exactly so."""
        if not _is_plain(value):
            words = _words(value)
            return _counts(words) and _line(words) in self._exact
        words = _words(_plain(value))
        if not _counts(words):
            return False
        alone = len(words) == 1 and words[0] in self._parts
        return alone or _line(words) in self._line or _compact(value) in self._numbers


def _plain(text: str) -> str:
    """In lower case, which keeps letters apart that a stricter folding makes one: straße and strasse are two places."""
    shown = unicodedata.normalize("NFKC", text.translate(_LOOKS_LIKE_SPACE))
    kept = "".join(_dashed(each) for each in shown if unicodedata.category(each) != "Cf")
    return _UNSEEN.sub("", kept).lower()


def _dashed(character: str) -> str:
    return "-" if unicodedata.category(character) == "Pd" or character == _DASH else character


def _is_plain(value: str) -> bool:
    """Whether it is as people see it, but for spaces, dashes and how an accent is encoded."""
    shown = "".join(_dashed(" " if each.isspace() else each) for each in unicodedata.normalize("NFC", value))
    unseen = any(unicodedata.category(each) in ("Cf", "Cc") for each in shown) or _UNSEEN.search(shown)
    return not unseen and shown == unicodedata.normalize("NFKC", shown.translate(_LOOKS_LIKE_SPACE))


def _words(text: str) -> list[str]:
    return [word for each in _SCRIPT_ENDS.sub(" ", text).split() if (word := _bare(each))]


def _bare(word: str) -> str:
    return _POSSESSIVE.sub("", word.strip(_AROUND)).strip(_AROUND)


def _line(words: list[str]) -> str:
    return f" {' '.join(words)} "


def _counts(words: list[str]) -> bool:
    """Whether it says enough to be found by: no destination is called `to`, or `a`."""
    letters = sum(each.isalnum() for word in words for each in word)
    return letters >= MIN_CHARACTERS and not all(word in _SMALL_TALK for word in words)


def _apart(word: str) -> Iterator[str]:
    """What stands in one word between signs, as in `iban:DE89...`."""
    parts = [bare for part in _WITHIN.split(word) if (bare := _bare(part))]
    return iter(parts if len(parts) > 1 else ())


def _compact(text: str) -> str:
    """An IBAN, or a number of digits alone, without the punctuation in it; nothing for what is neither."""
    if _INTERNET_ADDRESS.fullmatch(text):
        return ""
    number = _PUNCTUATION.sub("", _plain(text).replace("(0)", ""))
    return number if _NUMBER.fullmatch(number) or _is_iban(number) else ""


def _numbers(words: list[str]) -> Iterator[str]:
    """Numbers as `_compact` writes them. Words are put together only to an IBAN, proven by its check digits, and to a
    telephone number, which begins like one and is all digits."""
    for start, word in enumerate(words):
        if number := _compact(word):
            yield number
        if re.match(r"[a-z]{2}\d{2}", word):
            rows = dict.fromkeys("".join(words[start:end]) for end in range(start + 2, start + 1 + _IBAN_GROUPS))
            yield from filter(_is_iban, map(_compact, rows))
    yield from _telephones(words)


def _is_iban(number: str) -> bool:
    if not _IBAN.fullmatch(number):
        return False
    return int("".join(str(int(each, 36)) for each in number[4:] + number[:4])) % 97 == 1


def _telephones(words: list[str]) -> Iterator[str]:
    """Whole rows of groups of digits: a part of one is another number."""
    row: list[str] = []
    for word in [*words, ""]:
        if _PHONE.fullmatch(word):
            row.append(word)
            continue
        number = _compact("".join(row))
        if len(row) > 1 and row[0][0] in "+0(" and 7 <= sum(each.isdigit() for each in number) <= 15:
            yield number
        row = []
