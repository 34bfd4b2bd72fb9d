"""What this pass may still spend: its own cap, beside the runs' caps that the queue itself keeps."""

from __future__ import annotations

from batchrun.core.claim import Claim
from batchrun.core.job import Nanos
from batchrun.core.outcome import Billed, Outcome, billed


class Purse:
    """Reserves the worst case when a job is claimed and settles when its attempt is over."""

    def __init__(self, most: Nanos | None) -> None:
        self.spent = Nanos(0)  #: what came home cost; what is possibly billed counts at its worst
        self._most = most
        self._out = 0

    def left(self) -> Nanos | None:
        """What may still be claimed for; None without a cap."""
        return None if self._most is None else Nanos(max(0, self._most - self.spent - self._out))

    def reserve(self, claim: Claim) -> None:
        self._out += claim.worst or 0

    def free(self, claim: Claim) -> None:
        """*claim* never left."""
        self._out -= claim.worst or 0

    def hold(self, worst: int) -> None:
        """A batch may cost so much."""
        self._out += worst

    def book(self, worst: int, spent: int) -> None:
        """Of what a batch might cost, *worst* is decided: it cost *spent*."""
        self._out = max(0, self._out - worst)
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
