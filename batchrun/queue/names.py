"""The names that a queue knows, for whoever types the beginning of one."""

from __future__ import annotations

from batchrun.core.job import RunId
from batchrun.queue.reading import Reading

MOST = 50
"""Names that are offered at once."""

_ACCOUNTS = "SELECT id FROM accounts ORDER BY id"
_MODELS = "SELECT DISTINCT model FROM run_counts ORDER BY model"
_RUNS = "SELECT name FROM runs WHERE name >= ? AND substr(name, 1, length(?)) = ? ORDER BY id DESC LIMIT ?"
_JOBS = "SELECT key FROM jobs WHERE run = ? AND key >= ? ORDER BY key LIMIT ?"
_ERRORS = "SELECT DISTINCT error FROM jobs WHERE state IN ('failed', 'held') AND run = ? AND error IS NOT NULL LIMIT ?"
_LAST = "SELECT id FROM runs ORDER BY id DESC LIMIT 1"


def accounts(reading: Reading) -> list[int]:
    """The accounts that are known, by their ids here."""
    return [account for (account,) in reading.rows(_ACCOUNTS)]


def models(reading: Reading) -> list[str]:
    """The models that any job here is for."""
    return [model for (model,) in reading.rows(_MODELS)]


def runs(reading: Reading, beginning: str) -> list[str]:
    """The newest runs whose names begin so."""
    return [name for (name,) in reading.rows(_RUNS, beginning, beginning, beginning, MOST)]


def jobs(reading: Reading, beginning: str) -> list[str]:
    """Ids of jobs of the newest run that begin so: a few steps in an index, however many there are."""
    last = _last(reading)
    keys = [] if last is None else [key for (key,) in reading.rows(_JOBS, last, beginning, MOST)]
    return [key for key in keys if key.startswith(beginning)]


def errors(reading: Reading) -> list[str]:
    """Classes of error of the newest run."""
    last = _last(reading)
    return [] if last is None else [error for (error,) in reading.rows(_ERRORS, last, MOST)]


def _last(reading: Reading) -> RunId | None:
    found = reading.rows(_LAST)
    return RunId(found[0][0]) if found else None
