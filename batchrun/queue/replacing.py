"""Jobs whose file was edited: each of `family.pairs` is a loaded job and the existing one that it would replace."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from batchrun.core.job import RunId, Way, Where
from batchrun.core.problem import Problem
from batchrun.core.states import State
from batchrun.queue.family import pairs
from batchrun.queue.mistakes import SHOWN, changed
from batchrun.queue.submit import Totals
from batchrun.queue.tables import jobs, requests, results, runs
from batchrun.queue.transaction import Transaction

_loaded = jobs.alias("loaded")
_existing = jobs.alias("existing")
_PAIRED = pairs.join(_loaded, _loaded.c.id == pairs.c.loaded).join(_existing, _existing.c.id == pairs.c.existing)
_LOADED = sa.select(pairs.c.loaded).scalar_subquery()
_EXISTING = sa.select(pairs.c.existing).scalar_subquery()

_SAID = ("line", "model", "size", "est_input", "max_tokens", "worst", "prefix", "digest")
"""What a file says of a job beside its request, and which file it is."""

_WAY = sa.case(
    # What was a pilot goes first again: it shows whether the edit was right.
    (sa.and_(_loaded.c.way == Way.EITHER.value, jobs.c.way == Way.PILOT.value), Way.PILOT.value),
    else_=_loaded.c.way,
)

Places = Mapping[int, int]
"""For each file of a submit where it stands among the sources of a run."""


def by_state(tx: Transaction) -> Mapping[State, int]:
    """How many existing jobs of the pairs are in which state."""
    select = sa.select(_existing.c.state, sa.func.count()).select_from(_PAIRED).group_by(_existing.c.state)
    return {State(state): n for state, n in tx.connection.execute(select)}


def stuck(tx: Transaction, free: Collection[State], sources: Sequence[str]) -> list[Problem]:
    """Problems of pairs whose existing job is in none of the states *free*, in the file's order; the first of many."""
    select = (
        sa.select(
            _loaded.c.key,
            _loaded.c.file,
            _loaded.c.line,
            _existing.c.file,
            _existing.c.line,
            _existing.c.state,
            runs.c.source,
        )
        .select_from(_PAIRED.join(runs, runs.c.id == _existing.c.run))
        .where(_existing.c.state.not_in(sorted(free)))
        .order_by(_loaded.c.seq)
        .limit(SHOWN)
    )
    return [
        changed(key, Where(sources[file], line), Where(json.loads(source)[old_file], old_line), State(state))
        for key, file, line, old_file, old_line, state, source in tx.connection.execute(select)
    ]


def totals(tx: Transaction, run: RunId, free: Iterable[State], ways: Iterable[Way]) -> Mapping[str, Totals]:
    """What the jobs loaded as *run* that go one of *ways* weigh, without those whose existing job is not *free*."""
    select = (
        sa.select(
            jobs.c.model,
            sa.func.count(),
            sa.func.sum(jobs.c.est_input),
            sa.func.sum(jobs.c.max_tokens),
            sa.func.coalesce(sa.func.sum(jobs.c.worst), 0),
            sa.func.count() - sa.func.count(jobs.c.worst),
        )
        .where(jobs.c.run == run, jobs.c.id.not_in(_stuck(free)), jobs.c.way.in_([way.value for way in ways]))
        .group_by(jobs.c.model)
    )
    return {
        model: Totals(jobs=n, est_input=inputs, max_tokens=most, worst=worst, unbounded=unbounded)
        for model, n, inputs, most, worst, unbounded in tx.connection.execute(select)
    }


def _stuck(free: Iterable[State]) -> sa.ScalarSelect[int]:
    return (
        sa.select(pairs.c.loaded).select_from(_PAIRED).where(_existing.c.state.not_in(sorted(free))).scalar_subquery()
    )


def drop_stuck(tx: Transaction, run: RunId, free: Collection[State]) -> None:
    """Take the pairs away whose existing job stays as it is."""
    gone = tx.connection.execute(jobs.delete().where(jobs.c.id.in_(_stuck(free))).returning(jobs.c.model)).all()
    for (model,) in gone:
        tx.moved(run, model, State.QUEUED, None)
    left = sa.select(jobs.c.id).where(jobs.c.run == run).scalar_subquery()
    tx.connection.execute(pairs.delete().where(pairs.c.loaded.not_in(left)))


def touched(tx: Transaction) -> set[RunId]:
    """The runs of the existing jobs."""
    return {RunId(run) for run in tx.connection.scalars(sa.select(_existing.c.run).select_from(_PAIRED).distinct())}


def replace(tx: Transaction, loading: RunId, free: Collection[State], places: Mapping[RunId, Places]) -> None:
    """Each existing job gets the request that its file says now, and is *queued*; its old answer wins no more.

    Its attempts stay, and its number of attempts goes on: what comes late of them answers another request.
    """
    _count(tx, loading)
    tx.connection.execute(
        results.update().where(results.c.winning == 1, results.c.job.in_(_EXISTING)).values(winning=0)
    )
    tx.connection.execute(requests.delete().where(requests.c.job.in_(_EXISTING)))
    whose = sa.select(pairs.c.existing).where(pairs.c.loaded == requests.c.job).scalar_subquery()
    tx.connection.execute(requests.update().where(requests.c.job.in_(_LOADED)).values(job=whose))
    for run, places_there in places.items():
        tx.connection.execute(
            jobs.update()
            .where(jobs.c.run == run, jobs.c.id == pairs.c.existing, _loaded.c.id == pairs.c.loaded)
            .where(jobs.c.state.in_(sorted(free)))
            .values(
                state=State.QUEUED.value,
                asked=jobs.c.attempt + 1,
                kept=None,
                extended=0,
                turns=0,
                due=None,
                tries=0,
                error=None,
                finished=None,
                cancel_requested=None,
                file=placed(_loaded.c.file, places_there),
                way=_WAY,
                **{name: _loaded.c[name] for name in _SAID},
            )
        )
    tx.connection.execute(jobs.delete().where(jobs.c.id.in_(_LOADED)))


def _count(tx: Transaction, loading: RunId) -> None:
    select = (
        sa.select(_existing.c.run, _existing.c.model, _existing.c.state, _loaded.c.model, sa.func.count())
        .select_from(_PAIRED)
        .group_by(_existing.c.run, _existing.c.model, _existing.c.state, _loaded.c.model)
    )
    for run, old_model, state, model, n in tx.connection.execute(select).all():
        tx.moved(RunId(run), old_model, State(state), None, n)
        tx.moved(RunId(run), model, None, State.QUEUED, n)
        tx.moved(loading, model, State.QUEUED, None, n)


def placed(column: sa.ColumnElement[int], places: Places) -> Any:
    """The file's index in *column*, as the run counts its files."""
    if all(place == at for at, place in places.items()):
        return column
    return sa.case(dict(places), value=column)
