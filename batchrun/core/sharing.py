"""What all workers of one account share: who may leave when, so that together they stay under a minute's limits.

Each meter is a bucket that fills at its rate and holds `CREDIT` seconds' worth at most. A request that comes is given
the moment at which it may leave, in the order of coming: when what came before it is paid for, and of itself as much as
a second's worth. Nothing is lent out, so nothing is outstanding when a worker dies: what it was given is used by it at
its time, or by nobody.

The bound: a request leaves at most `LATE` seconds after its moment, else it asks again. In any 60 seconds leave at most
`CREDIT` + 60 + `LATE` = 61 seconds' worth, and a rate is a 61st of the limit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from batchrun.core.limits import Dimension, Limits, gate

CREDIT = 0.5
"""Seconds' worth of what nobody used that a bucket keeps."""

LATE = 0.5
"""Seconds after its moment until which a request may still leave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """One request, as it is charged."""

    input_tokens: float = 0.0
    output_tokens: float = 0.0

    def of(self, dimension: Dimension) -> float:
        match dimension:
            case Dimension.REQUESTS:
                return 1.0
            case Dimension.INPUT:
                return self.input_tokens
            case Dimension.OUTPUT:
                return self.output_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Requests of one lane that want to leave, the first first; `settled`: what earlier ones used beyond their charge.

    `now` is the steady time of *boot*: what all workers on one machine read. A server goes by its own clock.
    """

    lane: str
    limits: Limits
    wants: Sequence[Want]
    settled: Mapping[Dimension, float] = field(default_factory=dict)
    now: float
    boot: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """Seconds after which each may leave, and for which the whole lane is blocked (0: it is not).

    They count from `since`, a steady time of who asked; None: from when the answer comes.
    """

    waits: Sequence[float]
    since: float | None
    blocked: float = 0.0


def depart(
    empty: dict[Dimension, float], limits: Limits, wants: Sequence[Want], now: float, blocked_until: float = 0.0
) -> list[float]:
    """The moments at which *wants* may leave. *empty* is brought forward: when each bucket was, or will be, empty."""
    moments: list[float] = []
    for want in wants:
        leaves = max(now, blocked_until)
        rates = {dimension: gate(limit) for dimension in Dimension if (limit := limits.of(dimension)) is not None}
        for dimension, (most, rate) in rates.items():
            since = max(empty.get(dimension, now), now - max(CREDIT, 1.0 / rate))
            leaves = max(leaves, since + min(want.of(dimension), most) / rate)
        for dimension, (most, rate) in rates.items():
            kept = max(CREDIT, min(want.of(dimension), most) / rate)  # what it waited for is its own
            since = max(empty.get(dimension, now), leaves - max(kept, 1.0 / rate))
            empty[dimension] = since + want.of(dimension) / rate
        moments.append(leaves)
    return moments
