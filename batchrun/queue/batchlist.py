"""Which batches there are and were, what may be one of them, and why jobs are held: what people ask of batches."""

from __future__ import annotations

import json

from batchrun.core.batch import Verdict
from batchrun.core.job import BatchId, Millis, RunId
from batchrun.queue.batchrows import BATCH, BatchRow, Suspect, batch_of
from batchrun.queue.reading import Reading

HELD = 20
"""Held jobs that tell why a run's jobs are held."""

_NEWEST = f"{BATCH} ORDER BY b.id DESC LIMIT ?"
_NEWEST_OF_RUN = f"{BATCH} WHERE b.run = ? ORDER BY b.id DESC LIMIT ?"
_BY_ID = f"{BATCH} WHERE b.id = ?"
_BY_REMOTE = f"{BATCH} WHERE b.remote_id = ?"
_SUSPECTS = "SELECT remote_id, seen, verdict FROM candidates WHERE batch = ? ORDER BY seen, remote_id"
_REWOUND = "SELECT value FROM meta WHERE key = 'rewound'"
_HELD = """
SELECT error FROM jobs WHERE run = ? AND state IN ('blocked', 'held', 'waiting') AND state = 'held' LIMIT ?
"""


def batches(reading: Reading, run: RunId | None = None, *, most: int | None = None) -> list[BatchRow]:
    """All batches that ever were, or those of *run*, the newest first."""
    limit = -1 if most is None else most
    found = reading.rows(_NEWEST, limit) if run is None else reading.rows(_NEWEST_OF_RUN, run, limit)
    return [batch_of(row) for row in found]


def batch_named(reading: Reading, ref: str) -> BatchRow | None:
    """The batch that *ref* names: by an id like b-3, or by its id at the API."""
    number = ref.removeprefix("b-")
    if number != ref and number.isascii() and number.isdecimal() and len(number) < 19:
        found = reading.rows(_BY_ID, int(number))
    else:
        found = reading.rows(_BY_REMOTE, ref)
    return batch_of(found[0]) if found else None


def suspects(reading: Reading, batch: BatchId) -> list[Suspect]:
    """What was ever thought to be *batch*, and what came of it."""
    return [
        Suspect(remote=remote, seen=Millis(seen), verdict=Verdict(verdict))
        for remote, seen, verdict in reading.rows(_SUSPECTS, batch)
    ]


def held_for(reading: Reading, run: RunId) -> frozenset[str]:
    """The classes of error for which jobs of *run* are held, as the first of them tell."""
    return frozenset(error or "" for (error,) in reading.rows(_HELD, run, HELD))


def rewound(reading: Reading) -> Millis | None:
    """When a backup was restored into this queue, while it is not known what it bought since; else None."""
    found = reading.rows(_REWOUND)
    return Millis(json.loads(found[0][0])["at"]) if found else None
