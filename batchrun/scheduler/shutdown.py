"""Stopping in two stages: the first wish drains, the second stops. Neither loses an answer that came."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import IntEnum

from batchrun.core.ports import Clock

ASKED = 1.0
"""Seconds between two questions whether what was waited for has come about."""


class Stage(IntEnum):
    WORKING = 0
    DRAINING = 1  #: nothing new leaves; what is in flight may come home
    STOPPED = 2  #: what is in flight is given up; its attempts stay on the books as possibly billed


class Shutdown:
    """The wish to stop, as the signal handlers and the pass share it. Belongs to one event loop."""

    def __init__(self) -> None:
        self.stage = Stage.WORKING
        self._draining = asyncio.Event()
        self._stopped = asyncio.Event()

    def ask(self) -> None:
        """One more wish to stop: the first drains, the second stops, further ones change nothing."""
        self.stage = Stage(min(self.stage + 1, Stage.STOPPED))
        self._draining.set()
        if self.stage is Stage.STOPPED:
            self._stopped.set()

    async def draining(self) -> None:
        """Returns once nothing new shall leave."""
        await self._draining.wait()

    async def stopped(self) -> None:
        """Returns once what is in flight shall be given up."""
        await self._stopped.wait()


class Limit:
    """What ends a pass before all is done: the time given to it, or that what was waited for has come about."""

    def __init__(
        self, clock: Clock, shutdown: Shutdown, *, seconds: float | None = None, until: Callable[[], bool] | None = None
    ) -> None:
        self._clock, self._shutdown = clock, shutdown
        self._seconds, self._until = seconds, until
        self.reached = False  #: what was waited for
        self.message = ""

    async def watch(self) -> None:
        """Wish once for a stop when it is time. Whoever began it cancels it."""
        begun = self._clock.steady()
        while not self.reached and not self.message:
            left = float("inf") if self._seconds is None else self._seconds - (self._clock.steady() - begun)
            if left <= 0:
                self.message = "the time given is over"
            else:
                await self._clock.sleep(min(ASKED, left))
                self.reached = self._until is not None and self._until()
        if self._shutdown.stage is Stage.WORKING:  # a second wish would give up what is in flight
            self._shutdown.ask()
