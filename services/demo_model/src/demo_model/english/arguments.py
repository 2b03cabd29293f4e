"""Arguments: each parameter filled from the user's words and its own schema, always valid or not at all."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from demo_model.english.words import STOP_WORDS, likeness, stem, stems, tokens
from demo_model.wire.shapes import as_list, as_object

Schema = dict[str, Any]

_ID_WORDS = frozenset(("id", "uuid", "identifier", "number", "reference", "ref", "code", "key"))
_QUERY_WORDS = frozenset(("query", "question", "search", "text", "prompt", "keyword", "keywords", "phrase", "q"))
_SUMMARY_WORDS = frozenset(("subject", "title", "summary", "headline"))
_BODY_WORDS = frozenset(
    ("description", "body", "detail", "details", "message", "content", "reason", "comment", "note", "notes")
)
_PLACE_WORDS = frozenset(("city", "location", "place", "town", "country", "where", "region", "address", "airport"))
_TO_WORDS = frozenset(("to", "until", "end", "destination", "target", "arrival", "recipient"))
_FROM_WORDS = frozenset(("from", "origin", "source", "departure", "base"))
COUNT_WORDS = frozenset(("limit", "count", "max", "top", "size"))
_PARTS = frozenset(("component", "service", "system", "module", "feature", "product", "part", "app"))
_TIME_WORDS = frozenset(("today", "tomorrow", "yesterday", "now", "tonight", "weekend", "morning", "evening", "week"))
_MILD_CHOICES = ("other", "general", "normal", "medium", "default", "none", "unknown", "any", "all")
_NUMBERS = {
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
}
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_UUID = re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")
_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
_MONEY = re.compile(
    r"[$€£]\s?(\d+(?:\.\d+)?)|(?<![\w.-])(\d+\.\d{1,2})(?![\w-])|(?<![\w.-])(\d+)\s*(?:dollars?|euros?|pounds?|usd|eur|gbp)\b",
    re.IGNORECASE,
)
_YEAR = re.compile(r"\b(?:19|20)\d{2}\b")
_ID_TOKEN = re.compile(r"(?<![\w.])#?([A-Za-z0-9](?:[\w-]*[A-Za-z0-9])?)")
_QUOTED = re.compile(r"[\"“']([^\"“”']{2,80})[\"”']")
_PROPER = re.compile(r"(?<=[a-z,] )([A-Z][\w-]+(?: [A-Z][\w-]+)*)")
_LISTED = re.compile(r"(?:such as|for example|for instance|e\.g\.|like|one of:?|example:?)\s+([^.;()]+)", re.IGNORECASE)
_GREETING = re.compile(r"^\s*(?:hi|hello|hey|good (?:morning|afternoon|evening))\b[\s,!.]*", re.IGNORECASE)
_ASKS_FOR = re.compile(
    r"^(?:(?:please|kindly|and|then|also|just|(?:can|could|would|will) you|i(?:'d| would) like(?: you)?|i (?:need|want)"
    r"(?: you)?|help me|let me|to)\s+)*"
    r"(?:(?:report|raise|open|create|file|log|submit|make|start|send|register|add)\s+)?"
    r"(?:(?:a|an|the|my|new|support|another)\s+)*"
    r"(?:(?:\w+\s+)?(?:ticket|request|case|report)\b\s*(?:(?:about|for|that|because|regarding|on|saying|to)\b|[:,-])?\s*)?"
    r"(?:(?:a|an|the|my)\s+)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Said:
    """What may be drawn upon: the message, the ones before it, and ids that tools have returned."""

    text: str
    earlier: tuple[str, ...] = ()
    returned: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(slots=True)
class Filled:
    """Arguments for one call; `taken`: the stems of the words that named a thing; `identified`: an id was said."""

    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    taken: set[str] = field(default_factory=set[str])
    identified: bool = False


class Unfillable(Exception):
    """A required parameter that only the user can tell (an id, a place), and did not."""

    def __init__(self, parameter: str) -> None:
        super().__init__(parameter)
        self.parameter = parameter


def fill(parameters: Schema, said: Said, tool_words: Iterable[str] = (), *, force: bool = False) -> Filled:
    """Arguments for one call. `force` makes up what nobody said, for callers that demand a call."""
    return _Filling(said, parameters, frozenset(tool_words), force).everything()


def is_identifier(name: str, schema: Schema) -> bool:
    """Whether a parameter names one thing by its id: nothing to be guessed."""
    if "enum" in schema or schema.get("type") == "boolean":
        return False
    words = tokens(name)
    return schema.get("format") == "uuid" or (bool(words) and words[-1] in _ID_WORDS)


def flat(schema: Schema, root: Schema) -> Schema:
    """A schema with its references and its optional-by-null resolved."""
    for _ in range(8):
        if isinstance(schema.get("$ref"), str):
            found: Any = root
            for step in schema["$ref"].removeprefix("#/").split("/"):
                found = (as_object(found) or {}).get(step)
            schema = {**(as_object(found) or {}), **{key: one for key, one in schema.items() if key != "$ref"}}
            continue
        branches = as_list(schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"))
        if not branches:
            break
        real = [found for found in map(as_object, branches) if found and found.get("type") != "null"]
        rest = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf", "allOf")}
        schema = {**(real[0] if real else {}), **rest}
    kinds = as_list(schema.get("type"))
    return schema if kinds is None else {**schema, "type": next((one for one in kinds if one != "null"), "string")}


def properties_of(parameters: Schema) -> dict[str, Schema]:
    """The parameters by name, each resolved."""
    properties = as_object(parameters.get("properties")) or {}
    return {name: flat(as_object(one) or {}, parameters) for name, one in properties.items()}


def required_of(parameters: Schema) -> list[Any]:
    """The names of the parameters that a call must have."""
    return as_list(parameters.get("required")) or []


def summary(text: str, length: int = 80) -> str:
    """A short subject: the first thing said that is not merely the wish for something to be made."""
    pieces = [piece for piece in re.split(r"[.?!;\n]+\s*|,\s+", _GREETING.sub("", text)) if piece.strip()]
    cut = [_ASKS_FOR.sub("", piece.strip(), count=1).strip(" .,!?") for piece in pieces]
    best = next((piece for piece in cut if len(stems(piece)) >= 2), "") or next((piece for piece in cut if piece), "")
    return clip((best or text.strip() or "request").strip(), length, capital=True)


def clip(text: str, length: int, *, capital: bool = False) -> str:
    """Cuts at a word boundary."""
    text = " ".join(text.split())
    if len(text) > length:
        short = text[: max(length - 1, 1)]
        text = (short.rsplit(" ", 1)[0] if " " in short[length // 2 :] else short) + "…"
    return text[:1].upper() + text[1:] if capital else text


class _Filling:
    """One schema being filled; holds what every parameter's rule needs to see."""

    def __init__(self, said: Said, parameters: Schema, tool_words: frozenset[str], force: bool) -> None:
        self.said = said
        self.parameters = parameters
        self.tool_words = tool_words
        self.force = force
        self.words = tokens(said.text)
        self.stems = {stem(word) for word in self.words if word not in STOP_WORDS}
        self.filled = Filled()

    def everything(self) -> Filled:
        required = required_of(self.parameters)
        for name, schema in properties_of(self.parameters).items():
            must = name in required
            found = self.value(name, schema, must)
            if found is None and must:
                found = self.made_up(name, schema)
            if found is not None:
                self.filled.arguments[name] = found
        return self.filled

    def value(self, name: str, schema: Schema, must: bool) -> Any:
        """What the user said that fits this parameter, or None."""
        if "const" in schema:
            return schema["const"] if must else None
        if isinstance(schema.get("enum"), list):
            return self.choice(name, schema["enum"])
        if is_identifier(name, schema):
            return self.identifier(name, schema)
        kind = schema.get("type", "string")
        if kind in ("integer", "number"):
            return self.number(name, schema, must)
        if kind == "boolean":
            return self.switch(name)
        if kind == "array":
            return self.several(name, schema, must)
        if kind == "object":
            return self.nested(schema, must)
        return self.fitting(self.string(name, schema, must), schema)

    def made_up(self, name: str, schema: Schema) -> Any:
        """A valid value for a required parameter that the user did not mention."""
        if "default" in schema:
            return schema["default"]
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return next((one for one in schema["enum"] if str(one).lower() in _MILD_CHOICES), schema["enum"][0])
        kind = schema.get("type", "string")
        if kind in ("integer", "number"):
            return _bounded(1, schema)
        if kind == "boolean":
            return False
        if kind == "array":
            return []
        if kind == "null":
            return None
        examples = as_list(schema.get("examples"))
        if self.force and examples:
            return examples[0]
        pinned = is_identifier(name, schema) or "pattern" in schema or set(tokens(name)) & (_PLACE_WORDS | _TO_WORDS)
        if pinned and not self.force:
            raise Unfillable(name)
        made = self.fitting(summary(self.said.text), {**schema, "pattern": ".*"})
        return made if made is not None else "x" * int(schema.get("minLength", 1))

    def choice(self, name: str, values: list[Any]) -> Any:
        """The enumerated value whose words were said; on a tie the one named by more words."""
        best: tuple[float, Any] = (0.0, None)
        for value in values:
            parts = stems(str(value)) or [stem(part) for part in tokens(str(value))]
            fits = [max((likeness(part, one) for one in self.stems), default=0.0) for part in parts]
            score = sum(fits) if fits and min(fits) > 0 else 0.0
            exact = bool(fits) and min(fits) == 1.0
            if (exact or self.hints_at(name, parts)) and score > best[0]:
                best = (score, value)
        if best[1] is not None:
            self.take(str(best[1]))
        return best[1]

    def hints_at(self, name: str, parts: list[str]) -> bool:
        """Whether synonyms suffice to name a value: not if it shares a word with the parameter's own name."""
        own = set(stems(name))
        return not any(part in own for part in parts)

    def identifier(self, name: str, schema: Schema) -> Any:
        """An id that was said, best next to the thing's name; else one that a tool has returned under this name."""
        noun = {stem(word) for word in tokens(name) if word not in _ID_WORDS}
        noun = noun or {word for word in self.tool_words if word not in STOP_WORDS}
        for text in (self.said.text, *reversed(self.said.earlier)):
            found = self.said_id(text, noun, schema)
            if found is not None:
                self.filled.identified = self.filled.identified or text is self.said.text
                self.take(str(found))
                self.filled.taken |= noun & self.stems
                return found
        known = self.said.returned.get(name)
        return known if known is not None and self.fitting(known, schema) is not None else None

    def said_id(self, text: str, noun: set[str], schema: Schema) -> Any:
        candidates: list[tuple[int, Any]] = []
        for match in _ID_TOKEN.finditer(text):
            token = match.group(1)
            if not _looks_like_id(token, schema):
                continue
            before = [stem(word) for word in tokens(text[: match.start()])[-3:]]
            own = [stem(word) for word in tokens(token)]
            near = 2 if noun & {*before, *own} else 0
            value: Any = int(token) if schema.get("type") == "integer" and token.isdigit() else token
            if self.fitting(value, schema) is not None and not (near == 0 and _counts_something(text, match.end())):
                candidates.append((near + (1 if len(token) > 2 else 0), value))
        return max(candidates, key=lambda one: one[0])[1] if candidates else None

    def number(self, name: str, schema: Schema, must: bool) -> Any:
        """A number said beside the parameter's own words; for a required one, any number said."""
        own = {stem(word) for word in tokens(f"{name} {schema.get('description', '')}")} - {"of", "the", "a"}
        counts = bool(COUNT_WORDS & set(tokens(name)))
        year = _YEAR.search(self.said.text) if "year" in tokens(name) else None
        if year:
            return int(year.group())
        loose: Any = None
        for place, word in enumerate(self.words):
            if not (word.isdigit() or word in _NUMBERS):
                continue
            value = _bounded(int(word) if word.isdigit() else _NUMBERS[word], schema)
            around = {stem(one) for one in self.words[max(place - 1, 0) : place + 2] if one != word}
            counted = counts and place > 0 and self.words[place - 1] in ("last", "first", "top", "latest", "newest")
            if counted or (around - {stem(one) for one in STOP_WORDS}) & own:
                self.take(word)
                return value
            loose = value if loose is None else loose
        return loose if must else None

    def switch(self, name: str) -> bool | None:
        own = [one for one in stems(name) if one not in ("includ", "with", "onli")]
        return True if own and all(one in self.stems for one in own) else None

    def several(self, name: str, schema: Schema, must: bool) -> Any:
        items = flat(schema.get("items") or {}, self.parameters)
        if isinstance(items.get("enum"), list):
            chosen = [one for one in items["enum"] if all(part in self.stems for part in stems(str(one)))]
            return chosen or (items["enum"][:1] if must and schema.get("minItems") else None)
        one = self.value(name, items, must)
        if one is None and must and schema.get("minItems"):
            one = self.made_up(name, items)
        return None if one is None else [one]

    def nested(self, schema: Schema, must: bool) -> Any:
        within = {**schema, "$defs": self.parameters.get("$defs", {})}
        inner = _Filling(self.said, within, self.tool_words, self.force).everything()
        self.filled.taken |= inner.taken
        return inner.arguments if must or inner.taken else None

    def string(self, name: str, schema: Schema, must: bool) -> str | None:
        """A string by what its name says it is: a question, a subject, a text, a day, a place, or a thing."""
        roles = set(tokens(name)) | set(tokens(str(schema.get("title", ""))))
        length = int(schema.get("maxLength", 2000))
        exact = self.formatted(name, schema, roles)
        if exact is not None or _takes_numbers_alone(schema):
            return exact
        if roles & _SUMMARY_WORDS:
            return summary(self.said.text, min(length, 80))
        if roles & _QUERY_WORDS:
            return clip(_GREETING.sub("", self.said.text), length)
        if roles & _BODY_WORDS:
            return self.said.text.strip()[:length]
        if roles & (_PLACE_WORDS | _TO_WORDS | _FROM_WORDS):
            return self.place(roles)
        return self.thing(name, schema, must)

    def formatted(self, name: str, schema: Schema, roles: set[str]) -> str | None:
        wanted = schema.get("format")
        if wanted == "email" or "email" in roles:
            found = _EMAIL.search(self.said.text)
            return found.group() if found else None
        if wanted in ("date", "date-time") or roles & {"date", "day", "when"}:
            return self.day(str(wanted or ""), last=bool(roles & _TO_WORDS))
        if _takes_numbers_alone(schema) and (money := _MONEY.search(self.said.text)):
            return next(filter(None, money.groups()))
        return None

    def day(self, wanted: str, *, last: bool) -> str | None:
        found = _DATE.findall(self.said.text)
        if found:
            return found[-1 if last else 0] + ("T00:00:00Z" if wanted == "date-time" else "")
        said = next((word for word in self.words if word in (*_TIME_WORDS, *_WEEKDAYS)), None)
        if said is None or not wanted:
            return self.taken_word(said)
        today = datetime.now(UTC)
        ahead = {"tomorrow": 1, "yesterday": -1}.get(said, 0)
        if said in _WEEKDAYS:
            ahead = (_WEEKDAYS.index(said) - today.weekday()) % 7
        self.take(said)
        day = today + timedelta(days=ahead)
        return day.strftime("%Y-%m-%d") + ("T00:00:00Z" if wanted == "date-time" else "")

    def place(self, roles: set[str]) -> str | None:
        lead = "to|into" if roles & _TO_WORDS else "from" if roles & _FROM_WORDS else "in|at|for|near|to|around"
        named = re.search(rf"\b(?:{lead})\s+((?:[A-Z][\w'-]*)(?:\s+[A-Z][\w'-]*)*)", self.said.text)
        if not named and roles & _FROM_WORDS:
            named = re.search(r"\b([A-Z][\w-]+)\s+(?:in)?to\b", self.said.text)
        if not named:
            named = re.search(rf"\b(?:{lead})\s+([a-z]{{3,}})\b", self.said.text)
        if not named or named.group(1).lower() in STOP_WORDS | _TIME_WORDS:
            return None
        self.take(named.group(1))
        return named.group(1)

    def thing(self, name: str, schema: Schema, must: bool) -> str | None:
        """A thing by name: one of the examples that the schema gives, or the noun that the user put before its kind."""
        own = set(stems(name)) | {stem(word) for word in self.tool_words}
        for example in _examples(schema):
            parts = set(stems(example))
            if parts and parts <= self.stems and not parts <= own:
                return self.taken_word(example)
        named = frozenset(tokens(name))
        nouns = [re.escape(word) for word in sorted(named | _PARTS if named & _PARTS else named)]
        before = re.search(rf"((?:[\w-]+\s+)?[\w-]+)\s+(?:{'|'.join(nouns) or '$'})s?\b", self.said.text, re.IGNORECASE)
        said = [word for word in before.group(1).split() if stem(word.lower()) in self.stems - own] if before else []
        if said:
            return self.taken_word(" ".join(said))
        told = _QUOTED.search(self.said.text) or _PROPER.search(self.said.text) if must else None
        return self.taken_word(told.group(1)) if told else None

    def taken_word(self, said: str | None) -> str | None:
        if said is not None:
            self.take(said)
        return said

    def take(self, said: str) -> None:
        self.filled.taken |= {stem(word) for word in tokens(said)}

    def fitting(self, value: Any, schema: Schema) -> Any:
        """The value if the schema's pattern and lengths allow it."""
        if not isinstance(value, str):
            return value
        value = value[: int(schema.get("maxLength", 4000))]
        if len(value) < int(schema.get("minLength", 0)):
            return None
        pattern: Any = schema.get("pattern")
        try:
            return value if not isinstance(pattern, str) or re.search(pattern, value) else None
        except re.error:
            return value


def _takes_numbers_alone(schema: Schema) -> bool:
    """Whether a string has to be a number with decimals."""
    pattern: Any = schema.get("pattern")
    try:
        return isinstance(pattern, str) and bool(re.search(pattern, "1.50")) and not re.search(pattern, "a")
    except re.error:
        return False


def _looks_like_id(token: str, schema: Schema) -> bool:
    if schema.get("format") == "uuid":
        return bool(_UUID.fullmatch(token))
    if schema.get("type") == "integer":
        return token.isdigit()
    return any(letter.isdigit() for letter in token)


def _counts_something(text: str, end: int) -> bool:
    """Whether a bare number is followed by what it counts, as in "3 days"."""
    return bool(re.match(r"\s+[a-z]+s\b", text[end:])) and text[:end].split()[-1].isdigit()


def _bounded(number: int, schema: Schema) -> int:
    low: Any = schema.get("minimum", number)
    high: Any = schema.get("maximum", number)
    if isinstance(schema.get("exclusiveMinimum"), int | float):
        low = schema["exclusiveMinimum"] + 1
    number = int(min(max(number, low), high))
    step: Any = schema.get("multipleOf")
    return number if not isinstance(step, int) or step < 2 else max(number // step, 1) * step


def _examples(schema: Schema) -> list[str]:
    """The values that a schema gives as examples, in its keyword or its prose; longest first."""
    found = [one for one in as_list(schema.get("examples")) or [] if isinstance(one, str)]
    description = str(schema.get("description", ""))
    found += _QUOTED.findall(description)
    for listed in _LISTED.findall(description):
        found += [part.strip(" \"'`") for part in re.split(r",|\bor\b|\band\b", listed)]
    return sorted((one for one in found if 1 < len(one) <= 40), key=len, reverse=True)
