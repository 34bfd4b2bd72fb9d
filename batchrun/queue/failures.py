"""What failed: alike failures together with how many there are, and each of them in the order of class and file.

The index of failed jobs gives every class and its exact count; messages are read of the first jobs of each class.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from batchrun.core.job import Millis, RunId
from batchrun.core.select import Selection
from batchrun.core.states import State
from batchrun.queue.criteria import criteria
from batchrun.queue.jobrows import ATTEMPT, JOB, JOB_WIDTH, AttemptRow, JobRow, attempt_of, job_of
from batchrun.queue.reading import Reading

LOOKED_AT = 1_000
"""Jobs of each class whose messages are read for the groups, unless all are asked for."""

SAMPLES = 3
PAGE = 500

_FAILED = "j.run = ? AND j.state IN ('failed', 'held')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failed or held job with its last attempt."""

    job: JobRow
    attempt: AttemptRow | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorGroup:
    """Jobs that failed alike. `n` is exact unless `at_least`: then only the first of its class were looked at."""

    error: str
    state: State  #: failed, or held
    status: int | None
    code: str | None
    message: str  #: the newest one's, exactly
    n: int
    at_least: bool
    samples: tuple[Failure, ...]  #: the first ones in the order of the file
    last: Millis | None  #: when the newest of them failed
    most_tries: int


def _classes(condition: str) -> str:
    return f"SELECT j.error, COUNT(*) FROM jobs j WHERE {_FAILED} AND {condition} GROUP BY j.error ORDER BY j.error"


def _page(condition: str) -> str:
    return f"""
SELECT {JOB}, {ATTEMPT}
FROM jobs j
JOIN runs r ON r.id = j.run
LEFT JOIN attempts a ON a.job = j.id AND a.n = j.attempt
LEFT JOIN batches b ON b.id = a.batch
WHERE {_FAILED} AND j.error IS ? AND j.seq > ? AND {condition}
ORDER BY j.seq LIMIT ?
"""


def classes(reading: Reading, run: RunId, selection: Selection | None = None) -> list[tuple[str | None, int]]:
    """Each class of error among the failed and held jobs, and how many jobs have it, by name."""
    wanted = criteria(selection)
    return [(error, n) for error, n in reading.rows(_classes(wanted.sql), run, *wanted.values)]


def failures(reading: Reading, run: RunId, selection: Selection | None = None) -> Iterator[Failure]:
    """Every failed and held job, by class and then in the order of the file."""
    for error, _ in classes(reading, run, selection):
        yield from _of_class(reading, run, error, selection)


def groups(
    reading: Reading, run: RunId, selection: Selection | None = None, *, every: bool = False
) -> list[ErrorGroup]:
    """Failures that are alike in class, state, status and message (but for numbers and ids), the largest first."""
    found: list[ErrorGroup] = []
    for error, n in classes(reading, run, selection):
        some = _of_class(reading, run, error, selection)
        alike: dict[object, _Alike] = {}
        for failure in some if every else islice(some, LOOKED_AT):
            key = _key(failure)
            if key not in alike:
                alike[key] = _Alike(failure)
            alike[key].add(failure)
        at_least = not every and n > LOOKED_AT
        found += [one.group(error or "", at_least=at_least) for one in alike.values()]
    return sorted(found, key=lambda group: -group.n)


def _of_class(reading: Reading, run: RunId, error: str | None, selection: Selection | None) -> Iterator[Failure]:
    wanted = criteria(selection)
    sql, after = _page(wanted.sql), -(2**63)
    while True:
        rows = reading.rows(sql, run, error, after, *wanted.values, PAGE)
        yield from (_failure(row) for row in rows)
        if len(rows) < PAGE:
            return
        after = rows[-1][3]


def _failure(row: Any) -> Failure:
    return Failure(job=job_of(row[:JOB_WIDTH]), attempt=attempt_of(row[JOB_WIDTH:]))


_CHANGING = re.compile(r"\b(?:req|msg|msgbatch|file)_\w+|\b[0-9a-f]{8,}\b|\d+")


def pattern(message: str) -> str:
    """*message* without what differs between alike ones: numbers, ids."""
    return _CHANGING.sub("#", message)[:300]


def _key(failure: Failure) -> object:
    attempt = failure.attempt
    if attempt is None:
        return failure.job.state
    return (failure.job.state, attempt.status, attempt.error_code, pattern(attempt.message))


class _Alike:
    """What is kept of failures that are alike, however many there are."""

    def __init__(self, first: Failure) -> None:
        self.n = 0
        self.samples: list[Failure] = []
        self.newest = first
        self.most_tries = 0

    def add(self, failure: Failure) -> None:
        self.n += 1
        self.most_tries = max(self.most_tries, failure.job.tries)
        if len(self.samples) < SAMPLES:
            self.samples.append(failure)
        if _when(failure) > _when(self.newest):
            self.newest = failure

    def group(self, error: str, *, at_least: bool) -> ErrorGroup:
        attempt = self.newest.attempt
        return ErrorGroup(
            error=error,
            state=self.newest.job.state,
            status=attempt.status if attempt else None,
            code=attempt.error_code if attempt else None,
            message=attempt.message if attempt else "",
            n=self.n,
            at_least=at_least,
            samples=tuple(self.samples),
            last=Millis(_when(self.newest)) or None,
            most_tries=self.most_tries,
        )


def _when(failure: Failure) -> int:
    ended = failure.attempt.ended if failure.attempt else None
    return ended or failure.job.finished or 0
