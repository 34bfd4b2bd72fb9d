"""A lane's part of what all workers of the account share: each request is told when it may leave."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from batchrun.core.limits import Dimension, Limits, gate
from batchrun.core.ports import Clock, Store
from batchrun.core.sharing import LATE, Asked, Want

PIECE = 0.25
"""Seconds' worth that this worker may have been given and not used: all workers have as much, and so equal shares."""


@dataclass(slots=True, eq=False)
class _Waiter:
    want: Want
    moment: asyncio.Future[float]


@dataclass(slots=True, eq=False)
class Share:
    """Of one lane. Belongs to one event loop.

    Who waits is asked for in one go, while nothing else is asked: the busier it is, the fewer transactions a request.
    """

    lane: str
    limits: Callable[[], Limits]
    store: Store
    clock: Clock
    account: Callable[[], int]
    boot: str
    blocked: Callable[[float], None]  #: hears for how many seconds others have blocked the lane
    _waiting: deque[_Waiter] = field(default_factory=deque)
    _given: dict[_Waiter, Want] = field(default_factory=dict)
    _owed: dict[Dimension, float] = field(default_factory=dict)
    _asking: asyncio.Task[None] | None = None

    def settle(self, *, input_tokens: float, output_tokens: float) -> None:
        """What was really used beyond what `enter` charged (less, if negative): told with the next request."""
        for dimension, more in ((Dimension.INPUT, input_tokens), (Dimension.OUTPUT, output_tokens)):
            self._owed[dimension] = self._owed.get(dimension, 0.0) + more

    async def enter(self, want: Want) -> bool:
        """Wait until *want* may leave; False if its moment passed unused, so that it has to come again."""
        waiter = _Waiter(want, asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        self._ask_on()
        try:
            moment = await waiter.moment
            while (early := moment - self.clock.steady()) > 0.0:
                await self.clock.sleep(early)
        except asyncio.CancelledError:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            raise
        finally:
            self._given.pop(waiter, None)
            self._ask_on()
        return self.clock.steady() - moment <= LATE

    async def block(self, seconds: float) -> None:
        """Let no worker's requests leave for so long."""
        await self.store.block(self.account(), self.lane, seconds, self.clock.steady(), self.boot)

    def _ask_on(self) -> None:
        if self._asking is None and self._may_ask():
            self._asking = asyncio.create_task(self._ask())

    def _may_ask(self) -> bool:
        return bool(self._waiting) and (not self._given or self._fits(self._waiting[0].want))

    def _fits(self, more: Want) -> bool:
        for dimension in Dimension:
            limit = self.limits().of(dimension)
            if limit is not None:
                given = sum(want.of(dimension) for want in self._given.values())
                if given + more.of(dimension) > gate(limit)[1] * PIECE:
                    return False
        return True

    async def _ask(self) -> None:
        asked: list[_Waiter] = []
        try:
            while self._may_ask():
                asked.clear()
                while self._may_ask():
                    waiter = self._waiting.popleft()
                    self._given[waiter] = waiter.want
                    asked.append(waiter)
                settled, self._owed = self._owed, {}
                now = self.clock.steady()
                granted = await self.store.take(
                    self.account(),
                    Asked(
                        lane=self.lane,
                        limits=self.limits(),
                        wants=[waiter.want for waiter in asked],
                        settled=settled,
                        now=now,
                        boot=self.boot,
                    ),
                )
                since = self.clock.steady() if granted.since is None else granted.since
                if granted.blocked > 0.0:
                    self.blocked(granted.blocked - (self.clock.steady() - since))
                for waiter, wait in zip(asked, granted.waits, strict=True):
                    if not waiter.moment.done():  # else it was called back
                        waiter.moment.set_result(since + wait)
        except BaseException as error:  # whatever it is, those who wait must hear of it
            for waiter in [*asked, *self._waiting]:
                if not waiter.moment.done():
                    waiter.moment.set_exception(error)
            self._waiting.clear()
            if not isinstance(error, Exception):
                raise
        finally:
            self._asking = None
