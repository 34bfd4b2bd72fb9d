"""What earlier answers were like, and what the unfinished jobs of a run weigh: the grounds of an estimate."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from batchrun.core.estimate import Measured, Share
from batchrun.core.job import JobId, Nanos, RunId
from batchrun.queue.reading import Reading

TELLING = 20
LATEST = 2_000
"""Answers of a model from which something is told of it, and how many of the last attempts are looked at for them."""

_MEASURED = """
SELECT j.model, COUNT(*), COUNT(DISTINCT j.run), AVG(a.output),
       SUM(COALESCE(a.input, 0) + COALESCE(a.cache_read, 0) + COALESCE(a.cache_write_5m, 0)
           + COALESCE(a.cache_write_1h, 0)) * 1.0 / SUM(j.est_input)
FROM (SELECT * FROM attempts ORDER BY rowid DESC LIMIT ?) a JOIN jobs j ON j.id = a.job
WHERE a.output > 0 GROUP BY j.model HAVING COUNT(*) >= ?
"""
_LEFT = """
SELECT model, COUNT(*), SUM(est_input), SUM(max_tokens), COALESCE(SUM(worst), 0), COUNT(*) FILTER (WHERE worst IS NULL)
FROM jobs WHERE run = ? AND finished IS NULL AND way >= ? GROUP BY model ORDER BY model
"""
_UNFINISHED = "SELECT id FROM jobs WHERE run = ? AND finished IS NULL AND model = ? ORDER BY seq"
_WEIGHED = "SELECT key, est_input FROM jobs WHERE id = ?"


def measured(reading: Reading) -> dict[str, Measured]:
    """What the latest answers of each model were like; a model with few of them is missing."""
    return {
        model: Measured(answers=answers, runs=runs, output=output, input=ratio)
        for model, answers, runs, output, ratio in reading.rows(_MEASURED, LATEST, TELLING)
    }


def left(reading: Reading, run: RunId, *, realtime: bool = False) -> dict[str, Share]:
    """The unfinished jobs of *run* by model; of these, those alone that go realtime whatever its way."""
    return {
        model: Share(jobs=n, est_input=est, max_tokens=room, worst=Nanos(worst), unbounded=unbounded)
        for model, n, est, room, worst, unbounded in reading.rows(_LEFT, run, 1 if realtime else 0)
    }


def some(reading: Reading, run: RunId, model: str, most: int | None, dice: Random) -> Sequence[tuple[JobId, str, int]]:
    """Unfinished jobs of *run* and *model*, *most* of them by chance: id, key and estimated input."""
    ids = [id_ for (id_,) in reading.rows(_UNFINISHED, run, model)]
    if most is not None and len(ids) > most:
        ids = sorted(dice.sample(ids, most))
    return [(JobId(id_), *reading.rows(_WEIGHED, id_)[0]) for id_ in ids]
