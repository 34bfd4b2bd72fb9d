"""What a pass tells: at once to whoever listens, and now and then to the queue, which keeps what changed its course."""

from __future__ import annotations

from batchrun.core.events import (
    BatchTurned,
    Draining,
    Event,
    HoursShut,
    LimitsLearned,
    PassEnded,
    PassStarted,
    Paused,
    Probed,
    Recovered,
    RunDone,
    Throttled,
    Trouble,
    WayChosen,
)
from batchrun.core.ports import Sink, Store

KEPT = (
    PassStarted,
    WayChosen,
    HoursShut,
    Recovered,
    Throttled,
    LimitsLearned,
    Paused,
    Probed,
    BatchTurned,
    Trouble,
    Draining,
    RunDone,
    PassEnded,
)
"""The events that the queue keeps for `batchrun log`; what became of each job stands in its attempts."""


class Journal:
    """Belongs to one pass."""

    def __init__(self, store: Store, sink: Sink) -> None:
        self._store = store
        self._sink = sink
        self._waiting: list[Event] = []

    def tell(self, event: Event) -> None:
        self._sink.emit(event)
        if isinstance(event, KEPT):
            self._waiting.append(event)

    async def keep(self) -> None:
        """Give the queue what was told since the last time."""
        events, self._waiting = self._waiting, []
        if events:
            await self._store.record(events)
