"""Jobs with their answers, in the order of the file: by pages of a key, never with one long read.

Each page is a transaction of its own. A job that changes between two pages is shown as it is when its page is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from batchrun.core.job import JobId, Millis, Nanos, RunId
from batchrun.core.select import Field, Selection
from batchrun.core.states import State
from batchrun.core.suggest import did_you_mean
from batchrun.core.usage import Usage
from batchrun.errors import NothingMatched
from batchrun.queue.bodies import SharedParts, whole
from batchrun.queue.criteria import criteria
from batchrun.queue.jobrows import (
    ATTEMPT,
    ATTEMPT_WIDTH,
    JOB,
    JOB_WIDTH,
    SCHEMA,
    Answered,
    AttemptRow,
    ResultRow,
    attempt_of,
    job_of,
    tags_of,
)
from batchrun.queue.reading import Reading

FIRST_WINDOW = 200
LAST_WINDOW = 5_000
"""Jobs that one narrow query looks over: few at first, so that the first answers come at once."""

PAGE = 100
"""Jobs whose answers are in memory at a time."""

_BEGINNING = -(2**63)
_END = 2**63 - 1

_WINDOW = "SELECT MAX(seq) FROM (SELECT seq FROM jobs WHERE run = ? AND seq > ? ORDER BY seq LIMIT ?)"
_ANSWERED = "EXISTS (SELECT 1 FROM results w WHERE w.job = j.id AND w.winning = 1)"


_TOKENS = ("input", "output", "thinking", "cache_read", "cache_write_5m", "cache_write_1h")
_TURNS = f"""
SELECT {", ".join(f"SUM(COALESCE(a.{name}, 0))" for name in _TOKENS)}, SUM(a.cost),
       COUNT(*) FILTER (WHERE a.cost IS NULL)
FROM attempts a JOIN jobs j ON j.id = a.job JOIN results s ON s.job = a.job AND s.attempt = a.n
WHERE a.job = ? AND a.n <= ? AND a.n >= j.asked AND (s.winning = 1 OR s.stop_reason = 'pause_turn')
"""


def _matching(condition: str) -> str:
    return f"SELECT j.id FROM jobs j WHERE j.run = ? AND j.seq > ? AND j.seq <= ? AND {condition} ORDER BY j.seq"


def _count(condition: str) -> str:
    return f"SELECT COUNT(*) FROM jobs j WHERE j.run = ? AND j.seq > ? AND j.seq <= ? AND {condition}"


def _metadata(condition: str) -> str:
    return f"""
SELECT q.metadata FROM jobs j JOIN requests q ON q.job = j.id
WHERE j.run = ? AND j.seq > ? AND j.seq <= ? AND {condition} AND q.metadata IS NOT NULL ORDER BY j.seq
"""


def _whole(n: int) -> str:
    return f"""
SELECT {JOB}, {ATTEMPT}, s.body, s.stop_reason, s.received, q.metadata, q.tags, r.tags, {SCHEMA}, j.turns
FROM jobs j
JOIN runs r ON r.id = j.run
LEFT JOIN results s ON s.job = j.id AND s.winning = 1
LEFT JOIN attempts a ON a.job = j.id AND a.n = COALESCE(s.attempt, j.attempt)
LEFT JOIN batches b ON b.id = a.batch
LEFT JOIN requests q ON q.job = j.id
WHERE j.id IN ({", ".join("?" * n)})
ORDER BY j.run, j.seq
"""


def _requests(n: int) -> str:
    return f"""
SELECT q.job, q.own, q.shared, q."order", q.overrides, q.continued FROM requests q WHERE q.job IN ({", ".join("?" * n)})
"""


def _attempts(n: int) -> str:
    return f"""
SELECT a.job, {ATTEMPT} FROM attempts a LEFT JOIN batches b ON b.id = a.batch
WHERE a.job IN ({", ".join("?" * n)}) ORDER BY a.job, a.n
"""


_TAGS = """
SELECT DISTINCT t.value FROM jobs j JOIN requests q ON q.job = j.id, json_each(q.tags) t WHERE j.run = ?
UNION SELECT t.value FROM runs r, json_each(r.tags) t WHERE r.id = ? LIMIT 1000
"""
_SHARED = "SELECT body FROM shared WHERE id = ?"


def answers(
    reading: Reading,
    run: RunId,
    *,
    selection: Selection | None = None,
    states: Sequence[State] | None = None,
    answered: bool = False,
    limit: int | None = None,
    requests: bool = False,
    attempts: bool = False,
) -> Iterator[ResultRow]:
    """The jobs of *run* in the order of its file: those of *selection*, in *states*, with an answer if *answered*.

    With *requests* and *attempts* each row has what was sent, and every attempt.
    """
    left = limit
    parts = SharedParts()
    for found in _windows(reading, run, _matching, selection, states, answered=answered):
        for at in range(0, len(found), PAGE):
            page = [id_ for (id_,) in found[at : at + PAGE]]
            if left is not None:
                page = page[:left]
                left -= len(page)
            if page:
                yield from _page(reading, page, parts, requests=requests, attempts=attempts)
        if left == 0:
            return


def answer_of(reading: Reading, job: JobId) -> ResultRow | None:
    """One job with its answer; None if it is gone."""
    found = _results(reading, [job])
    return found[0] if found else None


def matching(
    reading: Reading,
    run: RunId,
    *,
    selection: Selection | None = None,
    states: Sequence[State] | None = None,
    answered: bool = False,
) -> int:
    """How many jobs `answers` would give."""
    counts = _windows(reading, run, _count, selection, states, answered=answered)
    return sum(row[0] for found in counts for row in found)


def unmatched(reading: Reading, run: RunId, name: str, selection: Selection) -> NothingMatched:
    """What to say where *selection* fits no job of the run called *name*: a tag that is none gets the likeliest one."""
    asked = [term.glob for terms in selection.any_of for term in terms if term.field is Field.TAG and not term.negated]
    known = [tag for (tag,) in reading.rows(_TAGS, run, run)] if asked else []
    meant = next((near for tag in asked if tag not in known and (near := did_you_mean(tag, known))), "")
    listed = f"its tags: {', '.join(known[:20])}" if known else ""
    return NothingMatched(f"no job of {name} matches `{selection.text}`{meant}", hint=listed)


def chosen(reading: Reading, run: RunId, selection: Selection) -> Iterator[list[JobId]]:
    """The jobs of *selection* in the order of the file, some thousand at a time."""
    for found in _windows(reading, run, _matching, selection, None, answered=False):
        yield [JobId(id_) for (id_,) in found]


def metadata(
    reading: Reading, run: RunId, *, selection: Selection | None = None, states: Sequence[State] | None = None
) -> Iterator[Any]:
    """The metadata of these jobs, of those that have some; nothing else of them is read."""
    for found in _windows(reading, run, _metadata, selection, states, answered=False):
        for (text,) in found:
            yield json.loads(text)


def in_order(
    reading: Reading, jobs: Sequence[JobId], *, requests: bool = False, attempts: bool = False
) -> Iterator[ResultRow]:
    """Just these jobs, in just this order; one that is gone is left out."""
    parts = SharedParts()
    for at in range(0, len(jobs), PAGE):
        page = jobs[at : at + PAGE]
        found = {row.job.id: row for row in _page(reading, page, parts, requests=requests, attempts=attempts)}
        yield from (found[job] for job in page if job in found)


def _windows(
    reading: Reading,
    run: RunId,
    query: Any,
    selection: Selection | None,
    states: Sequence[State] | None,
    *,
    answered: bool,
) -> Iterator[list[Any]]:
    """What *query* finds in one stretch of the file after the other; each is a short read, however little it finds."""
    wanted = criteria(selection)
    parts, values = [wanted.sql], list(wanted.values)
    if states is not None:
        parts.append(f"j.state IN ({', '.join('?' * len(states))})")
        values += [state.value for state in states]
    if answered:
        parts.append(_ANSWERED)
    sql = query(" AND ".join(parts))
    if wanted.few:
        yield reading.rows(sql, run, _BEGINNING, _END, *values)
        return
    low, size = _BEGINNING, FIRST_WINDOW
    while (high := reading.rows(_WINDOW, run, low, size)[0][0]) is not None:
        yield reading.rows(sql, run, low, high, *values)
        low, size = high, min(2 * size, LAST_WINDOW)


def _result(row: Sequence[Any]) -> ResultRow:
    body, stop_reason, received, metadata, tags, tags_of_run, schema, _turns = row[JOB_WIDTH + ATTEMPT_WIDTH :]
    answered = None
    if body is not None:
        answered = Answered(body=body, stop_reason=stop_reason, received=Millis(received))
    return ResultRow(
        job=job_of(row[:JOB_WIDTH]),
        attempt=attempt_of(row[JOB_WIDTH : JOB_WIDTH + ATTEMPT_WIDTH]),
        answer=answered,
        metadata=metadata,
        tags=tags_of(tags, tags_of_run),
        schema=schema if isinstance(schema, str) else None,
    )


def _page(
    reading: Reading, page: Sequence[int], parts: SharedParts, *, requests: bool, attempts: bool
) -> list[ResultRow]:
    if not requests and not attempts:
        return _results(reading, page)
    with reading.moment():
        found = _results(reading, page)
        found = _with_requests(reading, found, parts) if requests else found
        return _with_attempts(reading, found) if attempts else found


def _results(reading: Reading, page: Sequence[int]) -> list[ResultRow]:
    rows = reading.rows(_whole(len(page)), *page)
    return [_in_turns(reading, _result(row)) if row[-1] else _result(row) for row in rows]


def _in_turns(reading: Reading, row: ResultRow) -> ResultRow:
    """An answer that came in turns took the tokens, and the money, of all of them."""
    if row.attempt is None or row.answer is None:
        return row
    *tokens, cost, unpriced = reading.rows(_TURNS, row.job.id, row.attempt.n)[0]
    usage = Usage(**dict(zip(_TOKENS, tokens, strict=True)))
    return replace(row, attempt=replace(row.attempt, usage=usage, cost=None if unpriced else Nanos(cost)))


def _with_requests(reading: Reading, found: list[ResultRow], parts: SharedParts) -> list[ResultRow]:
    texts = {}
    ids = [row.job.id for row in found]
    for job, own, shared, order, overrides, continued in reading.rows(_requests(len(ids)), *ids):
        pieces = None if shared is None else parts.get(shared)
        if shared is not None and pieces is None:
            pieces = parts.put(shared, reading.rows(_SHARED, shared)[0][0])
        texts[job] = whole(own, pieces, order, overrides, continued)
    return [replace(row, request=texts.get(row.job.id)) for row in found]


def _with_attempts(reading: Reading, found: list[ResultRow]) -> list[ResultRow]:
    tried: dict[int, list[AttemptRow]] = {}
    ids = [row.job.id for row in found]
    for job, *facts in reading.rows(_attempts(len(ids)), *ids):
        if (attempt := attempt_of(facts)) is not None:
            tried.setdefault(job, []).append(attempt)
    return [replace(row, tried=tuple(tried.get(row.job.id, ()))) for row in found]
