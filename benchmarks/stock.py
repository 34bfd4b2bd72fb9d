"""Queues with many jobs, filled by SQL alone: what `submit` would have made of a file, in seconds."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from batchrun.queue.connect import close_queue, open_queue
from benchmarks.canned import MODEL

_RUN = """
INSERT INTO runs (id, name, stem, state, mode, account, source, created)
VALUES (?, ?, ?, 'open', 'realtime', ?, '[]', 1)
"""
_JOBS = """
WITH RECURSIVE count(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM count LIMIT :n)
INSERT INTO jobs (id, run, seq, line, key, model, state, due, size, est_input, max_tokens, worst, digest)
SELECT :first + i, :run, :seq + i, :seq + i + 1, printf('%s-%08d', :name, :seq + i), :model, :state, :due, :size,
       :size / 4, 500, 2000000, CAST(printf('%016d', :first + i) AS BLOB)
FROM count
"""
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
    """Jobs that are alike and follow one another. Layers of one `run` are its file from the top on."""

    n: int
    run: int = 1
    model: str = MODEL
    state: str = "queued"
    due: int | None = None
    size: int = 300  #: bytes of each request


def stocked(path: Path, layers: Sequence[Layer], *, account: int | None = None) -> Path:
    """A new queue at *path* with *layers*; its runs are bound to the account with the id *account*."""
    close_queue(open_queue(path))
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA synchronous = OFF")  # nobody loses anything here
    database.execute("PRAGMA cache_size = -256000")
    database.execute("BEGIN")
    if account is not None:
        database.execute("INSERT INTO accounts (id, origin, created) VALUES (?, 'http://127.0.0.1', 1)", (account,))
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
    database.execute("UPDATE meta SET value = ? WHERE key = 'jobs'", (str(first - 1),))
    database.execute("COMMIT")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return path
