"""What dead workers held is given back: a few statements, however much it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from batchrun.core.batch import BatchState
from batchrun.core.claim import OnCrash, Released
from batchrun.core.job import Millis, RunId, WorkerId
from batchrun.core.states import State
from batchrun.queue import batches, batchjobs
from batchrun.queue.jobs import arrow
from batchrun.queue.statement import Row, Statement, lit, param
from batchrun.queue.tables import attempts, jobs, runs
from batchrun.queue.transaction import Transaction, is_state

DIED = "worker_died"
STOPPED = "worker_stopped"
"""The error class of a job that its worker's death, or its orderly end, made fail or held back."""

_OUT = (attempts.c.worker == param("dead"), attempts.c.outcome.is_(None), attempts.c.via == lit("realtime"))
_OWED = Statement(
    sa.select(jobs.c.run, sa.func.count(), sa.func.coalesce(sa.func.sum(attempts.c.worst), lit(0)))
    .join(jobs, jobs.c.id == attempts.c.job)
    .where(*_OUT)
    .group_by(jobs.c.run)
)
_UNKNOWN = Statement(
    attempts.update()
    .where(*_OUT)
    .values(
        outcome=lit("unknown"),
        ended=param("now"),
        billed=lit("maybe"),
        message=param("message"),
    )
)

_RUNS = Statement(
    sa.select(runs.c.id, runs.c.on_crash, runs.c.tries)
    .where(
        runs.c.id.in_(sa.select(jobs.c.run).where(jobs.c.owner == param("dead"), is_state(jobs.c.state, State.RUNNING)))
    )
    .order_by(runs.c.id)
)


def _held(name: str, *which: sa.ColumnElement[bool], **columns: sa.ColumnElement[Any]) -> Statement:
    """The UPDATE of the arrow *name* for what a dead worker holds of one run."""
    return Statement(
        jobs.update()
        .where(jobs.c.owner == param("dead"), is_state(jobs.c.state, State.RUNNING), jobs.c.run == param("of"), *which)
        .values(state=lit(arrow(name, State.RUNNING)), owner=sa.null(), **columns)
        .returning(jobs.c.model)
    )


_TRIED = jobs.c.tries + param("tried")
_STOP = _held("stop", jobs.c.cancel_requested.is_not(None), finished=param("now"), error=sa.null())
_WORN_OUT = _held("fail", param("bound") <= _TRIED, finished=param("now"), error=param("word"), tries=_TRIED)
_RELEASE = _held("release", error=sa.null(), tries=_TRIED)
_HOLD = _held("hold", error=param("word"), tries=_TRIED)
_FAIL = _held("fail", finished=param("now"), error=param("word"), tries=_TRIED)


def give_back(tx: Transaction, dead: WorkerId, now: Millis, *, orderly: bool = False) -> Released:
    """End what *dead* held: its attempts are *unknown*, counted at their worst, its jobs follow their run's policy.

    A death counts as a try, because it may be the job that kills the worker; an *orderly* end is the user's wish.
    """
    word, tried = (STOPPED, 0) if orderly else (DIED, 1)
    how = "was stopped" if orderly else "died"
    for run, n, worst in tx.rows(_OWED, dead=dead):
        tx.pay(RunId(run), spent=worst, reserved=-worst)
        tx.doubt(RunId(run), n, worst)
    unknown = tx.run(_UNKNOWN, dead=dead, now=now, message=f"its worker {how} before the answer came")
    for run, on_crash, bound in tx.rows(_RUNS, dead=dead):
        held = {"dead": dead, "of": run}
        _count(tx, run, State.CANCELLED, tx.rows(_STOP, **held, now=now))
        match OnCrash(on_crash):
            case OnCrash.RETRY:
                if not orderly:
                    worn_out = tx.rows(_WORN_OUT, **held, now=now, bound=bound, word=word, tried=tried)
                    _count(tx, run, State.FAILED, worn_out)
                _count(tx, run, State.QUEUED, tx.rows(_RELEASE, **held, tried=tried))
            case OnCrash.HOLD:
                _count(tx, run, State.HELD, tx.rows(_HOLD, **held, word=word, tried=tried))
            case OnCrash.FAIL:
                _count(tx, run, State.FAILED, tx.rows(_FAIL, **held, now=now, word=word, tried=tried))
    return Released(unsent=_give_back_batches(tx, dead, now, how), unknown=unknown)


def _give_back_batches(tx: Transaction, dead: WorkerId, now: Millis, how: str) -> int:
    """What *dead* had only intended was surely not sent; what it was sending is for the listings to tell."""
    unsent = 0
    for batch, state in batches.of_the_dead(tx, dead):
        if state is BatchState.INTENT:
            batches.rejected(tx, batch, now, f"its worker {how} before it was sent")
            unsent += batchjobs.release(tx, batch, now)
        else:
            batches.unclear(tx, batch, f"its worker {how} before the answer came", answered=False)
    return unsent


def _count(tx: Transaction, run: int, target: State, models: Sequence[Row]) -> None:
    for (model,), n in Counter(models).items():
        tx.moved(RunId(run), model, State.RUNNING, target, n)
