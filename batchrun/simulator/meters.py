"""The limits a minute, metered in both ways the API may use: buckets that fill evenly, and sliding minutes."""

from __future__ import annotations

import functools
import math
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Protocol

from batchrun.core.limits import Dimension, Limits
from batchrun.simulator.plan import Metering

MINUTE = 60.0


class Meter(Protocol):
    """One limit. All times are steady seconds and never go back."""

    def wait(self, cost: float, now: float) -> float:
        """Seconds until *cost* may pass if nothing else comes; 0 if it may now; infinite if it never may."""
        ...

    def take(self, cost: float, now: float) -> None:
        """Charge *cost*, whether or not it may pass."""
        ...


class Bucket:
    """Fills by `rate` a second up to `capacity`. What costs more than that passes when it is full, on credit."""

    def __init__(self, capacity: float, rate: float, now: float) -> None:
        self.capacity = capacity
        self.rate = rate
        self._level = capacity
        self._at = now

    def level(self, now: float) -> float:
        """What may pass now; negative while a credit is paid back."""
        return min(self.capacity, self._level + (now - self._at) * self.rate)

    def full(self, now: float) -> float:
        """Seconds until it is full."""
        return (self.capacity - self.level(now)) / self.rate

    def wait(self, cost: float, now: float) -> float:
        missing = min(cost, self.capacity) - self.level(now)
        # A billionth of a unit is the rounding of the multiplication above, not use.
        return 0.0 if missing <= 1e-9 * self.capacity else missing / self.rate

    def take(self, cost: float, now: float) -> None:
        self._level = self.level(now) - cost
        self._at = now


class Window:
    """At most `limit` in any 60 seconds; what passed exactly 60 seconds ago no longer counts."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._taken: deque[tuple[float, float]] = deque()
        self._sum = 0.0

    def used(self, now: float) -> float:
        while self._taken and self._taken[0][0] <= now - MINUTE:
            self._sum -= self._taken.popleft()[1]
        return self._sum

    def wait(self, cost: float, now: float) -> float:
        over = self.used(now) + cost - self.limit
        if over <= 0:
            return 0.0
        for at, amount in self._taken:
            over -= amount
            if over <= 0:
                return at + MINUTE - now
        return math.inf

    def take(self, cost: float, now: float) -> None:
        self.used(now)
        self._taken.append((now, cost))
        self._sum += cost


class Lane:
    """The meters of one lane, and what its answers tell about them."""

    def __init__(self, limits: Limits, metering: Metering, now: float) -> None:
        self.limits = limits
        self._told = metering.told
        self._meters: dict[Dimension, list[Meter]] = {}
        self._shown: dict[Dimension, Bucket] = {}
        for dimension in Dimension:
            limit = limits.of(dimension)
            if limit is None:
                continue
            burst = metering.output_burst if dimension is Dimension.OUTPUT else metering.burst
            meters: list[Meter] = []
            if dimension in metering.buckets:
                meters.append(Bucket(max(1.0, limit * burst / MINUTE), limit / MINUTE, now))
            if dimension in metering.windows:
                meters.append(Window(limit))
            self._meters[dimension] = meters
            self._shown[dimension] = Bucket(limit, limit / MINUTE, now)

    def refusal(self, input_tokens: int, now: float) -> tuple[Dimension, float] | None:
        """The limit that a request would pass, and the seconds to wait; None if it may come.

        Output tokens are charged as they are made, so a request needs room for one of them only.
        """
        costs = {Dimension.REQUESTS: 1, Dimension.INPUT: input_tokens, Dimension.OUTPUT: 1}
        waits = [
            (dimension, meter.wait(costs[dimension], now))
            for dimension, meters in self._meters.items()
            for meter in meters
        ]
        worst = max(waits, key=lambda pair: pair[1], default=(Dimension.REQUESTS, 0.0))
        return None if worst[1] == 0 else worst

    def admit(self, input_tokens: int, now: float) -> None:
        self.charge(Dimension.REQUESTS, 1, now)
        self.charge(Dimension.INPUT, input_tokens, now)

    def charge(self, dimension: Dimension, amount: int, now: float) -> None:
        for meter in self._meters.get(dimension, ()):
            meter.take(amount, now)
        if dimension in self._shown:
            self._shown[dimension].take(amount, now)

    def headers(self, now: float, wall: int) -> Mapping[str, str]:
        """The `anthropic-ratelimit-*` headers: buckets of a whole minute, however enforced (limits page, 2026-09)."""
        if not self._told:
            return {}
        told: dict[str, str] = {}
        for dimension, bucket in self._shown.items():
            told |= _rows(dimension.value.replace("_", "-"), bucket, dimension is not Dimension.REQUESTS, now, wall)
        tokens = [self._shown[each] for each in (Dimension.INPUT, Dimension.OUTPUT) if each in self._shown]
        if tokens:
            tightest = min(tokens, key=lambda bucket: bucket.level(now) / bucket.capacity)
            told |= _rows("tokens", tightest, True, now, wall)
        return told


def _rows(name: str, bucket: Bucket, rounded: bool, now: float, wall: int) -> Iterator[tuple[str, str]]:
    left = max(0, math.floor(bucket.level(now) + 1e-6))
    yield f"anthropic-ratelimit-{name}-limit", str(round(bucket.capacity))
    yield f"anthropic-ratelimit-{name}-remaining", str(round(left, -3) if rounded else left)
    yield f"anthropic-ratelimit-{name}-reset", moment(wall + bucket.full(now) * 1000)


def moment(millis: float) -> str:
    """A time as the API writes it (RFC 3339, whole seconds, UTC)."""
    return _second(math.ceil(millis / 1000))


@functools.lru_cache(maxsize=256)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
