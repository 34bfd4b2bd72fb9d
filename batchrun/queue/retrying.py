"""Putting jobs back: failed, cancelled and held ones are queued again, with another try for each of their tries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import sqlalchemy as sa

from batchrun.core.job import Millis, Nanos, RunId, Way
from batchrun.core.select import Facts, Field, Value
from batchrun.core.states import ARROWS, State, sources_of
from batchrun.queue.bodies import object_of, pieces_of, whole
from batchrun.queue.cancelling import finish_cancel, reopen
from batchrun.queue.jobrows import tags_of
from batchrun.queue.pilots import way_of
from batchrun.queue.removing import is_going
from batchrun.queue.statement import Row, Statement, lit, param
from batchrun.queue.tables import attempts, batches, jobs, requests, results, runs, shared
from batchrun.queue.transaction import Transaction
from batchrun.queue.writing import Perform

PAGE = 1_000

SOURCES = sources_of("retry")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a request weighs, once something in it was set anew."""

    model: str
    size: int
    est_input: int
    max_tokens: int
    worst: Nanos | None
    shape: bytes = b""
    realtime_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Members of the request to set: JSON texts by name. `measure` weighs the request that results."""

    members: Mapping[str, str]
    measure: Callable[[str], Measured]


@dataclass(slots=True, kw_only=True)
class Retried:
    """What became of the chosen jobs."""

    queued: int = 0
    left: Counter[State] = field(default_factory=Counter)  #: not put back, because they were in these states


_PAGE = Statement(
    sa.select(
        jobs.c.id,
        jobs.c.seq,
        jobs.c.key,
        jobs.c.model,
        jobs.c.state,
        jobs.c.error,
        results.c.stop_reason,
        jobs.c.attempt,
    )
    .join(results, sa.and_(results.c.job == jobs.c.id, results.c.winning == lit(1)), isouter=True)
    .where(jobs.c.run == param("of"), jobs.c.seq > param("after"))
    .order_by(jobs.c.seq)
    .limit(lit(PAGE))
)
_BACK = {
    source: Statement(
        jobs.update()
        .where(jobs.c.id == param("it"), jobs.c.state == lit(source))
        .values(
            state=lit(ARROWS["retry"].target),
            tries=lit(0),
            error=sa.null(),
            finished=sa.null(),
            cancel_requested=sa.null(),
        )
    )
    for source in SOURCES
}
_PARTS = Statement(
    sa.select(requests.c.own, shared.c.body, requests.c.order, requests.c.overrides, jobs.c.way)
    .join(jobs, jobs.c.id == requests.c.job)
    .join(shared, shared.c.id == requests.c.shared, isouter=True)
    .where(requests.c.job == param("it"))
)
_OVERRIDE = Statement(
    requests.update().where(requests.c.job == param("it")).values(overrides=param("text"), continued=sa.null())
)
_WEIGH = Statement(
    jobs.update()
    .where(jobs.c.id == param("it"))
    .values(
        model=param("its_model"),
        size=param("its_size"),
        est_input=param("its_input"),
        max_tokens=param("its_most"),
        worst=param("its_worst"),
        way=param("its_way"),
        asked=jobs.c.attempt + lit(1),
        kept=sa.null(),  # that answers what it asked before
        extended=lit(0),
        turns=lit(0),
    )
)

_TAGS = Statement(
    sa.select(requests.c.job, requests.c.tags)
    .join(jobs, jobs.c.id == requests.c.job)
    .where(jobs.c.run == param("of"), jobs.c.seq >= param("low"), jobs.c.seq <= param("high"))
    .where(requests.c.tags.is_not(None))
)
_TAGS_OF_RUN = Statement(sa.select(runs.c.tags).where(runs.c.id == param("it")))
_BATCHES = Statement(
    sa.select(attempts.c.job, attempts.c.batch, batches.c.remote_id)
    .join(jobs, jobs.c.id == attempts.c.job)
    .join(batches, batches.c.id == attempts.c.batch)
    .where(jobs.c.run == param("of"), jobs.c.seq >= param("low"), jobs.c.seq <= param("high"))
)

Chosen = Callable[[Facts], bool]


def retry(
    perform: Perform,
    run: RunId,
    now: Millis,
    chosen: Chosen,
    *,
    change: Change | None = None,
    dry: bool = False,
    asks: frozenset[Field] = frozenset(),
) -> Retried:
    """Put back those jobs of *run* that are *chosen* (`Selection.holds` is such a choice); *dry* only counts them.

    *chosen* is told tags and batches only where it *asks* for them. What is out, waits or succeeded is not touched, and
    counted by its state.
    """
    if not dry:
        finish_cancel(perform, run, now)
    done = Retried()
    after = -1
    while page := perform(partial(_page, run, after)):
        after = page[-1][1]
        more = perform(partial(_several, run, page, asks)) if asks & {Field.TAG, Field.BATCH} else {}
        picked = [row for row in page if chosen(_facts(row) | more.get(row[0], {}))]
        back = [row for row in picked if row[4] in SOURCES]
        done.left.update(State(row[4]) for row in picked if row[4] not in SOURCES)
        done.queued += len(back) if dry else perform(partial(_put_back, run, back, change, now))
    return done


def _page(run: RunId, after: int, tx: Transaction) -> list[Row]:
    return tx.rows(_PAGE, of=run, after=after)


def _facts(row: Row) -> dict[Field, Value]:
    _id, _seq, key, model, state, error, stop, attempt = row
    return {
        Field.ID: key,
        Field.MODEL: model,
        Field.STATE: state,
        Field.ERROR: error,
        Field.STOP: stop,
        Field.ATTEMPT: str(attempt),
    }


def _several(run: RunId, page: list[Row], asks: frozenset[Field], tx: Transaction) -> dict[int, dict[Field, Value]]:
    """The tags and the batches of the jobs of *page*, by job."""
    within = {"of": run, "low": page[0][1], "high": page[-1][1]}
    found: dict[int, dict[Field, Value]] = {row[0]: {} for row in page}
    if Field.TAG in asks:
        of_run = tx.row(_TAGS_OF_RUN, it=run)
        assert of_run is not None, f"there is no run {run}"
        own: dict[int, str] = dict(tx.rows(_TAGS, **within))
        for job, facts in found.items():
            facts[Field.TAG] = tags_of(own.get(job), of_run[0])
    if Field.BATCH in asks:
        sent: dict[int, list[str]] = {}
        for job, batch, remote in tx.rows(_BATCHES, **within):
            sent.setdefault(job, []).extend([f"b-{batch}", *([remote] if remote else [])])
        for job, facts in found.items():
            facts[Field.BATCH] = tuple(sent.get(job, ()))
    return found


def _put_back(run: RunId, rows: Sequence[Row], change: Change | None, now: Millis, tx: Transaction) -> int:
    n = 0
    if not rows or is_going(tx, run):
        return n
    reopen(tx, run, now)
    for job, _seq, _key, model, state, *_rest in rows:
        if not tx.run(_BACK[State(state)], it=job):
            continue  # somebody else was quicker
        n += 1
        tx.moved(run, model, State(state), None)
        tx.moved(run, model if change is None else _set(tx, run, job, change), None, State.QUEUED)
    return n


def _set(tx: Transaction, run: RunId, job: int, change: Change) -> str:
    """Change the request of *job*; returns its model."""
    row = tx.row(_PARTS, it=job)
    assert row is not None, f"job {job} has no request"
    own, body, order, overrides, was = row
    members = {**(pieces_of(overrides) if overrides else {}), **change.members}
    text = object_of(members)
    measured = change.measure(whole(own, pieces_of(body) if body else None, order, text))
    tx.run(_OVERRIDE, it=job, text=text)
    weight: dict[str, Any] = {
        "its_model": measured.model,
        "its_size": measured.size,
        "its_input": measured.est_input,
        "its_most": measured.max_tokens,
        "its_worst": measured.worst,
        "its_way": way_of(tx, run, Way(was), measured.shape, realtime_only=measured.realtime_only).value,
    }
    tx.run(_WEIGH, it=job, **weight)
    return measured.model
