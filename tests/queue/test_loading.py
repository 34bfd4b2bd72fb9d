"""Submit: all or nothing, the same again is nothing, an edited file is only what changed."""

from __future__ import annotations

from tests.queue.desk import Desk, job, jobs


def test_a_submit_makes_an_open_run_with_queued_jobs(desk: Desk) -> None:
    added = desk.submit(jobs("abc"))
    assert (added.new, added.unchanged, added.fresh, added.name) == (3, 0, True, "jobs")
    assert desk.states() == {"a": "queued", "b": "queued", "c": "queued"}
    assert desk.run_states() == {"jobs": "open"}
    desk.check()


def test_the_same_jobs_again_add_nothing(desk: Desk) -> None:
    desk.submit(jobs("abc"))
    added = desk.submit(jobs("abc"))
    assert (added.new, added.unchanged, added.fresh) == (0, 3, False)
    assert desk.run_states() == {"jobs": "open"}
    desk.check()


def test_an_edited_file_adds_what_is_new_and_replaces_what_changed(desk: Desk) -> None:
    desk.submit(jobs("abc"))
    added = desk.submit([job("a"), job("b", "edited", line=2), job("d", line=4)])
    assert (added.new, added.unchanged, added.replaced) == (1, 1, 1)
    assert desk.states() == dict.fromkeys("abcd", "queued")
    desk.check()
