"""The answer: tool results told in sentences, the ones first that share words with the question."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from demo_model.english.arguments import clip
from demo_model.english.results import Result
from demo_model.english.words import likeness, stems, tokens
from demo_model.wire.shapes import as_list, as_object

FACTS_PER_RESULT = 8
ITEMS_PER_LIST = 4
TEXT_CHARACTERS = 220

_ACRONYMS = {word.lower(): word for word in ("API", "ID", "URL", "SLA", "SSO", "CPU", "GB", "MB", "USD", "EUR", "PDF")}
_USED = ("used", "usage", "current", "consumed", "count")
_LIMIT = ("limit", "quota", "max", "maximum", "allowed", "included", "total")
_TITLES = ("title", "name", "subject", "label", "metric", "component", "summary")
_STATES = ("status", "state")
_NOT_FOR_PEOPLE = frozenset(
    ("slug", "score", "rank", "hash", "etag", "cursor", "indicator", "created_at", "updated_at")
)
_MARKDOWN = re.compile(r"^#+ .*$|\*\*|`", re.MULTILINE)
_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})(?::\d{2}(?:\.\d+)?)?(Z|[+-]00:?00)?")

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fact:
    """One sentence, and the words it is about. A headline names the id of a thing, which is always told."""

    text: str
    about: frozenset[str]
    headline: bool = False


def compose(question: str, results: list[Result]) -> str:
    """The final text for what the tools gave."""
    asked = set(stems(question))
    paragraphs = [_by_a_person(one) for one in results if one.decided]
    others = [one for one in results if one.decided in ("", "edited")]
    paragraphs += [_paragraph(one, asked) for one in others if one.error is None]
    failed = [one for one in others if one.error is not None]
    paragraphs += [f"Sorry, {named(one.tool)} did not work: {_stop(clip(one.error or '', 300))}" for one in failed]
    return "\n\n".join(dict.fromkeys(paragraphs)) or "The tools returned nothing that I could tell you."


def _by_a_person(result: Result) -> str:
    """What a person made of a call, or has yet to make of it."""
    what = named(result.tool)
    match result.decided:
        case "denied":
            return _stop(
                f"A person of our staff has not approved {what}, so it was not done: {clip(result.reason, 300)}"
            )
        case "expired":
            return f"Nobody approved {what} in time, so it was not done. Ask me again if you still need it."
        case "withdrawn":
            return f"{what.capitalize()} was called off, so it was not done."
        case "edited":
            return f"A person of our staff has approved {what} with changes."
        case _:
            return f"A person of our staff has to approve {what} first. You will read here what they decide."


def named(tool: str) -> str:
    """A tool's name as words."""
    return f"“{' '.join(tokens(tool))}”"


def _paragraph(result: Result, asked: set[str]) -> str:
    if result.value in (None, "", [], {}):
        return f"{named(result.tool).capitalize()} found nothing."
    told = facts(result.value)
    chosen = _relevant(told, asked)
    text = " ".join(fact.text for fact in chosen)
    return text or f"{named(result.tool).capitalize()} answered without anything to tell."


def _relevant(told: list[Fact], asked: set[str]) -> list[Fact]:
    """The facts that share words with the question and those that name an id, in their order; else the first ones."""
    matching = [one for one in told if one.headline or any(likeness(word, ask) for word in one.about for ask in asked)]
    enough = matching if len(matching) > 1 else matching + [one for one in told if one not in matching]
    chosen = {id(one) for one in enough[:FACTS_PER_RESULT]}
    return [one for one in told if id(one) in chosen]


def facts(value: Any, name: str = "") -> list[Fact]:
    """Any JSON value as sentences."""
    items, fields = as_list(value), as_object(value)
    if items is not None:
        return _list_facts(items, name or "results")
    if fields is not None:
        return _object_facts(fields, name)
    return [Fact(_stop(f"The {words(name)} is {shown(value)}" if name else shown(value)), _about(name, value))]


def _object_facts(fields: Fields, name: str) -> list[Fact]:
    told: list[Fact] = []
    fields = _without_empty(fields)
    headline = _headline(fields)
    if headline:
        told.append(headline[0])
        fields = {key: one for key, one in fields.items() if key not in headline[1]}
    pairs, fields = _usage(fields, name)
    told += pairs
    plain = {key: one for key, one in fields.items() if not isinstance(one, dict | list)}
    told += _plain_facts(plain, name)
    for key, one in fields.items():
        if key not in plain:
            told += facts(one, key if not isinstance(one, dict) or not name else f"{name} {key}")
    return told


def _without_empty(fields: Fields) -> Fields:
    return {key: one for key, one in fields.items() if one not in (None, "", {}) and key not in _NOT_FOR_PEOPLE}


def _headline(fields: Fields) -> tuple[Fact, set[str]] | None:
    """`ticket_id`, `subject` and `status` as "Ticket TCK-1 “Bug with the dashboard” is open."."""
    key = next((key for key in fields if key.endswith("_id") and isinstance(fields[key], str | int)), None)
    state = next((one for one in _STATES if isinstance(fields.get(one), str)), None)
    if key is None or (state is None and len(fields) > 3):
        return None
    title = next((one for one in _TITLES if isinstance(fields.get(one), str)), None)
    noun = words(key.removesuffix("_id"))
    called = f" “{shown(fields[title])}”" if title else ""
    text = f"The {noun} id is {fields[key]}{called}"
    if state:
        text = f"{noun[:1].upper()}{noun[1:]} {fields[key]}{called} is {words(fields[state])}"
    return Fact(_stop(text), _about(key, "status"), headline=True), {key, *(one for one in (state, title) if one)}


def _plain_facts(plain: Fields, name: str) -> list[Fact]:
    """Single values: long texts alone; short ones three to a sentence, or after the name of what they belong to."""
    told: list[Fact] = []
    short = {key: one for key, one in plain.items() if not _is_long(one, 60 if name else 24)}
    if name and short:
        said = ", ".join(valued(key, one) for key, one in short.items())
        told.append(Fact(_stop(f"{_heading(name)}: {said}"), _about_all(short) | frozenset(stems(name))))
    keys = [] if name else list(short)
    for start in range(0, len(keys), 3):
        part = {key: short[key] for key in keys[start : start + 3]}
        text = _and([f"the {valued(key, one, ' is')}" for key, one in part.items()])
        told.append(Fact(_stop(text[:1].upper() + text[1:]), _about_all(part)))
    for key in [key for key in plain if key not in short]:
        told.append(Fact(f"{_heading(key)}: {_stop(shown(plain[key]))}", _about(key, plain[key])))
    return told


def _about_all(fields: Fields) -> frozenset[str]:
    return frozenset[str]().union(*(_about(key, one) for key, one in fields.items()))


def _is_long(value: Any, characters: int = 60) -> bool:
    return isinstance(value, str) and len(value) > characters


def valued(key: str, value: Any, link: str = "") -> str:
    """A key and its value: `renews_at` as "renews 2026-08-01", `price_cents` as "price 49.00"."""
    if key.endswith("_cents") and _is_number(value):
        return f"{words(key.removesuffix('_cents'))}{link} {value / 100:,.2f}"
    if key.endswith("_at") and isinstance(value, str):
        return f"{words(key.removesuffix('_at'))}{' time' + link if link else ''} {shown(value)}"
    return f"{words(key)}{link} {shown(value)}"


def _list_facts(items: list[Any], name: str) -> list[Fact]:
    noun = words(name)
    if not items:
        return [Fact(f"There are no {noun}.", _about(name, ""))]
    if all(isinstance(one, dict) for one in items):
        return _objects_facts(items, noun)
    if all(isinstance(one, str) and one.endswith(".") for one in items):
        return [Fact(one, _about(name, one)) for one in map(shown, items)]
    shown_items = [shown(one) for one in items[:ITEMS_PER_LIST]] + _and_more(len(items))
    return [Fact(_stop(f"The {noun} are {_and(shown_items)}"), _about(name, shown_items))]


def _objects_facts(items: list[Fields], noun: str) -> list[Fact]:
    """A list of objects: usage pairs one by one, else one sentence in which the unusual ones come first."""
    pairs = [fact for one in items for fact in _usage(_without_empty(one), _title(one) or noun)[0]]
    if pairs:
        return pairs
    states = Counter(_state(one) for one in items)
    common, times = states.most_common(1)[0]
    about = _about(noun, [_title(one) for one in items])
    if common and times == len(items) > 2:
        return [Fact(f"All {len(items)} {noun} are {words(common)}.", about | {"status"})]
    unusual = sorted(items, key=lambda one: states[_state(one)]) if times > 2 else items
    count = f"There is 1 {_singular(noun)}" if len(items) == 1 else f"There are {len(items)} {noun}"
    told = [_item(one) for one in unusual[:ITEMS_PER_LIST]] + _and_more(len(items))
    return [Fact(_stop(f"{count}: {'; '.join(told)}"), about)]


def _item(fields: Fields) -> str:
    """One object of a list: its id, its title, and a few of its short values."""
    fields = _without_empty(fields)
    key = next((key for key in fields if key == "id" or key.endswith(("_id", "_number"))), None)
    title = next((one for one in _TITLES if isinstance(fields.get(one), str)), None)
    head = [str(fields[key])] if key else []
    head += [f"“{shown(fields[title])}”" if key else shown(fields[title])] if title else []
    rest = {
        one: value for one, value in fields.items() if one not in (key, title) and not isinstance(value, dict | list)
    }
    long = next((shown(value) for value in rest.values() if _is_long(value)), "")
    state = next((one for one in _STATES if one in rest), None)
    order = ([state] if state else []) + [one for one in rest if one != state and not _is_long(rest[one])]
    told = [words(rest[one]) if one == state else valued(one, rest[one]) for one in order[:4]]
    said = f"{' '.join(head)} ({', '.join(told)})" if head and told else " ".join(head) or ", ".join(told)
    return (f"{said}: {long}" if said and long else said or long or "one more").rstrip(".")


def _usage(fields: Fields, name: str) -> tuple[list[Fact], Fields]:
    """What is used against what is allowed, wherever an object says both; and the fields that are left."""
    told: list[Fact] = []
    left = dict(fields)
    used = next((key for key in _USED if _is_number(fields.get(key))), None)
    limit = next((key for key in _LIMIT if _is_number(fields.get(key))), None)
    if used and limit:
        told.append(_used_fact(_title(fields) or name, fields[used], fields[limit]))
        return told, {key: one for key, one in left.items() if key not in (used, limit, *_TITLES)}
    for key in fields:
        base = key.removesuffix("_used").removesuffix("_usage")
        limits = (f"{base}_limit", f"max_{base}", f"{base}_quota", f"{base}_included")
        other = next((one for one in limits if one != key and _is_number(fields.get(one))), None)
        if other and _is_number(fields[key]):
            told.append(_used_fact(base, fields[key], fields[other]))
            left.pop(key, None)
            left.pop(other, None)
    return told + _usage_beside(fields, left), left


def _usage_beside(fields: Fields, left: Fields) -> list[Fact]:
    """`usage` and `limits` as two objects with the same keys; takes them out of `left`."""
    usage = next((key for key in ("usage", "used") if isinstance(fields.get(key), dict)), None)
    limits = next((key for key in ("limits", "quotas", "limit", "quota") if isinstance(fields.get(key), dict)), None)
    if not usage or not limits:
        return []
    both = [key for key, one in fields[usage].items() if _is_number(one) and _is_number(fields[limits].get(key))]
    for one in (usage, limits) if both else ():
        left[one] = {key: value for key, value in fields[one].items() if key not in both}
    return [_used_fact(key, fields[usage][key], fields[limits][key]) for key in both]


def _used_fact(name: str, used: float, limit: float) -> Fact:
    share = f" ({used / limit:.0%})" if limit else ""
    text = f"{_heading(name) or 'Usage'}: {shown(used)} of {shown(limit)} used{share}"
    return Fact(_stop(text), _about(name, "usage limit") | {"used"})


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _title(fields: Mapping[str, Any]) -> str:
    return next((str(fields[key]) for key in _TITLES if isinstance(fields.get(key), str)), "")


def _state(fields: Mapping[str, Any]) -> str:
    return next((str(fields[key]) for key in _STATES if isinstance(fields.get(key), str)), "")


def _singular(noun: str) -> str:
    return noun.removesuffix("s") if not noun.endswith("ss") else noun


def _and_more(count: int) -> list[str]:
    return [f"{count - ITEMS_PER_LIST} more"] if count > ITEMS_PER_LIST else []


def _and(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def words(name: Any) -> str:
    """A key as words: `api_calls` as "API calls"."""
    return " ".join(_ACRONYMS.get(word, word) for word in tokens(str(name)))


def _heading(name: str) -> str:
    said = words(name)
    return said[:1].upper() + said[1:]


def shown(value: Any) -> str:
    """A value as a person would write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return f"{value:,.2f}".rstrip("0").rstrip(".")
    if isinstance(value, dict | list):
        return clip(json.dumps(value, ensure_ascii=False).translate(str.maketrans("", "", '{}[]"')), 80)
    text = clip(_MARKDOWN.sub("", str(value)), TEXT_CHARACTERS)
    return _TIME.sub(_time, text)


def _time(match: re.Match[str]) -> str:
    return match[1] if match[2] == "00:00" else f"{match[1]} {match[2]}" + (" UTC" if match[3] else "")


def _stop(text: str) -> str:
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def _about(name: str, value: Any) -> frozenset[str]:
    said = " ".join(str(one) for one in as_list(value) or [value])
    return frozenset(stems(f"{name} {said[:200]}"))
