"""Telling the user's commands what happened: beside the work, one after the other, and never in its way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

from batchrun.core.events import Event, HookCalled
from batchrun.core.hook import Hook, Pending
from batchrun.core.ports import Clock, HookStore

LOOK = 2.0
"""Seconds between two looks at what there is to tell."""

Call = Callable[[Pending], Awaitable[tuple[int | None, str]]]
"""Tells the command of one happening: its exit code, None if it could not run to its end, and what it said."""


class Hooks:
    """Belongs to one event loop. *wanted* are the hooks that have a command; of others nothing is ever told."""

    def __init__(
        self, *, store: HookStore, call: Call, wanted: Collection[Hook], clock: Clock, tell: Callable[[Event], None]
    ) -> None:
        self._store = store
        self._call = call
        self._wanted = wanted
        self._clock = clock
        self._tell = tell
        self._closing = asyncio.Event()

    async def watch(self) -> None:
        """Tell what happens until `close`, and then what is left."""
        if not self._wanted:
            await self._closing.wait()
        while not self._closing.is_set():
            await self._serve()
            sleeping = asyncio.create_task(self._clock.sleep(LOOK))
            closing = asyncio.create_task(self._closing.wait())
            await asyncio.wait({sleeping, closing}, return_when=asyncio.FIRST_COMPLETED)
            sleeping.cancel()
            closing.cancel()
        await self._serve()

    def close(self) -> None:
        self._closing.set()

    async def _serve(self) -> None:
        for each in await self._store.pending():
            hook = each.happening.hook
            # Where nobody listens it is over at once: a command that is set later hears of what happens from then on.
            called = None
            if hook in self._wanted and await self._store.begin(each):
                began = self._clock.steady()
                code, output = await self._call(each)
                called = HookCalled(
                    at=self._clock.wall(),
                    hook=hook.value,
                    run=each.happening.run,
                    code=code,
                    seconds=self._clock.steady() - began,
                    output=output,
                )
                self._tell(called)
            await self._store.end(each, self._clock.wall(), called)
