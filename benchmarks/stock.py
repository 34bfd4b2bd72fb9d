"""Queues with many jobs, filled by SQL alone: what `submit` would have made of a file, in seconds."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from batchrun.queue.connect import close_queue, open_queue
from benchmarks.canned import MODEL, message

_RUN = """
INSERT INTO runs (id, name, stem, state, mode, account, source, created)
VALUES (?, ?, ?, 'open', 'realtime', ?, '["jobs.jsonl"]', 1)
"""
_PAUSE = "INSERT INTO pauses (scope, subject, reason, message, since) VALUES ('model', ?, 'model', 'not found', 1)"
_JOBS = """
WITH RECURSIVE count(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM count LIMIT :n)
INSERT INTO jobs (id, run, seq, line, key, model, state, due, attempt, owner, finished, size, est_input, max_tokens,
                  worst, digest, error)
SELECT :first + i, :run, :seq + i, :seq + i + 1, printf('%s-%08d', :name, :seq + i), :model, :state, :due,
       :state IN ('running', 'succeeded'), CASE :state WHEN 'running' THEN 1 END,
       CASE WHEN :state IN ('succeeded', 'failed') THEN 1002 END, :size, :size / 4, 500, 2000000,
       CAST(printf('%016d', :first + i) AS BLOB), CASE :state WHEN 'failed' THEN printf('error_%d', i % 9) END
FROM count
"""
_WORKER = """
INSERT INTO workers (id, role, pid, host, boot, version, command, started)
VALUES (1, 'worker', 1, 'gone', '', '', '', 1)
"""
_OUT = """
INSERT INTO attempts (job, n, via, worker, claimed, worst)
SELECT id, 1, 'realtime', 1, 1, worst FROM jobs WHERE state = 'running'
"""
_ANSWERED = """
INSERT INTO attempts (job, n, via, worker, claimed, sent, ended, outcome, status, request_id, input, output, thinking,
                      cache_read, cache_write_5m, cache_write_1h, cost, worst, billed)
SELECT id, 1, 'realtime', 1, 1, 2, 1002, 'ok', 200, printf('req_%024d', id), 300, 250, 0, 0, 0, 0, 1500000, worst, 'yes'
FROM jobs WHERE state = 'succeeded'
"""
_RESULTS = """
INSERT INTO results (job, attempt, winning, body, stop_reason, received)
SELECT id, 1, 1, :body, 'end_turn', 1002 FROM jobs WHERE state = 'succeeded'
"""
_RESERVED = (
    "UPDATE runs SET reserved = (SELECT COALESCE(SUM(worst), 0) FROM jobs WHERE run = runs.id AND state = 'running')"
)
_REQUESTS = """
INSERT INTO requests (job, own)
SELECT id, printf('{"model":"%s","max_tokens":500,"messages":[{"role":"user","content":"%d %s"}]}', model, id, :filler)
FROM jobs WHERE id >= :first AND id < :first + :n
"""
_COUNT = """
INSERT INTO run_counts (run, model, state, n) VALUES (:run, :model, :state, :n)
ON CONFLICT (run, model, state) DO UPDATE SET n = n + excluded.n
"""

ENVELOPE = 90
"""Bytes of a request round its text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Jobs that are alike and follow one another. Layers of one `run` are its file from the top on.

    The running ones are held by a worker that died, the succeeded ones have their answers; of the failed ones
    there is no more than the class of their error.
    """

    n: int
    run: int = 1
    model: str = MODEL
    state: str = "queued"
    due: int | None = None
    size: int = 300  #: bytes of each request, and of each answer


def stocked(path: Path, layers: Sequence[Layer], *, paused: str | None = None) -> Path:
    """A new queue at *path* with *layers*, in which the model *paused* is paused. Its runs are bound to no account,
    unless there is a pause.
    """
    close_queue(open_queue(path))
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA synchronous = OFF")  # nobody loses anything here
    database.execute("PRAGMA cache_size = -256000")
    database.execute("BEGIN")
    account = None if paused is None else 1
    if account is not None:
        database.execute("INSERT INTO accounts (id, origin, created) VALUES (?, 'http://127.0.0.1', 1)", (account,))
        database.execute(_PAUSE, (f"{account}:{paused}",))
    database.execute(_WORKER)
    first = 1
    filled: dict[int, int] = {}
    for layer in layers:
        if layer.run not in filled:
            database.execute(_RUN, (layer.run, f"run-{layer.run}", f"run-{layer.run}", account))
        values = {
            "first": first,
            "n": layer.n,
            "run": layer.run,
            "seq": filled.get(layer.run, 0),
            "name": f"run-{layer.run}",
            "model": layer.model,
            "state": layer.state,
            "due": layer.due,
            "size": layer.size,
            "filler": "x" * max(0, layer.size - ENVELOPE),
        }
        for sql in (_JOBS, _REQUESTS, _COUNT):
            database.execute(sql, values)
        first += layer.n
        filled[layer.run] = filled.get(layer.run, 0) + layer.n
    for sql in (_OUT, _ANSWERED, _RESERVED):
        database.execute(sql)
    size = max(layer.size for layer in layers)
    database.execute(_RESULTS, {"body": message(size).decode()})
    database.execute("UPDATE meta SET value = ? WHERE key = 'jobs'", (str(first - 1),))
    database.execute("COMMIT")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return path
