"""When jobs may be sent, against a clock that is looked at minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrun.core.hours import Hours, hours
from batchrun.core.job import Millis
from tests.examples import examples

QUARTER = 15 * 60_000
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Santiago")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SPRING = datetime(2027, 3, 28, tzinfo=UTC)
AUTUMN = datetime(2026, 10, 25, tzinfo=UTC)


def of(text: str) -> Hours:
    made = hours(text)
    assert made is not None
    return made


def at(text: str, zone: str = "Europe/Berlin", fold: int = 0) -> Millis:
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return Millis(round(moment.timestamp() * 1000))


def clocks() -> st.SearchStrategy[str]:
    quarters = st.integers(0, 95).map(lambda n: f"{n // 4:02}:{n % 4 * 15:02}")
    return st.tuples(quarters, quarters).filter(lambda pair: pair[0] != pair[1]).map("-".join)


def written() -> st.SearchStrategy[str]:
    days = st.one_of(
        st.just(""),
        st.sampled_from([f"{day} " for day in DAYS]),
        st.tuples(st.sampled_from(DAYS), st.sampled_from(DAYS)).map(lambda pair: f"{'-'.join(pair)} "),
    )
    window = st.tuples(days, clocks()).map("".join)
    return st.tuples(st.lists(window, min_size=1, max_size=3).map(", ".join), st.sampled_from(ZONES)).map(" ".join)


def moments() -> st.SearchStrategy[Millis]:
    """Any minute of two years, and those round changes of the clock more often."""
    changes = [datetime(2026, 10, 25, tzinfo=UTC), datetime(2027, 3, 28, tzinfo=UTC), datetime(2027, 4, 4, tzinfo=UTC)]
    changes += [datetime(2026, 11, 1, tzinfo=UTC), datetime(2027, 3, 14, tzinfo=UTC), datetime(2026, 9, 6, tzinfo=UTC)]
    near = st.tuples(st.sampled_from(changes), st.integers(-1440, 2880)).map(lambda t: t[0] + timedelta(minutes=t[1]))
    far = st.integers(0, 2 * 366 * 1440).map(lambda n: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=n))
    return st.one_of(near, far).map(lambda moment: Millis(round(moment.timestamp() * 1000)))


@lru_cache
def week(made: Hours) -> frozenset[int]:
    """The minutes of a week that are open, each window written out."""
    return frozenset(
        (day * 1440 + window.start + n) % (7 * 1440)
        for window in made.windows
        for day in window.days
        for n in range((window.end - window.start) % 1440 or 1440)
    )


def shows(made: Hours, millis: int) -> bool:
    """The same by another way: the clock's face is read, and looked up in the week."""
    shown = datetime.fromtimestamp(millis / 1000, made.zone)
    return shown.weekday() * 1440 + shown.hour * 60 + shown.minute in week(made)


@given(written(), moments())
@settings(max_examples=examples(60), deadline=None)
def test_it_is_open_when_the_clock_on_the_wall_says_so_and_opens_and_closes_in_between(text: str, now: Millis) -> None:
    made = of(text)
    opens = made.opens(now)
    assert made.open(opens)
    assert made.open(now) is shows(made, now)
    for n in range(0, min(opens - now, 3 * 86_400_000), QUARTER):
        assert not shows(made, now + n)
    closes = made.closes(opens)
    if closes is not None:
        assert not made.open(closes)
        for n in range(0, min(closes - opens, 86_400_000), QUARTER):
            assert shows(made, opens + n)


@given(written(), moments(), st.integers(1, 40))
@settings(max_examples=examples(40), deadline=None)
def test_the_time_that_work_takes_is_counted_in_open_windows_forward_and_back(
    text: str, now: Millis, quarters: int
) -> None:
    made = of(text)
    now = Millis(now - now % QUARTER)  # as all windows and all changes of clocks: so it is enough to look at quarters
    seconds = quarters * 900.0
    begin, end = made.before(now, seconds), made.after(now, seconds)

    def opened(start: int, stop: int) -> int:
        return sum(shows(made, moment) for moment in range(start, stop, QUARTER)) * 900

    assert opened(begin, now) == seconds
    assert opened(now, end) == seconds
    assert made.after(begin, seconds) <= now


def test_a_night_lasts_an_hour_less_or_more_where_the_clock_is_put_forward_or_back() -> None:
    night = of("22:00-06:00 Europe/Berlin")
    for evening, length in (("2027-03-26T22:00", 8), ("2027-03-27T22:00", 7), ("2026-10-24T22:00", 9)):
        closes = night.closes(at(evening))
        assert closes is not None
        assert closes - at(evening) == length * 3_600_000
    assert night.opens(at("2027-03-27T12:00")) == at("2027-03-27T22:00")


def test_an_hour_that_the_clock_skips_is_no_time_and_one_that_it_shows_twice_counts_twice() -> None:
    skipped = of("sun 02:15-02:45 Europe/Berlin")
    assert skipped.opens(at("2027-03-28T00:00")) == at("2027-04-04T02:15")
    twice = of("sun 02:15-02:45 Europe/Berlin")
    assert twice.opens(at("2026-10-25T02:45")) == at("2026-10-25T02:15", fold=1)
    into = of("02:30-05:00 Europe/Berlin")
    assert into.opens(at("2027-03-28T01:00")) == at("2027-03-28T03:00")


def test_a_window_of_a_day_goes_on_after_midnight() -> None:
    friday = of("fri 22:00-06:00 UTC")
    assert friday.open(at("2026-11-28T05:59", "UTC"))
    assert not friday.open(at("2026-11-27T05:59", "UTC"))
    assert friday.opens(at("2026-11-28T06:00", "UTC")) == at("2026-12-04T22:00", "UTC")


def test_the_whole_week_never_closes() -> None:
    assert of("00:00-24:00 UTC").closes(at("2026-11-28T06:00", "UTC")) is None
    assert of("00:00-12:00, 12:00-24:00 UTC").closes(at("2026-11-28T06:00", "UTC")) is None


@pytest.mark.parametrize("text", [None, "", "always"])
def test_without_hours_it_is_always(text: str | None) -> None:
    assert hours(text) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("22:00-06:00", "the zone is missing"),
        ("22:00-06:00,", "the zone is missing"),
        ("22:00-06:00 Mars/Base", "`Mars/Base` is none here"),
        ("22:00-06:00 Europe", "`Europe` is none here"),
        ("22:00-06:00 ../../etc/passwd", "is none here"),
        ("Europe/Berlin", "must be hours and their time zone"),
        ("25:00-06:00 UTC", "no clock shows 25:00-06:00"),
        ("22:00-24:30 UTC", "no clock shows"),
        ("22:60-23:00 UTC", "no clock shows"),
        ("22:00-22:00 UTC", "is no time at all"),
        ("22-6 UTC", "must be hours"),
        ("mo-fr 22:00-06:00 UTC", "the days are mon, tue"),
        ("mon fri 22:00-06:00 UTC", "must be hours"),
        ("22:00-06:00, UTC", "must be hours"),
    ],
)
def test_what_are_no_hours_is_said_with_an_example(text: str, said: str) -> None:
    with pytest.raises(ValueError, match="must") as caught:
        hours(text)
    assert said in str(caught.value)
