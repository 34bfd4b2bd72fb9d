"""What tokens cost, in exact integers: the cost of an answer, the most a request can cost, and what is likely.

An unknown price gives an unknown cost (None), never zero. All sums are rounded up to whole nano-dollars.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from batchrun.core.job import Nanos
from batchrun.core.models import undated
from batchrun.core.outcome import Usage
from batchrun.core.tokens import Weight

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Nano-dollars per million tokens of each kind: $4 per million is 4_000_000_000."""

    input: int
    output: int
    cache_write_5m: int
    cache_write_1h: int
    cache_read: int

    def of(self, usage: Usage) -> int:
        """The price of *usage* in millionths of a nano-dollar."""
        return (
            usage.input * self.input
            + usage.output * self.output
            + usage.cache_write_5m * self.cache_write_5m
            + usage.cache_write_1h * self.cache_write_1h
            + usage.cache_read * self.cache_read
        )

    def worst(self, prompt: int, output: int, *, cached: bool, cache_1h: bool) -> int:
        """The most that so many tokens cost, each of the prompt at the highest rate at which it may be billed."""
        dearest = self.input
        if cached or cache_1h:
            dearest = max(dearest, self.cache_write_5m, self.cache_read, self.cache_write_1h if cache_1h else 0)
        return prompt * dearest + output * self.output


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Other rates for the whole request once its prompt (cache reads and writes included) is over so many tokens."""

    over: int
    rates: Rates


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What one model costs in realtime; `bands` ascend by `over`. `fast` is None where fast mode has no price."""

    rates: Rates
    bands: tuple[Band, ...] = ()
    fast: Rates | None = None

    def rates_for(self, prompt: int) -> Rates:
        found = self.rates
        for band in self.bands:
            if prompt > band.over:
                found = band.rates
        return found

    def worst(self, prompt: int, output: int, *, cached: bool, cache_1h: bool) -> int:
        """The most, in millionths of a nano-dollar, that a prompt of at most *prompt* tokens and *output* tokens cost.

        A prompt may fall into each band up to its size.
        """
        rates, most = self.rates, 0
        for band in self.bands:
            if prompt <= band.over:
                break
            most = max(most, rates.worst(band.over, output, cached=cached, cache_1h=cache_1h))
            rates = band.rates
        last = rates.worst(prompt, output, cached=cached, cache_1h=cache_1h)
        return max(most, last)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTable:
    """The published prices as dated data. Percentages are of the realtime price and multiply one another."""

    date: str
    source: str
    prices: Mapping[str, Price]
    batch_percent: int = 50
    geo_percent: Mapping[str, int] = field(default_factory=dict)
    """By `inference_geo` as requests and answers name it; an absent geo is 100, an unlisted one has no known price."""
    web_search: Nanos | None = None  #: one search by the server's tool

    def find(self, model: str) -> Price | None:
        """The price of *model*, also under a dated id."""
        return self.prices.get(model) or self.prices.get(undated(model))

    def cost(self, model: str, usage: Usage, *, batch: bool) -> Nanos | None:
        """What *usage* costs; None where no price is known. Searches cost the same in a batch."""
        price, percent = self.find(model), self._percent(batch=batch, geo=usage.geo)
        if price is None or percent is None:
            return None
        if usage.speed == "fast":
            rates = price.fast
        else:
            rates = price.rates_for(usage.input + usage.cache_read + usage.cache_write_5m + usage.cache_write_1h)
        if rates is None or (usage.web_searches and self.web_search is None):
            return None
        return Nanos(_share(rates.of(usage), percent) + usage.web_searches * (self.web_search or 0))

    def worst(
        self,
        model: str,
        *,
        size: int,
        max_tokens: int,
        batch: bool,
        geo: str | None = None,
        fast: bool = False,
        cached: bool = False,
        cache_1h: bool = False,
    ) -> Nanos | None:
        """The most that a request can cost; None where no price is known.

        *size* bounds its input tokens (`core.tokens.Weight.most`); *cached* says that it names a cache breakpoint,
        *cache_1h* one of an hour. Where *geo* is None the workspace's default is taken to be global; server tools
        are not covered (`Weight.unbounded` names them).
        """
        price, percent = self.find(model), self._percent(batch=batch, geo=geo)
        if price is None or percent is None or (fast and price.fast is None):
            return None
        most = price.worst(size, max_tokens, cached=cached, cache_1h=cache_1h)
        if fast and price.fast is not None:
            most = max(most, price.fast.worst(size, max_tokens, cached=cached, cache_1h=cache_1h))
        return Nanos(_share(most, percent))

    def worst_of(
        self, request: Mapping[str, Any], weight: Weight, *, max_tokens: int, batch: bool
    ) -> tuple[Nanos | None, str]:
        """(the most that *request* can cost, "") or (None, why no bound is known)."""
        if weight.most is None:
            return None, weight.unbounded
        model, geo, speed = request.get("model"), request.get("inference_geo"), request.get("speed")
        most = self.worst(
            str(model),
            size=weight.most,
            max_tokens=max_tokens,
            batch=batch,
            geo=None if geo is None else str(geo),
            fast=speed == "fast",
            cached=weight.cached,
            cache_1h=weight.cache_1h,
        )
        if most is not None:
            return most, ""
        if self.find(str(model)) is None:
            return None, f"the price of `{model}` is unknown"
        return None, f"the price of `{model}` with this speed and place is unknown"

    def most_in_batch(self, worst: Nanos, jobs: int = 1) -> Nanos:
        """The most that *jobs* cost in a batch if they cost *worst* together in realtime; each is rounded up."""
        return Nanos(-(-worst * self.batch_percent // 100) + max(0, jobs - 1))

    def likely(self, model: str, *, input_tokens: int, output_tokens: int, batch: bool, jobs: int = 1) -> Nanos | None:
        """What so many uncached tokens of *jobs* requests together cost at standard speed; None without a price.

        A band goes by the mean prompt.
        """
        price, percent = self.find(model), self._percent(batch=batch, geo=None)
        if price is None or percent is None:
            return None
        rates = price.rates_for(input_tokens // max(1, jobs))
        return Nanos(_share(input_tokens * rates.input + output_tokens * rates.output, percent))

    def _percent(self, *, batch: bool, geo: str | None) -> int | None:
        """Ten-thousandths of the realtime price."""
        place = 100 if geo is None else self.geo_percent.get(geo)
        return None if place is None else place * (self.batch_percent if batch else 100)


def _share(millionths: int, percent: int) -> int:
    return -(-millionths * percent // (_MILLION * 10_000))
