"""Stopping in two stages: the first wish drains, the second stops. Neither loses an answer that came."""

from __future__ import annotations

import asyncio
from enum import IntEnum


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
