"""The next jobs of a run become a batch: its intent, its jobs and their attempts at once, before any cost."""

from __future__ import annotations

from batchrun.core.batch import Intended, Intent, Packing
from batchrun.core.job import Millis, Nanos, WorkerId
from batchrun.core.packing import fitting
from batchrun.queue import batches, batchjobs, jobs, runs
from batchrun.queue.runs import Terms
from batchrun.queue.transaction import Transaction


def pack(tx: Transaction, terms: Terms, model: str, packing: Packing, worker: WorkerId, now: Millis) -> Intended:
    """As many of the next queued jobs of *model* as *packing* and the money allow are written down as a batch.

    None are if the run belongs to another account, or if a probe is due: one request asks, not a batch.
    """
    if terms.most is not None or not runs.bind(tx, terms.run, packing.account):
        return Intended()
    bounded = terms.money is not None
    statement = jobs.NEXT_IN_BATCH_BOUNDED if bounded else jobs.NEXT_IN_BATCH
    rows = tx.rows(statement, run=terms.run, model=model, n=packing.n)
    priced = [(*row[:6], _priced(row[6], packing.percent), row[7]) for row in rows]
    chosen = priced if terms.money is None else jobs.affordable(priced, terms.money)
    penniless = bounded and len(chosen) < packing.n and jobs.any_for_batch(tx, terms.run, model, besides=len(chosen))
    chosen = chosen[: fitting((row[7] for row in chosen), packing.bytes)]
    n = batches.free_size(tx, packing.account, len(chosen))
    if n == 0:
        return Intended(penniless=penniless, crowded=bool(chosen))
    chosen = chosen[:n]
    worst = sum(row[6] or 0 for row in chosen)
    size = sum(row[7] for row in chosen)
    batch = batches.intend(tx, packing, terms.run, model, worker, now, n=n, size=size, worst=worst)
    batchjobs.bind(tx, batch, terms.run, model, [(row[0], row[2], row[6]) for row in chosen], worker, now)
    intent = Intent(
        id=batch,
        queue=batches.queue_of(tx),
        token=packing.token,
        run=terms.run,
        model=model,
        n=n,
        worker=worker,
        worst=Nanos(worst),
        betas=terms.betas,
        headers=terms.headers,
    )
    return Intended(intent=intent, penniless=penniless)


def _priced(worst: int | None, percent: int) -> int | None:
    """What a job may cost at most in a batch, when it may cost *worst* in realtime; rounded up."""
    return None if worst is None else -(-worst * percent // 100)
