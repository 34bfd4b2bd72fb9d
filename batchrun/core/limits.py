"""Rate limits as the account has them: tiers, lanes, and what one request charges against them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from batchrun.core.models import undated


class Dimension(StrEnum):
    """What is metered per minute."""

    REQUESTS = "requests"
    INPUT = "input_tokens"
    OUTPUT = "output_tokens"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one lane may use in a minute; None where no limit is known."""

    requests: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None

    def of(self, dimension: Dimension) -> int | None:
        match dimension:
            case Dimension.REQUESTS:
                return self.requests
            case Dimension.INPUT:
                return self.input_tokens
            case Dimension.OUTPUT:
                return self.output_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """What the Message Batches API grants over all models."""

    calls: int  #: a minute, to all its endpoints together
    queued: int  #: requests that wait to be processed
    size: int  #: requests in one batch


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitTable:
    """The published limits per tier and lane, as dated data.

    `tiers` maps a tier's name ("start", "build", "scale", "1" … "4", and "auto", the row to start from while nothing
    has been learned) to its lanes; the lane "*" is for models that no row names. `pools` maps a model id's prefix to
    the lane it shares with others.
    """

    date: str
    source: str
    tiers: Mapping[str, Mapping[str, Limits]]
    pools: Mapping[str, str]
    obsolete: frozenset[str] = frozenset()  #: tiers that exist no more; used with a warning
    batches: Mapping[str, BatchLimits] = field(default_factory=dict)  #: by tier

    def lane_of(self, model: str) -> str:
        """The rate-limit pool of *model*: the longest prefix that matches, else the model by itself, undated."""
        best = max((prefix for prefix in self.pools if model.startswith(prefix)), key=len, default=None)
        return undated(model) if best is None else self.pools[best]

    def limits(self, tier: str, lane: str) -> Limits:
        """What *tier* grants *lane*. Raises KeyError for an unknown tier."""
        lanes = self.tiers[tier]
        return lanes.get(lane) or lanes["*"]


def gate(limit: float) -> tuple[float, float]:
    """(burst, rate per second) with which no 60 seconds take over *limit* units a minute.

    In any 60 s at most burst + 60 × rate pass: with a burst of one second that is 61 × rate, so in the long run 60/61 =
    98.4 % of the limit can be used. Below 61 a minute the burst is one whole unit, and the bound holds because units
    are whole there (requests): at most the whole part of 1 + 60/61 × limit pass. A limit below one counts as one, or
    nothing could ever pass.
    """
    least = limit if limit >= 61.0 else max(1.0, float(int(limit)))
    return max(1.0, least / 61.0), least / 61.0
