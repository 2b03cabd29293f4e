"""Business hours: working days and times in a zone, without holidays. Pure; a day may have 23 or 25 hours."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import get_args
from zoneinfo import ZoneInfo

from contracts import TicketPriority

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LEAST_MINUTES = 60
"""A week has to be open for this long, so that every due time comes."""
MOST_HOLIDAYS = 1000
MOST_HOURS = 2000

_PART = re.compile(r"([a-z]{3})(?:-([a-z]{3}))? ([0-2][0-9]):([0-5][0-9])-([0-2][0-9]):([0-5][0-9])")
_PROMISE = re.compile(r"\b([a-z]+)=([0-9]{1,4}(?:\.[0-9]{1,4})?)(?=\s|$)")
_DAY = 24 * 60

Span = tuple[int, int]
"""From one minute of the day to another."""


@dataclass(frozen=True)
class Hours:
    """When time counts. Without a `week`, always."""

    week: dict[int, tuple[Span, ...]] = field(default_factory=dict[int, tuple[Span, ...]])
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    holidays: frozenset[date] = frozenset()

    def add(self, start: datetime, seconds: float) -> datetime:
        """When so much time has passed since `start`; `start` itself for none."""
        left = timedelta(seconds=max(0.0, seconds))
        if not self.week:
            return start + left
        if not left:
            return start
        for begin, end in self._open_from(start):
            if end - begin >= left:
                return begin + left
            left -= end - begin
        raise AssertionError("time without an end has no last span")

    def between(self, start: datetime, end: datetime) -> float:
        """Seconds of business time from one moment to a later one."""
        if end <= start:
            return 0.0
        if not self.week:
            return (end - start).total_seconds()
        total = timedelta()
        for begin, until in self._open_from(start):
            if begin >= end:
                break
            total += min(until, end) - begin
        return total.total_seconds()

    def _open_from(self, start: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The open spans, the first cut at `start`, without an end."""
        day = start.astimezone(self.zone).date() - timedelta(days=1)
        while True:
            spans = () if day in self.holidays else self.week.get(day.weekday(), ())
            for first, last in spans:
                begin, end = self._moment(day, first, fold=0), self._moment(day, last, fold=1)
                if end > start and end > begin:
                    yield max(begin, start), end
            day += timedelta(days=1)

    def _moment(self, day: date, minute: int, *, fold: int) -> datetime:
        """An hour that occurs twice counts twice; one that is left out begins when the clock has jumped."""
        if minute == _DAY:
            day, minute = day + timedelta(days=1), 0
        local = datetime.combine(day, time(minute // 60, minute % 60, fold=fold), self.zone)
        return local.astimezone(UTC)


def parse_hours(week: str, zone: str, holidays: str) -> Hours:
    """Settings as hours. Raises: ValueError, which says what is wrong."""
    return Hours(parse_week(week), parse_zone(zone), parse_holidays(holidays))


def parse_week(text: str) -> dict[int, tuple[Span, ...]]:
    """Such as `mon-fri 09:00-17:00, sat 10:00-14:00`; empty: always open."""
    week: dict[int, list[Span]] = {}
    for part in filter(None, (each.strip().lower() for each in text.split(","))):
        days, span = _parse_part(part)
        for day in days:
            week.setdefault(day, []).append(span)
    found = {day: tuple(sorted(spans)) for day, spans in week.items()}
    for day, spans in found.items():
        if any(before[1] > after[0] for before, after in pairwise(spans)):
            raise ValueError(f"two times of {DAYS[day]} overlap")
    if found and sum(last - first for spans in found.values() for first, last in spans) < LEAST_MINUTES:
        raise ValueError(f"a week has to be open for at least {LEAST_MINUTES} minutes")
    return found


def _parse_part(part: str) -> tuple[list[int], Span]:
    match = _PART.fullmatch(part)
    if match is None or {match[1], match[2] or match[1]} - set(DAYS):
        raise ValueError("expected parts like mon-fri 09:00-17:00, separated by commas")
    first, last = DAYS.index(match[1]), DAYS.index(match[2] or match[1])
    begin, end = int(match[3]) * 60 + int(match[4]), int(match[5]) * 60 + int(match[6])
    if not begin < end <= _DAY:
        raise ValueError("a time has to end after it begins, and by 24:00; split one that goes over midnight")
    return [day % 7 for day in range(first, last + (1 if last >= first else 8))], (begin, end)


def parse_zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # an unknown name, one that is a path, one that is a folder
        raise ValueError("expected a time zone such as Europe/Berlin") from None


def parse_holidays(text: str) -> frozenset[date]:
    """Such as `2026-12-25, 2027-01-01`."""
    try:
        found = frozenset(date.fromisoformat(part.strip()) for part in text.split(",") if part.strip())
    except ValueError:
        raise ValueError("expected dates such as 2026-12-25, separated by commas") from None
    if len(found) > MOST_HOLIDAYS:
        raise ValueError(f"expected at most {MOST_HOLIDAYS} dates")
    return found


def parse_promises(text: str) -> dict[TicketPriority, float]:
    """Such as `urgent=1 high=2 normal=8 low=24`, in hours; returns seconds."""
    found = dict(_PROMISE.findall(text))
    if _PROMISE.sub("", text).strip() or set(found) != set(get_args(TicketPriority)):
        raise ValueError("expected hours for each priority, such as urgent=1 high=2 normal=8 low=24")
    seconds: dict[TicketPriority, float] = {
        priority: float(found[priority]) * 3600 for priority in get_args(TicketPriority)
    }
    if not all(0 < each <= MOST_HOURS * 3600 for each in seconds.values()):
        raise ValueError(f"expected more than 0 and at most {MOST_HOURS} hours")
    return seconds
