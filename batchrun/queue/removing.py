"""Runs are removed, in chunks that let others in between: their jobs, requests, attempts, answers and events.

Of their batches the tokens and ids stay, in `past_batches`: a later listing must not take them for somebody's. Nothing
is removed that is out, unclear, or may still come.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from batchrun.core.batch import STANDING, UNRESOLVED, BatchState, Verdict
from batchrun.core.job import Millis, RunId
from batchrun.core.settling import WATCH
from batchrun.core.states import FINAL, RunState
from batchrun.queue.statement import Statement, lit, param
from batchrun.queue.tables import (
    batches,
    candidates,
    events,
    jobs,
    past_batches,
    pauses,
    requests,
    run_counts,
    runs,
    shared,
)
from batchrun.queue.transaction import Transaction
from batchrun.queue.writing import Perform

CHUNK = 500
"""Jobs, events or shared parts in one transaction: some tens of milliseconds, also with large answers."""

TAKEN = "~~"
"""How the names of runs begin that are being removed; nobody finds them, and nothing is added to them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    jobs: int = 0
    events: int = 0
    shared: int = 0  #: parts that no request had any more


def _names(states: object) -> list[sa.ColumnElement[str]]:
    return [lit(state) for state in sorted(str(one) for one in states)]  # type: ignore[attr-defined]  # any states


_LEFT = (
    sa.select(run_counts.c.run)
    .where(run_counts.c.run == runs.c.id, run_counts.c.n > lit(0), run_counts.c.state.not_in(_names(FINAL)))
    .exists()
)
_OUT = (
    sa.select(batches.c.id)
    .where(
        batches.c.run == runs.c.id,
        sa.or_(
            batches.c.state.in_(_names(UNRESOLVED | STANDING)),
            sa.and_(batches.c.state == lit(BatchState.LOST), batches.c.lost > param("watched")),
            batches.c.id.in_(sa.select(candidates.c.batch).where(candidates.c.verdict == lit(Verdict.OPEN))),
        ),
    )
    .exists()
)
_WHY = Statement(
    sa.select(
        runs.c.state == lit(RunState.LOADING),
        _LEFT,
        _OUT,
    ).where(runs.c.id == param("it"))
)
_TAKE = Statement(
    runs.update()
    .where(runs.c.id == param("it"), runs.c.state != lit(RunState.LOADING), ~_LEFT, ~_OUT)
    .where(runs.c.spent == param("its_spent"))
    .values(
        name=lit(TAKEN).concat(sa.cast(runs.c.id, sa.Text)),
        stem=lit(""),
        state=lit(RunState.CANCELLED),
        done=sa.null(),
        cancelled=sa.func.coalesce(runs.c.cancelled, param("now")),
    )
)
IS_TAKEN = runs.c.name == lit(TAKEN).concat(sa.cast(runs.c.id, sa.Text))
"""Whether a run is being removed: it gets no other name, and is not opened again."""

_TAKEN = Statement(sa.select(runs.c.id).where(runs.c.state == lit(RunState.CANCELLED), IS_TAKEN).order_by(runs.c.id))
_GOING = Statement(sa.select(IS_TAKEN).where(runs.c.id == param("it")).with_for_update())
_JOBS = Statement(
    jobs.delete().where(
        jobs.c.id.in_(sa.select(jobs.c.id).where(jobs.c.run == param("of")).limit(lit(CHUNK)).scalar_subquery())
    )
)
_EVENTS = Statement(
    events.delete().where(
        events.c.id.in_(sa.select(events.c.id).where(events.c.run == param("of")).limit(lit(CHUNK)).scalar_subquery())
    )
)
_LAST_EVENT = Statement(sa.select(sa.func.max(events.c.id)).where(events.c.at < param("before")))
_OLD_EVENTS = Statement(
    events.delete().where(
        events.c.id.in_(
            sa.select(events.c.id)
            .where(events.c.id <= param("last"), events.c.at < param("before"))
            .order_by(events.c.id)
            .limit(lit(CHUNK))
            .scalar_subquery()
        )
    )
)
_KEEP_BATCHES = Statement(
    past_batches.insert().from_select(
        ["token", "account", "remote_id", "removed"],
        sa.select(batches.c.token, batches.c.account, batches.c.remote_id, sa.cast(param("now"), sa.BigInteger)).where(
            batches.c.run == param("of"), batches.c.state != lit(BatchState.REJECTED)
        ),
    )
)
_BATCHES = Statement(batches.delete().where(batches.c.run == param("of")))
_PAUSES = Statement(pauses.delete().where(pauses.c.scope == lit("run"), pauses.c.subject == param("subject")))
_RUN = Statement(runs.delete().where(runs.c.id == param("of"), runs.c.state == lit(RunState.CANCELLED)))
_LOADING = Statement(sa.select(runs.c.id).where(runs.c.state == lit(RunState.LOADING)).limit(lit(1)))
_SHARED = Statement(
    shared.delete().where(
        shared.c.id.in_(
            sa.select(shared.c.id)
            .where(~sa.select(requests.c.job).where(requests.c.shared == shared.c.id).exists())
            .limit(lit(CHUNK))
            .scalar_subquery()
        )
    )
)


def why_not(tx: Transaction, run: RunId, now: Millis) -> str | None:
    """Why *run* cannot be removed, in words; None if it can."""
    row = tx.row(_WHY, it=run, watched=now - WATCH)
    if row is None:
        return "it is gone already"
    loading, left, out = row
    if loading:
        return "its jobs are being added"
    if out:
        return "a batch of it is out, unclear, or may still turn up"
    return "it has jobs that are not at their end" if left else None


def take(tx: Transaction, run: RunId, now: Millis, *, spent: int) -> bool:
    """Nobody finds *run* any more, and it may be removed; False if it cannot be.

    *spent* is what it had spent when somebody chose to remove it: what was bought since, nobody has seen.
    """
    return bool(tx.run(_TAKE, it=run, now=now, watched=now - WATCH, its_spent=spent))


def taken(tx: Transaction) -> list[RunId]:
    """Runs that somebody began to remove and did not finish."""
    return [RunId(run) for (run,) in tx.rows(_TAKEN)]


def is_going(tx: Transaction, run: RunId) -> bool:
    """Whether somebody took *run*, or it is gone: none of its jobs may be put back, for they are being removed."""
    row = tx.row(_GOING, it=run)
    return row is None or bool(row[0])


def remove(perform: Perform, run: RunId, now: Millis) -> Removed:
    """All of *run*, which was taken."""
    gone = told = 0
    while n := perform(lambda tx: tx.run(_JOBS, of=run)):
        gone += n
    while n := perform(lambda tx: tx.run(_EVENTS, of=run)):
        told += n

    def last(tx: Transaction) -> None:
        tx.run(_KEEP_BATCHES, of=run, now=now)
        tx.run(_BATCHES, of=run)
        tx.run(_PAUSES, subject=str(run))
        tx.run(_RUN, of=run)

    perform(last)
    return Removed(jobs=gone, events=told)


def forget_events(perform: Perform, before: Millis) -> int:
    """What happened before that moment goes out of the log."""
    row = perform(lambda tx: tx.row(_LAST_EVENT, before=before))
    if row is None or row[0] is None:
        return 0
    gone = 0
    while n := perform(lambda tx: tx.run(_OLD_EVENTS, last=row[0], before=before)):
        gone += n
    return gone


def drop_shared(perform: Perform) -> int:
    """Shared parts that no request has; none while a submit is at work, which remembers them by their ids."""

    def some(tx: Transaction) -> int:
        return 0 if tx.row(_LOADING) is not None else tx.run(_SHARED)

    gone = 0
    while n := perform(some):
        gone += n
    return gone
