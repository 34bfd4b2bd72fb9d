"""Pilots: the first job of each shape goes realtime before a batch of its like, or the first few jobs of a submit do.

A run that exists keeps in `shapes` which of them had their pilot. While a submit is loaded, the temporary table `kinds`
has the first job of each of its shapes; under a known name all of them, for the first may be dropped again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from batchrun.core.job import Job, RunId, Way
from batchrun.core.states import State
from batchrun.queue.family import pairs, temporary
from batchrun.queue.statement import Row, Statement, columns_of, insert_or, lit, param
from batchrun.queue.submit import MOST_PILOTS, Totals
from batchrun.queue.tables import Id, jobs, runs, shapes
from batchrun.queue.transaction import Transaction

REMEMBERED = 100
"""Shapes of one submit, its first, among which those are looked for."""

kinds = sa.Table(
    "kinds",  # loaded jobs by their shape
    temporary,
    sa.Column("shape", sa.LargeBinary, primary_key=True),
    sa.Column("loaded", Id, primary_key=True),
    prefixes=["TEMPORARY"],
)

_loaded = jobs.alias("loaded")
_existing = jobs.alias("existing")
_KIND = Statement(columns_of(kinds, "shape", "loaded"))
_POLICY = Statement(sa.select(runs.c.pilot).where(runs.c.id == param("of")))
_HAD = Statement(sa.select(shapes.c.shape).where(shapes.c.run == param("of")))
_GO_FIRST = Statement(jobs.update().where(jobs.c.id == param("it")).values(way=lit(Way.PILOT)))
_GO_WITH_THE_OTHERS = Statement(
    jobs.update()
    .where(jobs.c.run == param("of"), jobs.c.way == lit(Way.PILOT), jobs.c.finished.is_(None))
    .values(way=lit(Way.EITHER))
)
_WEIGHT = Statement(
    sa.select(jobs.c.model, jobs.c.est_input, jobs.c.max_tokens, jobs.c.worst).where(jobs.c.id == param("it"))
)
_NOTE = Statement(insert_or(shapes, "run", "shape").on_conflict_do_nothing())
_TAKE = Statement(
    postgresql.insert(shapes)
    .from_select(
        ["run", "shape"],
        sa.select(runs.c.id, sa.cast(param("its"), sa.LargeBinary)).where(
            runs.c.id == param("of"),
            runs.c.pilot > lit(0),
            sa.select(sa.func.count()).select_from(shapes).where(shapes.c.run == param("of")).scalar_subquery()
            < lit(MOST_PILOTS),
        ),
    )
    .on_conflict_do_nothing()
)


class Kinds:
    """The shapes of one submit in the order in which they come. It is told after the commit what it may remember."""

    def __init__(self) -> None:
        self._known: dict[bytes, None] = {}

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._known)

    def note(self, tx: Transaction, first: int, loaded: Sequence[Job], *, all_of_them: bool) -> Sequence[bytes]:
        """Note *loaded*, whose ids begin with *first*; of each shape the first job, or *all_of_them*.

        Returns the shapes that are new. Jobs that go realtime anyway are nobody's pilots, and are not noted.
        """
        rows: list[Row] = []
        fresh: dict[bytes, None] = {}
        for at, job in enumerate(loaded, first):
            shape = job.shape
            if shape in self._known or shape in fresh:
                if all_of_them and not job.realtime_only:
                    rows.append((shape, at))
            elif shape and not job.realtime_only and len(self._known) + len(fresh) < REMEMBERED:
                fresh[shape] = None
                rows.append((shape, at))
        tx.run_many(_KIND, ("shape", "loaded"), rows)
        return list(fresh)

    def remember(self, fresh: Sequence[bytes]) -> None:
        """*fresh* are durable."""
        self._known.update(dict.fromkeys(fresh))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pilots:
    """The loaded jobs that go first in *run*, and the shapes that have had their pilot by that."""

    run: RunId
    jobs: Sequence[int]
    shapes: Sequence[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Jobs loaded as *run*: in *target* they are new, or they replace jobs that are in one of the states *free*."""

    run: RunId
    target: RunId
    free: Collection[State]
    kinds: Kinds

    def pilots(self, tx: Transaction, into: RunId, policy: int | None, first: int | None) -> Pilots:
        """Those that go first among the jobs for the run *into*: the *first* few, or else one of each new shape.

        *policy* is what the run's `pilot` will be, None if it stays what it is.
        """
        if first is not None:
            return self._first_few(tx, into, first)
        if policy is None:
            row = tx.row(_POLICY, of=into)
            policy = 0 if row is None else row[0]
        had = {shape for (shape,) in tx.rows(_HAD, of=into)}
        chosen: dict[bytes, int] = {}
        for shape in self.kinds if policy else ():
            if len(had) + len(chosen) >= MOST_PILOTS:
                break
            if shape not in had and (job := self._first_of(tx, into, shape)) is not None:
                chosen[shape] = job
        return Pilots(run=into, jobs=list(chosen.values()), shapes=list(chosen))

    def _first_few(self, tx: Transaction, into: RunId, n: int) -> Pilots:
        select = (
            sa.select(_loaded.c.id)
            .select_from(self._paired(_loaded))
            .where(*self._for(into), _loaded.c.way == Way.EITHER.value)
            .order_by(_loaded.c.seq)
            .limit(n)
        )
        few = [int(job) for job in tx.connection.scalars(select)]
        firsts = {shape: self._first_of(tx, into, shape) for shape in self.kinds} if few else {}
        met = [shape for shape, first in firsts.items() if first is not None and first <= few[-1]]
        return Pilots(run=into, jobs=few, shapes=met)

    def _first_of(self, tx: Transaction, into: RunId, shape: bytes) -> int | None:
        select = (
            sa.select(kinds.c.loaded)
            .select_from(self._paired(kinds.join(_loaded, _loaded.c.id == kinds.c.loaded)))
            .where(*self._for(into), kinds.c.shape == shape)
            .order_by(kinds.c.loaded)
            .limit(1)
        )
        return tx.connection.scalar(select)

    def _paired(self, loaded: sa.FromClause) -> sa.FromClause:
        return loaded.outerjoin(pairs, pairs.c.loaded == _loaded.c.id).outerjoin(
            _existing, _existing.c.id == pairs.c.existing
        )

    def _for(self, into: RunId) -> Sequence[sa.ColumnElement[bool]]:
        """That a loaded job is for the run *into*, and will not be dropped."""
        return (
            _loaded.c.run == self.run,
            sa.func.coalesce(_existing.c.run, self.target) == into,
            sa.or_(_existing.c.state.is_(None), _existing.c.state.in_(sorted(self.free))),
        )


def appoint(tx: Transaction, pilots: Pilots) -> None:
    """Let them go first."""
    tx.run_many(_GO_FIRST, ("it",), [(job,) for job in pilots.jobs])
    tx.run_many(_NOTE, ("run", "shape"), [(pilots.run, shape) for shape in pilots.shapes])


def dismiss(tx: Transaction, run: RunId) -> None:
    """Let nobody wait for pilots of *run* any more."""
    tx.run(_GO_WITH_THE_OTHERS, of=run)


def weights(tx: Transaction, pilots: Pilots) -> Mapping[str, Totals]:
    """What they weigh, by model."""
    totals: dict[str, Totals] = {}
    for job in pilots.jobs:
        row = tx.row(_WEIGHT, it=job)
        assert row is not None, f"job {job} is not there"
        model, est_input, max_tokens, worst = row
        totals.setdefault(model, Totals()).add(est_input, max_tokens, worst)
    return totals


def way_of(tx: Transaction, run: RunId, was: Way, shape: bytes, *, realtime_only: bool) -> Way:
    """The way of a job of *run* whose request, now of *shape*, was set anew: in a new shape it is the pilot.

    A pilot stays one: it shows whether the change was right.
    """
    if realtime_only:
        return Way.REALTIME
    first = bool(shape) and tx.run(_TAKE, of=run, its=shape) == 1
    return Way.PILOT if first or was is Way.PILOT else Way.EITHER
