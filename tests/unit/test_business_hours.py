"""Business hours: what counts, in any zone, on days of 23 and 25 hours; settings that make no sense."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from tickets.hours import Hours, parse_hours

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
OFFICE = "mon-fri 09:00-17:00"

ADDED = [
    # week, zone, holidays, start, hours, due
    ("", "UTC", "", "2026-12-25T10:00+00:00", 4, "2026-12-25T14:00+00:00"),
    (OFFICE, "UTC", "", "2026-11-30T10:00+00:00", 4, "2026-11-30T14:00+00:00"),  # a Monday
    (OFFICE, "UTC", "", "2026-11-30T10:00+00:00", 0, "2026-11-30T10:00+00:00"),
    (OFFICE, "UTC", "", "2026-11-30T10:00+00:00", -3, "2026-11-30T10:00+00:00"),
    (OFFICE, "UTC", "", "2026-11-30T16:00+00:00", 4, "2026-12-01T12:00+00:00"),
    (OFFICE, "UTC", "", "2026-11-30T13:00+00:00", 4, "2026-11-30T17:00+00:00"),  # to the minute at which they go
    (OFFICE, "UTC", "", "2026-12-04T16:00+00:00", 2, "2026-12-07T10:00+00:00"),  # over a weekend
    (OFFICE, "UTC", "", "2026-12-05T12:00+00:00", 1, "2026-12-07T10:00+00:00"),  # asked on a Saturday
    (OFFICE, "UTC", "", "2026-11-30T03:00+00:00", 1, "2026-11-30T10:00+00:00"),  # before they come
    (OFFICE, "UTC", "2026-12-25", "2026-12-24T16:00+00:00", 2, "2026-12-28T10:00+00:00"),
    (OFFICE, "Europe/Berlin", "", "2026-07-01T07:30+00:00", 1, "2026-07-01T08:30+00:00"),  # summer: 09:30 there
    (OFFICE, "Europe/Berlin", "", "2026-12-01T07:30+00:00", 1, "2026-12-01T09:00+00:00"),  # winter: 08:30 there
    (OFFICE, "Pacific/Auckland", "", "2026-12-04T03:59+00:00", 1, "2026-12-06T20:59+00:00"),  # their Friday afternoon
    ("sun 00:00-24:00", "Europe/Berlin", "", "2026-03-28T23:00+00:00", 23, "2026-03-29T22:00+00:00"),  # 23 hours
    ("sun 00:00-24:00", "Europe/Berlin", "", "2026-10-24T22:00+00:00", 25, "2026-10-25T23:00+00:00"),  # 25 hours
    ("sun 02:00-03:00, mon 09:00-10:00", "Europe/Berlin", "", "2026-03-28T23:00+00:00", 1, "2026-03-30T08:00+00:00"),
    ("fri-mon 10:00-11:00", "UTC", "", "2026-12-04T10:00+00:00", 3.5, "2026-12-07T10:30+00:00"),  # over Sunday
    ("mon 09:00-12:00, mon 13:00-14:00", "UTC", "", "2026-11-30T11:00+00:00", 2, "2026-11-30T14:00+00:00"),
    ("sun 10:00-11:00", "UTC", "", "2026-11-30T00:00+00:00", 3, "2026-12-20T11:00+00:00"),
    (OFFICE, "America/St_Johns", "", "2026-11-30T12:00+00:00", 1, "2026-11-30T13:30+00:00"),  # half an hour off
    (OFFICE, "Asia/Kathmandu", "", "2026-11-30T03:15+00:00", 1, "2026-11-30T04:15+00:00"),
]


@pytest.mark.parametrize(("week", "zone", "holidays", "start", "hours", "due"), ADDED)
def test_a_due_time_comes_after_so_many_business_hours(
    week: str, zone: str, holidays: str, start: str, hours: float, due: str
) -> None:
    counted = parse_hours(week, zone, holidays)
    assert counted.add(datetime.fromisoformat(start), hours * 3600) == datetime.fromisoformat(due)


WEEKS = ("", OFFICE, "sun 00:00-24:00", "mon-sun 22:00-24:00, mon-sun 00:00-04:00", "sun 02:30-03:30, wed 01:00-02:00")
ZONES = ("UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Africa/Casablanca")


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("week", WEEKS)
def test_what_is_added_lies_between_and_a_pause_takes_and_gives_nothing(week: str, zone: str) -> None:
    hours, chance = parse_hours(week, zone, "2026-12-25, 2027-01-01"), Random(f"{week} {zone}")
    for _ in range(40):
        first, second, third = sorted(BEGIN + timedelta(seconds=chance.randrange(2 * 365 * 86_400)) for _ in range(3))
        seconds = chance.randrange(400_000)
        assert hours.between(first, hours.add(first, seconds)) == pytest.approx(seconds)
        parts = hours.between(first, second) + hours.between(second, third)
        assert parts == pytest.approx(hours.between(first, third))


HOSTILE = [
    ("monday 09:00-17:00", "UTC", "", "expected parts like"),
    ("mon 9-17", "UTC", "", "expected parts like"),
    ("xyz 09:00-17:00", "UTC", "", "expected parts like"),
    ("mon-fri", "UTC", "", "expected parts like"),
    ("mon 17:00-09:00", "UTC", "", "end after it begins"),
    ("mon 09:00-09:00", "UTC", "", "end after it begins"),
    ("mon 09:00-24:01", "UTC", "", "by 24:00"),
    ("mon 25:00-26:00", "UTC", "", "by 24:00"),
    ("mon 09:00-09:59", "UTC", "", "at least 60 minutes"),
    ("mon-fri 09:00-17:00, wed 16:00-18:00", "UTC", "", "wed overlap"),
    (OFFICE, "Europe/Atlantis", "", "time zone"),
    (OFFICE, "../../etc/passwd", "", "time zone"),
    (OFFICE, "/etc/localtime", "", "time zone"),
    (OFFICE, "Europe", "", "time zone"),
    (OFFICE, "Europe/Berlin\0", "", "time zone"),
    (OFFICE, "", "", "time zone"),
    (OFFICE, "UTC", "2026-02-30", "expected dates"),
    (OFFICE, "UTC", "christmas", "expected dates"),
    (OFFICE, "UTC", ",".join(f"{year}-{month:02}-01" for year in range(2000, 2099) for month in range(1, 13)), "most"),
]


@pytest.mark.parametrize(("week", "zone", "holidays", "complaint"), HOSTILE)
def test_settings_that_make_no_sense_are_refused(week: str, zone: str, holidays: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_hours(week, zone, holidays)


def test_time_counts_always_where_nothing_is_said() -> None:
    assert parse_hours("", "UTC", "").week == Hours().week == {}
