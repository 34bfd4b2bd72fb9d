"""Which way a run's jobs go, realtime or in batches, and why: the cheapest that meets its deadline."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from batchrun.core.figures import span
from batchrun.core.job import Millis

if TYPE_CHECKING:  # time zones are for runs with hours
    from batchrun.core.hours import Hours

FEW = 50
"""Jobs up to which a run is not worth a batch: realtime they are there in a minute."""

MARGIN = 1.25
"""The estimate of the realtime way is multiplied by this: answers may be longer than thought."""

ENDING = 30 * 60.0
"""Seconds that a batch may take to end once it is cancelled. Nothing is documented; an allowance."""

WORTH = 10 * 60.0
"""Seconds that batches need at least to be worth trying before a rescue: most end within the hour."""


class Mode(StrEnum):
    AUTO = "auto"
    BATCH = "batch"
    REALTIME = "realtime"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """`rescue`: when batches that have not ended are cancelled and their jobs sent realtime; None for never."""

    batch: bool
    why: str
    rescue: Millis | None = None


def choose(
    mode: Mode,
    *,
    jobs: int,
    left: int,
    now: Millis,
    deadline: Millis | None = None,
    seconds: float | None = None,
    hours: Hours | None = None,
) -> Choice:
    """The way for the *left* unfinished jobs of a run of *jobs*, which would take *seconds* realtime.

    *seconds* is None where nobody can tell (no limit is known): then no deadline is sure to be met, and *auto* does
    the best that can be done for it. Where there are *hours* in which alone jobs may be sent, only these count: a
    rescue comes so early that what is left before the deadline is enough.
    """
    match mode:
        case Mode.REALTIME:
            return Choice(batch=False, why="asked for")
        case Mode.BATCH if deadline is None:
            return Choice(batch=True, why="asked for")
        case Mode.AUTO if jobs <= FEW:
            return Choice(batch=False, why=f"{jobs} jobs are too few for a batch")
        case Mode.AUTO if deadline is None:
            return Choice(batch=True, why="half the price, and there is no deadline")
        case _:
            pass
    assert deadline is not None
    if seconds is None:
        why = "how long realtime would take is not known, and there is a deadline"
        return Choice(batch=mode is Mode.BATCH, why=why)
    needed = seconds * MARGIN
    latest = deadline - round(needed * 1000) if hours is None else hours.before(deadline, needed)
    rescue = Millis(latest - round(ENDING * 1000))
    first = now if hours is None else hours.opens(now)
    if (rescue - first) / 1000 < (WORTH if mode is Mode.AUTO else 0.0):
        within = "" if hours is None else f" within {hours.text}"
        why = f"{left:,} jobs take about {span(seconds)} realtime{within}, too near the deadline for batches"
        return Choice(batch=False, why=why, rescue=rescue)
    return Choice(batch=True, why="half the price, and there is time until the deadline", rescue=rescue)
