"""Removing a run while others work on it: nothing comes back into a run that is going."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from batchrun.core.job import RunId
from batchrun.queue import removing, retrying, runfacts
from batchrun.queue import tables as t
from batchrun.queue.writing import Op
from tests.queue.desk import NOW, Desk, good, jobs, refused


def failed(desk: Desk) -> None:
    desk.submit(jobs("ab"))
    for claim in desk.claim(desk.work(), 2):
        desk.finish(claim, refused())
    desk.do(lambda tx: tx.connection.execute(t.runs.update().values(state="done", done=NOW)))


def test_a_retry_that_comes_too_late_puts_nothing_back_into_a_run_that_is_being_removed(desk: Desk) -> None:
    failed(desk)
    looked = 0

    def perform(op: Op[Any]) -> Any:
        """Somebody removes the run between what a retry sees and what it does."""
        nonlocal looked
        found = desk.do(op)
        if getattr(op, "func", None) is retrying._page and not looked:
            looked += 1
            assert desk.do(lambda tx: removing.take(tx, RunId(1), NOW, spent=0))
        return found

    assert retrying.retry(perform, RunId(1), NOW, lambda _: True).queued == 0
    assert looked == 1
    assert set(desk.states().values()) == {"failed"}
    assert not desk.do(lambda tx: runfacts.rename(tx, RunId(1), "kept"))
    assert desk.do(removing.taken) == [RunId(1)]
    removing.remove(desk.do, RunId(1), NOW)
    assert desk.rows(sa.select(t.runs.c.id)) == desk.rows(sa.select(t.jobs.c.id)) == []


def test_a_run_with_something_put_back_is_not_removed(desk: Desk) -> None:
    failed(desk)
    retrying.retry(desk.do, RunId(1), NOW, lambda _: True)
    assert not desk.do(lambda tx: removing.take(tx, RunId(1), NOW, spent=0))
    assert desk.states() == {"a": "queued", "b": "queued"}


def test_a_run_that_bought_more_since_it_was_looked_at_is_not_removed(desk: Desk) -> None:
    failed(desk)
    retrying.retry(desk.do, RunId(1), NOW, lambda _: True)
    for claim in desk.claim(desk.work(), 2):
        desk.finish(claim, good())
    assert not desk.do(lambda tx: removing.take(tx, RunId(1), NOW, spent=0))
    assert desk.states() == {"a": "succeeded", "b": "succeeded"}
    assert desk.do(lambda tx: removing.take(tx, RunId(1), NOW, spent=100))
