"""One transaction of the queue: statements run at once, counts and money are added up and written before the commit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from batchrun.core.job import Nanos, RunId
from batchrun.core.states import ARROWS, State, sources_of
from batchrun.queue.statement import Row, Statement, insert_or, lit, param
from batchrun.queue.tables import jobs, results, run_counts, runs

_COUNT = Statement(
    run_counts.update()
    .where(run_counts.c.run == param("the_run"), run_counts.c.model == param("the_model"))
    .where(run_counts.c.state == param("the_state"))
    .values(n=run_counts.c.n + param("more"))
)
_first = insert_or(run_counts, "run", "model", "state", "n")
_FIRST_COUNT = Statement(
    _first.on_conflict_do_update(  # another transaction may have been the first meanwhile
        index_elements=["run", "model", "state"], set_={"n": run_counts.c.n + _first.excluded.n}
    )
)
_MONEY = Statement(
    runs.update()
    .where(runs.c.id == param("the_run"))
    .values(spent=runs.c.spent + param("more_spent"), reserved=runs.c.reserved + param("more_reserved"))
)
_POSSIBLY = Statement(
    runs.update()
    .where(runs.c.id == param("the_run"))
    .values(possibly=runs.c.possibly + param("more"), possibly_cost=runs.c.possibly_cost + param("more_cost"))
)


_KEPT = Statement(
    # Not in an order: SQLite would walk all jobs for it, and not the index that has hardly any.
    sa.select(jobs.c.id, jobs.c.run, jobs.c.model, jobs.c.state, jobs.c.kept).where(
        jobs.c.kept.is_not(None), jobs.c.finished.is_not(None)
    )
)
_FALL_BACK = {
    source: Statement(
        jobs.update()
        .where(jobs.c.id == param("it"), jobs.c.state == lit(source), jobs.c.kept == param("n"))
        .values(state=lit(ARROWS["fall_back"].target), kept=sa.null(), error=sa.null())
    )
    for source in sources_of("fall_back")
}
_WIN = Statement(
    results.update().where(results.c.job == param("it"), results.c.attempt == param("n")).values(winning=lit(1))
)


class Transaction:
    """What an operation gets to work with. Not thread-safe; of no use after the commit."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self._dialect = connection.dialect
        self._cursor: Any = connection.connection.cursor()
        self._counts: dict[tuple[RunId, str, State], int] = {}
        self._money: dict[RunId, tuple[int, int]] = {}
        self._possibly: dict[RunId, tuple[int, int]] = {}
        self._unanswered = False  # a job has ended without an answer that came now

    @property
    def on_server(self) -> bool:
        """Whether others may be on other machines: then the database's clock is the one that all read."""
        return self._dialect.name != "sqlite"

    def run(self, statement: Statement, **values: Any) -> int:
        """The number of rows that *statement* changed."""
        self._cursor.execute(*statement.bind(self._dialect, values))
        return int(self._cursor.rowcount)

    def run_many(self, statement: Statement, names: Sequence[str], rows: Iterable[Row]) -> int:
        """The number of rows that *statement* changed, run once for each of *rows*, whose values have *names*."""
        self._cursor.executemany(*statement.bind_many(self._dialect, names, rows))
        return int(self._cursor.rowcount)

    def rows(self, statement: Statement, **values: Any) -> list[Row]:
        """All rows of a SELECT, or of a RETURNING."""
        self._cursor.execute(*statement.bind(self._dialect, values))
        rows: list[Row] = self._cursor.fetchall()
        return rows

    def row(self, statement: Statement, **values: Any) -> Row | None:
        """The first row."""
        rows = self.rows(statement, **values)
        return rows[0] if rows else None

    def moved(self, run: RunId, model: str, source: State | None, target: State | None, n: int = 1) -> None:
        """*n* jobs went from *source* (None: they are new) to *target* (None: they are gone)."""
        if source is not None:
            key = (run, model, source)
            self._counts[key] = self._counts.get(key, 0) - n
        if target is not None:
            key = (run, model, target)
            self._counts[key] = self._counts.get(key, 0) + n
            self._unanswered = self._unanswered or target in _FALL_BACK

    def pay(self, run: RunId, *, spent: int = 0, reserved: int = 0) -> None:
        """Change what *run* has spent and reserved, in nano-dollars."""
        was_spent, was_reserved = self._money.get(run, (0, 0))
        self._money[run] = (was_spent + spent, was_reserved + reserved)

    def doubt(self, run: RunId, n: int, cost: int) -> None:
        """*n* more attempts of *run* may have been billed, and count for *cost* of what it spent; negative: fewer."""
        was_n, was_cost = self._possibly.get(run, (0, 0))
        self._possibly[run] = (was_n + n, was_cost + cost)

    def unwritten(self, run: RunId) -> Nanos:
        """What this transaction has taken of the money of *run* (negative: gave back) and not yet written."""
        return Nanos(sum(self._money.get(run, (0, 0))))

    def flush(self) -> None:
        """Write the sums. Reads of counts or money come after it; the commit does it by itself.

        Before that, whoever ended without an answer gets the one that was kept for this, however it came to end.
        In one order for all, so that no two transactions wait for one another.
        """
        if self._unanswered:
            self._fall_back()
        for run, (spent, reserved) in sorted(self._money.items()):  # first, for a claim has locked its run before
            if spent or reserved:
                self.run(_MONEY, the_run=run, more_spent=spent, more_reserved=reserved)
        for run, (more, cost) in sorted(self._possibly.items()):
            if more or cost:
                self.run(_POSSIBLY, the_run=run, more=more, more_cost=cost)
        for (run, model, state), more in sorted(self._counts.items()):
            if more and not self.run(_COUNT, the_run=run, the_model=model, the_state=state, more=more):
                self.run(_FIRST_COUNT, run=run, model=model, state=state, n=more)
        self._counts.clear()
        self._money.clear()
        self._possibly.clear()

    def _fall_back(self) -> None:
        for job, run, model, state, n in sorted(self.rows(_KEPT)):
            if self.run(_FALL_BACK[State(state)], it=job, n=n):
                self.run(_WIN, it=job, n=n)
                self.moved(RunId(run), model, State(state), State.SUCCEEDED)
        self._unanswered = False


def is_state(column: sa.ColumnElement[str], state: State) -> sa.ColumnElement[bool]:
    """`column = 'state'`, written so that a partial index on the state is used."""
    return column == lit(state.value)
