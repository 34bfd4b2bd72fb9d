"""Who is alive, as each database can tell it: kernel locks beside a file, leases in a server."""

from __future__ import annotations

from typing import Protocol

from batchrun.core.card import WorkerCard
from batchrun.core.job import Millis, WorkerId
from batchrun.queue.transaction import Transaction


class Presence(Protocol):
    """The workers and loaders of one queue, and those among them that this object is. Not thread-safe.

    A worker comes in this order: `hold_run`; a row that does not count yet (`workers.enter`); `hold`; `workers.arrive`,
    from which on it counts. It goes in this order: its row says that it left (`workers.leave`); `drop`; `drop_run`. A
    process that dies does nothing of this: its row says that it is there, and `lives` tells the truth.

    **Dead is who was buried**: whose row says `left`. `bury` draws that line, once, in the same transaction in which
    what the dead held is given back, and before that. Whoever starts anything in a worker's name asks in its own
    transaction whether the row still stands (`workers.refuse_buried`), so that nothing is taken by one who is dead.

    `lives`, `bury` and `renew` run inside an operation of a `Performer`, perhaps more than once, and touch nothing but
    rows; the others are called outside of any transaction. All raise StoreError where presence cannot be told at all.
    """

    @property
    def lease(self) -> float:
        """Seconds after `renew` was asked for from which on this process may count as dead; infinite: never.

        Who is older than that sends nothing, by its own clock, until it has renewed.
        """
        ...

    def hold_run(self, card: WorkerCard, *, exclusive: bool = False) -> None:
        """Be among those that drain the queue, or the only one; once more changes nothing.

        Raises WorkerBusy, naming somebody, if another one wants to be alone, or if *exclusive* and others are there.
        """
        ...

    def drop_run(self) -> None: ...

    def hold(self, worker: WorkerId, card: WorkerCard | None = None) -> None:
        """Be alive as *worker*, whose row exists; *card*, of who drains the queue, is what others may be told."""
        ...

    def drop(self, worker: WorkerId) -> None:
        """Be *worker* no more, once its row says that it left; also for others that were buried."""
        ...

    def close(self) -> None:
        """Let go of everything at once, as when the process dies: no row is changed."""
        ...

    def lives(self, tx: Transaction, worker: WorkerId, card: WorkerCard, here: WorkerCard) -> bool:
        """Whether *worker*, which came as *card* and did not leave, is alive, as far as *here* can tell."""
        ...

    def bury(self, tx: Transaction, worker: WorkerId, now: Millis) -> bool:
        """Say of a dead *worker* that it left: one guarded UPDATE. False if it lives, left, or was buried before."""
        ...

    def renew(self, tx: Transaction, worker: WorkerId) -> bool:
        """Go on counting as alive; False if *worker* was buried and must begin anew under another number."""
        ...
