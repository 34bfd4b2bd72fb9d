"""How often the API is asked about batches that are out: often while they are young, then once a minute for all."""

from __future__ import annotations

from batchrun.core.job import Millis

SOONEST = 3.0
LATEST = 60.0
"""Seconds between two listings."""

GROWTH = 6.0
"""A batch that has been out for a while may be out for a sixth of it more before anybody looks."""

JITTER = 0.2
"""Of the interval, to either side, so that programs that began together do not ask together."""

DOWNLOADS = 5
WITHIN = 60 * 60 * 1000
"""A line that is missing in so many downloads, the last at least so many milliseconds after the first, is *missing*."""

GONE = 2 * 60 * 60 * 1000
"""Milliseconds for which the API answers 404 before a batch counts as gone: right after a create a 404 is nothing."""

_AGAIN = (0, 2, 10, 30, 60)
"""Minutes after the first download at which the next ones are due."""


def rest(age: float, chance: float) -> float:
    """Seconds until the next listing when the youngest batch has been out for *age* seconds; *chance* in [0, 1)."""
    return min(max(age / GROWTH, SOONEST), LATEST) * (1.0 + JITTER * (2.0 * chance - 1.0))


def download_due(downloads: int, first: Millis | None, date: Millis) -> bool:
    """Whether results that came *downloads* times with something missing, *first* at, are worth another download."""
    if first is None or downloads == 0:
        return True
    return date - first >= _AGAIN[min(downloads, len(_AGAIN) - 1)] * 60_000


def is_missing(downloads: int, first: Millis | None, date: Millis) -> bool:
    """Whether what *downloads* downloads did not bring will never come."""
    return downloads >= DOWNLOADS and first is not None and date - first >= WITHIN


def is_gone(absent: Millis | None, date: Millis) -> bool:
    """Whether a batch that the API has not known since *absent* is gone for good."""
    return absent is not None and date - absent >= GONE
