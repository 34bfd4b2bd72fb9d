"""The account behind the simulated API: its lanes, its connections, its speed and its money."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

from batchrun.core.limits import Dimension, Limits, LimitTable
from batchrun.core.ports import Clock
from batchrun.simulator import failures
from batchrun.simulator.failures import Failure
from batchrun.simulator.ledger import Ledger
from batchrun.simulator.meters import MINUTE, Lane
from batchrun.simulator.plan import Plan

SPAN = 10.0
"""Seconds over which the acceleration limit looks at the use."""


class Account:
    """What one organisation has used, and what it may still use. Belongs to one event loop."""

    def __init__(self, plan: Plan, clock: Clock, ledger: Ledger) -> None:
        self.in_flight = 0
        self._clock = clock
        self._ledger = ledger
        self._began: deque[float] = deque()
        self._spent: int = ledger.spent()
        self._billed = ledger.billed()
        self.change(plan)

    def change(self, plan: Plan) -> None:
        """Go by another plan from now on. What the last minute used stays used."""
        self._plan = plan
        self._table = LimitTable(date="", source="plan", tiers={"plan": plan.limits}, pools=plan.pools)
        self._lanes: dict[str, Lane] = {}
        self._calls: Lane | None = None

    def lane_of(self, model: str) -> str:
        return self._table.lane_of(model)

    def refusal(self, lane: str, input_tokens: int) -> Failure | None:
        """Why a request with so many input tokens may not come now; None if it may."""
        if (broke := self.broke()) is not None:
            return broke
        metering = self._plan.metering
        if metering.connections is not None and self.in_flight > metering.connections:
            return failures.TOO_MANY_CONNECTIONS
        now = self._clock.steady()
        if self._too_steep(now):
            return failures.TOO_STEEP
        over = self._lane(lane).refusal(input_tokens, now)
        if over is None:
            return None
        dimension, wait = over
        limit = self._lane(lane).limits.of(dimension)
        what = f"{limit} {dimension.value.replace('_', ' ')} per minute"
        return failures.limited(what, max(1, math.ceil(wait)) if math.isfinite(wait) else MINUTE)

    def call(self) -> Failure | None:
        """Charge a call of the Message Batches API, or say why it may not come now."""
        limits = self._plan.batches.limits
        if limits is None:
            return None
        now = self._clock.steady()
        if self._calls is None:
            self._calls = Lane(Limits(requests=limits.calls), self._plan.metering, now - MINUTE)
        over = self._calls.refusal(0, now)
        if over is not None:
            wait = max(1, math.ceil(over[1])) if math.isfinite(over[1]) else MINUTE
            return failures.limited(f"{limits.calls} batch calls per minute", wait)
        self._calls.admit(0, now)
        return None

    def broke(self, more: int = 0, billed: int = 0) -> Failure | None:
        """Why no request may cost anything now, after *more* nano-dollars for *billed* requests not yet paid."""
        money = self._plan.money
        spent = self._spent + more
        if money.credit is not None and spent >= money.credit * 10**9:
            return failures.NO_CREDIT
        if money.spend_cap is not None and spent >= money.spend_cap * 10**9:
            return failures.SPEND_CAP
        if money.spend_cap_requests is not None and self._billed + billed >= money.spend_cap_requests:
            return failures.SPEND_CAP
        return None

    def admit(self, lane: str, input_tokens: int) -> None:
        """Charge a request that comes in."""
        now = self._clock.steady()
        self._lane(lane).admit(input_tokens, now)
        if self._plan.metering.ramp is not None:
            self._began.append(now)

    def produce(self, lane: str, output_tokens: int) -> None:
        """Charge tokens as they are made."""
        self._lane(lane).charge(Dimension.OUTPUT, output_tokens, self._clock.steady())

    def use(self, lane: str, *, requests: int = 0, input_tokens: int = 0, output_tokens: int = 0) -> None:
        """Charge what another program of the same organisation uses."""
        now = self._clock.steady()
        meters = self._lane(lane)
        meters.charge(Dimension.REQUESTS, requests, now)
        meters.charge(Dimension.INPUT, input_tokens, now)
        meters.charge(Dimension.OUTPUT, output_tokens, now)

    def pay(self, cost: int, requests: int = 1) -> None:
        self._spent += cost
        self._billed += requests

    def headers(self, lane: str) -> Mapping[str, str]:
        return self._lane(lane).headers(self._clock.steady(), self._clock.wall())

    def _too_steep(self, now: float) -> bool:
        ramp = self._plan.metering.ramp
        if ramp is None:
            return False
        while self._began and self._began[0] <= now - MINUTE - SPAN:
            self._began.popleft()
        recent = sum(at > now - SPAN for at in self._began)
        before = (len(self._began) - recent) * SPAN / MINUTE
        return recent >= max(ramp.free, ramp.factor * before)

    def _lane(self, name: str) -> Lane:
        lane = self._lanes.get(name)
        if lane is None:
            limits = self._plan.limits.get(name) or self._plan.limits.get("*") or Limits()
            lane = self._lanes[name] = Lane(limits, self._plan.metering, self._clock.steady() - MINUTE)
            self._remember(name, lane)
        return lane

    def _remember(self, name: str, lane: Lane) -> None:
        """Charge what the ledger knows of the last minute: a new simulator or plan is no new account."""
        now, wall = self._clock.steady(), self._clock.wall()
        charges = []
        for entry in reversed(self._ledger.entries):
            if entry.at < wall - 15 * MINUTE * 1000:
                break
            if entry.lane != name or not entry.accepted:
                continue
            charges.append((entry.at, Dimension.REQUESTS, 1))
            charges.append((entry.at, Dimension.INPUT, entry.input))
            if entry.ended is not None:
                charges.append((entry.ended, Dimension.OUTPUT, entry.output))
        for at, dimension, amount in sorted(charges, key=lambda charge: charge[0]):
            if at > wall - MINUTE * 1000:
                lane.charge(dimension, amount, now - max(0, wall - at) / 1000)
