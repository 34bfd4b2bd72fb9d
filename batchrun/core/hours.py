"""When jobs may be sent: `22:00-06:00 Europe/Berlin`, `mon-fri 20:00-07:00, sat-sun 00:00-24:00 America/New_York`.

Hours go by what a clock on the wall shows there, so that they are right when it is put forward or back: an hour that
the clock skips is no time at all, one that it shows twice counts twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from batchrun.core.job import Millis

ALWAYS = "always"
"""The word for no hours."""

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

LOOKED = 15
"""Days in which each window opens at least once: a week, and another for one that the clock skips."""

_DAY = 24 * 60
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")
_WANTED = "must be hours and their time zone, such as `22:00-06:00 Europe/Berlin` or `mon-fri 20:00-07:00 UTC`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From `start` until `end`, in minutes of the day; past midnight where `end` is not later. On `days` it begins."""

    start: int
    end: int
    days: frozenset[int]  #: 0 is Monday

    def shows(self, weekday: int, minute: int) -> bool:
        """Whether a clock that shows *minute* of *weekday* is within."""
        if self.start < self.end:
            return weekday in self.days and self.start <= minute < self.end
        if minute >= self.start:
            return weekday in self.days
        return minute < self.end and (weekday - 1) % 7 in self.days


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """When jobs may be sent."""

    text: str  #: as it was written
    windows: tuple[Window, ...]
    zone: ZoneInfo

    def open(self, at: Millis) -> bool:
        """Whether jobs may be sent at *at*."""
        shown = datetime.fromtimestamp(at // 1000, self.zone)
        minute = 60 * shown.hour + shown.minute
        return any(window.shows(shown.weekday(), minute) for window in self.windows)

    def opens(self, at: Millis) -> Millis:
        """When jobs may be sent from *at* on: at once, or when the next window opens."""
        if self.open(at):
            return at
        return next(turn for turn in self._turns(at) if self.open(turn))

    def closes(self, at: Millis) -> Millis | None:
        """When the window ends that is open at *at*; None if none ends within `LOOKED` days."""
        return next((turn for turn in self._turns(at) if not self.open(turn)), None)

    def after(self, at: Millis, seconds: float) -> Millis:
        """When jobs that need *seconds* of open windows are done if they begin at *at*."""
        left = round(seconds * 1000)
        while True:
            at = self.opens(at)
            end = self.closes(at)
            if end is None or end - at >= left:
                return Millis(at + left)
            left -= end - at
            at = end

    def before(self, at: Millis, seconds: float) -> Millis:
        """The latest moment from which there are *seconds* of open windows until *at*."""
        left = round(seconds * 1000)
        while left > 0:
            start = Millis(at - LOOKED * _DAY * 60_000)
            turns = [start, *(turn for turn in self._turns(start) if turn < at), at]
            for begin, end in reversed(list(pairwise(turns))):
                if self.open(begin):
                    if end - begin >= left:
                        return Millis(end - left)
                    left -= end - begin
            at = start
        return at

    def _turns(self, at: Millis) -> Iterator[Millis]:
        """Moments after *at*, in order, among them all at which a window opens or closes in the next `LOOKED` days."""
        first = datetime.fromtimestamp(at // 1000, self.zone).date()
        minutes = {minute for window in self.windows for minute in (window.start, window.end)}
        for n in range(-1, LOOKED + 1):
            day = first + timedelta(days=n)
            found = {moment for minute in minutes for moment in self._shown(day, minute)} | self._jumps(day)
            yield from sorted(Millis(moment) for moment in found if moment > at)

    def _shown(self, day: date, minute: int) -> Iterator[int]:
        """When a clock shows *minute* of *day*: once, or twice where it is put back between."""
        wall = datetime.combine(day, time(minute // 60 % 24, minute % 60), self.zone)
        for fold in (0, 1):
            yield round(wall.replace(fold=fold).timestamp()) * 1000

    def _jumps(self, day: date) -> set[int]:
        """The moment at which the clock is put forward or back on *day*, if it is."""
        low, high = (round(datetime.combine(day, time(), self.zone).timestamp()) + n * 86_400 for n in (0, 1))
        before = self._offset(low)
        if self._offset(high) == before:
            return set()
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._offset(middle) == before else (low, middle)
        return {high * 1000}

    def _offset(self, seconds: int) -> timedelta | None:
        return datetime.fromtimestamp(seconds, self.zone).utcoffset()


@lru_cache(maxsize=64)
def hours(text: str | None) -> Hours | None:
    """The hours that *text* means; None for none, which is always.

    Raises ValueError with the end of a sentence.
    """
    words = [] if text is None else text.split()
    if not words or words == [ALWAYS]:
        return None
    *most, last = words
    if _CLOCK.fullmatch(last) or last.endswith(","):
        raise ValueError(f"{_WANTED}: the zone is missing")
    if not most:
        raise ValueError(_WANTED)
    windows = tuple(_window(part.split()) for part in " ".join(most).split(","))
    return Hours(text=" ".join(words), windows=windows, zone=_zone(last))


def _window(words: list[str]) -> Window:
    days = frozenset(range(7))
    match words:
        case [clock]:
            pass
        case [named, clock]:
            days = _days(named.lower())
        case _:
            raise ValueError(_WANTED)
    found = _CLOCK.fullmatch(clock)
    if found is None:
        raise ValueError(_WANTED)
    hour, minute, until_hour, until_minute = map(int, found.groups())
    start, end = 60 * hour + minute, 60 * until_hour + until_minute
    if max(minute, until_minute) > 59 or start >= _DAY or end > _DAY:
        raise ValueError(f"{_WANTED}: no clock shows {clock}")
    if start == end:
        raise ValueError(f"{_WANTED}: {clock} is no time at all; the whole day is 00:00-24:00")
    return Window(start=start, end=end, days=days)


def _days(named: str) -> frozenset[int]:
    first, dash, last = named.partition("-")
    if first not in DAYS or (dash and last not in DAYS):
        raise ValueError(f"{_WANTED}: the days are {', '.join(DAYS)}, or from one to another as mon-fri")
    begin, end = DAYS.index(first), DAYS.index(last if dash else first)
    return frozenset((begin + n) % 7 for n in range((end - begin) % 7 + 1))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError; a folder of zones is an OSError
        raise ValueError(f"must end with a time zone such as Europe/Berlin or UTC: `{name}` is none here") from None
