"""The statements of the queue: for each database the same, by the index that is meant, and at no cost that grows."""

from __future__ import annotations

import gc
import importlib
import pkgutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.dialects.sqlite.base import SQLiteDialect

import batchrun.queue
from batchrun.core.claim import Claim
from batchrun.core.job import Nanos, RunId, WorkerId
from batchrun.core.states import FINAL, State
from batchrun.queue import cancelling, finish, jobs, recovery, runs, transaction
from batchrun.queue import tables as t
from batchrun.queue.bodies import SharedParts
from batchrun.queue.connect import close_queue, open_queue
from batchrun.queue.living import Living
from batchrun.queue.statement import Statement, columns_of, lit, param
from batchrun.queue.transaction import Transaction
from tests.queue.desk import MODEL, NOW, Desk, dropped, ending, good
from tests.queue.desk import jobs as jobs_of

SQLITE: sa.Dialect = SQLiteDialect(paramstyle="qmark")
POSTGRESQL: sa.Dialect = PGDialect(paramstyle="pyformat")  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
DIALECTS = [SQLITE, POSTGRESQL]


def every_statement() -> list[Statement]:
    for module in pkgutil.iter_modules(batchrun.queue.__path__):
        importlib.import_module(f"batchrun.queue.{module.name}")
    gc.unfreeze()  # a program that ran in this process froze what it had loaded
    return [thing for thing in gc.get_objects() if isinstance(thing, Statement)]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_every_statement_can_be_said_to_every_database(dialect: sa.Dialect) -> None:
    statements = every_statement()
    assert len(statements) > 50
    for statement in statements:
        text = statement._for(dialect).text
        assert "POSTCOMPILE" not in text
        assert "NULL::" not in text


def test_constants_stand_in_the_text_and_parameters_do_not() -> None:
    select = Statement(sa.select(t.jobs.c.id).where(t.jobs.c.state == lit("queued"), t.jobs.c.run == param("it")))
    text, values = select.bind(SQLITE, {"it": 7})
    assert "state = 'queued'" in text
    assert values == (7,)


def test_rows_may_name_their_values_in_any_order() -> None:
    insert = Statement(columns_of(t.meta, "key", "value"))
    text, rows = insert.bind_many(SQLITE, ("value", "key"), [("v", "k")])
    assert (text.replace("\n", " "), list(rows)) == ('INSERT INTO meta ("key", value) VALUES (?, ?)', [("k", "v")])
    _text, by_name = insert.bind_many(POSTGRESQL, ("value", "key"), [("v", "k")])
    assert list(by_name) == [{"key": "k", "value": "v"}]


def test_who_counts_first_at_the_same_time_as_another_adds_to_its_count(desk: Desk) -> None:
    desk.submit(jobs_of("a"))
    first = {"run": 1, "model": "other", "state": "queued", "n": 2}
    desk.do(lambda tx: tx.run(transaction._FIRST_COUNT, **first) + tx.run(transaction._FIRST_COUNT, **first))
    counts = sa.select(t.run_counts.c.n).where(t.run_counts.c.model == "other")
    assert desk.rows(counts) == [(4,)]


def test_counts_and_money_are_written_in_one_order_for_all(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[Any, ...]] = []

    def run(tx: Transaction, statement: Statement, **values: Any) -> int:
        written.append(tuple(value for name, value in values.items() if name.startswith("the_")))
        return 1

    monkeypatch.setattr(Transaction, "run", run)

    def op(tx: Transaction) -> None:
        for run_id in (2, 1):
            tx.pay(RunId(run_id), spent=1)
            for model in ("b", "a"):
                tx.moved(RunId(run_id), model, State.WAITING, State.QUEUED)

    desk.do(op)
    counts = [(run_id, model, state) for run_id in (1, 2) for model in ("a", "b") for state in ("queued", "waiting")]
    assert written == [(1,), (2,), *counts]


# -- plans -------------------------------------------------------------------------------------------------------------


def plan(desk: Desk, statement: Statement, **values: Any) -> str:
    def op(tx: Transaction) -> str:
        text, bound = statement.bind(tx.connection.dialect, values)
        rows = tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", bound)
        return "\n".join(row[3] for row in rows)

    return desk.do(op)


@pytest.mark.parametrize(
    ("statement", "values", "index"),
    [
        (jobs.NEXT, {"run": 1, "model": "m", "n": 3}, "ix_jobs_claim (run=? AND model=?)"),
        (jobs.NEXT_BOUNDED, {"run": 1, "model": "m", "n": 3}, "ix_jobs_claim (run=? AND model=?)"),
        (jobs._CLAIM, {"job": 1, "was": 0, "worker": 1}, "INTEGER PRIMARY KEY"),
        (jobs.SUCCEED[State.RUNNING], {"job": 1, "holder": 1, "n": 1, "now": 1}, "INTEGER PRIMARY KEY"),
        (runs._DUE, {"now": 1}, "ix_jobs_due (due<?)"),
        (runs._NEXT_DUE, {}, "ix_jobs_due"),
        (runs._WORK, {}, "ix_runs_open"),
        (runs._SETTLE, {"now": 1}, "ix_runs_open"),
        (recovery._OWED, {"dead": 1}, "ix_attempts_out (worker=?)"),
        (recovery._UNKNOWN, {"dead": 1, "now": 1, "message": ""}, "ix_attempts_out (worker=?)"),
        (recovery._RUNS, {"dead": 1}, "ix_jobs_owner (owner=?)"),
        (recovery._RELEASE, {"dead": 1, "of": 1, "word": "", "tried": 1}, "ix_jobs_owner (owner=?)"),
        (recovery._STOP, {"dead": 1, "of": 1, "now": 1}, "ix_jobs_owner (owner=?)"),
        (cancelling._WISH_RUNNING, {"of": 1, "now": 1}, "ix_jobs_owner"),
        (cancelling._WISH_IN_BATCH, {"of": 1, "now": 1}, "ix_jobs_batch"),
        (cancelling._CANCEL_SOME[State.QUEUED], {"of": 1, "now": 1}, "ix_jobs_claim (run=?)"),
        (cancelling._CANCEL_SOME[State.WAITING], {"of": 1, "now": 1}, "ix_jobs_aside (run=? AND state=?)"),
        (cancelling._CANCEL_SOME[State.HELD], {"of": 1, "now": 1}, "ix_jobs_aside (run=? AND state=?)"),
        (cancelling._CANCEL_SOME[State.BLOCKED], {"of": 1, "now": 1}, "ix_jobs_aside (run=? AND state=?)"),
    ],
)
def test_what_is_asked_often_goes_by_the_index_that_is_meant(
    desk: Desk, statement: Statement, values: dict[str, Any], index: str
) -> None:
    told = plan(desk, statement, **values)
    assert index in told
    assert "SCAN jobs\n" not in f"{told}\n"


def test_jobs_come_out_of_the_index_in_order(desk: Desk) -> None:
    assert "TEMP B-TREE" not in plan(desk, jobs.NEXT, run=1, model="m", n=3)
    assert "TEMP B-TREE" not in plan(desk, runs._NEXT_DUE)


# -- cost --------------------------------------------------------------------------------------------------------------

WORKER = WorkerId(1)


def fill(desk: Desk, n: int) -> None:
    """Two runs: the first with *n* jobs of which a fifth wait (and stand before the others), the second with ten."""
    waiting = n // 5
    with desk.engine.begin() as connection:
        facts = {"role": "worker", "pid": 1, "host": "", "boot": "", "version": "", "command": "", "started": 0}
        connection.execute(t.workers.insert(), facts)
        for run in (1, 2):
            named = {"name": f"run-{run}", "state": "open", "mode": "auto", "source": "[]", "created": 1}
            connection.execute(t.runs.insert(), named)
        connection.exec_driver_sql(
            "INSERT INTO jobs (id, run, seq, line, key, model, state, due, size, est_input, max_tokens, worst, digest)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, 1, 1, 1, x'')",
            [
                (at, 1, at, at, f"{at}", MODEL, "waiting", NOW + at)
                if at <= waiting
                else (at, 1 if at <= n else 2, at, at, f"{at}", MODEL, "queued", None)
                for at in range(1, n + 11)
            ],
        )
        connection.exec_driver_sql("INSERT INTO requests (job, own) SELECT id, '{}' FROM jobs")
        connection.exec_driver_sql(
            "INSERT INTO run_counts SELECT run, model, state, COUNT(*) FROM jobs GROUP BY 1, 2, 3"
        )


def steps(desk: Desk, op: Callable[[Transaction], Any]) -> int:
    """How many steps SQLite's machine takes for *op*: exact, and the same on every computer."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    def counted(tx: Transaction) -> None:
        driver: Any = tx.connection.connection.driver_connection
        driver.set_progress_handler(count, 1)
        op(tx)
        tx.flush()
        driver.set_progress_handler(None, 0)

    desk.do(counted)
    return taken


def claim(tx: Transaction, run: int = 1) -> Sequence[Claim]:
    terms = runs.terms(tx, RunId(run), MODEL, NOW, Nanos(10**9))
    assert terms is not None
    return jobs.claim(tx, terms, MODEL, 5, WORKER, NOW, SharedParts())


def cost(desk: Desk) -> dict[str, int]:
    claims = desk.do(claim)
    return {
        "claim": steps(desk, claim),
        "claim of a small run": steps(desk, partial(claim, run=2)),
        "look for work": steps(desk, lambda tx: (runs.promote(tx, NOW), runs.work(tx))),
        "next due": steps(desk, runs.next_due),
        "settle": steps(desk, partial(runs.settle, now=NOW)),
        "succeed": steps(desk, lambda tx: finish.store(tx, ending(claims[0], good()))),
        "wait": steps(desk, lambda tx: finish.store(tx, ending(claims[1], dropped()))),
        "give back": steps(desk, partial(recovery.give_back, dead=WORKER, now=NOW)),
        "begin to cancel": steps(desk, partial(cancelling._wish, run=RunId(1), now=NOW)),
    }


def test_nothing_gets_slower_as_jobs_get_more(tmp_path: Path) -> None:
    costs = []
    for n in (10_000, 80_000):
        engine = open_queue(tmp_path / f"{n}.db")
        desk = Desk(engine, Living(tmp_path / f"{n}.db"))
        fill(desk, n)
        costs.append(cost(desk))
        close_queue(engine)
    small, large = costs
    assert {what: taken for what, taken in large.items() if taken > 1.5 * small[what]} == {}


def fill_to_cancel(desk: Desk, n: int) -> None:
    """A cancelled run with *n* jobs in each of the states before the end and as many failed, and another that waits."""
    states = ["queued", "waiting", "held", "blocked", "failed", "succeeded"]
    with desk.engine.begin() as connection:
        for run, state in ((1, "cancelled"), (2, "open")):
            cancelled = NOW if state == "cancelled" else None
            named = {"name": f"run-{run}", "state": state, "mode": "auto", "source": "[]", "created": 1}
            connection.execute(t.runs.insert(), {**named, "cancelled": cancelled})
        kinds = [(1, state) for state in states] + [(2, "waiting")]
        connection.exec_driver_sql(
            "INSERT INTO jobs"
            " (run, seq, line, key, model, state, due, finished, size, est_input, max_tokens, worst, digest)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, 1, 1, 1, x'')",
            [
                (run, seq, seq, f"{seq}", MODEL, state, state == "waiting" or None, state in FINAL or None)
                for seq, (run, state) in enumerate(kinds * n)
            ],
        )
        connection.exec_driver_sql(
            "INSERT INTO run_counts SELECT run, model, state, COUNT(*) FROM jobs GROUP BY 1, 2, 3"
        )


def test_each_step_of_a_cancel_costs_the_same_however_many_jobs_there_are(tmp_path: Path) -> None:
    dearest = []
    for n in (1_000, 6_000):
        engine = open_queue(tmp_path / f"{n}.db")
        desk = Desk(engine, Living(tmp_path / f"{n}.db"))
        fill_to_cancel(desk, n)
        taken = []
        done = 1
        while done:

            def some(tx: Transaction) -> None:
                nonlocal done
                done = cancelling.cancel_some(tx, RunId(1), NOW)

            taken.append(steps(desk, some))
        assert len(taken) == 4 * n // cancelling.CHUNK + 1
        left = desk.rows(sa.select(t.jobs.c.state).where(t.jobs.c.run == 1).distinct().order_by(t.jobs.c.state))
        assert left == [("cancelled",), ("failed",), ("succeeded",)]
        dearest.append(max(taken))
        close_queue(engine)
    small, large = dearest
    assert large < 1.1 * small
