"""What becomes of the jobs that a batch holds: all at once as a rule, one statement for thousands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from batchrun.core.batch import Line
from batchrun.core.claim import Claim, OnCrash
from batchrun.core.job import BatchId, JobId, Millis, RunId, WorkerId
from batchrun.core.states import State
from batchrun.queue import jobs as arrows
from batchrun.queue.bodies import SharedParts, whole
from batchrun.queue.statement import Row, Statement, columns_of, lit, param
from batchrun.queue.tables import attempts, batches, jobs, requests, runs, shared
from batchrun.queue.transaction import Transaction, is_state

LOST = "batch_lost"
GONE = "batch_gone"
MISSING = "missing_from_results"
"""The error class of a job whose batch never arrived, is known no more, or has no line for it."""

_BIND = Statement(
    jobs.update()
    .where(jobs.c.id == param("job"), is_state(jobs.c.state, State.QUEUED), jobs.c.attempt == param("was"))
    .values(state=lit(arrows.arrow("bind", State.QUEUED)), batch=param("into"), attempt=jobs.c.attempt + lit(1))
)
_BEGIN_ATTEMPT = Statement(columns_of(attempts, "job", "n", "via", "worker", "batch", "claimed", "worst"))


def bind(
    tx: Transaction, batch: BatchId, run: RunId, model: str, chosen: Sequence[Row], worker: WorkerId, now: Millis
) -> None:
    """The *chosen* queued jobs, (id, attempt, worst) each, are *in_batch*, each with its attempt row."""
    moved = tx.run_many(_BIND, ("job", "was", "into"), [(job, was, batch) for job, was, _worst in chosen])
    assert moved == len(chosen), "a queued job was claimed by somebody else in this very transaction"
    tx.run_many(
        _BEGIN_ATTEMPT,
        ("job", "n", "via", "worker", "batch", "claimed", "worst"),
        [(job, was + 1, "batch", worker, batch, now, worst) for job, was, worst in chosen],
    )
    tx.moved(run, model, State.QUEUED, State.IN_BATCH, len(chosen))
    tx.pay(run, reserved=sum(worst or 0 for _job, _was, worst in chosen))


_LINES = Statement(
    sa.select(
        jobs.c.id,
        jobs.c.attempt,
        requests.c.own,
        requests.c.shared,
        shared.c.body,
        requests.c.order,
        requests.c.overrides,
        requests.c.continued,
        attempts.c.worst,
    )
    .join(attempts, sa.and_(attempts.c.job == jobs.c.id, attempts.c.n == jobs.c.attempt))
    .join(requests, requests.c.job == jobs.c.id)
    .join(shared, shared.c.id == requests.c.shared, isouter=True)
    .where(jobs.c.batch == param("it"), jobs.c.id > param("after"))
    .order_by(jobs.c.id)
    .limit(param("n"))
)


def lines(tx: Transaction, batch: BatchId, after: int, n: int, parts: SharedParts) -> list[Line]:
    """The next *n* requests of *batch*, by the numbers of their jobs."""
    found = []
    for job, attempt, own, part, body, order, overrides, continued, worst in tx.rows(
        _LINES, it=batch, after=after, n=n
    ):
        pieces = None
        if part is not None:
            pieces = parts.get(part) or parts.put(part, body)
        text = whole(own, pieces, order, overrides, continued)
        found.append(Line(job=JobId(job), attempt=attempt, body=text, worst=worst))
    return found


# -- giving back -----------------------------------------------------------------------------------------------------

_IN_IT = (jobs.c.batch == param("it"), is_state(jobs.c.state, State.IN_BATCH))
_OUT = (
    sa.tuple_(attempts.c.job, attempts.c.n).in_(sa.select(jobs.c.id, jobs.c.attempt).where(*_IN_IT)),
    attempts.c.outcome.is_(None),
)
_OWED = Statement(
    sa.select(jobs.c.run, jobs.c.model, sa.func.count(), sa.func.coalesce(sa.func.sum(attempts.c.worst), lit(0)))
    .join(attempts, sa.and_(attempts.c.job == jobs.c.id, attempts.c.n == jobs.c.attempt))
    .where(*_IN_IT)
    .group_by(jobs.c.run, jobs.c.model)
)
_END = Statement(
    attempts.update()
    .where(*_OUT)
    .values(outcome=param("how"), ended=param("now"), billed=param("certainty"), message=param("why"))
)
_POLICY = Statement(
    sa.select(runs.c.on_crash, runs.c.tries)
    .join(batches, batches.c.run == runs.c.id)
    .where(batches.c.id == param("it"))
)


def _all(name: str, *which: sa.ColumnElement[bool], **columns: Any) -> Statement:
    """The UPDATE of the arrow *name* for the jobs that a batch holds."""
    return Statement(
        jobs.update()
        .where(*_IN_IT, *which)
        .values(state=lit(arrows.arrow(name, State.IN_BATCH)), batch=sa.null(), **columns)
    )


_TRIED = jobs.c.tries + lit(1)
_STOP = _all("stop", jobs.c.cancel_requested.is_not(None), finished=param("now"), error=sa.null())
_RELEASE = _all("release", error=sa.null())
_HOLD = _all("hold", error=param("word"))
_RETRY = _all("release", error=sa.null(), tries=_TRIED)
_WORN_OUT = _all("fail", param("bound") <= _TRIED, finished=param("now"), error=param("word"), tries=_TRIED)
_FAIL = _all("fail", finished=param("now"), error=param("word"), tries=_TRIED)


class _Held:
    """The jobs that one batch holds, on their way out of it."""

    def __init__(self, tx: Transaction, batch: BatchId, now: Millis) -> None:
        self._tx = tx
        self._batch = batch
        self._now = now
        rows = tx.rows(_OWED, it=batch)
        self.n: int = sum(row[2] for row in rows)
        if rows:
            self._run, self._model = RunId(rows[0][0]), rows[0][1]
            self._worst = sum(row[3] for row in rows)

    def end(self, how: str, why: str, *, maybe: bool) -> None:
        """Their attempts are over; what was reserved for them is free, or spent if they are *maybe* billed."""
        self._tx.run(
            _END, it=self._batch, how=how, now=self._now, certainty="maybe" if maybe else "no", why=why or None
        )
        self._tx.pay(self._run, spent=self._worst if maybe else 0, reserved=-self._worst)
        if maybe:
            self._tx.doubt(self._run, self.n, self._worst)

    def go(self, statement: Statement, target: State, **values: Any) -> None:
        n = self._tx.run(statement, it=self._batch, **values)
        if n:
            self._tx.moved(self._run, self._model, State.IN_BATCH, target, n)


def release(tx: Transaction, batch: BatchId, now: Millis, *, why: str = "", sent: bool = False) -> int:
    """Queued again, and no try: it does not stand. *sent*: it was sent, and proven not to have arrived."""
    held = _Held(tx, batch, now)
    if held.n:
        held.end("unknown" if sent else "released", why, maybe=False)
        held.go(_STOP, State.CANCELLED, now=now)
        held.go(_RELEASE, State.QUEUED)
    return held.n


def hold(tx: Transaction, batch: BatchId, now: Millis, why: str) -> int:
    """Held: the batch stood, and what it bought can never be had."""
    held = _Held(tx, batch, now)
    if held.n:
        held.end("unknown", why, maybe=True)
        held.go(_STOP, State.CANCELLED, now=now)
        held.go(_HOLD, State.HELD, word=GONE)
    return held.n


def miss(tx: Transaction, batch: BatchId, now: Millis, why: str) -> int:
    """Possibly bought, and never to be had: they follow their run's `on_crash`."""
    held = _Held(tx, batch, now)
    row = tx.row(_POLICY, it=batch)
    if not held.n or row is None:
        return 0
    held.end("unknown", why, maybe=True)
    held.go(_STOP, State.CANCELLED, now=now)
    match OnCrash(row[0]):
        case OnCrash.RETRY:
            held.go(_WORN_OUT, State.FAILED, now=now, word=MISSING, bound=row[1])
            held.go(_RETRY, State.QUEUED)
        case OnCrash.HOLD:
            held.go(_HOLD, State.HELD, word=MISSING)
        case OnCrash.FAIL:
            held.go(_FAIL, State.FAILED, now=now, word=MISSING)
    return held.n


_GIVEN_UP = (
    attempts.c.batch == param("it"),
    attempts.c.outcome == lit("unknown"),
    attempts.c.billed == lit("no"),
)
_GIVEN_UP_FOR = Statement(
    sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(attempts.c.worst), lit(0))).where(*_GIVEN_UP)
)
_TURN_UP = Statement(
    attempts.update()
    .where(*_GIVEN_UP)
    .values(billed=lit("maybe"), message=lit("its batch was given up, and turned up after all"))
)


def turn_up(tx: Transaction, batch: BatchId, run: RunId) -> None:
    """It was lost and stands after all: its attempts are possibly billed until its results tell of each."""
    row = tx.row(_GIVEN_UP_FOR, it=batch)
    assert row is not None
    n, worst = row
    if tx.run(_TURN_UP, it=batch):
        tx.pay(run, spent=worst)
        tx.doubt(run, n, worst)


# -- reading ---------------------------------------------------------------------------------------------------------

_PENDING = Statement(
    sa.select(jobs.c.id, jobs.c.attempt, attempts.c.worst)
    .join(attempts, sa.and_(attempts.c.job == jobs.c.id, attempts.c.n == jobs.c.attempt))
    .where(*_IN_IT)
)
_CLAIM = Statement(
    sa.select(
        jobs.c.run,
        jobs.c.key,
        jobs.c.model,
        jobs.c.tries,
        attempts.c.worker,
        attempts.c.worst,
        attempts.c.claimed,
        jobs.c.max_tokens,
        jobs.c.kept,
        jobs.c.extended,
        jobs.c.turns,
    )
    .join(attempts, attempts.c.job == jobs.c.id)
    .where(jobs.c.id == param("job"), attempts.c.n == param("its_n"), attempts.c.batch == param("it"))
)


def pending(tx: Transaction, batch: BatchId) -> dict[JobId, tuple[int, int]]:
    """The jobs that *batch* holds: the attempt of each, and what is reserved for it."""
    shared: dict[tuple[int, int], tuple[int, int]] = {}  # they are alike as a rule, and may be a hundred thousand
    found = {}
    for job, attempt, worst in tx.rows(_PENDING, it=batch):
        held = (attempt, worst or 0)
        found[JobId(job)] = shared.setdefault(held, held)
    return found


def claims(tx: Transaction, batch: BatchId, asked: Sequence[tuple[JobId, int]]) -> dict[JobId, Claim]:
    """The claims that *batch* made or makes on jobs at their attempts; those that it never had are left out."""
    found = {}
    for job, attempt in asked:
        row = tx.row(_CLAIM, it=batch, job=job, its_n=attempt)
        if row is None:
            continue
        run, key, model, tries, worker, worst, claimed, max_tokens, kept, extended, turns = row
        found[job] = Claim(
            job=job,
            run=RunId(run),
            key=key,
            model=model,
            attempt=attempt,
            tries=tries,
            worker=WorkerId(worker),
            body="",
            est_input=0,
            max_tokens=max_tokens,
            worst=worst,
            claimed=claimed,
            batch=batch,
            kept=kept is not None,
            extended=extended,
            turns=turns,
        )
    return found
