"""What jobs will cost, which way they will go and why, and whether they will be there in time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from batchrun.core.choice import Choice, Mode, choose
from batchrun.core.estimate import NOBODY, Estimate, Measured, Share, estimate, meets
from batchrun.core.hours import Hours, hours
from batchrun.core.job import Millis, Nanos
from batchrun.core.limits import Limits
from batchrun.errors import BatchrunError
from batchrun.queue.measured import measured
from batchrun.queue.reading import Reading
from batchrun.queue.submit import Totals
from batchrun.settings import Settings
from batchrun.settings.tables import Tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Both:
    """The jobs of one model, in batches (but for those that batches refuse, and pilots) and all in realtime."""

    batch: Estimate
    realtime: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """The estimate speaks of the way that is chosen."""

    estimate: Estimate
    models: Mapping[str, Both]
    measured: Mapping[str, Measured]  #: of the models whose answers were seen in this queue
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
    counted: Mapping[str, float] | None = None,
) -> Outlook:
    """The outlook for jobs that weigh *totals* by model, with the settings' prices and the limits of its tier.

    Those of them in *realtime*, *pilots* among them, go realtime whatever the run's way. *counted* as for
    `outlook_of`.
    """
    return outlook_of(
        settings, tables, _shares(totals), _shares(realtime), whereto, pilots=pilots, now=now, counted=counted
    )


def outlook_of(
    settings: Settings,
    tables: Tables,
    shares: Mapping[str, Share],
    apart: Mapping[str, Share],
    whereto: Whereto,
    *,
    pilots: int,
    now: Millis,
    counted: Mapping[str, float] | None = None,
) -> Outlook:
    """The same for *shares* by model, of which those in *apart* go realtime.

    *counted* has, for models of which requests were counted, the input for each token that was estimated.
    """
    seen = _measured(settings)
    ratios = {model: each.input for model, each in seen.items()} | dict(counted or {})
    shares = {model: share.weighed(ratios.get(model, 1.0)) for model, share in shares.items()}
    apart = {model: share.weighed(ratios.get(model, 1.0)) for model, share in apart.items()}
    answers = {model: each.output for model, each in seen.items()}

    def lane(model: str) -> tuple[str, Limits]:
        name = tables.limits.lane_of(model)
        return name, tables.custom.get(name) or tables.limits.limits(settings.tier, name)

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
        models={model: _both(model, share, apart, tables, answers, lane) for model, share in shares.items()},
        measured={model: seen[model] for model in shares if model in seen},
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


def _both(
    model: str,
    share: Share,
    apart: Mapping[str, Share],
    tables: Tables,
    answers: Mapping[str, float],
    lane: Callable[[str], tuple[str, Limits]],
) -> Both:
    alone = {model: share}
    return Both(
        batch=estimate(alone, tables.prices, answers, lane, realtime={model: apart.get(model, NOBODY)}),
        realtime=estimate(alone, tables.prices, answers, lane),
    )


def _measured(settings: Settings) -> Mapping[str, Measured]:
    """What answers were like in this queue; nothing where there is none, or it cannot be read just now."""
    try:
        with Reading.open(settings.db) as reading:
            return measured(reading)
    except BatchrunError:  # an estimate is no reason to fail
        return {}
