"""The statements about batches: by the index that is meant, and at no cost that grows with the jobs around them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from batchrun.core.batch import Packing
from batchrun.core.job import BatchId, JobId, Millis, Nanos, RunId, WorkerId
from batchrun.core.states import State
from batchrun.queue import attempts, batches, batchjobs, jobs, packing, runs
from batchrun.queue import tables as t
from batchrun.queue.bodies import SharedParts
from batchrun.queue.connect import close_queue, open_queue
from batchrun.queue.living import Living
from batchrun.queue.statement import Statement
from batchrun.queue.transaction import Transaction
from tests.queue.desk import MODEL, NOW, Desk
from tests.queue.test_statements import DIALECTS, plan, steps

IT = {"it": 1}
ENDED = {**IT, "how": "unknown", "now": 1, "certainty": "no", "why": None}


@pytest.mark.parametrize(
    ("statement", "values", "index"),
    [
        (batches._ATTENDED, {"its": 1}, "ix_batches_state (state=?)"),
        (batches._ATTENDED, {"its": 1}, "ix_candidates_open"),
        (batches._SIZES, {"its": 1}, "uq_batches_unresolved_n (account=?)"),
        (batches._OF_THE_DEAD, {"dead": 1}, "ix_batches_state (state=?)"),
        (batches._WISHED_BY_RUN, {"of": 1}, "ix_batches_run (run=?)"),
        (batches._DONE, {**IT, "now": 1}, "ix_jobs_batch (batch=?)"),
        (batchjobs._BIND, {"job": 1, "was": 0, "into": 1}, "INTEGER PRIMARY KEY"),
        (batchjobs._LINES, {**IT, "after": 0, "n": 5}, "ix_jobs_batch (batch=? AND rowid>?)"),
        (batchjobs._OWED, IT, "ix_jobs_batch (batch=?)"),
        (batchjobs._END, ENDED, "sqlite_autoindex_attempts_1 (job=? AND n=?)"),
        (batchjobs._END, ENDED, "ix_jobs_batch (batch=?)"),
        (batchjobs._RELEASE, IT, "ix_jobs_batch (batch=?)"),
        (batchjobs._PENDING, IT, "ix_jobs_batch (batch=?)"),
        (batchjobs._CLAIM, {**IT, "job": 1, "its_n": 1}, "sqlite_autoindex_attempts_1 (job=? AND n=?)"),
        (jobs.NEXT_IN_BATCH, {"run": 1, "model": "m", "n": 3}, "ix_jobs_claim (run=? AND model=?)"),
        (jobs.NEXT_IN_BATCH_BOUNDED, {"run": 1, "model": "m", "n": 3}, "ix_jobs_claim (run=? AND model=?)"),
        (jobs.SUCCEED[State.IN_BATCH], {"job": 1, "holder": 1, "n": 1, "now": 1}, "INTEGER PRIMARY KEY"),
        (attempts._END_WON, dict.fromkeys(attempts._WON, 1), "sqlite_autoindex_attempts_1 (job=? AND n=?)"),
        (runs._REALTIME, {"run": 1}, "ix_jobs_realtime (run=?)"),
        (runs._PILOTS, {"run": 1}, "ix_jobs_pilot (run=?)"),
    ],
)
def test_a_statement_goes_by_the_index_that_is_meant(
    desk: Desk, statement: Statement, values: dict[str, Any], index: str
) -> None:
    how = plan(desk, statement, **values)
    assert index in how, how
    assert not [line for line in how.splitlines() if line.startswith("SCAN") and "ix_candidates_open" not in line], how


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize(
    ("statement", "names"),
    [
        (attempts._END_WON, attempts._WON),
        (jobs.SUCCEED[State.IN_BATCH], ("job", "holder", "n", "now")),
        (batchjobs._BIND, ("job", "was", "into")),
    ],
    ids=["end", "succeed", "bind"],
)
def test_what_is_said_of_thousands_has_its_constants_in_its_text(
    dialect: sa.Dialect, statement: Statement, names: tuple[str, ...]
) -> None:
    text, rows = statement.bind_many(dialect, names, [tuple(range(len(names)))])
    (row,) = list(rows)
    assert len(row) == len(names)
    assert text.count("?") + text.count("%(") == len(names), text


ACCOUNT = 1
WORKER = WorkerId(1)


def fill(desk: Desk, n: int) -> None:
    """A run with *n* queued jobs, a batch that is out, and a long past: a batch for each hundred."""
    with desk.engine.begin() as connection:
        facts = {"role": "worker", "pid": 1, "host": "", "boot": "", "version": "", "command": "", "started": 0}
        connection.execute(t.workers.insert(), facts)
        connection.execute(t.accounts.insert(), {"origin": "o", "created": 1})
        named = {"name": "run", "state": "open", "mode": "batch", "source": "[]", "created": 1}
        connection.execute(t.runs.insert(), named)
        connection.exec_driver_sql(
            "INSERT INTO batches (id, token, run, account, state, n, bytes, remote_id, intended, model)"
            " VALUES (?, ?, 1, 1, ?, 100, 1, ?, 1, ?)",
            [(at, f"t{at}", "submitted" if at <= 10 else "done", f"r{at}", MODEL) for at in range(1, 11 + n // 100)],
        )
        connection.exec_driver_sql(
            "INSERT INTO candidates (batch, remote_id, seen, verdict) SELECT id, 'foreign', 1, 'foreign' FROM batches"
        )
        kinds = [("in_batch", 1, 0)] * 100 + [("queued", None, 0)] * n
        connection.exec_driver_sql(
            "INSERT INTO jobs"
            " (id, run, seq, line, key, model, state, batch, attempt, way, size, est_input, max_tokens, worst, digest)"
            " VALUES (?, 1, ?, ?, ?, ?, ?, ?, 1, ?, 1, 1, 1, 1, x'')",
            [(at, at, at, f"{at}", MODEL, state, batch, way) for at, (state, batch, way) in enumerate(kinds, 1)],
        )
        connection.exec_driver_sql("INSERT INTO requests (job, own) SELECT id, '{}' FROM jobs")
        connection.exec_driver_sql(
            "INSERT INTO attempts (job, n, via, worker, batch, claimed, worst, outcome, ended)"
            " SELECT id, 1, 'batch', 1, 1, 1, 1, CASE state WHEN 'queued' THEN 'unknown' END,"
            " CASE state WHEN 'queued' THEN 1 END FROM jobs"
        )
        connection.exec_driver_sql("UPDATE runs SET reserved = 1000000")
        connection.exec_driver_sql(
            "INSERT INTO run_counts SELECT run, model, state, COUNT(*) FROM jobs GROUP BY 1, 2, 3"
        )


def intend(tx: Transaction) -> object:
    terms = runs.terms(tx, RunId(1), MODEL, NOW, Nanos(10**9))
    assert terms is not None
    wish = Packing(account=ACCOUNT, token=f"new{NOW}", n=50, bytes=10**6, watermark=None, date=Millis(1))
    return packing.pack(tx, terms, MODEL, wish, WORKER, NOW)


def cost(desk: Desk) -> dict[str, int]:
    it = BatchId(1)
    return {
        "look for work": steps(desk, runs.work),
        "attended": steps(desk, lambda tx: batches.attended(tx, ACCOUNT)),
        "intend": steps(desk, intend),
        "lines": steps(desk, lambda tx: batchjobs.lines(tx, it, 0, 500, SharedParts())),
        "pending": steps(desk, lambda tx: batchjobs.pending(tx, it)),
        "claims": steps(desk, lambda tx: batchjobs.claims(tx, it, [(JobId(1), 1)])),
        "miss": steps(desk, lambda tx: batchjobs.miss(tx, it, NOW, "")),
    }


@pytest.mark.sweep
def test_nothing_about_a_batch_gets_slower_as_jobs_get_more(tmp_path: Path) -> None:
    costs = []
    for n in (10_000, 200_000):
        engine = open_queue(tmp_path / f"{n}.db")
        desk = Desk(engine, Living(tmp_path / f"{n}.db"))
        fill(desk, n)
        costs.append(cost(desk))
        close_queue(engine)
    small, large = costs
    grown = {what: (small[what], taken) for what, taken in large.items() if taken > 1.5 * small[what]}
    assert grown == {}
