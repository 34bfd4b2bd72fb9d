"""Runs as a worker sees them: what has work, what is due, what is done."""

from __future__ import annotations

import sqlalchemy as sa

from batchrun.core.job import Millis, Nanos, RunId
from batchrun.core.retry import Wait
from batchrun.queue import runs
from batchrun.queue import tables as t
from batchrun.queue.submit import RunTerms
from tests.queue.desk import MODEL, NOW, Desk, dropped, good, job, jobs


def test_work_is_told_with_all_that_the_scheduler_needs_of_it(desk: Desk) -> None:
    terms = RunTerms(mode="realtime", priority=4, tries=7, budget=Nanos(5000), betas=("b",), headers={"h": "v"})
    desk.submit([job("a"), job("b", model="other"), job("c"), job("d")], terms=terms)
    desk.submit(jobs("x"), name="more")
    worker = desk.work()
    first, second = desk.claim(worker, 2)
    desk.finish(first, good(), cost=100)
    desk.finish(second, dropped())
    desk.claim(worker)
    one, other = desk.wait(desk.store.work(NOW))
    assert (one.id, one.name, one.mode, one.priority, one.policy.tries) == (1, "jobs", "realtime", 4, 7)
    assert (dict(one.queued), one.waiting, one.account) == ({"other": 1}, 1, None)
    assert (one.budget, one.left) == (5000, 5000 - 100 - 1000 - 1000)
    assert (one.betas, one.headers) == (("b",), {"h": "v"})
    assert (other.id, dict(other.queued), other.budget, other.left) == (2, {MODEL: 1}, None, None)


def test_runs_without_anything_to_send_are_not_work(desk: Desk) -> None:
    desk.submit(jobs("a"))
    (claim,) = desk.claim(desk.work())
    assert desk.wait(desk.store.work(NOW)) == []
    desk.finish(claim, good())
    assert desk.wait(desk.store.work(NOW)) == []


def wait_until(desk: Desk, due: dict[str, int]) -> None:
    """Jobs that wait, each until its own time."""
    desk.submit(jobs(due))
    for claim in desk.claim(desk.work(), len(due)):
        desk.finish(claim, dropped(), Wait((due[claim.key] - NOW) / 1000, counts=False))


def test_the_longest_due_are_promoted_first_and_never_too_many_at_once(desk: Desk) -> None:
    wait_until(desk, {f"{n:04}": NOW + 1000 + (n * 7) % 1500 for n in range(1500)})
    moment = Millis(NOW + 5000)
    assert desk.do(lambda tx: runs.promote(tx, moment)) == runs.PROMOTED
    desk.check()
    j = t.jobs.c
    queued = desk.rows(sa.select(j.key).where(j.state == "queued"))
    assert {(int(key) * 7) % 1500 for (key,) in queued} == set(range(1000))
    assert desk.do(lambda tx: runs.promote(tx, moment)) == 500
    assert desk.do(lambda tx: runs.promote(tx, moment)) == 0
    desk.check()


def test_who_is_not_due_stays(desk: Desk) -> None:
    wait_until(desk, {"a": NOW + 1000, "b": NOW + 1001})
    desk.wait(desk.store.work(Millis(NOW + 1000)))
    assert desk.states() == {"a": "queued", "b": "waiting"}
    desk.check()


def test_the_next_due_time_is_told_by_run_and_model(desk: Desk) -> None:
    assert desk.wait(desk.store.next_due()) == []
    wait_until(desk, {"a": NOW + 3000, "b": NOW + 1000})
    assert desk.wait(desk.store.next_due()) == [(1, MODEL, NOW + 1000)]


def test_a_run_is_done_when_all_its_jobs_are_final(desk: Desk) -> None:
    desk.submit(jobs("ab"))
    desk.submit(jobs("x"), name="other")
    worker = desk.work()
    first, second = desk.claim(worker, 2)
    desk.finish(first, good())
    assert desk.wait(desk.store.settle(NOW)) == []
    desk.finish(second, good())
    assert desk.wait(desk.store.settle(Millis(NOW + 7))) == [(1, "jobs")]
    assert desk.wait(desk.store.settle(NOW)) == []
    assert desk.rows(sa.select(t.runs.c.state, t.runs.c.done).order_by(t.runs.c.id)) == [
        ("done", NOW + 7),
        ("open", None),
    ]


def test_a_run_with_a_job_that_is_held_is_not_done(desk: Desk) -> None:
    desk.submit(jobs("a"))
    with desk.engine.begin() as connection:
        connection.execute(t.jobs.update().values(state="held"))
        connection.execute(t.run_counts.update().values(state="held"))
    assert desk.wait(desk.store.settle(NOW)) == []


def test_a_run_belongs_to_the_account_of_its_first_answer(desk: Desk) -> None:
    desk.submit(jobs("a"))
    with desk.engine.begin() as connection:
        connection.execute(t.accounts.insert(), [{"origin": "o", "name": name, "created": 1} for name in "ab"])
    assert desk.wait(desk.store.bind(RunId(1), 1)) is True
    assert desk.wait(desk.store.bind(RunId(1), 1)) is True
    assert desk.wait(desk.store.bind(RunId(1), 2)) is False
    assert desk.rows(sa.select(t.runs.c.account)) == [(1,)]
