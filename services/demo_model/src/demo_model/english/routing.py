"""Routing: which of the offered tools the user's words ask for. It knows no tool, only names, descriptions, schemas.

Tools that look something up are chosen by their words: each word of the message is explained best by some tool, rare
words count more, and a tool is called when what it alone explains weighs enough. Tools that *do* something (their
name or description begins with a doing verb) are called only when the message asks for the doing.
"""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from demo_model.english.arguments import (
    COUNT_WORDS,
    Filled,
    Said,
    Unfillable,
    fill,
    is_identifier,
    properties_of,
    required_of,
)
from demo_model.english.words import INFLECTED, STOP_WORDS, SYNONYM, groups_of, stem, stems, telling, tokens, word_set
from demo_model.wire.conversation import ToolSpec
from demo_model.wire.shapes import as_list

ENOUGH = 0.2
"""What a tool must explain of the message, in rarity-weighted matches, to be called at all."""
BESIDE_THE_BEST = 0.34
"""A further tool must explain this share of what the best one does, in words that the best one does not."""
AS_GOOD = 0.9
ID_SAID = 1.5
LEAST_RARITY = 0.3
VERB, ATTRIBUTE = 0.4, 0.2

_NAME, _LEAD, _REST, _CHOICE, _PARAMETER, _PARAMETER_TEXT = 1.5, 1.0, 0.6, 0.8, 0.8, 0.4

_READ_VERBS = word_set("""
    get list check query search find look lookup show fetch read view track retrieve describe count return see
    convert calculate compute translate estimate compare summarize summarise validate tell answer explain display
    current provide inspect browse monitor
""")
_DO_GROUPS = tuple(
    frozenset(line.split())
    for line in (
        "create open raise file submit report make log start add register new",
        "delete remove cancel close erase terminate stop end",
        "update change modify edit set adjust rename upgrade downgrade switch reset correct",
        "send mail email notify message forward share text",
        "export download extract dump",
        "book reserve schedule order buy purchase arrange",
        "refund reimburse credit",
        "pay transfer charge",
        "restart reboot restore rerun retry run execute trigger launch",
        "hand talk speak chat connect",
        "assign escalate approve reject issue play deploy rotate revoke invite subscribe unsubscribe import upload",
    )
)
_WEAK_DOING = word_set("""
    start run make do create prepare request begin want need give get produce issue
""")
_ASKING = word_set("""
    what which how why when where who whose is are was were do does did has have had am should any whether if
""")
_LEADS = word_set("""
    please kindly just to you and then also now let lets me us
""")
_POLITE = re.compile(
    r"^(?:(?:hi|hello|hey|ok|okay|so|please|kindly|and|then|also|(?:can|could|would|will) you|help me)\b[\s,!]*)+",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.?!;\n])\s+")
_CLAUSE = re.compile(r",\s*(?:and|then|but|so)?\s*|\s+(?:and|then|but|so)\s+", re.IGNORECASE)
_HOW_TO = re.compile(r"\bhow (?:do|can|could|should|would|to|does)\b", re.IGNORECASE)
_HOW_TO_WORD = "howto"
_IS_IT_UP = re.compile(r"\b(?:is|are)\b[^?]*\b(?:up|back|online|working|reachable)\b", re.IGNORECASE)
_NOT_FOR = re.compile(r"\b(?:do not|don't|never|not for|not to be|instead|rather than|other tools?|unlike)\b", re.I)
_ATTRIBUTE_OF = re.compile(r"\b(status|state|details?|information|info|list|progress)\s+(?:of|on|for|about)\b", re.I)


@dataclass(frozen=True, slots=True)
class Choice:
    """One call to make, with its arguments."""

    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Routed:
    """What to call; or, when nothing can be called, which parameter the user must tell first."""

    calls: tuple[Choice, ...] = ()
    missing: str | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A tool as words: what each word, stem and synonym group weighs in it, and the verb that it does, if any."""

    spec: ToolSpec
    words: dict[str, float]
    stems: dict[str, float]
    groups: dict[int, float]
    subject: frozenset[str]
    doing: str | None
    needs_id: bool

    def match(self, one: str) -> float:
        """How well one word of a message fits: the very word best, then another form of it, then a synonym."""
        base = stem(one)
        return max(
            self.words.get(one, 0.0),
            INFLECTED * self.stems.get(base, 0.0),
            *(SYNONYM * self.groups.get(group, 0.0) for group in groups_of(base)),
            0.0,
        )


def route(said: Said, offered: list[ToolSpec]) -> Routed:
    """The calls that the message asks for, in the order of how strongly it does."""
    tools = _documents(json.dumps([(one.name, one.description, one.parameters) for one in offered]))
    if not tools:
        return Routed()
    doing, rest = _doings(said, tools)
    reading = _readings(said, rest, tools) if rest else Routed()
    return Routed(reading.calls + doing.calls, doing.missing or reading.missing)


def forced(said: Said, offered: list[ToolSpec]) -> Routed:
    """One call at any price: the best match, with arguments made up where nobody said them."""
    tools = _documents(json.dumps([(one.name, one.description, one.parameters) for one in offered]))
    rarity = _rarity(tools)
    words = set(telling(said.text))
    best = max(tools, key=lambda tool: sum(tool.match(one) * rarity(one) for one in words))
    return Routed((Choice(best.spec.name, _fill(best, said, force=True).arguments),))


# --- tools that do something ---------------------------------------------------------------------------------------


def _doings(said: Said, tools: tuple[Document, ...]) -> tuple[Routed, str]:
    """Calls of tools whose doing a clause asks for, and what of the message is left for looking things up."""
    calls: list[Choice] = []
    missing: str | None = None
    rest: list[str] = []
    for sentence in _SENTENCE.split(said.text):
        wanted: list[Document] = []
        clauses = [clause for clause in _CLAUSE.split(sentence) if clause.strip()]
        for clause in clauses:
            wanted += _wanted(clause, tools)
        asks = any(_is_question(clause) for clause in clauses)
        if not wanted or asks:
            rest.append(" ".join(clause for clause in clauses if not _wanted(clause, tools)) if wanted else sentence)
        elif sentence.rstrip().endswith("?") and len(clauses) > 1:
            rest.append(" ".join(clause for clause in clauses if not _wanted(clause, tools)))
        for tool in wanted:
            if any(call.tool == tool.spec.name for call in calls):
                continue
            try:
                calls.append(Choice(tool.spec.name, _fill(tool, said).arguments))
            except Unfillable as unfillable:
                missing = unfillable.parameter
    if calls or missing:
        rest = [sentence for sentence in rest if any(_is_question(clause) for clause in _CLAUSE.split(sentence))]
    return Routed(tuple(calls), missing if not calls else None), " ".join(rest).strip()


def _is_question(clause: str) -> bool:
    """Whether a clause asks to know something."""
    words = tokens(_POLITE.sub("", clause.strip()))
    head = words[0] if words else ""
    return head in _ASKING or head in _READ_VERBS or words[:2] in (["can", "i"], ["could", "i"], ["can", "we"])


def _wanted(clause: str, tools: tuple[Document, ...]) -> list[Document]:
    """The doing tools that a clause asks for: the best by its subject, and equals."""
    if _is_question(clause):
        return []
    words = tokens(_POLITE.sub("", clause.strip()))
    verbs = [word for place, word in enumerate(words) if place == 0 or words[place - 1] in _LEADS]
    if words[:2] in (["i", "need"], ["i", "want"], ["we", "need"], ["we", "want"]):
        verbs.append(words[1])
    content = {stem(word) for word in words if word not in STOP_WORDS}
    scored = [(_wish(tool, verbs, content), tool) for tool in tools if tool.doing]
    best = max((score for score, _ in scored), default=0.0)
    return [tool for score, tool in scored if score > 0 and score >= AS_GOOD * best]


def _wish(tool: Document, verbs: list[str], content: set[str]) -> float:
    """How strongly verbs and words ask for this tool's doing; 0 without its verb or without its subject."""
    verb = tool.doing or ""
    group = next((one for one in _DO_GROUPS if verb in one), frozenset((verb,)))
    said = [one for one in verbs if one in group]
    as_noun = stem(verb) in content and any(one in _WEAK_DOING for one in verbs)
    named = any(one in _WEAK_DOING for one in verbs) and not tool.subject.isdisjoint(content)
    if not said and not as_noun and not named:
        return 0.0
    rest = content - {stem(one) for one in said if one != verb}
    fits = sum(_subject_match(tool, one) for one in rest - {stem(verb)})
    if fits == 0:
        return 0.0
    return fits + (1.0 if verb in said or as_noun else 0.5)


def _subject_match(tool: Document, one: str) -> float:
    if one in tool.subject:
        return 1.0
    near = set(groups_of(one))
    return SYNONYM if near and any(near & set(groups_of(other)) for other in tool.subject) else 0.0


# --- tools that look something up ----------------------------------------------------------------------------------


def _readings(said: Said, text: str, tools: tuple[Document, ...]) -> Routed:
    """Calls of looking-up tools: the one that explains most, then any that explains what the former do not."""
    words = _weighted_words(text)
    rarity = _rarity(tools)
    able, missing = _able(said, tools)
    calls: list[Choice] = []
    top = 0.0
    while able:
        best = {one: max(tool.match(one) for tool, _ in able) for one in words}
        scores = [_explained(tool, words, best, rarity, filled, first=not calls) for tool, filled in able]
        place = max(range(len(able)), key=scores.__getitem__)
        if scores[place] < max(ENOUGH, BESIDE_THE_BEST * top):
            break
        tool, filled = able[place]
        top = top or scores[place]
        calls.append(Choice(tool.spec.name, filled.arguments))
        covered = {one for one in words if stem(one) in filled.taken or tool.match(one) >= AS_GOOD * best[one] > 0}
        if _HOW_TO_WORD in covered:
            break
        for one in covered:
            del words[one]
        del able[place]
    return Routed(tuple(calls), None if calls else _missing(said, text, tools, missing))


def _weighted_words(text: str) -> dict[str, float]:
    """The words that carry meaning; an attribute ("status of ...") and a verb ("open") weigh less."""
    words = dict.fromkeys(telling(text), 1.0)
    words |= dict.fromkeys(words.keys() & (_DO_GROUPS[0] | _WEAK_DOING), VERB)
    words |= dict.fromkeys(_ATTRIBUTE_OF.findall(text.lower()), ATTRIBUTE)
    if _HOW_TO.search(text):
        words[_HOW_TO_WORD] = 1.0
    if _IS_IT_UP.search(text):
        words["status"] = 1.0
    return words


def _able(said: Said, tools: tuple[Document, ...]) -> tuple[list[tuple[Document, Filled]], dict[str, str]]:
    """The looking-up tools that can be called with what is known, and what the others lack."""
    able: list[tuple[Document, Filled]] = []
    missing: dict[str, str] = {}
    for tool in tools:
        if tool.doing:
            continue
        try:
            able.append((tool, _fill(tool, said)))
        except Unfillable as unfillable:
            missing[tool.spec.name] = unfillable.parameter
    return able, missing


def _explained(
    tool: Document,
    words: dict[str, float],
    best: dict[str, float],
    rarity: Callable[[str], float],
    filled: Filled,
    *,
    first: bool,
) -> float:
    """The weight of the words that this tool explains about as well as any."""
    score = 0.0
    for one, weight in words.items():
        match = tool.match(one)
        if match > 0 and match >= AS_GOOD * best[one]:
            score += match * weight * rarity(one)
        elif first:
            score += 0.3 * match * weight * rarity(one)
    subject_said = any(_subject_match(tool, stem(one)) for one in words)
    return score + (ID_SAID if filled.identified and tool.needs_id and subject_said else 0.0)


def _missing(said: Said, text: str, tools: tuple[Document, ...], missing: dict[str, str]) -> str | None:
    """The parameter to ask for, when a tool would have been right but for it."""
    rarity = _rarity(tools)
    words = _weighted_words(text)
    scores = {
        tool.spec.name: sum(tool.match(one) * weight * rarity(one) for one, weight in words.items())
        for tool in tools
        if tool.spec.name in missing
    }
    name = max(scores, key=scores.__getitem__, default=None)
    return missing[name] if name is not None and scores[name] >= ENOUGH else None


def _rarity(tools: tuple[Document, ...]) -> Callable[[str], float]:
    """How telling a word is among the offered tools: 1 where one tool has it, towards 0 where all have."""

    def rarity(one: str) -> float:
        matches = [tool.match(one) for tool in tools]
        having = max(sum(matches) / (max(matches) or 1.0), 1.0)
        scale = math.log((len(tools) + 1) / 1.5)
        return max(math.log((len(tools) + 1) / (having + 0.5)) / scale, LEAST_RARITY) if scale > 0 else 1.0

    return rarity


# --- reading a tool ------------------------------------------------------------------------------------------------


def _fill(tool: Document, said: Said, *, force: bool = False) -> Filled:
    return fill(tool.spec.parameters, said, sorted(tool.subject), force=force)


@lru_cache(maxsize=64)
def _documents(offered: str) -> tuple[Document, ...]:
    """Every offered tool as words; kept, since a conversation offers the same tools at each turn."""
    return tuple(_document(ToolSpec(*one)) for one in json.loads(offered))


def _document(spec: ToolSpec) -> Document:
    doing = _doing(spec)
    words: dict[str, float] = {}
    bases: dict[str, float] = {}
    groups: dict[int, float] = {}
    for text, weight in _texts(spec):
        for one in telling(text):
            base = stem(one)
            words[one] = max(words.get(one, 0.0), weight)
            bases[base] = max(bases.get(base, 0.0), weight)
            for group in groups_of(base):
                groups[group] = max(groups.get(group, 0.0), weight)
    verbs = {stem(verb) for verb in _READ_VERBS} | {stem(doing or "get")}
    subject = frozenset(one for one in stems(spec.name) if one not in verbs)
    required = required_of(spec.parameters)
    needs_id = any(is_identifier(name, one) for name, one in properties_of(spec.parameters).items() if name in required)
    return Document(spec, words, bases, groups, subject, doing, needs_id)


def _texts(spec: ToolSpec) -> list[tuple[str, float]]:
    """The parts of a tool and what a match in each is worth; a sentence that says what it is not for counts nothing."""
    verbs = _READ_VERBS | {"query"}
    found = [(" ".join(word for word in tokens(spec.name) if word not in verbs), _NAME)]
    sentences = [one for one in re.split(r"(?<=[.;!?])\s+|\n+", spec.description) if not _NOT_FOR.search(one)]
    found += [(one, _LEAD if number == 0 else _REST) for number, one in enumerate(sentences)]
    for name, schema in properties_of(spec.parameters).items():
        if set(tokens(name)) & COUNT_WORDS:
            continue
        found.append((name, _PARAMETER))
        found.append((str(schema.get("description", "")), _PARAMETER_TEXT))
        found.append((_joined(schema.get("examples")), _PARAMETER_TEXT))
        found.append((_joined(schema.get("enum")), _CHOICE))
    return found


def _joined(values: Any) -> str:
    return " ".join(str(one) for one in as_list(values) or [])


def _doing(spec: ToolSpec) -> str | None:
    """The verb of a tool that does something, by its name or its description's first word; None if it only looks."""
    name = tokens(spec.name)
    description = tokens(spec.description)
    heads = [_base(words[0]) for words in (name, description) if words]
    if any(head in _READ_VERBS for head in heads):
        return None
    known = [head for head in heads if any(head in group for group in _DO_GROUPS)]
    if known:
        return known[0]
    same = len(heads) == 2 and stem(heads[0]) == stem(heads[1]) and len(name) > 1
    return heads[0] if same else None


def _base(verb: str) -> str:
    """`creates` as `create`."""
    for form in (verb, verb.removesuffix("s"), verb.removesuffix("es")):
        if form in _READ_VERBS or any(form in group for group in _DO_GROUPS):
            return form
    return verb
