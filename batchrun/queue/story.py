"""The story of one job, and of the queue as a whole: who it is, what was sent, each attempt, and what happened when."""

from __future__ import annotations

from collections.abc import Iterator

from batchrun.core.job import JobId, Millis, RunId
from batchrun.queue.bodies import pieces_of, whole
from batchrun.queue.jobrows import (
    ATTEMPT,
    EVENT,
    JOB,
    Answered,
    AttemptRow,
    EventRow,
    JobRow,
    attempt_of,
    event_of,
    job_of,
)
from batchrun.queue.reading import Reading

_JOB_BY_KEY = f"SELECT {JOB} FROM jobs j JOIN runs r ON r.id = j.run WHERE j.run = ? AND j.key = ?"
_JOBS_BY_KEY = f"""
SELECT {JOB} FROM runs r CROSS JOIN jobs j ON j.run = r.id WHERE j.key = ? ORDER BY j.run DESC LIMIT 20
"""
_JOB_BY_REQUEST_ID = f"""
SELECT {JOB} FROM attempts a JOIN jobs j ON j.id = a.job JOIN runs r ON r.id = j.run WHERE a.request_id = ?
"""
_JOB_BY_OTHER_ID = f"""
SELECT {JOB} FROM attempts a JOIN jobs j ON j.id = a.job JOIN runs r ON r.id = j.run
WHERE a.other_ids IS NOT NULL
  AND EXISTS (SELECT 1 FROM json_each(a.other_ids) o WHERE o.value = ? OR o.value LIKE '%: ' || ?)
LIMIT 1
"""
_KEYS_FROM = "SELECT key FROM jobs WHERE run = ? AND key >= ? ORDER BY key LIMIT 200"
_KEYS_BEFORE = "SELECT key FROM jobs WHERE run = ? AND key < ? ORDER BY key DESC LIMIT 200"
_ATTEMPTS = f"SELECT {ATTEMPT} FROM attempts a LEFT JOIN batches b ON b.id = a.batch WHERE a.job = ? ORDER BY a.n"
_REQUEST = """
SELECT q.own, s.body, q."order", q.overrides, q.continued
FROM requests q LEFT JOIN shared s ON s.id = q.shared WHERE q.job = ?
"""
_ASIDE = "SELECT body, stop_reason, received FROM results WHERE job = ? AND winning = 0 ORDER BY attempt DESC LIMIT 1"
_STOPS = "SELECT attempt, stop_reason FROM results WHERE job = ?"

_EVENTS = f"SELECT {EVENT} FROM events WHERE id > ? ORDER BY id LIMIT ?"
_MEANWHILE = """
run IS NULL AND at >= (SELECT created FROM runs WHERE id = ?) AND id <= COALESCE((
    SELECT e.id FROM events e JOIN runs r ON r.id = ?
    WHERE e.run IS NULL AND e.kind = 'pass_ended' AND e.at >= r.done ORDER BY e.id LIMIT 1
), 9223372036854775807)
"""
"""What went for all runs while this one was there to be worked on: up to the end of the pass that finished it."""

_EVENTS_OF_RUN = f"""
SELECT {EVENT} FROM events WHERE run = ? AND id > ?
UNION ALL
SELECT {EVENT} FROM events WHERE {_MEANWHILE} AND id > ?
ORDER BY id LIMIT ?
"""
_EVENT_BEFORE = "SELECT id FROM events ORDER BY id DESC LIMIT 1 OFFSET ?"
_EVENT_OF_RUN_BEFORE = f"SELECT id FROM events WHERE run = ? OR ({_MEANWHILE}) ORDER BY id DESC LIMIT 1 OFFSET ?"

PAGE = 500
"""Events that are read at a time."""


def jobs_named(reading: Reading, ref: str, run: RunId | None = None) -> list[JobRow]:
    """Jobs with the key *ref*, of one run or of all (the newest run first), or the one that a request id belongs to."""
    if run is not None:
        found = reading.rows(_JOB_BY_KEY, run, ref)
    else:
        found = reading.rows(_JOBS_BY_KEY, ref) or reading.rows(_JOB_BY_REQUEST_ID, ref)
    return [job_of(row) for row in found]


def job_of_request(reading: Reading, request_id: str) -> JobRow | None:
    """The job that was sent under *request_id*: found by an index, or as an id of an edge or gateway by a walk."""
    found = reading.rows(_JOB_BY_REQUEST_ID, request_id) or reading.rows(_JOB_BY_OTHER_ID, request_id, request_id)
    return job_of(found[0]) if found else None


def keys_like(reading: Reading, key: str, run: RunId) -> list[str]:
    """At most three keys of *run* that somebody who typed *key* may have meant, the likeliest first."""
    from difflib import get_close_matches  # noqa: PLC0415  # only after a mistake

    with reading.moment():
        near = reading.rows(_KEYS_FROM, run, key[:3]) + reading.rows(_KEYS_FROM, run, key)
        near += reading.rows(_KEYS_BEFORE, run, key)
    known = list(dict.fromkeys(name for (name,) in near))
    longer = [name for name in known if name.startswith(key)]
    return list(dict.fromkeys([*longer, *get_close_matches(key, known, n=3, cutoff=0.6)]))[:3]


def attempts(reading: Reading, job: JobId) -> list[AttemptRow]:
    """All its attempts, the first one first."""
    return [one for row in reading.rows(_ATTEMPTS, job) if (one := attempt_of(row)) is not None]


def answer_aside(reading: Reading, job: JobId) -> Answered | None:
    """The newest answer of a job that is kept but is not its result: cut off, paused, refused, or bought twice."""
    found = reading.rows(_ASIDE, job)
    if not found:
        return None
    body, stop_reason, received = found[0]
    return Answered(body=body, stop_reason=stop_reason, received=Millis(received))


def stop_reasons(reading: Reading, job: JobId) -> dict[int, str]:
    """How the answers of a job ended, by attempt."""
    return dict(reading.rows(_STOPS, job))


def request(reading: Reading, job: JobId) -> str:
    """The JSON text of the request as it is sent."""
    found = reading.rows(_REQUEST, job)
    if not found:
        return "{}"
    own, shared, order, overrides, continued = found[0]
    return whole(own, None if shared is None else pieces_of(shared), order, overrides, continued)


def events(reading: Reading, run: RunId | None = None, *, last: int | None = None) -> Iterator[EventRow]:
    """What happened, in order: all of it, or what concerns *run* or all runs in its time; only the *last* so many."""
    after = 0 if last is None else _before(reading, run, last)
    while True:
        found = (
            reading.rows(_EVENTS, after, PAGE)
            if run is None
            else reading.rows(_EVENTS_OF_RUN, run, after, run, run, after, PAGE)
        )
        yield from (event_of(row) for row in found)
        if len(found) < PAGE:
            return
        after = found[-1][0]


def _before(reading: Reading, run: RunId | None, last: int) -> int:
    """The id of the event after which *last* are left."""
    found = (
        reading.rows(_EVENT_BEFORE, last) if run is None else reading.rows(_EVENT_OF_RUN_BEFORE, run, run, run, last)
    )
    return int(found[0][0]) if found else 0
