"""Rate limits as the account has them: tiers, lanes, and what one request charges against them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


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
class LimitTable:
    """The published limits per tier and lane, as dated data.

    `tiers` maps a tier's name ("start", "build", "scale", "1" … "4") to its lanes; the lane "*" is for models that
    no row names. `pools` maps a model id's prefix to the lane it shares with others.
    """

    date: str
    source: str
    tiers: Mapping[str, Mapping[str, Limits]]
    pools: Mapping[str, str]
    obsolete: frozenset[str] = frozenset()  #: tiers that exist no more; used with a warning

    def lane_of(self, model: str) -> str:
        """The rate-limit pool of *model*: the longest prefix that matches, else the model by itself."""
        best = max((prefix for prefix in self.pools if model.startswith(prefix)), key=len, default=None)
        return model if best is None else self.pools[best]

    def limits(self, tier: str, lane: str) -> Limits:
        """What *tier* grants *lane*. Raises KeyError for an unknown tier."""
        lanes = self.tiers[tier]
        return lanes.get(lane) or lanes["*"]


def gate(limit: float) -> tuple[float, float]:
    """(burst, rate per second) that no 60-second window can take over *limit* a minute.

    In any window of 60 s at most burst + 60 × rate pass; with a burst of one second that is 61 × rate, so the share
    used in the long run is 60/61 = 98.4 %. A burst is at least one unit, or nothing could ever pass.
    """
    burst = max(1.0, limit / 61.0)
    return burst, max(limit - burst, limit / 120.0) / 60.0
