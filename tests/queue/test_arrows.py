"""Each arrow of the table: it starts where it may, leads where it says, and nowhere else; only for whoever holds the job."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import product

import pytest
import sqlalchemy as sa

from batchrun.core.claim import Claim, OnCrash
from batchrun.core.job import JobId, Millis, RunId, WorkerId
from batchrun.core.retry import Extend, GoOn
from batchrun.core.states import ARROWS, FINAL, State
from batchrun.queue import cancelling, finish, jobs, recovery, retrying, runs, sequel
from batchrun.queue import tables as t
from batchrun.queue.bodies import SharedParts
from batchrun.queue.submit import Changed, RunTerms
from batchrun.queue.transaction import Transaction
from tests.queue.desk import MODEL, NOW, Desk, dropped, ending, good, job

ME = WorkerId(1)
BATCH = 1


@pytest.fixture
def desk(desk: Desk) -> Desk:
    """With one job `a` of run 1, worker 1 and batch 1."""
    with desk.engine.begin() as connection:
        facts = {
            "role": "worker",
            "pid": 1,
            "host": "",
            "boot": "",
            "version": "",
            "command": "",
            "started": 0,
            "left": 1,
        }
        connection.execute(t.workers.insert(), facts)
    desk.submit([job("a")])
    with desk.engine.begin() as connection:
        connection.execute(t.accounts.insert(), {"origin": "o", "created": 1})
        connection.execute(
            t.batches.insert(),
            {"token": "t", "run": 1, "account": 1, "state": "submitted", "n": 1, "bytes": 1, "intended": 1},
        )
    return desk


def put(desk: Desk, state: State) -> None:
    """Job `a` into *state*, as a worker would have left it: attempt 1, and its row."""
    columns = {
        "state": state.value,
        "attempt": 1,
        "owner": ME if state is State.RUNNING else None,
        "batch": BATCH if state is State.IN_BATCH else None,
        "due": NOW if state is State.WAITING else None,
        "finished": NOW if state in FINAL else None,
    }

    def op(tx: Transaction) -> None:
        tx.connection.execute(t.jobs.update().values(**columns))
        tx.moved(RunId(1), MODEL, State.QUEUED, state)
        out = state in {State.RUNNING, State.IN_BATCH}
        attempt = {
            "job": 1,
            "n": 1,
            "via": "batch" if state is State.IN_BATCH else "realtime",
            "worker": ME,
            "claimed": NOW,
            "worst": 1000,
            "outcome": None if out else "error",
            "ended": None if out else NOW,
            "billed": None if out else "no",
        }
        tx.connection.execute(t.attempts.insert(), attempt)
        if out:
            tx.pay(RunId(1), reserved=1000)
        if state is State.SUCCEEDED:
            tx.connection.execute(
                t.results.insert(),
                {"job": 1, "attempt": 1, "winning": 1, "body": "old", "stop_reason": "end_turn", "received": 1},
            )

    desk.do(op)


def held(attempt: int = 1) -> Claim:
    return Claim(
        job=JobId(1),
        run=RunId(1),
        key="a",
        model=MODEL,
        attempt=attempt,
        tries=0,
        worker=ME,
        body="{}",
        est_input=1,
        max_tokens=1,
        worst=None,
        claimed=NOW,
    )


def claim(tx: Transaction) -> object:
    terms = runs.Terms(RunId(1), (), {}, None)
    return jobs.claim(tx, terms, MODEL, 1, ME, NOW, SharedParts())


def release(tx: Transaction) -> object:
    moved = jobs.release(tx, held())
    if moved:
        end_attempt(tx)
    return moved


def end_attempt(tx: Transaction) -> None:
    """What comes with an arrow that ends an attempt, so that the books stay true."""
    tx.connection.execute(
        t.attempts.update().where(t.attempts.c.outcome.is_(None)).values(outcome="error", ended=NOW, billed="no")
    )
    tx.pay(RunId(1), reserved=-1000)


def succeed(tx: Transaction) -> object:
    if not jobs.succeed(tx, held(), NOW):
        return False
    end_attempt(tx)
    tx.connection.execute(
        t.results.insert(),
        {"job": 1, "attempt": 1, "winning": 1, "body": "new", "stop_reason": "end_turn", "received": 1},
    )
    return True


def fail(tx: Transaction) -> object:
    moved = jobs.fail(tx, held(), NOW, "why")
    if moved:
        end_attempt(tx)
    return moved


def wait(tx: Transaction) -> object:
    moved = jobs.wait(tx, held(), NOW, "why", counts=True)
    if moved:
        end_attempt(tx)
    return moved


def stop(tx: Transaction) -> object:
    moved = jobs.stop(tx, held(), NOW)
    if moved:
        end_attempt(tx)
    return moved


def hold(tx: Transaction) -> object:
    tx.connection.execute(t.runs.update().values(on_crash=OnCrash.HOLD.value))
    return recovery.give_back(tx, ME, NOW)


def promote(tx: Transaction) -> object:
    return runs.promote(tx, NOW)


def cancel(tx: Transaction) -> object:
    return cancelling.cancel_jobs(tx, [JobId(1)], NOW)


def extend(tx: Transaction) -> object:
    return asked_on(tx, "max_tokens", Extend(20))


def go_on(tx: Transaction) -> object:
    return asked_on(tx, "pause_turn", GoOn())


def asked_on(tx: Transaction, reason: str, decision: Extend | GoOn) -> bool:
    """As `finish` does, for whoever holds the job."""
    body = f'{{"type":"message","content":[{{"type":"text","text":"half"}}],"stop_reason":"{reason}"}}'
    moved = sequel.asks_on(tx, ending(held(), replace(good(), answer=replace(good().answer, body=body)), decision))
    if moved:
        end_attempt(tx)
    return moved


def late(tx: Transaction) -> object:
    stale = replace(held(), attempt=2)
    tx.connection.execute(
        t.attempts.insert(),
        {
            "job": 1,
            "n": 2,
            "via": "realtime",
            "worker": ME,
            "claimed": NOW,
            "outcome": "unknown",
            "ended": 1,
            "billed": "maybe",
        },
    )
    tx.doubt(RunId(1), 1, 0)
    return finish.store(tx, ending(stale, good()))


DRAWN = {
    "claim": claim,
    "succeed": succeed,
    "fail": fail,
    "wait": wait,
    "release": release,
    "hold": hold,
    "stop": stop,
    "promote": promote,
    "cancel": cancel,
    "late": late,
    "extend": extend,
    "go_on": go_on,
}
ELSEWHERE = {"retry", "replace", "redo", "fall_back"}
"""Drawn by verbs of their own, below; the last one by every transaction (test_sequel)."""

LATER = {"bind", "unblock"}
"""Arrows of batches and of jobs that wait for others, which nothing here draws."""


def test_every_arrow_of_the_table_is_drawn() -> None:
    assert set(DRAWN) | ELSEWHERE | LATER == set(ARROWS)


@pytest.mark.parametrize(("name", "state"), list(product(DRAWN, State)))
def test_an_arrow_starts_where_the_table_says_and_nowhere_else(desk: Desk, name: str, state: State) -> None:
    if state is not State.QUEUED:
        put(desk, state)
    desk.do(DRAWN[name])
    arrow = ARROWS[name]
    starts = arrow.sources - ({State.IN_BATCH} if name not in {"late", "cancel"} else set())
    assert desk.states()["a"] == (arrow.target if state in starts else state)
    desk.check()


@pytest.mark.parametrize("state", State)
def test_retry_starts_where_the_table_says(desk: Desk, state: State) -> None:
    if state is not State.QUEUED:
        put(desk, state)
    done = retrying.retry(desk.do, RunId(1), NOW, lambda facts: True)
    allowed = state in ARROWS["retry"].sources
    assert desk.states()["a"] == (State.QUEUED if allowed else state)
    assert (done.queued, dict(done.left)) == ((1, {}) if allowed else (0, {state: 1}))
    desk.check()


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("changed", [None, Changed.KEEP, Changed.AGAIN])
def test_an_edited_job_is_replaced_where_the_table_says(desk: Desk, state: State, changed: Changed | None) -> None:
    if state is not State.QUEUED:
        put(desk, state)
    added = desk.submit([job("a", "edited", line=7)], changed=changed)
    replaced = state in ARROWS["replace"].sources or (changed is Changed.AGAIN and state in ARROWS["redo"].sources)
    assert desk.states()["a"] == (State.QUEUED if replaced else state)
    assert (added.replaced, added.kept) == (int(replaced), int(not replaced and changed is Changed.KEEP))
    assert bool(added.problems) is (not replaced and changed is not Changed.KEEP)
    desk.check()


@pytest.mark.parametrize("wrong", [{"worker": WorkerId(2)}, {"attempt": 2}, {"attempt": 0}, {"job": JobId(9)}])
@pytest.mark.parametrize("outcome", [good(), dropped()])
def test_who_does_not_hold_a_job_moves_it_nowhere(desk: Desk, wrong: dict[str, int], outcome: object) -> None:
    put(desk, State.RUNNING)
    stranger = replace(held(), **wrong)  # type: ignore[arg-type]  # one field of a claim

    def op(tx: Transaction) -> list[bool | None]:
        return [
            jobs.succeed(tx, stranger, NOW),
            jobs.fail(tx, stranger, NOW, "why"),
            jobs.wait(tx, stranger, NOW, "why", counts=True),
            jobs.release(tx, stranger),
            jobs.stop(tx, stranger, NOW),
            bool(jobs.wished_away(tx, stranger)),
        ]

    assert desk.do(op) == [False] * 6
    assert desk.states() == {"a": "running"}
    desk.check()


def test_no_statement_is_written_for_an_arrow_that_the_table_does_not_know() -> None:
    with pytest.raises(ValueError, match="no arrow promote starts at running"):
        jobs.arrow("promote", State.RUNNING)


@pytest.mark.parametrize(
    "columns",
    [
        {"state": "unheard_of"},
        {"state": "running"},
        {"owner": 1},
        {"state": "in_batch"},
        {"batch": 1},
        {"state": "waiting"},
        {"due": 1},
        {"state": "failed"},
        {"finished": 1},
        {"tries": 1},
        {"run": 99},
    ],
)
def test_the_database_refuses_what_cannot_be(desk: Desk, columns: dict[str, object]) -> None:
    with pytest.raises(sa.exc.IntegrityError), desk.engine.begin() as connection:
        connection.execute(t.jobs.update().values(**columns))


@pytest.mark.parametrize(
    "columns",
    [
        {"state": "unheard_of"},
        {"state": "loading"},
        {"state": "done"},
        {"state": "cancelled"},
        {"done": 1},
        {"mode": "sometimes"},
        {"on_crash": "hope"},
        {"spent": -1},
        {"reserved": -1},
    ],
)
def test_nor_such_a_run(desk: Desk, columns: dict[str, object]) -> None:
    with pytest.raises(sa.exc.IntegrityError), desk.engine.begin() as connection:
        connection.execute(t.runs.update().values(**columns))


def test_an_attempt_that_has_ended_says_how(desk: Desk) -> None:
    put(desk, State.RUNNING)
    for columns in (
        {"ended": 1},
        {"outcome": "ok"},
        {"outcome": "fine", "ended": 1},
        {"billed": "perhaps"},
        {"via": "mail"},
    ):
        with pytest.raises(sa.exc.IntegrityError), desk.engine.begin() as connection:
            connection.execute(t.attempts.update().values(**columns))


def test_a_job_has_one_winning_result(desk: Desk) -> None:
    put(desk, State.SUCCEEDED)
    with desk.engine.begin() as connection:
        connection.execute(t.attempts.insert(), {"job": 1, "n": 2, "via": "realtime", "claimed": 1})
    row = {"job": 1, "attempt": 2, "winning": 1, "body": "b", "stop_reason": "s", "received": 1}
    with pytest.raises(sa.exc.IntegrityError), desk.engine.begin() as connection:
        connection.execute(t.results.insert(), row)


def test_on_crash_says_what_becomes_of_a_dead_workers_job(desk: Desk) -> None:
    worker = desk.work()
    for on_crash, state in ((OnCrash.RETRY, "queued"), (OnCrash.HOLD, "held"), (OnCrash.FAIL, "failed")):
        name = f"run-{on_crash}"
        desk.submit([job(f"in-{name}")], name=name, terms=RunTerms(on_crash=on_crash))
        run = desk.rows(sa.select(t.runs.c.id).where(t.runs.c.name == name))[0][0]
        desk.claim(worker, run=run)
        desk.do(partial(recovery.give_back, dead=worker, now=Millis(NOW + 1)))
        assert desk.states(run) == {f"in-{name}": state}
        assert desk.attempts(f"in-{name}") == [("unknown", "maybe", None, 1000)]
        assert desk.money(run) == (1000, 0)
    desk.check()
