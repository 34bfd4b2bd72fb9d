"""What jobs will cost, which way they will go and why, and whether they will be there in time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from batchrun.core.choice import Choice, Mode, choose
from batchrun.core.estimate import Estimate, Share, estimate, meets
from batchrun.core.hours import Hours, hours
from batchrun.core.job import Millis, Nanos
from batchrun.core.limits import Limits
from batchrun.errors import BatchrunError
from batchrun.queue.answers import mean_outputs
from batchrun.queue.reading import Reading
from batchrun.queue.submit import Totals
from batchrun.settings import Settings
from batchrun.settings.tables import Tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """The estimate speaks of the way that is chosen."""

    estimate: Estimate
    choice: Choice
    pilots: int  #: of the jobs that go realtime
    seconds: float | None  #: that all their run has to do would take realtime; None where no limit is known
    now: Millis
    deadline: Millis | None
    hours: Hours | None  #: in which alone they are sent; None: always
    met: bool | None  #: whether the deadline will be; None without one, or where nobody can tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereto:
    """The run that jobs will join, as it will be: its terms, and what it has already."""

    mode: Mode
    deadline: Millis | None = None
    hours: str | None = None  #: as `core.hours` reads it
    jobs: int = 0
    left: int = 0  #: of these: not finished


def outlook(
    settings: Settings,
    tables: Tables,
    totals: Mapping[str, Totals],
    realtime: Mapping[str, Totals],
    whereto: Whereto,
    *,
    pilots: int,
    now: Millis,
) -> Outlook:
    """The outlook for jobs that weigh *totals* by model, with the settings' prices and the limits of its tier.

    Those of them in *realtime*, *pilots* among them, go realtime whatever the run's way.
    """
    shares, apart = _shares(totals), _shares(realtime)

    def lane(model: str) -> tuple[str, Limits]:
        name = tables.limits.lane_of(model)
        return name, tables.custom.get(name) or tables.limits.limits(settings.tier, name)

    answers = _seen_outputs(settings)
    made = estimate(shares, tables.prices, answers, lane)
    jobs, left = whereto.jobs + made.jobs, whereto.left + made.jobs
    seconds = None if made.forecast is None else made.forecast.seconds * left / made.jobs
    deadline, within = whereto.deadline, hours(whereto.hours)
    choice = choose(whereto.mode, jobs=jobs, left=left, now=now, deadline=deadline, seconds=seconds, hours=within)
    if choice.batch and made.jobs and made.jobs == sum(share.jobs for share in apart.values()):
        choice = Choice(batch=False, why="none of these jobs goes in a batch")
    if choice.batch:
        made = estimate(shares, tables.prices, answers, lane, realtime=apart)
    met = None if deadline is None else meets(choice, now=now, deadline=deadline, seconds=seconds, hours=within)
    return Outlook(
        estimate=made,
        choice=choice,
        pilots=pilots,
        seconds=seconds,
        now=now,
        deadline=deadline,
        hours=within,
        met=met,
    )


def _shares(totals: Mapping[str, Totals]) -> Mapping[str, Share]:
    return {
        model: Share(
            jobs=total.jobs,
            est_input=total.est_input,
            max_tokens=total.max_tokens,
            worst=Nanos(total.worst),
            unbounded=total.unbounded,
        )
        for model, total in totals.items()
    }


def _seen_outputs(settings: Settings) -> Mapping[str, float]:
    """What answers were like in this queue; nothing where there is none, or it cannot be read just now."""
    try:
        with Reading.open(Path(settings.db)) as reading:
            return mean_outputs(reading)
    except BatchrunError:  # an estimate is no reason to fail
        return {}
