"""The books of one run, for a report: every attempt in narrow rows, and which jobs are shown.

All of it is read in stretches of the file, each a short read of its own; nothing wide is touched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from batchrun.core.job import JobId, RunId
from batchrun.queue.jobrows import EVENT, EventRow, event_of
from batchrun.queue.reading import Reading

STRETCH = 5_000
"""Jobs that are looked over by one read."""

FAILED = 1_000
"""Failed and held jobs that are shown at most."""


class Entry(NamedTuple):
    """One attempt. Money is in nano-dollars, times in milliseconds; None where it is not known."""

    model: str
    n: int
    via: str
    outcome: str | None
    status: int | None
    billed: str | None
    sent: int | None
    ended: int | None
    input: int | None
    output: int | None
    cache_read: int | None
    cache_write: int | None
    cost: int | None
    worst: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The jobs that are shown, in the order of the file, and of how many they are a choice."""

    jobs: tuple[JobId, ...]
    failed: int  #: shown ones that failed or are held
    all_failed: int
    others: int  #: shown ones of all others
    all_others: int


_STRETCH = "SELECT MAX(seq) FROM (SELECT seq FROM jobs WHERE run = ? AND seq > ? ORDER BY seq LIMIT ?)"
_ENTRIES = """
SELECT j.model, a.n, a.via, a.outcome, a.status, a.billed, a.sent, a.ended, a.input, a.output, a.cache_read,
       COALESCE(a.cache_write_5m, 0) + COALESCE(a.cache_write_1h, 0), a.cost, a.worst
FROM jobs j CROSS JOIN attempts a ON a.job = j.id
WHERE j.run = ? AND j.seq > ? AND j.seq <= ?
"""
_STOPS = """
SELECT s.stop_reason, COUNT(*) FROM jobs j CROSS JOIN results s ON s.job = j.id AND s.winning = 1
WHERE j.run = ? AND j.seq > ? AND j.seq <= ? AND j.state = 'succeeded' GROUP BY 1
"""
_WAYS = "SELECT way, COUNT(*) FROM jobs WHERE run = ? AND seq > ? AND seq <= ? AND way > 0 GROUP BY 1"
_STATES = "SELECT id, state IN ('failed', 'held') FROM jobs WHERE run = ? AND seq > ? AND seq <= ? ORDER BY seq"
_COUNT = """
SELECT COALESCE(SUM(CASE WHEN state IN ('failed', 'held') THEN n END), 0), COALESCE(SUM(n), 0)
FROM run_counts WHERE run = ?
"""
_EVENTS = f"SELECT {EVENT} FROM events WHERE run = ? AND kind = ? ORDER BY id DESC LIMIT ?"


def entries(reading: Reading, run: RunId) -> Iterator[Entry]:
    """Every attempt of *run*."""
    for found in _stretches(reading, run, _ENTRIES):
        yield from map(Entry._make, found)


def stop_reasons(reading: Reading, run: RunId) -> dict[str, int]:
    """How many answers of *run* ended for which reason."""
    return _counted(reading, run, _STOPS)


def ways(reading: Reading, run: RunId) -> dict[int, int]:
    """How many jobs of *run* have a way of their own: 1, batches refuse what they ask; 2, they are pilots."""
    return _counted(reading, run, _WAYS)


def events_of(reading: Reading, run: RunId, kind: str, most: int) -> list[EventRow]:
    """The last events of one kind of *run*, the oldest first."""
    return [event_of(row) for row in reversed(reading.rows(_EVENTS, run, kind, most))]


def chosen(reading: Reading, run: RunId, sample: int, *, failed: int = FAILED) -> Chosen:
    """The first *failed* jobs that failed, and *sample* of the others at even distances."""
    all_failed, total = reading.rows(_COUNT, run)[0]
    others = total - all_failed
    found: list[JobId] = []
    bad = good = passed = 0
    for rows in _stretches(reading, run, _STATES):
        for id_, failing in rows:
            if failing:
                if bad < failed:
                    bad += 1
                    found.append(JobId(id_))
                continue
            # The share of the sample that is due by now; jobs that come meanwhile add none.
            if good < sample and passed * sample // max(others, sample) >= good:
                good += 1
                found.append(JobId(id_))
            passed += 1
    return Chosen(jobs=tuple(found), failed=bad, all_failed=all_failed, others=good, all_others=others)


def _counted(reading: Reading, run: RunId, sql: str) -> dict[Any, int]:
    counts: Counter[Any] = Counter()
    for found in _stretches(reading, run, sql):
        for name, n in found:
            counts[name] += n
    return dict(counts)


def _stretches(reading: Reading, run: RunId, sql: str) -> Iterator[list[Any]]:
    low = -(2**63)
    while (high := reading.rows(_STRETCH, run, low, STRETCH)[0][0]) is not None:
        yield reading.rows(sql, run, low, high)
        low = high
