"""Cancelling: the run says no at once, in one row; its jobs follow in chunks that let others in between.

What is out cannot be called back: it gets the wish, and whatever comes of it but an answer then ends it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from batchrun.core.job import JobId, Millis, RunId
from batchrun.core.states import ARROWS, RunState, State, sources_of
from batchrun.queue import batches, pauses
from batchrun.queue.statement import Statement, lit, param
from batchrun.queue.tables import ASIDE, jobs, run_counts, runs
from batchrun.queue.transaction import Transaction, is_state
from batchrun.queue.writing import Perform

CHUNK = 1_000

SOURCES = tuple(sorted(sources_of("cancel")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """What became of jobs that somebody cancelled."""

    cancelled: int = 0
    wished: int = 0  #: out: they end as cancelled unless their answer comes
    final: int = 0  #: were over before

    def __add__(self, other: Cancelled) -> Cancelled:
        return Cancelled(
            cancelled=self.cancelled + other.cancelled,
            wished=self.wished + other.wished,
            final=self.final + other.final,
        )


_CLOSE = Statement(
    runs.update()
    .where(runs.c.id == param("it"), runs.c.state == lit(RunState.OPEN))
    .values(state=lit(RunState.CANCELLED), cancelled=param("now"))
)
_STATE = Statement(sa.select(runs.c.state).where(runs.c.id == param("it")).with_for_update())
_REOPEN = Statement(
    runs.update()
    .where(runs.c.id == param("it"), runs.c.state.in_([lit(RunState.DONE), lit(RunState.CANCELLED)]))
    .values(state=lit(RunState.OPEN), done=sa.null(), cancelled=sa.null())
)
_LEFT = Statement(
    sa.select(run_counts.c.state)
    .where(
        run_counts.c.run == param("of"),
        run_counts.c.n > lit(0),
        run_counts.c.state.in_([lit(state) for state in SOURCES]),
    )
    .distinct()
    .order_by(run_counts.c.state)
)
_UNCANCELLED = Statement(
    sa.select(runs.c.id)
    .where(
        runs.c.state == lit(RunState.CANCELLED),
        sa.select(run_counts.c.run)
        .where(
            run_counts.c.run == runs.c.id,
            run_counts.c.n > lit(0),
            run_counts.c.state.in_([lit(state) for state in SOURCES]),
        )
        .exists(),
    )
    .order_by(runs.c.id)
)
_WISH = (
    jobs.update()
    .where(jobs.c.run + lit(0) == param("of"), jobs.c.cancel_requested.is_(None))  # not by an index: few are out
    .values(cancel_requested=param("now"))
)
_WISH_RUNNING = Statement(_WISH.where(is_state(jobs.c.state, State.RUNNING), jobs.c.owner.is_not(None)))
_WISH_IN_BATCH = Statement(_WISH.where(is_state(jobs.c.state, State.IN_BATCH), jobs.c.batch.is_not(None)))


def _cancel(source: State, *which: sa.ColumnElement[bool]) -> sa.Update:
    """The UPDATE of the arrow *cancel* for jobs in the state *source*."""
    return (
        jobs.update()
        .where(is_state(jobs.c.state, source), *which)
        .values(
            state=lit(ARROWS["cancel"].target),
            finished=param("now"),
            due=sa.null(),
            error=sa.null(),
            cancel_requested=param("now"),
        )
    )


def _some(source: State) -> sa.ScalarSelect[int]:
    """The next jobs of a run in the state *source*, in the words and the order of the index that has them alone."""
    some = sa.select(jobs.c.id).where(jobs.c.run == param("of"), is_state(jobs.c.state, source)).limit(lit(CHUNK))
    if source is State.QUEUED:
        return some.order_by(jobs.c.model, jobs.c.seq).scalar_subquery()
    return some.where(jobs.c.state.in_([lit(state) for state in ASIDE])).scalar_subquery()


_CANCEL_SOME = {
    source: Statement(_cancel(source, jobs.c.id.in_(_some(source))).returning(jobs.c.model)) for source in SOURCES
}
_CANCEL_ONE = {source: Statement(_cancel(source, jobs.c.id == param("it"))) for source in SOURCES}
_JOB = Statement(sa.select(jobs.c.run, jobs.c.model, jobs.c.state).where(jobs.c.id == param("it")).with_for_update())
_WISH_ONE = Statement(
    jobs.update()
    .where(jobs.c.id == param("it"), jobs.c.cancel_requested.is_(None))
    .values(cancel_requested=param("now"))
)


def cancel_run(perform: Perform, run: RunId, now: Millis) -> Cancelled:
    """Nothing more of *run* is sent from the first moment on; then its jobs follow.

    A run that is done stays as it is.
    """
    perform(lambda tx: tx.run(_CLOSE, it=run, now=now))
    return _follow(perform, run, now)


def leftovers(tx: Transaction) -> list[RunId]:
    """Cancelled runs that still have jobs which nobody cancelled: whoever began it died on the way."""
    return [RunId(run) for (run,) in tx.rows(_UNCANCELLED)]


def _follow(perform: Perform, run: RunId, now: Millis) -> Cancelled:
    done = perform(lambda tx: _wish(tx, run, now))
    return done + Cancelled(cancelled=finish_cancel(perform, run, now))


def finish_cancel(perform: Perform, run: RunId, now: Millis) -> int:
    """End what a cancel of *run* began, in chunks that let others in between; returns how many jobs were left of it.

    Whoever means to `reopen` a run does this first.
    """
    done = 0
    while n := perform(lambda tx: cancel_some(tx, run, now)):
        done += n
    return done


def _wish(tx: Transaction, run: RunId, now: Millis) -> Cancelled:
    """First those that are out, so that none of them can come back into the queue behind us."""
    if not is_cancelled(tx, run):
        return Cancelled()
    wished = tx.run(_WISH_RUNNING, of=run, now=now) + tx.run(_WISH_IN_BATCH, of=run, now=now)
    batches.wish_all(tx, run)
    return Cancelled(wished=wished)


def cancel_some(tx: Transaction, run: RunId, now: Millis) -> int:
    """Up to `CHUNK` jobs of the cancelled *run*, all from one state; 0 once none is left."""
    if not is_cancelled(tx, run):
        return 0
    tx.flush()
    for (state,) in tx.rows(_LEFT, of=run):
        source = State(state)
        models = Counter(model for (model,) in tx.rows(_CANCEL_SOME[source], of=run, now=now))
        for model, n in models.items():
            tx.moved(run, model, source, State.CANCELLED, n)
        if models:
            return models.total()
    return 0


def cancel_jobs(tx: Transaction, chosen: Iterable[JobId], now: Millis) -> Cancelled:
    """Single jobs; call it with some thousand at most."""
    done = Cancelled()
    for job in chosen:
        row = tx.row(_JOB, it=job)
        if row is None:
            continue
        run, model, state = RunId(row[0]), row[1], State(row[2])
        if state in _CANCEL_ONE:
            tx.run(_CANCEL_ONE[state], it=job, now=now)
            tx.moved(run, model, state, State.CANCELLED)
            done += Cancelled(cancelled=1)
        elif state in {State.RUNNING, State.IN_BATCH}:
            tx.run(_WISH_ONE, it=job, now=now)
            done += Cancelled(wished=1)
        else:
            done += Cancelled(final=1)
    return done


def is_cancelled(tx: Transaction, run: RunId) -> bool:
    row = tx.row(_STATE, it=run)
    return row is not None and row[0] == RunState.CANCELLED


def reopen(tx: Transaction, run: RunId, now: Millis) -> bool:
    """A run with new work is open again; what its cancel had not reached at `finish_cancel` is cancelled first.

    A pause for what its jobs asked before is over: a person has seen to it.
    """
    while cancel_some(tx, run, now):
        pass
    pauses.lift_refusals(tx, run)
    return bool(tx.run(_REOPEN, it=run))
