"""Settling: when somebody looks at a batch that has ended, its results are written, once and for all."""

from __future__ import annotations

import asyncio
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from batchrun.simulator import colleague, submission
from batchrun.simulator.account import Account
from batchrun.simulator.batch import OUTCOMES, Batch
from batchrun.simulator.items import Done, Items, line
from batchrun.simulator.ledger import Ledger
from batchrun.simulator.lots import DIGEST, LETTERS, Lot
from batchrun.simulator.models import Model
from batchrun.simulator.plan import Plan
from batchrun.simulator.shelf import Shelf

SLICE = 200
"""Items after which others get their turn."""


@dataclass(slots=True, kw_only=True)
class Processing:
    """Settles the batches of one shelf. Belongs to one event loop."""

    plan: Plan
    account: Account
    ledger: Ledger
    shelf: Shelf
    models: Mapping[str, Model]
    salt: int
    locks: dict[str, asyncio.Lock] = field(default_factory=dict)

    async def settle(self, batch: Batch) -> None:
        """Give *batch*, which has ended, its counts and its results."""
        if batch.counts is not None:
            return
        async with self.locks.setdefault(batch.id, asyncio.Lock()):
            if batch.counts is None and not batch.deleted:
                await self._settle(batch)
        self.locks.pop(batch.id, None)

    async def _settle(self, batch: Batch) -> None:
        lot = self.shelf.lot(batch.id).bare()  # a kill may have come after another had begun
        lot.ended = batch.ends
        ends = array("Q")
        counts: Counter[str] = Counter()
        outcomes, prompts = [], []
        path = self.shelf.upload()
        with self.shelf.create(path) as lines:
            at = 0
            for index, (custom_id, done) in enumerate(self._items(batch, lot)):
                if index % SLICE == SLICE - 1:
                    await asyncio.sleep(0)
                if done.result is not None:
                    at += lines.write(line(custom_id, done.result))
                ends.append(at)
                counts[done.outcome] += 1
                outcomes.append(LETTERS[done.outcome])
                if batch.foreign:
                    continue
                prompts.append(done.prompt or " " * DIGEST)
                lot.outputs.append(done.output)
                lot.costs.append(done.cost)
                if done.marked and done.prompt is not None:
                    lot.marked.append(done.prompt)
        lot.outcomes, lot.prompts = "".join(outcomes), "".join(prompts)
        batch.counts = {word: counts[word] for word in OUTCOMES}
        self.shelf.settle(batch, path, ends, lot)
        self.ledger.settle(lot)
        self.account.pay(sum(lot.costs), 0 if batch.foreign else counts["succeeded"])

    def _items(self, batch: Batch, lot: Lot) -> Iterator[tuple[str, Done]]:
        if batch.foreign:
            return ((custom_id, colleague.DONE) for custom_id in lot.ids)
        return self._own(batch)

    def _own(self, batch: Batch) -> Iterator[tuple[str, Done]]:
        items = Items(batch, self.plan, self.account, self.ledger, self.models, self.salt)
        with self.shelf.body(batch.id) as file, self.shelf.body(batch.id) as again:
            for index, slip in enumerate(submission.slips(file)):
                again.seek(slip.begin)
                yield slip.custom_id, items.done(index, again.read(slip.end - slip.begin))
