"""A moment as people write it: `06:30`, `2026-11-25 06:30`, `8h`."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta, tzinfo

from batchrun.core.job import Millis
from batchrun.settings.values import duration

FARTHEST = 366 * 24 * 60 * 60 * 1000
"""Milliseconds that a moment may be ahead: what is later is a mistake."""

_TIME = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")
_DATE_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}.*")
_WANTED = "must be a time such as 06:30, a date and time such as 2026-11-25 06:30, or a duration such as 8h or 90m"


def moment_ahead(text: str, now: Millis, zone: tzinfo | None = None) -> Millis:
    """The moment that *text* means at *now*; a time of day is the next such.

    *zone* is where it is written; None stands for the system's local time.
    Raises ValueError with the end of a sentence for what is no moment, is past, or is more than a year ahead.
    """
    words = text.strip()
    try:
        if _TIME.fullmatch(words):
            at = _next(words, now, zone)
        elif _DATE_TIME.fullmatch(words):
            at = _dated(words, zone)
        else:  # a number alone could be seconds or an hour of the day
            at = Millis(now + round(duration(words if words[-1:].isalpha() else "") * 1000))
    except (ValueError, OverflowError, OSError):
        raise ValueError(_WANTED) from None
    if at <= now:
        raise ValueError("is past")
    if at > now + FARTHEST:
        raise ValueError("is more than a year ahead")
    return at


def _next(words: str, now: Millis, zone: tzinfo | None) -> Millis:
    """The next moment at which a clock in *zone* shows *words*."""
    hours, minutes, seconds = map(int, f"{words}:00".split(":")[:3])
    shown = time(hours, minutes, seconds)
    today = datetime.fromtimestamp(now / 1000, zone).date()
    for days in range(3):
        at = _millis(datetime.combine(today + timedelta(days=days), shown, zone))
        if at > now:
            return at
    raise ValueError


def _dated(words: str, zone: tzinfo | None) -> Millis:
    at = datetime.fromisoformat(words)
    return _millis(at if at.tzinfo is not None else at.replace(tzinfo=zone))


def _millis(at: datetime) -> Millis:
    """Without a zone *at* is local time as the system has it."""
    return Millis(round(at.timestamp() * 1000))
