"""Who has which page open in this process, and what of it has changed: told to each, as kinds and ids alone."""

import asyncio
import secrets
from collections import Counter, deque
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import NamedTuple

from console.members import Member
from console.signals import TABLE

KEPT = 1000
"""Changes that are remembered for pages whose stream begins later than they were read."""
LINGER_SECONDS = 3.0
"""A page that is loaded anew is not left."""
MOST_OF_MEMBER = 50

_streams = TABLE.gauge("switchboard_console_streams")


class TooMany(Exception):
    """No more pages of this member are followed here."""


class Change(NamedTuple):
    """Something to fetch anew; an empty `id`: all of its kind. Of a conversation also its latest positions."""

    kind: str
    id: str
    entries: int = 0
    events: int = 0

    def concerns(self, topics: Iterable[str]) -> bool:
        """A topic is a kind, for lists, or `kind:id`, for a page."""
        if not self.id:
            return any(each.partition(":")[0] == self.kind for each in topics)
        return self.kind in topics or f"{self.kind}:{self.id}" in topics


class Onlooker:
    """One open page: what it shows, and what its browser has not been told yet."""

    def __init__(self, topics: frozenset[str], member: Member) -> None:
        self.topics, self.member = topics, member
        self.woken = asyncio.Event()
        self._changes: dict[tuple[str, str], Change] = {}
        self._place = ""
        self._is_lost = False
        self._looking: dict[str, list[str]] = {}

    def take(self, change: Change, place: str) -> None:
        if change.concerns(self.topics):
            self._changes[change.kind, change.id] = change
            self._place = place
            self.woken.set()

    def lose(self, place: str) -> None:
        """Anything may have changed."""
        self._is_lost, self._place = True, place
        self.woken.set()

    def see(self, topic: str, names: list[str]) -> None:
        self._looking[topic] = names
        self.woken.set()

    def told(self) -> tuple[list[Change], str, bool, dict[str, list[str]]]:
        """What is new, once: changes, the place after them, whether anything may have changed, and who else looks."""
        told = (list(self._changes.values()), self._place, self._is_lost, self._looking)
        self._changes, self._is_lost, self._looking = {}, False, {}
        self.woken.clear()
        return told


class Following:
    """`is_on` while the other rooms tell what changes; `leaving` when this process ends."""

    def __init__(self) -> None:
        self.is_on = False
        self.leaving = False
        self._boot = secrets.token_hex(4)
        self._number = 0
        self._latest: deque[tuple[int, Change | None]] = deque(maxlen=KEPT)
        self._onlookers: set[Onlooker] = set()
        self._present: Counter[tuple[str, Member]] = Counter()

    @property
    def place(self) -> str:
        """What has changed up to now. A page that is read after this was asked shows all of it."""
        return f"{self._boot}-{self._number}"

    def is_looked_at(self, kind: str) -> bool:
        return any(Change(kind, "").concerns(each.topics) for each in self._onlookers)

    def tell(self, changes: Iterable[Change]) -> None:
        for change in changes:
            self._number += 1
            self._latest.append((self._number, change))
            for each in self._onlookers:
                each.take(change, self.place)

    def lose(self) -> None:
        """Nobody knows what has changed meanwhile."""
        self._number += 1
        self._latest.append((self._number, None))
        for each in self._onlookers:
            each.lose(self.place)

    def turn(self, *, on: bool) -> None:
        self.is_on = on
        self._wake()

    def leave(self) -> None:
        self.leaving = True
        self._wake()

    def who(self, topic: str, member: Member) -> list[str]:
        """The others who have this page open now, by the names that are shown."""
        there = {each for of, each in self._present if of == topic and each.name != member.name}
        return sorted(each.shown or each.name for each in there)

    @contextmanager
    def looking(self, topics: frozenset[str], member: Member, after: str) -> Generator[Onlooker]:
        """Raises: `TooMany`."""
        if sum(each.member.name == member.name for each in self._onlookers) >= MOST_OF_MEMBER:
            raise TooMany
        onlooker = Onlooker(topics, member)
        self._catch_up(onlooker, after)
        self._onlookers.add(onlooker)
        _streams.inc()
        pages = [each for each in topics if ":" in each]
        for each in pages:
            self._come(each, member)
            onlooker.see(each, self.who(each, member))
        try:
            yield onlooker
        finally:
            _streams.dec()
            self._onlookers.discard(onlooker)
            for each in pages:
                asyncio.get_running_loop().call_later(LINGER_SECONDS, self._go, each, member)

    def _catch_up(self, onlooker: Onlooker, after: str) -> None:
        boot, _, number = after.partition("-")
        missed = self._number - int(number) if boot == self._boot and number.isdecimal() else KEPT + 1
        if missed > len(self._latest):
            onlooker.lose(self.place)
            return
        for at, change in self._latest:
            if at > self._number - missed:
                onlooker.take(change, self.place) if change else onlooker.lose(self.place)

    def _come(self, topic: str, member: Member) -> None:
        self._present[topic, member] += 1
        if self._present[topic, member] == 1:
            self._tell_who(topic)

    def _go(self, topic: str, member: Member) -> None:
        self._present[topic, member] -= 1
        if not self._present[topic, member]:
            del self._present[topic, member]
            self._tell_who(topic)

    def _tell_who(self, topic: str) -> None:
        for each in self._onlookers:
            if topic in each.topics:
                each.see(topic, self.who(topic, each.member))

    def _wake(self) -> None:
        for each in self._onlookers:
            each.woken.set()
