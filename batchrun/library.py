"""The Python API: what can be done with a queue, without a command line. Each function takes the call's settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from batchrun.core.pause import Pause, PauseScope

if TYPE_CHECKING:
    from batchrun.queue.transaction import Transaction
    from batchrun.settings import Settings

T = TypeVar("T")


class Perform(Protocol):
    """Runs an operation in a transaction of its own; durable when it returns."""

    def __call__(self, op: Callable[[Transaction], T]) -> T: ...


@contextmanager
def changing(settings: Settings) -> Iterator[Perform]:
    """The existing queue, to change it. Raises UsageError, SchemaError or StoreError if that cannot be."""
    from batchrun.queue.connect import close_queue, open_queue
    from batchrun.queue.writing import perform_now

    engine = open_queue(settings.db, simulated=True if settings.simulate else None, create=False)

    def perform(op: Callable[[Transaction], T]) -> T:
        return perform_now(engine, op)

    try:
        yield perform
    finally:
        close_queue(engine)


def resume(settings: Settings, run: str | None = None) -> Sequence[Pause]:
    """Lift the pauses that keep *run* from being sent (None: all), so that the next pass sends at once.

    Returns those that stood. Raises UsageError if there is no such queue or run.
    """
    from batchrun.queue import pauses
    from batchrun.queue.reading import Reading

    with Reading.open(Path(settings.db)) as reading:
        found = None if run is None else reading.run(run)

    def keeps(pause: Pause) -> bool:
        if found is None:
            return True
        if pause.scope is PauseScope.RUN:
            return pause.subject == str(found.id)
        return pause.subject.partition(":")[0] == str(found.account)

    def lift(tx: Transaction) -> Sequence[Pause]:
        standing = [pause for pause in pauses.standing(tx) if keeps(pause)]
        for pause in standing:
            pauses.lift(tx, pause.scope, pause.subject)
        return standing

    with changing(settings) as perform:
        return perform(lift)
