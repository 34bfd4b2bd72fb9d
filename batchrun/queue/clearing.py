"""Runs that never opened are cleared: their loader gave up, or died."""

from __future__ import annotations

from collections import Counter
from functools import partial

import sqlalchemy as sa

from batchrun.core.claim import WorkerCard
from batchrun.core.job import Millis, RunId, WorkerId
from batchrun.core.states import RunState, State
from batchrun.queue import workers
from batchrun.queue.presence import Presence
from batchrun.queue.statement import Row, Statement, lit, param
from batchrun.queue.tables import jobs, run_counts, runs
from batchrun.queue.transaction import Transaction
from batchrun.queue.writing import Perform

CHUNK = 10_000

_TAKE = Statement(
    runs.update()
    .where(runs.c.loader == param("whose"), runs.c.state == lit(RunState.LOADING))
    .values(name=lit("~~").concat(sa.cast(runs.c.id, sa.Text)))
)
_LOADED = Statement(sa.select(runs.c.id).where(runs.c.loader == param("whose"), runs.c.state == lit(RunState.LOADING)))
_CLEAR = Statement(
    jobs.delete()
    .where(jobs.c.id.in_(sa.select(jobs.c.id).where(jobs.c.run == param("of")).limit(lit(CHUNK)).scalar_subquery()))
    .returning(jobs.c.model)
)
_COUNTS = Statement(run_counts.delete().where(run_counts.c.run == param("of")))
_RUN = Statement(runs.delete().where(runs.c.id == param("of"), runs.c.state == lit(RunState.LOADING)))


def clear(perform: Perform, loader: WorkerId) -> None:
    """Take away what *loader* loaded and never opened, in chunks that let others in between.

    Its runs lose their names first: a loader that only stood still must not open what is left between two chunks.
    """

    def taken(tx: Transaction) -> list[Row]:
        tx.run(_TAKE, whose=loader)
        return tx.rows(_LOADED, whose=loader)

    for (run,) in perform(taken):
        while perform(partial(_clear_some, run)):
            pass


def clear_dead(perform: Perform, presence: Presence, here: WorkerCard, now: Millis) -> None:
    """Clear what dead loaders left behind; what a living one loads stays."""
    for loader in perform(lambda tx: workers.dead(tx, workers.LOADER, presence, here)):
        clear(perform, loader)
        perform(partial(_leave, loader, now))
        presence.drop(loader)


def _leave(loader: WorkerId, now: Millis, tx: Transaction) -> None:
    workers.leave(tx, loader, now)


def _clear_some(run: RunId, tx: Transaction) -> bool:
    """False once nothing is left of *run*."""
    models = Counter(model for (model,) in tx.rows(_CLEAR, of=run))
    for model, n in models.items():
        tx.moved(run, model, State.QUEUED, None, n)
    if models:
        return True
    forget(tx, run)
    return False


def forget(tx: Transaction, run: RunId) -> None:
    """Take away a run in state *loading* that has no jobs."""
    tx.flush()
    tx.run(_COUNTS, of=run)
    tx.run(_RUN, of=run)
