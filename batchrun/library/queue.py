"""The queue of a call, to change it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from batchrun.queue.connect import close_queue, open_queue
from batchrun.queue.writing import Op, Perform, T, perform_now
from batchrun.settings import Settings


@contextmanager
def changing(settings: Settings) -> Iterator[Perform]:
    """The existing queue. Raises UsageError, SchemaError or StoreError if that cannot be.

    A simulated call changes only a simulated queue; another call may change either.
    """
    engine = open_queue(settings.db, simulated=True if settings.simulate else None, create=False)

    def perform(op: Op[T]) -> T:
        return perform_now(engine, op)

    try:
        yield perform
    finally:
        close_queue(engine)
