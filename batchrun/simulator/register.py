"""All batches of the account: who makes, settles and removes them, and the colleague who does so too."""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import dataclass
from pathlib import Path

from batchrun.core.job import Millis
from batchrun.core.ports import Clock
from batchrun.simulator import colleague
from batchrun.simulator.batch import Batch
from batchrun.simulator.colleague import Arrivals
from batchrun.simulator.ledger import Ledger
from batchrun.simulator.lots import Lot
from batchrun.simulator.plan import Plan
from batchrun.simulator.processing import Processing
from batchrun.simulator.shelf import Shelf


def remember(shelf: Shelf, ledger: Ledger) -> None:
    """Tell *ledger* what it lacks: a kill may have come when a batch was on the shelf and not yet in the ledger."""
    for batch in shelf.batches.values():
        known = ledger.lots.get(batch.id)
        if known is None:
            ledger.accept(shelf.lot(batch.id).bare())
        if batch.counts is not None and (known is None or known.ended is None):
            ledger.settle(shelf.lot(batch.id))


@dataclass(slots=True, kw_only=True)
class Register:
    """Keeps shelf and ledger together, whatever the plan is. Belongs to one event loop."""

    plan: Plan
    clock: Clock
    ledger: Ledger
    shelf: Shelf
    processing: Processing
    arrivals: Arrivals
    salt: int

    def change(self, plan: Plan) -> None:
        """Go by another plan from now on."""
        self.plan = plan
        self.processing.plan = plan

    def accept(self, body: Path, ids: str, *, workspace: str, version: str, beta: bool, created: Millis) -> Batch:
        """A new batch of the requests in *body* with the custom_ids *ids*, one a line. It is kept when this returns."""
        batch = self._new(ids.count("\n") + 1, workspace, created, self._seconds(), version=version, beta=beta)
        copy = self.shelf.upload()
        copy.hardlink_to(body)
        self._keep(batch, copy, ids)
        return batch

    def foreign(self, size: int, seconds: float, *, created: Millis, workspace: str | None = None) -> Batch:
        """A colleague's batch; *seconds* are those of its processing."""
        batch = self._new(size, workspace or self.plan.workspace, created, seconds, foreign=True)
        self._keep(batch, None, colleague.ids(size))
        return batch

    def queued(self, now: Millis) -> int:
        """How many requests are in processing."""
        return sum(batch.size for batch in self.shelf.batches.values() if not batch.ended(now))

    def is_stuck(self, batch: Batch) -> bool:
        """Whether its cancelling takes until it expires."""
        return self.dice("stuck", batch.number).random() < self.plan.batches.stuck

    async def settle(self) -> None:
        """Do now what would be done when somebody looked at each batch."""
        await self.meet_colleague()
        now = self.clock.wall()
        for batch in list(self.shelf.batches.values()):
            if batch.ended(now) and not batch.deleted:
                await self.processing.settle(batch)

    async def remove(self, batch: Batch) -> None:
        """Delete it, whoever wants that. What was bought with it stays in the ledger."""
        if batch.ended(self.clock.wall()):
            await self.processing.settle(batch)
        batch.deleted = True
        self.shelf.keep(batch)
        self.shelf.discard(batch.id)

    def archive(self, batch: Batch, at: Millis) -> None:
        """Let its results go before their time."""
        batch.archived = at
        self.shelf.keep(batch)

    async def meet_colleague(self) -> None:
        """Let him have done what he would have done until now."""
        now, plan = self.clock.wall(), self.plan.batches.colleague
        for at, size in self.arrivals.until(now, plan, self.shelf):
            self.foreign(size, self._seconds(), created=at)
        if not plan.deletes and not plan.archives:
            return
        for batch in list(self.shelf.batches.values()):
            match colleague.whim(batch, now, plan):
                case colleague.Whim.DELETE:
                    await self.remove(batch)
                case colleague.Whim.ARCHIVE:
                    self.archive(batch, Millis(batch.ends + round(plan.after * 1000)))
                case None:
                    pass

    def dice(self, what: str, number: int) -> random.Random:
        """Chance for one purpose: the same with each seed."""
        return random.Random(f"{self.salt} {what} {number}")  # noqa: S311  # simulation, not secrecy

    def _new(
        self,
        size: int,
        workspace: str,
        created: Millis,
        seconds: float,
        *,
        version: str = "",
        beta: bool = False,
        foreign: bool = False,
    ) -> Batch:
        number = len(self.shelf.batches)
        return Batch(
            id="msgbatch_01" + hashlib.sha256(f"{self.salt} {number}".encode()).hexdigest()[:22],
            number=number,
            workspace=workspace,
            size=size,
            created=created,
            lasts=round(seconds * 1000),
            version=version,
            beta=beta,
            foreign=foreign,
        )

    def _keep(self, batch: Batch, body: Path | None, ids: str) -> None:
        lot = Lot(batch=batch.id, at=batch.created, size=batch.size, foreign=batch.foreign, custom_ids=ids)
        self.shelf.accept(batch, body, lot)
        self.ledger.accept(lot)

    def _seconds(self) -> float:
        """How long the next batch takes."""
        plan = self.plan.batches
        return plan.minutes * 60 * math.exp(self.dice("lasts", len(self.shelf.batches)).gauss(0.0, plan.spread))
