"""What the program says of its jobs and batches, written down at the moment it says so."""

from __future__ import annotations

from functools import wraps
from typing import Any

from batchrun.core.events import BatchTurned, Event, JobAsksOn, JobFailed, JobSucceeded, JobWaits
from batchrun.core.ports import Sink
from batchrun.scheduler.run import Pass
from tests.crash.boundaries import Boundaries


class Overheard:
    """A sink that notes the end of each attempt, and each turn of a batch, before anybody hears of it."""

    def __init__(self, sink: Sink, boundaries: Boundaries) -> None:
        self._sink = sink
        self._boundaries = boundaries

    def emit(self, event: Event) -> None:
        if isinstance(event, JobSucceeded | JobFailed | JobWaits | JobAsksOn):
            self._boundaries.note("said", event.job, event.attempt)
        elif isinstance(event, BatchTurned):
            self._boundaries.note("turned", event.batch, event.turn)
        self._sink.emit(event)


def listen(boundaries: Boundaries) -> None:
    """Overhear every pass of this process."""
    begin = Pass.__init__

    @wraps(begin)
    def overheard(self: Pass, *, sink: Sink, **seams: Any) -> None:
        begin(self, sink=Overheard(sink, boundaries), **seams)

    Pass.__init__ = overheard  # type: ignore[method-assign]  # only in the process that is to die
