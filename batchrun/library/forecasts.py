"""What the unfinished jobs of a run will cost, and how long they take."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from batchrun.clock import SystemClock
from batchrun.core.choice import Mode
from batchrun.library.counting import SAMPLE, Kind, Request
from batchrun.library.outlook import Outlook, Whereto, outlook_of
from batchrun.queue import measured
from batchrun.queue.reading import Reading
from batchrun.queue.rows import RunSummary
from batchrun.queue.story import request
from batchrun.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What is left of a run."""

    run: RunSummary
    outlook: Outlook


def left_of(settings: Settings, ref: str, counted: dict[str, float] | None = None) -> Left:
    """What is left of the run *ref*; *counted* as for `outlook_of`. Raises UsageError for an unknown run."""
    with Reading.open(settings.db) as reading:
        run = reading.run(ref)
        shares = measured.left(reading, run.id)
        apart = measured.left(reading, run.id, realtime=True)
    said = {name for name in ("mode", "hours") if settings.origin_of(name).startswith("--")}
    whereto = Whereto(
        mode=Mode(settings.mode if "mode" in said else run.mode),
        deadline=run.deadline,
        hours=settings.hours if "hours" in said else run.hours,
        jobs=run.total - run.left,
    )
    found = outlook_of(
        settings,
        settings.tables(),
        shares,
        apart,
        whereto,
        pilots=0,
        now=SystemClock().wall(),
        counted=counted,
    )
    return Left(run=run, outlook=found)


def kinds_of(settings: Settings, ref: str, *, every: bool) -> list[Kind]:
    """The unfinished jobs of the run *ref* by model, with a sample of each, or *every* one."""
    dice = Random(0)  # noqa: S311  # the same sample each time, and nothing secret
    kinds = []
    with Reading.open(settings.db) as reading:
        run = reading.run(ref)
        for model, share in measured.left(reading, run.id).items():
            chosen = measured.some(reading, run.id, model, None if every else SAMPLE, dice)
            sample = [Request(name=key, text=request(reading, job), est_input=est) for job, key, est in chosen]
            kinds.append(Kind(model=model, jobs=share.jobs, est_input=share.est_input, sample=sample))
    return kinds
