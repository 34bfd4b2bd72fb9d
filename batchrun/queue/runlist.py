"""All runs with what people set of them, and what would go if one were removed."""

from __future__ import annotations

import json
from dataclasses import dataclass

from batchrun.core.job import Millis, RunId
from batchrun.queue.reading import Reading
from batchrun.queue.rows import RunSummary

_FACTS = """
SELECT id, stem, priority, tags, on_crash, on_unclear, tries, hours, on_truncated, on_refused, betas, headers FROM runs
"""
_OF = f"{_FACTS} WHERE id = ?"
_LOAD = """
SELECT (SELECT COUNT(*) FROM results s JOIN jobs j ON j.id = s.job WHERE j.run = ? AND s.winning = 1),
       (SELECT COUNT(*) FROM batches WHERE run = ?)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What was said of a run, beyond its summary."""

    stem: str
    priority: int
    tags: tuple[str, ...]
    on_crash: str
    on_unclear: str
    tries: int
    hours: str | None
    on_truncated: str
    on_refused: str
    betas: tuple[str, ...]
    headers: tuple[str, ...]  #: their names


def runs(reading: Reading) -> list[tuple[RunSummary, RunFacts]]:
    """The newest first; not those that are being added or removed."""
    facts = {row[0]: _facts(row) for row in reading.rows(_FACTS)}
    return [
        (run, facts[run.id])
        for run in reading.overview(every=True).runs
        if run.id in facts and not run.name.startswith("~")
    ]


def facts(reading: Reading, run: RunId) -> RunFacts:
    return _facts(reading.rows(_OF, run)[0])


def answers_and_batches(reading: Reading, run: RunId) -> tuple[int, int]:
    """How many answers, and batches, *run* has."""
    answers, batches = reading.rows(_LOAD, run, run)[0]
    return answers, batches


def ended(run: RunSummary) -> Millis | None:
    """When *run* was over; None while it is not."""
    return run.done if run.done is not None else run.cancelled


def _facts(row: tuple[object, ...]) -> RunFacts:
    _, stem, priority, tags, on_crash, on_unclear, tries, hours, on_truncated, on_refused, betas, headers = row
    return RunFacts(
        stem=str(stem),
        priority=int(str(priority)),
        tags=tuple(json.loads(str(tags))),
        on_crash=str(on_crash),
        on_unclear=str(on_unclear),
        tries=int(str(tries)),
        hours=None if hours is None else str(hours),
        on_truncated=str(on_truncated),
        on_refused=str(on_refused),
        betas=tuple(json.loads(str(betas))),
        headers=tuple(json.loads(str(headers))),
    )
