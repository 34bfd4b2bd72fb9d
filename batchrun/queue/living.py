"""Who is alive beside a SQLite file: whoever holds a lock of the kernel."""

from __future__ import annotations

import math

from batchrun.core.card import WorkerCard
from batchrun.core.job import Millis, WorkerId
from batchrun.queue import workers
from batchrun.queue.locks import Locks, process_lives
from batchrun.queue.transaction import Transaction


class Living(Locks):
    """`queue.presence.Presence` by lock files: no lease, for a process that stands still lives."""

    @property
    def lease(self) -> float:
        return math.inf

    def lives(self, tx: Transaction, worker: WorkerId, card: WorkerCard, here: WorkerCard) -> bool:  # noqa: ARG002  # no row knows it
        alive = self.alive(worker)
        # Where the file is gone the locks say nothing: somebody removed them, or the database came without them.
        return process_lives(card, here) if alive is None else alive

    def bury(self, tx: Transaction, worker: WorkerId, now: Millis) -> bool:
        return workers.bury(tx, worker, now)

    def renew(self, tx: Transaction, worker: WorkerId) -> bool:
        return workers.stands(tx, worker)
