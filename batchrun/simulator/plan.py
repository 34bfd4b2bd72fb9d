"""A plan is all that a simulator does by itself: pace, answers, limits, money and what goes wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from batchrun.core.limits import Dimension, Limits
from batchrun.simulator.batchplan import BatchPlan
from batchrun.simulator.effects import Effect, Kind

VERSIONS = frozenset({"2023-06-01", "2026-10-21"})
"""The versions of the API that it takes (API-version page, 2026-10)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long an answer takes: `first` seconds (median of a lognormal with sigma `spread`), then so much a token."""

    first: float = 0.8
    spread: float = 0.3
    per_token: float = 0.012


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """Tokens of an answer: a lognormal with this median and sigma, the same each time for the same request."""

    median: float = 200.0
    spread: float = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp:
    """The acceleration limit: ten seconds may bring `factor` times the mean of the minute before them, or `free`."""

    free: int = 50
    factor: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Metering:
    """Which limits a minute are enforced, and how.

    A dimension in `buckets` is a token bucket that fills evenly up to `burst` seconds' worth (`output_burst` for
    output tokens, which nobody knows beforehand); one in `windows` is a sum over the last 60 seconds. `told` says
    whether answers carry the `anthropic-ratelimit-*` headers: gateways strip them.
    """

    buckets: tuple[Dimension, ...] = tuple(Dimension)
    windows: tuple[Dimension, ...] = tuple(Dimension)
    burst: float = 1.0
    output_burst: float = 60.0
    connections: int | None = None
    ramp: Ramp | None = None
    told: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """What the account may spend. Dollars; None is without end."""

    spend_cap: float | None = None  #: the tier's monthly cap: 429 without retry-after
    spend_cap_requests: int | None = None  #: the same after so many billed requests
    credit: float | None = None  #: prepaid: 400 when it is used up


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """`effect` happens to every request that comes between `start` and `end` seconds of the simulator's life."""

    effect: Effect
    start: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Without arguments: a healthy account without limits, at a realistic pace.

    `faults` are for messages, counting and models; batches have their own, and outages hit everything. A key that ends
    with a name of `workspaces` belongs to the workspace given there, any other to `workspace`.

    `limits` maps lanes (see `core.limits.LimitTable`; "*" for those that no row names) to what they grant a minute,
    `pools` model prefixes to lanes. `faults` maps kinds to their probability for each request; `streaks` bounds how
    many requests of one prompt they hit (None: no bound). Which requests are hit follows from the seed and the
    request alone, not from the order of arrival.
    """

    seed: int = 0
    pace: Pace = field(default_factory=Pace)
    length: Length = field(default_factory=Length)
    limits: Mapping[str, Limits] = field(default_factory=dict)
    pools: Mapping[str, str] = field(default_factory=dict)
    metering: Metering = field(default_factory=Metering)
    money: Money = field(default_factory=Money)
    faults: Mapping[Kind, float] = field(default_factory=dict)
    streaks: int | None = None
    outages: tuple[Outage, ...] = ()
    batches: BatchPlan = field(default_factory=BatchPlan)
    organization: str = "00000000-0000-4000-8000-000000000001"
    workspace: str = "wrkspc_simulated"
    workspaces: Mapping[str, str] = field(default_factory=dict)

    def effects_at(self, seconds: float) -> tuple[Effect, ...]:
        """What the outages do *seconds* after the start."""
        return tuple(outage.effect for outage in self.outages if outage.start <= seconds < outage.end)
