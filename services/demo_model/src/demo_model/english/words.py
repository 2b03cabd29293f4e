"""Words: tokens, stems and everyday synonyms. This is all the understanding that the model has."""

import re
from functools import lru_cache

EXACT = 1.0
INFLECTED = 0.85
SYNONYM = 0.6

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
_VOWEL = re.compile(r"[aeiouy]")


def word_set(text: str) -> frozenset[str]:
    """The words of a text, to look up."""
    return frozenset(text.split())


STOP_WORDS = word_set("""
    a about after again all already also am an and another any are as ask at be because been before but by can could
    current currently customer did do does doing don done each every few for from further get gets getting give go
    goes going got had has have having he hello help her here hey hi his how i if in into is isn it its just kindly
    know let ll like look m make many may me might more most much must my need needs no not now of off ok okay on
    once one only or other our out over own please really s same see she should show so some something still such t
    take tell than thank thanks that the their them then there these they thing things this those to too up us use
    using ve very want was wasn we were what when where whether which while who why will with won would yes yet you
    your
""")

GROUPS = tuple(
    line.split()
    for line in """
    fail failure failing error broken break outage status down incident problem wrong trouble crash disruption
        unavailable degraded fault unhealthy maintenance
    bug ticket report defect complaint fault problem
    bill billing invoice payment pay charge charged receipt
    price cost fee fare rate
    plan subscription subscribe tier membership
    usage limit quota allowance consumption consumed cap
    account profile user
    howto guide article documentation docs manual tutorial instruction faq handbook
    task job progress
    weather forecast temperature rain raining rainy snow snowing sunny wind windy umbrella hot cold
    parcel package shipment delivery deliver ship courier arrive
    order purchase
    flight plane fly airline
    hotel room accommodation stay
    restaurant table dinner lunch
    meeting appointment event calendar agenda
    email mail inbox
    currency exchange money
    balance funds
    stock share ticker
    recipe cook ingredient meal dish
    song music track album
    movie film cinema
    car vehicle auto
    doctor physician clinic
    holiday vacation leave absence
    employee colleague staff worker
    person human agent operator representative somebody someone
    high urgent urgently critical severe important
    low minor
    """.replace("\n        ", " ").splitlines()
    if line.strip()
)


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """Cuts everyday English endings; crude, but the same cut on both sides of a match."""
    if len(word) <= 3 or not word.isalpha():
        return word
    for ending, instead in (("ies", "y"), ("s", ""), ("ing", ""), ("ed", ""), ("ly", ""), ("ment", "")):
        rest = word[: -len(ending)]
        if word.endswith(ending) and len(rest) >= 3 and _VOWEL.search(rest) and not word.endswith(("ss", "us", "is")):
            word = rest + instead
    if len(word) > 3 and word[-1] == word[-2]:
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


def tokens(text: str) -> list[str]:
    """The lower-case words of a text, of a `snake_case` or a `camelCase` name."""
    found = _WORD.findall(
        _CAMEL.sub(" ", text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")).lower().replace("_", " ")
    )
    return [word.split("'")[0] for word in found]


def telling(text: str) -> list[str]:
    """The words that carry meaning, in their order."""
    return [word for word in tokens(text) if word not in STOP_WORDS]


def stems(text: str) -> list[str]:
    """The stems of the words that carry meaning, in their order."""
    return [stem(word) for word in telling(text)]


def _groups_by_stem() -> dict[str, tuple[int, ...]]:
    found: dict[str, list[int]] = {}
    for number, group in enumerate(GROUPS):
        for one in {stem(word) for word in group}:
            found.setdefault(one, []).append(number)
    return {one: tuple(numbers) for one, numbers in found.items()}


_GROUPS_OF = _groups_by_stem()


def groups_of(one: str) -> tuple[int, ...]:
    """The numbers of the synonym groups that a stem belongs to."""
    return _GROUPS_OF.get(one, ())


def likeness(one: str, other: str) -> float:
    """How alike two stems are: the same, synonyms, or not at all."""
    if one == other:
        return EXACT
    return SYNONYM if set(groups_of(one)) & set(groups_of(other)) else 0.0
