"""Lifting pauses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from batchrun.core.pause import Pause, PauseScope
from batchrun.library.queue import changing
from batchrun.queue import pauses
from batchrun.queue.reading import Reading
from batchrun.queue.transaction import Transaction
from batchrun.settings import Settings


def resume(settings: Settings, run: str | None = None) -> Sequence[Pause]:
    """Lift the pauses that keep *run* from being sent (None: all), so that the next pass sends at once.

    Returns those that stood. Raises UsageError if there is no such queue or run.
    """
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
