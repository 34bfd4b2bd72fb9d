"""The gate of a lane: requests and tokens per minute, first come first served over all three, on aiolimiter."""

from __future__ import annotations

import asyncio

from aiolimiter import AsyncLimiter

from batchrun.core.limits import Dimension, Limits, gate

GUESSED = 0.5
"""The share of a burst that is used where amounts are estimates: the rest is for those that turn out larger."""


class Meter:
    """One dimension. What was charged by estimate is settled by the truth afterwards: a debt is paid by the next one.

    A new meter has no burst to give: a program that is restarted again and again gets no more than one that runs on.
    *share* is how much of a burst it uses.
    """

    def __init__(self, limit: int | None, share: float) -> None:
        self.limit = limit
        self._share = share
        self._most = 0.0  # of one amount, that passes at once
        self._owed = 0.0  # settled too low before; negative: too high
        self._limiter: AsyncLimiter | None = None
        self._fresh = True
        if limit is not None:
            self._most, rate = gate(limit)
            burst = max(1.0, self._most * share)
            self._limiter = AsyncLimiter(burst, burst / rate)

    def of(self, limit: int | None) -> Meter:
        """A new meter of the same kind."""
        return Meter(limit, self._share)

    def settle(self, difference: float) -> None:
        """*difference* units more (less, if negative) were used than had been charged."""
        if self._limiter is not None:
            self._owed += difference

    async def take(self, amount: float) -> None:
        """Wait until *amount* units (of any size) may pass. Cancelled, it gives back what it had taken.

        What is more than a second's worth passes as that would, and the rest is a debt: the server's bucket, which is
        about as large, then never overflows, neither by this request nor by the next one.
        """
        limiter = self._limiter
        if limiter is None:
            return
        if self._fresh:
            self._fresh = False
            await limiter.acquire(limiter.max_rate)  # passes at once and uses up the burst a new limiter would grant
        now = min(amount, self._most)
        before, self._owed = self._owed, 0.0
        left = before + now
        taken = 0.0
        try:
            while left - taken > 0.0:
                piece = min(left - taken, limiter.max_rate)
                await limiter.acquire(piece)
                taken += piece
        except asyncio.CancelledError:
            self._owed += before - taken
            raise
        self._owed += min(left, 0.0) + amount - now


class Gate:
    """The three meters behind one door. Waiters pass in the order they came, so a large one is never starved.

    aiolimiter by itself serves small amounts first (1.3.0); the lock round all three makes it fair.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._door = asyncio.Lock()
        self._meters = {
            dimension: Meter(limits.of(dimension), 1.0 if dimension is Dimension.REQUESTS else GUESSED)
            for dimension in Dimension
        }

    def set(self, limits: Limits) -> None:
        """New limits from now on; a dimension that stays as it is keeps its level."""
        for dimension, meter in self._meters.items():
            limit = limits.of(dimension)
            if limit != meter.limit:
                self._meters[dimension] = meter.of(limit)
        self.limits = limits

    def settle(self, *, input_tokens: float, output_tokens: float) -> None:
        """What was really used beyond what `enter` charged (less, if negative)."""
        self._meters[Dimension.INPUT].settle(input_tokens)
        self._meters[Dimension.OUTPUT].settle(output_tokens)

    async def enter(self, *, input_tokens: float, output_tokens: float) -> None:
        """Wait until one request of this size may leave."""
        async with self._door:
            wanted = ((Dimension.REQUESTS, 1.0), (Dimension.INPUT, input_tokens), (Dimension.OUTPUT, output_tokens))
            taken: list[tuple[Meter, float]] = []
            try:
                for dimension, amount in wanted:
                    meter = self._meters[dimension]
                    await meter.take(amount)
                    taken.append((meter, amount))
            except asyncio.CancelledError:
                for meter, amount in taken:
                    meter.settle(-amount)
                raise
