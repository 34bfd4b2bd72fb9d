"""The arrows that a job's worker draws: claim, succeed, fail, wait, release, stop. Each is one guarded UPDATE.

The guard of whoever holds a job is (state, owner, attempt). Where it does not hold nothing changes: the caller is told
so, and what came all the same is for `queue.late`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from batchrun.core.claim import Claim
from batchrun.core.job import JobId, Millis, Nanos, RunId, Way, WorkerId
from batchrun.core.states import ARROWS, State
from batchrun.queue.bodies import SharedParts, whole
from batchrun.queue.runs import Terms
from batchrun.queue.statement import Row, Statement, columns_of, lit, param
from batchrun.queue.tables import attempts, jobs, requests, shared
from batchrun.queue.transaction import Transaction, is_state


def arrow(name: str, source: State) -> State:
    """Where the arrow *name* leads from *source*. Raises ValueError if it does not start there."""
    found = ARROWS[name]
    if source not in found.sources:
        raise ValueError(f"no arrow {name} starts at {source}")
    return found.target


def _next(*more: sa.ColumnElement[bool]) -> Statement:
    facts = (jobs.c.id, jobs.c.key, jobs.c.attempt, jobs.c.tries, jobs.c.est_input, jobs.c.max_tokens, jobs.c.worst)
    return Statement(
        sa.select(*facts, jobs.c.size, jobs.c.way, jobs.c.kept, jobs.c.extended, jobs.c.turns)
        .where(jobs.c.run == param("run"), jobs.c.model == param("model"), is_state(jobs.c.state, State.QUEUED), *more)
        .order_by(jobs.c.seq)
        .limit(param("n"))
        .with_for_update(skip_locked=True)
    )


_BOUNDED = jobs.c.worst.is_not(None)
_REALTIME = jobs.c.way > lit(0)
NEXT = _next()
NEXT_BOUNDED = _next(_BOUNDED)
NEXT_REALTIME = _next(_REALTIME)
NEXT_REALTIME_BOUNDED = _next(_REALTIME, _BOUNDED)
NEXT_IN_BATCH = _next(jobs.c.way == lit(0))
NEXT_IN_BATCH_BOUNDED = _next(jobs.c.way == lit(0), _BOUNDED)
"""The next queued jobs of one run and model: all, those that go realtime whatever their run's way, those that may go
in a batch; where money is counted, without those whose cost has no bound."""

_CLAIM = Statement(
    jobs.update()
    .where(jobs.c.id == param("job"), is_state(jobs.c.state, State.QUEUED), jobs.c.attempt == param("was"))
    .values(state=lit(arrow("claim", State.QUEUED)), owner=param("worker"), attempt=jobs.c.attempt + lit(1))
)
_BEGIN_ATTEMPT = Statement(columns_of(attempts, "job", "n", "via", "worker", "claimed", "worst"))
_PARTS = Statement(
    sa.select(requests.c.own, requests.c.shared, requests.c.order, requests.c.overrides, requests.c.continued).where(
        requests.c.job == param("job")
    )
)
_SHARED = Statement(sa.select(shared.c.body).where(shared.c.id == param("part")))


def claim(
    tx: Transaction,
    terms: Terms,
    model: str,
    n: int,
    worker: WorkerId,
    now: Millis,
    parts: SharedParts,
    *,
    realtime_only: bool = False,
) -> tuple[Claim, ...]:
    """Up to *n* queued jobs of *model*, in the order of the file, become *running*, each with its attempt row.

    Together they cost at most what `terms.money` leaves. *realtime_only* leaves those that may go in a batch.
    """
    money = terms.money
    if realtime_only:
        wanted = NEXT_REALTIME if money is None else NEXT_REALTIME_BOUNDED
    else:
        wanted = NEXT if money is None else NEXT_BOUNDED
    rows = tx.rows(wanted, run=terms.run, model=model, n=n)
    rows = rows if money is None else affordable(rows, money)
    if not rows:
        return ()
    moved = tx.run_many(_CLAIM, ("job", "was", "worker"), [(row[0], row[2], worker) for row in rows])
    assert moved == len(rows), "a queued job was claimed by somebody else in this very transaction"
    tx.run_many(
        _BEGIN_ATTEMPT,
        ("job", "n", "via", "worker", "claimed", "worst"),
        [(row[0], row[2] + 1, "realtime", worker, now, row[6]) for row in rows],
    )
    tx.moved(terms.run, model, State.QUEUED, State.RUNNING, len(rows))
    tx.pay(terms.run, reserved=sum(row[6] or 0 for row in rows))
    return tuple(
        Claim(
            job=JobId(job),
            run=terms.run,
            key=key,
            model=model,
            attempt=was + 1,
            tries=tries,
            worker=worker,
            body=_body(tx, job, parts),
            est_input=est_input,
            max_tokens=max_tokens,
            worst=worst,
            claimed=now,
            betas=terms.betas,
            headers=terms.headers,
            pilot=way == Way.PILOT,
            kept=kept is not None,
            extended=extended,
            turns=turns,
        )
        for job, key, was, tries, est_input, max_tokens, worst, _size, way, kept, extended, turns in rows
    )


def affordable(rows: list[Row], money: Nanos) -> list[Row]:
    """The first of *rows* that *money* pays for, without a gap: else a dear one would wait for ever."""
    left = int(money)
    for at, row in enumerate(rows):
        left -= row[6]
        if left < 0:
            return rows[:at]
    return rows


def _body(tx: Transaction, job: int, parts: SharedParts) -> str:
    row = tx.row(_PARTS, job=job)
    assert row is not None, f"job {job} has no request"
    own, part, order, overrides, continued = row
    pieces = None
    if part is not None:
        pieces = parts.get(part)
        if pieces is None:
            found = tx.row(_SHARED, part=part)
            assert found is not None, f"job {job} has lost its shared part"
            pieces = parts.put(part, found[0])
    return whole(own, pieces, order, overrides, continued)


_HOLDER = {State.RUNNING: jobs.c.owner, State.IN_BATCH: jobs.c.batch}
"""Who holds a job that is out: its worker, or its batch."""


def _holds(source: State) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        jobs.c.id == param("job"),
        is_state(jobs.c.state, source),
        _HOLDER[source] == param("holder"),
        jobs.c.attempt == param("n"),
    )


def held(name: str, **columns: sa.ColumnElement[Any]) -> dict[State, Statement]:
    """The UPDATE of the arrow *name* for a job that is out, if it still is its holder's; by where it is."""
    return {
        source: Statement(
            jobs.update()
            .where(*_holds(source))
            .values(state=lit(arrow(name, source)), owner=sa.null(), batch=sa.null(), **columns)
        )
        for source in _HOLDER
    }


SUCCEED = held("succeed", finished=param("now"), error=sa.null(), kept=sa.null())
_FAIL = held("fail", finished=param("now"), error=param("why"), tries=jobs.c.tries + lit(1))
_WAIT = held("wait", due=param("at"), error=param("why"), tries=jobs.c.tries + param("counts"))
_RELEASE = held("release")
_STOP = held("stop", finished=param("now"), error=sa.null())
_WISH = {
    source: Statement(sa.select(jobs.c.cancel_requested).where(*_holds(source)).with_for_update()) for source in _HOLDER
}


def succeed(tx: Transaction, claim: Claim, now: Millis) -> bool:
    return _moved(tx, claim, State.SUCCEEDED, tx.run(SUCCEED[source_of(claim)], **_guard(claim), now=now))


def fail(tx: Transaction, claim: Claim, now: Millis, why: str) -> bool:
    """Out of tries or refused; it was one of its tries."""
    return _moved(tx, claim, State.FAILED, tx.run(_FAIL[source_of(claim)], **_guard(claim), now=now, why=why))


def wait(tx: Transaction, claim: Claim, due: Millis, why: str, *, counts: bool) -> bool:
    moved = tx.run(_WAIT[source_of(claim)], **_guard(claim), at=due, why=why, counts=int(counts))
    return _moved(tx, claim, State.WAITING, moved)


def release(tx: Transaction, claim: Claim) -> bool:
    """Back to the queue; not a try."""
    return _moved(tx, claim, State.QUEUED, tx.run(_RELEASE[source_of(claim)], **_guard(claim)))


def stop(tx: Transaction, claim: Claim, now: Millis) -> bool:
    """Cancelled while it was out, and no answer came."""
    return _moved(tx, claim, State.CANCELLED, tx.run(_STOP[source_of(claim)], **_guard(claim), now=now))


def drew(tx: Transaction, claim: Claim, statements: Mapping[State, Statement], target: State, **values: int) -> bool:
    """Draw the arrow to *target* whose UPDATEs `held` made; False if *claim* does not hold any more."""
    return _moved(tx, claim, target, tx.run(statements[source_of(claim)], **_guard(claim), **values))


def wished_away(tx: Transaction, claim: Claim) -> bool | None:
    """Whether the job that *claim* holds shall be cancelled; None if the claim does not hold any more."""
    row = tx.row(_WISH[source_of(claim)], **_guard(claim))
    return None if row is None else row[0] is not None


def source_of(claim: Claim) -> State:
    """Where the job is while *claim* holds."""
    return State.RUNNING if claim.batch is None else State.IN_BATCH


def _guard(claim: Claim) -> dict[str, int]:
    holder = claim.worker if claim.batch is None else claim.batch
    return {"job": claim.job, "holder": holder, "n": claim.attempt}


def _moved(tx: Transaction, claim: Claim, target: State, rows: int) -> bool:
    if rows:
        tx.moved(claim.run, claim.model, source_of(claim), target)
    return bool(rows)


def any_queued(tx: Transaction, run: RunId, model: str, *, realtime_only: bool = False) -> bool:
    return tx.row(NEXT_REALTIME if realtime_only else NEXT, run=run, model=model, n=1) is not None


def any_for_batch(tx: Transaction, run: RunId, model: str, *, besides: int) -> bool:
    """Whether more than *besides* jobs are queued that may go in a batch."""
    return len(tx.rows(NEXT_IN_BATCH, run=run, model=model, n=besides + 1)) > besides
