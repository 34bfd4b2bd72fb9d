"""What a set of jobs will weigh, cost and take, before any of it is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from batchrun.core.choice import MARGIN, Choice
from batchrun.core.job import Millis, Nanos
from batchrun.core.limits import Dimension, Limits
from batchrun.core.pricing import PriceTable

if TYPE_CHECKING:  # time zones are for runs with hours
    from batchrun.core.hours import Hours

LONG = 1_500
"""Tokens of output that a job of which nothing is known is not expected to pass, however large its `max_tokens`. A
guess; answers that were seen replace it."""


def guessed_output(max_tokens: float) -> float:
    """Tokens to expect of an answer where none was seen: near *max_tokens* where that is small, never above `LONG`."""
    return LONG * max_tokens / (LONG + max_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the answers of a model were like."""

    answers: int
    runs: int  #: that they came from
    output: float  #: tokens on average
    input: float  #: tokens that the API counted for each that was estimated


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The jobs of one model, as sums."""

    jobs: int
    est_input: int
    max_tokens: int
    worst: Nanos  #: in realtime, of those whose cost has a bound
    unbounded: int  #: jobs whose cost has none

    def likely_output(self, mean: float | None) -> int:
        """Tokens of output to expect where answers had *mean* tokens (None: none was seen)."""
        room = self.max_tokens / self.jobs if self.jobs else 0.0
        each = guessed_output(room) if mean is None else min(mean, room)
        return round(each * self.jobs)

    def weighed(self, ratio: float) -> Share:
        """The same jobs with *ratio* times the input."""
        return replace(self, est_input=max(self.jobs, round(self.est_input * ratio)))

    def __sub__(self, part: Share) -> Share:
        """The jobs without those of *part*."""
        return Share(
            jobs=self.jobs - part.jobs,
            est_input=self.est_input - part.est_input,
            max_tokens=self.max_tokens - part.max_tokens,
            worst=Nanos(self.worst - part.worst),
            unbounded=self.unbounded - part.unbounded,
        )


NOBODY = Share(jobs=0, est_input=0, max_tokens=0, worst=Nanos(0), unbounded=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """How long the jobs take if a limit is all that slows them; `binding` is that limit, in `lane`."""

    seconds: float
    binding: Dimension
    lane: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Sums over jobs. Money leaves out jobs that are `unpriced` or `unbounded`; it is that of batches for all but the
    jobs that go realtime. `forecast` is for all of them in realtime.
    """

    jobs: int
    realtime: int  #: those of them that go realtime
    models: tuple[str, ...]
    input_tokens: int  #: estimated
    output_likely: int
    output_most: int
    likely: Nanos
    likely_realtime: Nanos  #: if all of them went realtime
    most: Nanos
    unpriced: Mapping[str, int]  #: jobs of models without a known price, by model
    unbounded: int  #: jobs whose cost nothing bounds, unpriced ones among them
    seen: bool  #: `output_likely` goes by answers that were seen
    forecast: Forecast | None  #: None where no limit is known


def estimate(
    shares: Mapping[str, Share],
    prices: PriceTable,
    answers: Mapping[str, float],
    lane: Callable[[str], tuple[str, Limits]],
    *,
    realtime: Mapping[str, Share] | None = None,
) -> Estimate:
    """The estimate for *shares* by model, of which the jobs in *realtime* go realtime and the others in batches.

    *realtime* is None where all go realtime. *answers* has the mean output of models whose answers were seen; *lane*
    gives a model's lane and its limits.
    """
    apart = shares if realtime is None else realtime
    output = {model: share.likely_output(answers.get(model)) for model, share in shares.items()}
    likely, likely_realtime, most, unpriced = 0, 0, 0, {}
    for model, share in shares.items():
        now = apart.get(model, NOBODY)
        later = share - now
        mean = answers.get(model)
        costs = [_likely(prices, model, share, mean, batch=False), _likely(prices, model, now, mean, batch=False)]
        costs.append(_likely(prices, model, later, mean, batch=True))
        if None in costs:
            unpriced[model] = share.jobs
        whole, *parts = (cost or 0 for cost in costs)
        likely_realtime += whole
        likely += sum(parts)
        most += now.worst + (prices.most_in_batch(later.worst, later.jobs) if later.jobs else 0)
    return Estimate(
        jobs=sum(share.jobs for share in shares.values()),
        realtime=sum(share.jobs for share in apart.values()),
        models=tuple(shares),
        input_tokens=sum(share.est_input for share in shares.values()),
        output_likely=sum(output.values()),
        output_most=sum(share.max_tokens for share in shares.values()),
        likely=Nanos(likely),
        likely_realtime=Nanos(likely_realtime),
        most=Nanos(most),
        unpriced=unpriced,
        unbounded=sum(share.unbounded for share in shares.values()),
        seen=bool(shares) and all(model in answers for model in shares),
        forecast=_forecast(shares, output, lane),
    )


def _likely(prices: PriceTable, model: str, share: Share, mean: float | None, *, batch: bool) -> int | None:
    """What *share* is likely to cost, never more than at most; None without a price."""
    output = share.likely_output(mean)
    cost = prices.likely(model, input_tokens=share.est_input, output_tokens=output, batch=batch, jobs=share.jobs)
    if cost is None or share.unbounded:
        return cost
    return min(cost, prices.most_in_batch(share.worst, share.jobs) if batch else share.worst)


def _forecast(
    shares: Mapping[str, Share], output: Mapping[str, int], lane: Callable[[str], tuple[str, Limits]]
) -> Forecast | None:
    """Lanes work side by side: the slowest one's scarcest limit is how long it takes."""
    sums: dict[str, tuple[Limits, dict[Dimension, int]]] = {}
    for model, share in shares.items():
        name, limits = lane(model)
        _, uses = sums.setdefault(name, (limits, dict.fromkeys(Dimension, 0)))
        uses[Dimension.REQUESTS] += share.jobs
        uses[Dimension.INPUT] += share.est_input
        uses[Dimension.OUTPUT] += output[model]
    forecasts = [
        Forecast(seconds=60 * use / limit, binding=dimension, lane=name)
        for name, (limits, uses) in sums.items()
        for dimension, use in uses.items()
        if (limit := limits.of(dimension))
    ]
    return max(forecasts, key=lambda forecast: forecast.seconds, default=None)


def meets(
    choice: Choice, *, now: Millis, deadline: Millis, seconds: float | None, hours: Hours | None = None
) -> bool | None:
    """Whether jobs that take *seconds* in realtime will be there by *deadline*; None where nobody can tell.

    Batches meet it where there is time to send in realtime what they have not done. Jobs are sent within *hours* only.
    """
    if seconds is None:
        return None
    if choice.batch:
        return choice.rescue is not None and choice.rescue >= now
    if hours is not None:
        return hours.after(now, seconds * MARGIN) <= deadline
    return now + seconds * MARGIN * 1000 <= deadline
