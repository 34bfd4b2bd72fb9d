"""What a set of jobs will weigh, cost and take, before any of it is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from batchrun.core.job import Job, Nanos
from batchrun.core.limits import Dimension, Limits
from batchrun.core.pricing import PriceTable

LIKELY_OUTPUT = 500
"""Tokens of output expected of a job of which nothing is known: half of its `max_tokens`, but no more than this. A
guess; answers that were seen replace it."""


@dataclass(slots=True)
class _Share:
    """The jobs of one model."""

    jobs: int = 0
    input: int = 0
    output: int = 0
    likely: int = 0
    most: int = 0  # nano-dollars of those that have a bound
    unbounded: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """How long the jobs take if a limit is all that slows them; `binding` is that limit, in `lane`."""

    seconds: float
    binding: Dimension
    lane: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Sums over jobs. Money is that of realtime; where `unpriced` or `unbounded` is not 0 the sums leave those out."""

    jobs: int
    models: tuple[str, ...]
    input_tokens: int  #: estimated
    output_likely: int
    output_most: int
    likely: Nanos
    most: Nanos
    unpriced: int = 0  #: jobs of models without a known price
    unbounded: int = 0  #: jobs that nothing bounds
    why: str = ""  #: why the first of them has no price or bound
    seen: bool = False  #: `output_likely` goes by answers that were seen
    forecast: Forecast | None = None  #: None where no limit is known


@dataclass(slots=True, kw_only=True)
class Estimator:
    """Add jobs one by one; memory goes by the number of models. `answers` maps models to their mean output so far."""

    prices: PriceTable
    answers: Mapping[str, float] = field(default_factory=dict)
    _shares: dict[str, _Share] = field(default_factory=dict)
    _why: str = ""

    def add(self, job: Job) -> None:
        share = self._shares.setdefault(job.model, _Share())
        share.jobs += 1
        share.input += job.est_input
        share.output += job.max_tokens
        share.likely += round(min(job.max_tokens, self.answers.get(job.model, min(job.max_tokens / 2, LIKELY_OUTPUT))))
        if job.worst is None:
            share.unbounded += 1
            self._why = self._why or job.unbounded
        else:
            share.most += job.worst

    def estimate(self, lane: Callable[[str], tuple[str, Limits]] | None = None) -> Estimate:
        """The sums so far. *lane* gives a model's lane and its limits; the forecast goes by them."""
        likely, unpriced = 0, 0
        for model, share in self._shares.items():
            cost = self.prices.likely(
                model, input_tokens=share.input, output_tokens=share.likely, batch=False, jobs=share.jobs
            )
            likely += cost or 0
            unpriced += share.jobs if cost is None else 0
        shares = self._shares.values()
        most = sum(share.most for share in shares)
        unbounded = sum(share.unbounded for share in shares)
        return Estimate(
            jobs=sum(share.jobs for share in shares),
            models=tuple(self._shares),
            input_tokens=sum(share.input for share in shares),
            output_likely=sum(share.likely for share in shares),
            output_most=sum(share.output for share in shares),
            likely=Nanos(likely if unbounded else min(likely, most)),
            most=Nanos(most),
            unpriced=unpriced,
            unbounded=unbounded,
            why=self._why,
            seen=bool(self._shares) and all(model in self.answers for model in self._shares),
            forecast=None if lane is None else self._forecast(lane),
        )

    def _forecast(self, lane: Callable[[str], tuple[str, Limits]]) -> Forecast | None:
        """Lanes work side by side: the slowest one's scarcest limit is how long it takes."""
        sums: dict[str, tuple[Limits, dict[Dimension, int]]] = {}
        for model, share in self._shares.items():
            name, limits = lane(model)
            _, uses = sums.setdefault(name, (limits, dict.fromkeys(Dimension, 0)))
            uses[Dimension.REQUESTS] += share.jobs
            uses[Dimension.INPUT] += share.input
            uses[Dimension.OUTPUT] += share.likely
        forecasts = [
            Forecast(seconds=60 * use / limit, binding=dimension, lane=name)
            for name, (limits, uses) in sums.items()
            for dimension, use in uses.items()
            if (limit := limits.of(dimension))
        ]
        return max(forecasts, key=lambda forecast: forecast.seconds, default=None)
