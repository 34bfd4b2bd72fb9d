"""Cancelling: the run says no at once, its jobs follow, and what is out keeps its answer if one comes."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from batchrun.core.job import JobId, RunId
from batchrun.queue import cancelling
from batchrun.queue import tables as t
from batchrun.queue.cancelling import Cancelled
from batchrun.queue.transaction import Transaction
from tests.queue.desk import NOW, Desk, dropped, good, jobs, refused


def mixed(desk: Desk) -> None:
    """A run with a job in every state that realtime work leads to: succeeded, failed, waiting, running, queued."""
    desk.submit(jobs("sfwrq"))
    worker = desk.work()
    succeeded, failed, waiting, _running = desk.claim(worker, 4)
    desk.finish(succeeded, good())
    desk.finish(failed, refused())
    desk.finish(waiting, dropped())


def test_what_is_not_out_is_cancelled_and_what_is_gets_the_wish(desk: Desk) -> None:
    mixed(desk)
    assert cancelling.cancel_run(desk.do, RunId(1), NOW) == Cancelled(cancelled=2, wished=1)
    assert desk.run_states() == {"jobs": "cancelled"}
    assert desk.states() == {"s": "succeeded", "f": "failed", "w": "cancelled", "r": "running", "q": "cancelled"}
    j = t.jobs.c
    wishes = desk.rows(sa.select(j.key).where(j.cancel_requested.is_not(None)).order_by(j.seq))
    assert wishes == [("w",), ("r",), ("q",)]
    desk.check()


def test_cancelled_twice_is_cancelled_once(desk: Desk) -> None:
    mixed(desk)
    cancelling.cancel_run(desk.do, RunId(1), NOW)
    assert cancelling.cancel_run(desk.do, RunId(1), NOW) == Cancelled()
    desk.check()


def test_the_first_transaction_already_stops_everything(desk: Desk) -> None:
    desk.submit(jobs("abc"))
    worker = desk.work()
    steps: list[tuple[int, dict[str, str]]] = []

    def perform(op: object) -> object:
        result = desk.do(op)  # type: ignore[arg-type, var-annotated]  # any operation
        steps.append((len(desk.claim(worker, 9)), desk.run_states()))
        return result

    cancelling.cancel_run(perform, RunId(1), NOW)  # type: ignore[arg-type]  # as above
    assert len(steps) > 2
    assert set(map(str, steps)) == {"(0, {'jobs': 'cancelled'})"}


def test_a_large_run_follows_in_chunks(desk: Desk) -> None:
    n = 2 * cancelling.CHUNK + 10
    desk.submit(jobs(f"{at:05}" for at in range(n)))
    sizes: list[int] = []

    def perform(op: object) -> object:
        before = len([state for state in desk.states().values() if state == "cancelled"])
        result = desk.do(op)  # type: ignore[arg-type, var-annotated]  # any operation
        sizes.append(len([state for state in desk.states().values() if state == "cancelled"]) - before)
        return result

    done = cancelling.cancel_run(perform, RunId(1), NOW)  # type: ignore[arg-type]  # as above
    assert done.cancelled == n
    assert max(sizes) == cancelling.CHUNK
    desk.check()


def test_a_run_that_is_done_stays_as_it_is(desk: Desk) -> None:
    desk.submit(jobs("a"))
    (claim,) = desk.claim(desk.work())
    desk.finish(claim, good())
    desk.wait(desk.store.settle(NOW))
    assert cancelling.cancel_run(desk.do, RunId(1), NOW) == Cancelled()
    assert desk.run_states() == {"jobs": "done"}


def test_single_jobs_can_be_cancelled_while_their_run_goes_on(desk: Desk) -> None:
    mixed(desk)
    numbers = [JobId(number) for (number,) in desk.rows(sa.select(t.jobs.c.id))]

    def op(tx: Transaction) -> Cancelled:
        return cancelling.cancel_jobs(tx, [*numbers, JobId(999)], NOW)

    assert desk.do(op) == Cancelled(cancelled=2, wished=1, final=2)
    assert desk.run_states() == {"jobs": "open"}
    assert desk.states() == {"s": "succeeded", "f": "failed", "w": "cancelled", "r": "running", "q": "cancelled"}
    assert desk.do(op) == Cancelled(wished=1, final=4)
    desk.check()


@pytest.mark.parametrize("state", ["held", "blocked"])
def test_what_waits_for_somebody_is_cancelled_too(desk: Desk, state: str) -> None:
    desk.submit(jobs("ab"))
    with desk.engine.begin() as connection:
        connection.execute(t.jobs.update().values(state=state))
        connection.execute(t.run_counts.update().values(state=state))
    assert cancelling.cancel_run(desk.do, RunId(1), NOW).cancelled == 2
    desk.check()
