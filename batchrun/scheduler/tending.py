"""A worker among others: it goes on counting as alive, and buries those that do not."""

from __future__ import annotations

from collections.abc import Callable

from batchrun.core.claim import Released
from batchrun.core.events import Event, Recovered, Trouble
from batchrun.core.job import WorkerId
from batchrun.core.ports import Clock, Store

BEAT = 5.0
"""Seconds between two rounds."""


class Tending:
    """What one pass does to live beside others. Belongs to one event loop.

    *changed* is called when jobs came back from the dead; *buried* when this very worker was taken for dead.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        emit: Callable[[Event], None],
        changed: Callable[[], None],
        buried: Callable[[], None],
    ) -> None:
        self.worker = WorkerId(0)  #: who this process is by now
        self._store = store
        self._clock = clock
        self._emit = emit
        self._changed = changed
        self._buried = buried
        self._renewed = float("-inf")

    @property
    def fresh(self) -> bool:
        """Whether nobody can have taken this worker for dead yet: only then may anything be sent in its name."""
        return self._clock.steady() - self._renewed < self._store.lease

    async def begin(self, worker: WorkerId) -> None:
        """Be *worker*, which has just come, and take over what dead ones left."""
        self.worker = worker
        self._renewed = self._clock.steady()
        await self._recover()

    async def begin_again(self) -> None:
        """Go on under another number: what went out under the old one comes home late, and nothing else leaves."""
        await self.begin(await self._store.register_again(self.worker))
        message = "this worker stood still and was taken for dead; it goes on as a new one"
        self._emit(Trouble(at=self._clock.wall(), code="buried", message=message))

    async def keep_on(self) -> None:
        """Live until cancelled."""
        while True:
            await self._clock.sleep(min(BEAT, self._store.lease / 3.0))
            asked, worker = self._clock.steady(), self.worker
            if not await self._store.renew(worker):
                if worker == self.worker:
                    self._buried()
                continue
            if worker == self.worker:
                self._renewed = asked
            if await self._recover() != Released(unsent=0, unknown=0):
                self._changed()

    async def _recover(self) -> Released:
        now = self._clock.wall()
        released = await self._store.recover(self.worker, now)
        if released.unsent or released.unknown:
            self._emit(Recovered(at=now, released=released.unsent, unknown=released.unknown))
        return released
