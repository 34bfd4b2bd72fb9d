"""What this pass may still spend: its own cap, beside the runs' caps that the queue itself keeps."""

from __future__ import annotations

import asyncio

from batchrun.core.claim import Claim
from batchrun.core.job import BatchId, Nanos
from batchrun.core.outcome import Billed, Outcome, billed


class Purse:
    """Reserves the worst case when a job is claimed and settles when its attempt is over."""

    def __init__(self, most: Nanos | None) -> None:
        self.spent = Nanos(0)  #: what came home cost; what is possibly billed counts at its worst
        self.turn = asyncio.Lock()  #: held from `left` until it is reserved: no two may count on the same money
        self._most = most
        self._out = 0
        self._batches: dict[BatchId, int] = {}  # what those that this pass made may still cost

    def left(self) -> Nanos | None:
        """What may still be claimed for; None without a cap."""
        if self._most is None:
            return None
        return Nanos(max(0, self._most - self.spent - self._out - sum(self._batches.values())))

    def reserve(self, claim: Claim) -> None:
        self._out += claim.worst or 0

    def free(self, claim: Claim) -> None:
        """*claim* never left."""
        self._out -= claim.worst or 0

    def hold(self, batch: BatchId, worst: int) -> None:
        """*batch*, which this pass made, may cost so much."""
        self._batches[batch] = worst

    def drop(self, batch: BatchId) -> None:
        """*batch* does not stand, or never arrived."""
        self._batches.pop(batch, None)

    def book(self, batch: BatchId, worst: int, spent: int) -> None:
        """Of what *batch* might cost, *worst* is decided: it cost *spent*. Another pass may have made it."""
        if batch in self._batches:
            self._batches[batch] = max(0, self._batches[batch] - worst)
        self.spent = Nanos(self.spent + spent)

    def settle(self, claim: Claim, outcome: Outcome, cost: Nanos | None) -> None:
        """The attempt of *claim* is over and cost *cost*, where that is known."""
        self._out -= claim.worst or 0
        match billed(outcome):
            case Billed.YES:
                self.spent = Nanos(self.spent + (cost if cost is not None else claim.worst or 0))
            case Billed.MAYBE:
                self.spent = Nanos(self.spent + (claim.worst or 0))
            case Billed.NO:
                pass
