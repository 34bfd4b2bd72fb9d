"""Runs as a worker sees them: which have work, on what terms, and when they are done."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from batchrun.core.claim import OpenRun
from batchrun.core.hours import Hours, hours
from batchrun.core.job import Millis, Nanos, RunId
from batchrun.core.retry import LONGEST, OnRefused, OnTruncated, RetryPolicy
from batchrun.core.states import ARROWS, FINAL, RunState, State
from batchrun.errors import UsageError
from batchrun.queue import pauses
from batchrun.queue.statement import Row, Statement, lit, param
from batchrun.queue.tables import jobs, run_counts, runs
from batchrun.queue.transaction import Transaction, is_state

OPEN = (
    runs.c.state == lit(RunState.OPEN),
    runs.c.state.in_([lit(RunState.LOADING), lit(RunState.OPEN)]),  # what the index on them says: ix_runs_open
)

LONGEST_WAIT = round(2 * LONGEST * 1000)
"""Milliseconds: more than any job is told to wait, by a day for a clock that was set back a little meanwhile."""

PROMOTED = 1000
"""Jobs whose time has come that one call puts into the queue at most, so that a claim never waits for a million."""


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a job of the run may leave now."""

    run: RunId
    betas: tuple[str, ...]
    headers: Mapping[str, str]
    money: Nanos | None  #: what its jobs may cost together; None where nothing caps them
    most: int | None = None  #: how many may leave; None for any number


_TERMS = Statement(
    sa.select(runs.c.account, runs.c.budget, runs.c.spent + runs.c.reserved, runs.c.betas, runs.c.headers)
    .where(runs.c.id == param("run"), runs.c.state == lit(RunState.OPEN))
    .with_for_update()
)


def terms(tx: Transaction, run: RunId, model: str, now: Millis, left: Nanos | None) -> Terms | None:
    """The terms of *run* for jobs of *model*; None if nothing of it may leave. *left* caps its money once more."""
    row = tx.row(_TERMS, run=run)
    if row is None:
        return None
    account, budget, used, betas, headers = row
    most = pauses.most(tx, run, account, model, now)
    if most == 0:
        return None
    caps = [] if budget is None else [budget - used - tx.unwritten(run)]
    if left is not None:
        caps.append(left)
    return Terms(run, tuple(json.loads(betas)), json.loads(headers), Nanos(max(0, min(caps))) if caps else None, most)


def _promotion(when: sa.ColumnElement[bool]) -> Statement:
    """The UPDATE of the arrow *promote* for the jobs that are due first of those for which *when* holds."""
    return Statement(
        jobs.update()
        .where(
            jobs.c.id.in_(
                sa.select(jobs.c.id)
                .where(is_state(jobs.c.state, State.WAITING), when)
                .order_by(jobs.c.due)
                .limit(lit(PROMOTED))
                .with_for_update(skip_locked=True)
                .scalar_subquery()
            ),
            is_state(jobs.c.state, State.WAITING),
        )
        .values(state=lit(ARROWS["promote"].target), due=sa.null(), error=sa.null())
        .returning(jobs.c.run, jobs.c.model)
    )


_DUE = _promotion(jobs.c.due <= param("now"))
_ASTRAY = _promotion(jobs.c.due > param("never"))
_NEXT_DUE = Statement(
    sa.select(jobs.c.run, jobs.c.model, jobs.c.due)
    .join(runs, runs.c.id == jobs.c.run)
    .where(is_state(jobs.c.state, State.WAITING), runs.c.state == lit(RunState.OPEN))
    .order_by(jobs.c.due)
    .limit(lit(PROMOTED))
)
POLICY = (runs.c.tries, runs.c.on_truncated, runs.c.on_refused)
"""The columns of `policy_of`."""

_WORK = Statement(
    sa.select(
        runs.c.id,
        runs.c.name,
        runs.c.mode,
        runs.c.priority,
        runs.c.account,
        runs.c.budget,
        runs.c.spent,
        runs.c.reserved,
        runs.c.betas,
        runs.c.headers,
        runs.c.look,
        runs.c.deadline,
        runs.c.hours,
        *POLICY,
        run_counts.c.model,
        run_counts.c.state,
        run_counts.c.n,
    )
    .join(run_counts, run_counts.c.run == runs.c.id)
    .where(*OPEN, run_counts.c.n > lit(0))
    .order_by(runs.c.id, run_counts.c.model)
)
_REALTIME = Statement(
    sa.select(jobs.c.model, sa.func.count())
    .where(jobs.c.run == param("run"), is_state(jobs.c.state, State.QUEUED), jobs.c.way > lit(0))
    .group_by(jobs.c.model)
)
_PILOTS = Statement(
    sa.select(jobs.c.model)
    .where(jobs.c.run == param("run"), jobs.c.way == lit(2), jobs.c.finished.is_(None))
    .distinct()
)


def promote(tx: Transaction, now: Millis) -> int:
    """Waiting jobs whose time has come are *queued*, the longest due first, at most `PROMOTED`.

    What is due later than any job ever waits was written by a clock that was wrong: it is due now.
    """
    rows = [*tx.rows(_DUE, now=now), *tx.rows(_ASTRAY, never=now + LONGEST_WAIT)]
    for run, model in rows:
        tx.moved(run, model, State.WAITING, State.QUEUED)
    return len(rows)


def next_due(tx: Transaction) -> list[tuple[RunId, str, Millis]]:
    """For each run and model among the jobs due first, when its first one is; the earliest first."""
    first: dict[tuple[RunId, str], Millis] = {}
    for run, model, due in tx.rows(_NEXT_DUE):
        first.setdefault((RunId(run), model), Millis(due))
    return [(run, model, due) for (run, model), due in first.items()]


def work(tx: Transaction) -> list[OpenRun]:
    """Open runs with queued or waiting jobs or batches out, in the order they were made."""
    tx.flush()
    found: dict[RunId, tuple[Row, dict[str, dict[State, int]]]] = {}
    for *facts, model, state, n in tx.rows(_WORK):
        _facts, counts = found.setdefault(RunId(facts[0]), (tuple(facts), {}))
        counts.setdefault(model, {})[State(state)] = n
    wanted = {State.QUEUED, State.WAITING, State.IN_BATCH}
    return [
        _open_run(tx, facts, counts)
        for facts, counts in found.values()
        if any(wanted & states.keys() for states in counts.values())
    ]


def _open_run(tx: Transaction, facts: Row, counts: Mapping[str, Mapping[State, int]]) -> OpenRun:
    it, name, mode, priority, account, budget, spent, reserved, betas, headers, look, deadline, sent, *policy = facts
    run = RunId(it)
    realtime: Mapping[str, int] = {}
    pilots: frozenset[str] = frozenset()
    if mode != "realtime" or look:
        realtime = {str(model): int(n) for model, n in tx.rows(_REALTIME, run=run)}
        pilots = frozenset(model for (model,) in tx.rows(_PILOTS, run=run))

    def of(state: State) -> Mapping[str, int]:
        return {model: states[state] for model, states in counts.items() if state in states}

    return OpenRun(
        id=run,
        name=name,
        mode=mode,
        priority=priority,
        policy=policy_of(*policy),
        account=account,
        queued=of(State.QUEUED),
        waiting=sum(of(State.WAITING).values()),
        in_batch=sum(of(State.IN_BATCH).values()),
        jobs=sum(sum(states.values()) for states in counts.values()),
        unfinished={
            model: sum(n for state, n in states.items() if state not in FINAL) for model, states in counts.items()
        },
        held=of(State.HELD),
        realtime=realtime,
        pilots=pilots,
        look=bool(look),
        deadline=deadline,
        hours=_hours(name, sent),
        budget=budget,
        left=None if budget is None else Nanos(budget - spent - reserved),
        betas=tuple(json.loads(betas)),
        headers=json.loads(headers),
    )


def _hours(name: str, text: str | None) -> Hours | None:
    """Raises UsageError for what this machine cannot read, such as a time zone it has no data of."""
    try:
        return hours(text)
    except ValueError as error:
        hint = "`pip install tzdata` brings the time zones; `batchrun submit FILE --hours …` sets other hours"
        raise UsageError(f"the hours of run {name} (`{text}`) cannot be read: they {error}", hint=hint) from None


def policy_of(tries: int, on_truncated: str, on_refused: str) -> RetryPolicy:
    return RetryPolicy(tries=tries, on_truncated=OnTruncated(on_truncated), on_refused=OnRefused(on_refused))


_BIND = Statement(
    runs.update()
    .where(runs.c.id == param("run"), sa.or_(runs.c.account.is_(None), runs.c.account == param("to")))
    .values(account=param("to"))
)


def bind(tx: Transaction, run: RunId, account: int) -> bool:
    return bool(tx.run(_BIND, run=run, to=account))


_LOOKED_AT = Statement(runs.update().where(runs.c.id == param("it"), runs.c.look == lit(1)).values(look=lit(0)))


def looked_at(tx: Transaction, run: RunId) -> bool:
    """A person is asked to look at the pilots of *run*; False if that was asked before."""
    return bool(tx.run(_LOOKED_AT, it=run))


_UNFINISHED = (
    sa.select(run_counts.c.run)
    .where(
        run_counts.c.run == runs.c.id,
        run_counts.c.n > lit(0),
        run_counts.c.state.not_in([sa.literal(state.value, literal_execute=True) for state in sorted(FINAL)]),
    )
    .exists()
)
_SETTLE = Statement(
    runs.update()
    .where(*OPEN, ~_UNFINISHED)
    .values(state=lit(RunState.DONE), done=param("now"))
    .returning(runs.c.id, runs.c.name)
)


def settle(tx: Transaction, now: Millis) -> Sequence[tuple[RunId, str]]:
    """Open runs without an unfinished job are *done*."""
    tx.flush()
    return sorted((RunId(run), name) for run, name in tx.rows(_SETTLE, now=now))
