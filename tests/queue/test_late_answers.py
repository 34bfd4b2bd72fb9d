"""A late answer to another request than the job asks now is kept, and never becomes the job's."""

from __future__ import annotations

import pytest

from batchrun.core.claim import Kept
from batchrun.core.job import RunId
from batchrun.queue import cancelling, recovery, retrying
from tests.queue.desk import MODEL, NOW, Desk, good, jobs


def test_a_late_answer_to_what_the_file_said_before_is_kept_and_does_not_win(desk: Desk) -> None:
    desk.submit(jobs("a"))
    worker = desk.work()
    (before,) = desk.claim(worker)
    desk.do(lambda tx: recovery.give_back(tx, worker, NOW))
    desk.submit(jobs("a", "edited"))
    assert desk.finish(before, good("old")) is Kept.TWICE
    assert desk.states() == {"a": "queued"}
    (now,) = desk.claim(worker)
    assert desk.finish(now, good("new")) is Kept.CURRENT
    assert desk.results("a") == [(1, 0, "old"), (2, 1, "new")]
    desk.check()


def test_nor_does_it_while_the_new_request_is_out(desk: Desk) -> None:
    desk.submit(jobs("a"))
    worker = desk.work()
    (before,) = desk.claim(worker)
    desk.do(lambda tx: recovery.give_back(tx, worker, NOW))
    desk.submit(jobs("a", "edited"))
    (now,) = desk.claim(worker)
    desk.do(lambda tx: recovery.give_back(tx, worker, NOW))
    desk.claim(worker)
    assert desk.finish(before, good("old")) is Kept.TWICE
    assert desk.states() == {"a": "running"}
    assert desk.finish(now, good("new")) is Kept.LATE  # of what it asks now
    assert desk.results("a") == [(1, 0, "old"), (2, 1, "new")]
    desk.check()


@pytest.mark.parametrize(("members", "kept"), [(None, Kept.LATE), ({"max_tokens": "7"}, Kept.TWICE)])
def test_a_late_answer_after_a_retry_wins_unless_something_was_set(
    desk: Desk, members: dict[str, str] | None, kept: Kept
) -> None:
    desk.submit(jobs("a"))
    worker = desk.work()
    (before,) = desk.claim(worker)
    desk.do(lambda tx: recovery.give_back(tx, worker, NOW))
    desk.do(lambda tx: cancelling.cancel_jobs(tx, [before.job], NOW))
    measured = retrying.Measured(model=MODEL, size=1, est_input=1, max_tokens=7, worst=None)
    change = None if members is None else retrying.Change(members=members, measure=lambda _: measured)
    retrying.retry(desk.do, RunId(1), NOW, lambda _: True, change=change)
    assert desk.states() == {"a": "queued"}
    assert desk.finish(before, good()) is kept
    assert desk.states() == {"a": "succeeded" if kept is Kept.LATE else "queued"}
    desk.check()
