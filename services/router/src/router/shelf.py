"""All tools there are, and which of them a turn offers to the model when there are more than it should read."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from contracts import Caller, Tool
from router.fulltext import FullText
from router.offer import Offer
from router.run import Run
from router.tools.articles import match_expression
from router.tools.people import HAND_OVER
from runtime.schemas import Schema, as_schema

FIND_TOOLS = "find_tools"
"""The name of the tool that finds others; it is on offer only where there are others to find."""

QUERY_CHARACTERS = 4000
RESULT_CHARACTERS = 500
"""Of the conversation and of each tool's result: what tools are chosen by."""

_COLUMNS = "id UNINDEXED, name, description, parameters, tokenize = 'porter unicode61'"
_SEARCH = "SELECT id FROM tools WHERE tools MATCH ? ORDER BY bm25(tools, 0.0, 3.0, 2.0, 1.0), id"

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Shelf:
    """The tools of one catalogue, the router's own among them; never changed."""

    def __init__(self, offers: Mapping[str, Offer]) -> None:
        self.offers = {name: offer for name, offer in offers.items() if name != FIND_TOOLS}
        self._finder = {name: offer for name, offer in offers.items() if name == FIND_TOOLS}
        rows = [_row(offer.tool) for name, offer in self.offers.items() if name != HAND_OVER]
        self._texts = FullText("tools", _COLUMNS, rows)

    def best(self, words: str, caller: Caller) -> list[str]:
        """The names of the tools that match any of these words and that this caller may use, best first."""
        match = match_expression(words)
        found = self._texts.find(_SEARCH, match) if match else []
        return [name for (name,) in found if self.offers[name].allowed_to(caller)]

    def matching(self, words: str, caller: Caller) -> list[Tool]:
        """The same for words without bounds, of which the first count."""
        return [self.offers[name].tool for name in self.best(words[:QUERY_CHARACTERS], caller)]

    def pinned(self) -> list[Tool]:
        """Those that the policy pins."""
        return [offer.tool for _, offer in sorted(self.offers.items()) if offer.tool.pinned]

    def for_turn(self, run: Run, caller: Caller, most: int) -> dict[str, Offer]:
        """What the next turn offers: everything, or the best of it with the tool that finds more.

        It follows from the catalogue and from what the journal says about the run. Tools that this caller may not use
        count for nothing; they are told apart from those that do not exist. Only in a conversation a person can go on.
        """
        offers = {name: offer for name, offer in self.offers.items() if name != HAND_OVER or run.conversation}
        forbidden = {name: offer for name, offer in offers.items() if not offer.allowed_to(caller)}
        if len(offers) - len(forbidden) <= most or not self._finder:
            return offers
        wanted = [*_used(run), *_found(run), *self._pinned(), *self.best(_conversation(run), caller)]
        known = [name for name in dict.fromkeys(wanted) if name in offers and name not in forbidden]
        return forbidden | self._finder | {name: self.offers[name] for name in known[: most - 1]}

    def at_start(self, most: int) -> dict[str, Offer]:
        """What a turn offers to a caller without roles of whom nothing is known yet."""
        nobody = Caller(user_id="")
        names = [name for name in sorted(self.offers) if name != HAND_OVER and self.offers[name].allowed_to(nobody)]
        if len(names) <= most or not self._finder:
            return {name: self.offers[name] for name in names}
        wanted = dict.fromkeys([*(name for name in self._pinned() if name in names), *names])
        return self._finder | {name: self.offers[name] for name in list(wanted)[: most - 1]}

    def _pinned(self) -> list[str]:
        """Those that the policy pins, and the router's own."""
        tools = [self.offers[name].tool for name in sorted(self.offers)]
        return [tool.name for tool in tools if tool.pinned or tool.service is None]


def _row(tool: Tool) -> tuple[str, str, str, str]:
    return tool.name, _apart(tool.name), tool.description, " ".join(_words(tool.parameters))


def _apart(name: str) -> str:
    return _HUMP.sub(" ", name)


def _words(node: Schema) -> Iterator[str]:
    """The names of properties at any level, what is said of them, and what they may be."""
    for key, value in node.items():
        if key == "properties":
            yield from map(_apart, as_schema(value))
        elif key == "description" and isinstance(value, str):
            yield value
        elif key == "enum" and isinstance(value, list):
            yield from (word for word in cast(list[Any], value) if isinstance(word, str))
        parts = cast(list[Any], value) if isinstance(value, list) else [value]
        for part in parts:
            yield from _words(as_schema(part))


def _conversation(run: Run) -> str:
    """The customer's words, and what was said and done since, the latest first."""
    later = [_said(run, number) for number in reversed(range(len(run.turns)))]
    return " ".join([run.message, *later])[:QUERY_CHARACTERS]


def _said(run: Run, number: int) -> str:
    turn = run.turns[number]
    results = [result.content[:RESULT_CHARACTERS] for result in run.results[number]]
    return " ".join([turn.text, *(plan.arguments for plan in turn.plans), *results])


def _used(run: Run) -> list[str]:
    """Tools that were called, the latest first."""
    return [plan.tool for turn in reversed(run.turns) for plan in turn.plans if plan.fault != "unknown_tool"]


def _found(run: Run) -> list[str]:
    """Tools that `find_tools` has returned, by its journaled results, the latest first."""
    results = [result for settled in reversed(run.results) for result in settled]
    return [
        name
        for result in results
        if result.tool == FIND_TOOLS and result.status == "ok"
        for name in _names_in(result.content)
    ]


def _names_in(content: str) -> list[str]:
    found = as_schema(as_schema(json.loads(content)).get("untrusted_data")).get("tools")
    entries = cast(list[Any], found) if isinstance(found, list) else []
    return [str(as_schema(entry).get("name")) for entry in entries]
