"""Pilots: one job of each shape goes realtime before a batch of its like, or the first few of a submit do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
import sqlalchemy as sa

from batchrun.core.job import Job, Nanos, RunId, WorkerId
from batchrun.queue import loading, pilots, retrying
from batchrun.queue import tables as t
from batchrun.queue.loading import Loading
from batchrun.queue.submit import MOST_PILOTS, Changed, RunTerms, Totals
from tests.queue.desk import MODEL, NOW, Desk, card, good, job, refused


def shaped(keys: Iterable[str], shapes: Iterable[str], text: str = "hello", **more: object) -> list[Job]:
    """A job for each of *keys*; each character of *shapes* is one. `!` is a job that batches refuse."""
    return [
        replace(job(key, text, line=line), shape=shape.encode(), realtime_only=shape == "!", **more)  # type: ignore[arg-type]  # the caller's own
        for line, (key, shape) in enumerate(zip(keys, shapes, strict=True), 1)
    ]


def ways(desk: Desk, run: int = 1) -> dict[str, int]:
    return dict(desk.rows(sa.select(t.jobs.c.key, t.jobs.c.way).where(t.jobs.c.run == run).order_by(t.jobs.c.seq)))


def going_first(desk: Desk, run: int = 1) -> str:
    return "".join(key for key, way in ways(desk, run).items() if way == 2)


def known(desk: Desk, run: int = 1) -> set[str]:
    return {shape.decode() for (shape,) in desk.rows(sa.select(t.shapes.c.shape).where(t.shapes.c.run == run))}


# -- a new run -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_the_first_job_of_each_shape_goes_first(desk: Desk, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(loading, "CHUNK", chunk)
    added = desk.submit(shaped("abcdef", "xxyxyz"))
    assert going_first(desk) == "acf"
    assert known(desk) == set("xyz")
    assert added.pilots == 3
    assert added.realtime == {MODEL: Totals(jobs=3, est_input=15, max_tokens=30, worst=3_000)}
    assert added.totals[MODEL].jobs == 6
    desk.check()


def test_a_job_that_batches_refuse_goes_realtime_and_is_nobodys_pilot(desk: Desk) -> None:
    added = desk.submit(shaped("abcd", "!!xx"))
    assert ways(desk) == {"a": 1, "b": 1, "c": 2, "d": 0}
    assert known(desk) == {"x"}
    assert (added.pilots, added.realtime[MODEL].jobs) == (1, 3)


def test_a_job_whose_shape_nobody_told_is_sent_as_its_run_goes(desk: Desk) -> None:
    desk.submit([job("a")])
    assert ways(desk) == {"a": 0}


def test_a_run_may_go_without_pilots(desk: Desk) -> None:
    desk.submit(shaped("abc", "xy!"), terms=RunTerms(pilot=0, look=False))
    assert ways(desk) == {"a": 0, "b": 0, "c": 1}
    assert known(desk) == set()


def test_a_run_whose_every_job_has_another_shape_is_not_sent_realtime_as_a_whole(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pilots, "MOST_PILOTS", 3)
    desk.submit(shaped("abcdef", "uvwxyz"))
    assert going_first(desk) == "abc"
    assert known(desk) == set("uvw")
    desk.submit(shaped("abcdefg", "uvwxyz0"))
    assert going_first(desk) == "abc"


def test_no_more_shapes_are_remembered_than_can_be_of_use(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pilots, "REMEMBERED", 2)
    desk.submit(shaped("abcdef", "xyzxyz"))
    assert going_first(desk) == "ab"


def test_the_first_few_of_a_submit_go_first_whatever_their_shape(desk: Desk) -> None:
    added = desk.submit(shaped("abcdef", "!xxyxz"), terms=RunTerms(pilot=3, look=True))
    assert ways(desk) == {"a": 1, "b": 2, "c": 2, "d": 2, "e": 0, "f": 0}
    assert desk.rows(sa.select(t.runs.c.pilot, t.runs.c.look)) == [(3, 1)]
    assert known(desk) == {"x", "y"}
    assert added.pilots == 3


def test_more_pilots_than_jobs_are_all_jobs(desk: Desk) -> None:
    assert desk.submit(shaped("ab", "xx"), terms=RunTerms(pilot=9, look=True)).pilots == 2
    assert going_first(desk) == "ab"


def test_ids_that_stand_twice_do_not_disturb_it(desk: Desk) -> None:
    locks = desk.locks
    with Loading(desk.engine, locks, card(pid=3), name="jobs", sources=["jobs.jsonl"]) as submit:
        submit.add(shaped("aab", "xyy"))
        assert len(submit.draft().problems) == 1
    assert desk.rows(sa.select(sa.func.count()).select_from(t.shapes)) == [(0,)]


def test_a_run_that_is_only_looked_at_tells_its_pilots_too(desk: Desk) -> None:
    with Loading(desk.engine, desk.locks, card(pid=3), name="jobs", sources=["jobs.jsonl"]) as submit:
        submit.only_look()
        submit.add(shaped("abc", "xyx"))
        assert submit.draft().pilots == 2


# -- an edited file ----------------------------------------------------------------------------------------------------


def test_new_jobs_of_a_known_shape_need_no_pilot_and_those_of_a_new_one_do(desk: Desk) -> None:
    desk.submit(shaped("ab", "xx"))
    added = desk.submit(shaped("abcde", "xxxyy"))
    assert going_first(desk) == "ad"
    assert known(desk) == set("xy")
    assert (added.new, added.pilots) == (3, 1)
    desk.check()


def test_a_changed_job_of_a_new_shape_is_a_pilot(desk: Desk) -> None:
    desk.submit(shaped("abcd", "xxxx"))
    desk.submit(shaped("abcd", "xxyy", "edited"))
    assert going_first(desk) == "ac"
    assert known(desk) == set("xy")
    desk.check()


def test_a_pilot_whose_file_was_edited_goes_first_again(desk: Desk) -> None:
    desk.submit(shaped("abc", "xxx"))
    (claim,) = desk.claim(desk.work())
    desk.finish(claim, refused())
    desk.submit(shaped("abc", "xxx", "put right"))
    assert desk.states() == dict.fromkeys("abc", "queued")
    assert going_first(desk) == "a"


def test_an_edit_may_make_a_job_one_that_batches_refuse_and_back(desk: Desk) -> None:
    desk.submit(shaped("abc", "xxx"))
    desk.submit(shaped("abc", "!!x", "fast"))
    assert ways(desk) == {"a": 1, "b": 1, "c": 0}
    desk.submit(shaped("abc", "xxx", "slow"))
    assert ways(desk) == {"a": 0, "b": 0, "c": 0}


def test_what_stays_as_it_is_is_no_pilot_of_the_others(desk: Desk) -> None:
    desk.submit(shaped("abcd", "xxxx"))
    first, _out = desk.claim(desk.work(), 2)
    desk.finish(first, good())
    added = desk.submit(shaped("abcd", "yyyy", "edited"), changed=Changed.KEEP)
    assert (added.kept, added.replaced, added.pilots) == (2, 2, 1)
    assert going_first(desk) == "ac"
    assert known(desk) == set("xy")
    desk.check()


def test_the_first_few_of_an_edited_file_are_those_that_changed(desk: Desk) -> None:
    desk.submit(shaped("abcdef", "xxxxxx"), terms=RunTerms(pilot=0, look=False))
    edited = [*shaped("abc", "xxx"), *shaped("defg", "xxyx", "edited")]
    added = desk.submit(edited, terms=RunTerms(pilot=2, look=True))
    assert added.pilots == 2
    assert going_first(desk) == "de"
    assert known(desk) == {"x"}


def test_a_submit_that_says_nothing_of_pilots_leaves_the_run_as_it_is(desk: Desk) -> None:
    desk.submit(shaped("ab", "xx"), terms=RunTerms(pilot=0, look=False))
    desk.submit(shaped("abc", "xxy"))
    assert going_first(desk) == ""
    desk.submit(shaped("abcd", "xxyz"), terms=RunTerms(pilot=1, look=False))
    assert going_first(desk) == "d"


def test_a_known_run_may_do_without_the_pilots_that_it_still_has(desk: Desk) -> None:
    desk.submit(shaped("abc!", "xyx!"))
    (claim,) = desk.claim(desk.work())
    desk.finish(claim, good())
    desk.submit(shaped("abc!", "xyx!"), terms=RunTerms(pilot=0, look=False))
    assert ways(desk) == {"a": 2, "b": 0, "c": 0, "!": 1}  # what is over stays as it was


def test_jobs_that_are_replaced_in_an_older_run_have_their_pilot_there(desk: Desk) -> None:
    desk.submit(shaped("ab", "xx"))
    desk.submit(shaped("cd", "xx"))  # nothing is known of it: jobs-2
    added = desk.submit([*shaped("ab", "yy", "edited"), *shaped("cde", "xxy")])
    assert desk.rows(sa.select(t.runs.c.name)) == [("jobs",), ("jobs-2",)]
    assert (going_first(desk, 1), going_first(desk, 2)) == ("a", "ce")
    assert (known(desk, 1), known(desk, 2)) == (set("xy"), set("xy"))
    assert added.pilots == 2
    desk.check()


def test_what_another_submit_added_meanwhile_has_its_pilot_already(desk: Desk) -> None:
    with Loading(desk.engine, desk.locks, card(pid=3), name="jobs", sources=["jobs.jsonl"]) as submit:
        submit.add(shaped("abc", "xxy"))
        desk.submit(shaped("ab", "xx"))
        added = submit.accept(NOW)
    assert (added.new, added.unchanged, added.pilots) == (1, 2, 1)
    assert going_first(desk, added.run) == "ac"
    desk.check()


# -- put back with another request -------------------------------------------------------------------------------------


def put_back(desk: Desk, shape: str, **more: bool) -> None:
    """Set something anew in all jobs that failed, by which they are of *shape*."""

    def measure(_text: str) -> retrying.Measured:
        return retrying.Measured(
            model=MODEL, size=1, est_input=1, max_tokens=1, worst=Nanos(1), shape=shape.encode(), **more
        )

    change = retrying.Change(members={"max_tokens": "1"}, measure=measure)
    retrying.retry(desk.do, RunId(1), NOW, lambda _job: True, change=change)


def fail_all(desk: Desk, worker: WorkerId) -> None:
    for claim in desk.claim(worker, 9):
        desk.finish(claim, refused())


def test_a_new_shape_that_was_set_has_its_pilot_and_what_was_a_pilot_stays_one(desk: Desk) -> None:
    desk.submit(shaped("abc", "!xx"))
    assert going_first(desk) == "b"
    worker = desk.work()
    fail_all(desk, worker)
    put_back(desk, "x")
    assert going_first(desk) == "b"
    fail_all(desk, worker)
    put_back(desk, "y")
    assert ways(desk) == {"a": 2, "b": 2, "c": 0}
    assert known(desk) == set("xy")
    desk.check()


def test_a_run_that_had_enough_pilots_gets_none_by_setting_something(desk: Desk) -> None:
    desk.submit(shaped("ab", "xx"))
    desk.do(
        lambda tx: tx.run_many(pilots._NOTE, ("run", "shape"), [(1, bytes([n])) for n in range(MOST_PILOTS)]),
    )
    fail_all(desk, desk.work())
    put_back(desk, "y")
    assert going_first(desk) == "a"
    assert "y" not in known(desk)


def test_neither_does_one_that_goes_without(desk: Desk) -> None:
    desk.submit(shaped("ab", "xx"), terms=RunTerms(pilot=0, look=False))
    fail_all(desk, desk.work())
    put_back(desk, "y")
    assert ways(desk) == {"a": 0, "b": 0}
    assert known(desk) == set()


def test_what_was_set_may_be_what_batches_refuse(desk: Desk) -> None:
    desk.submit(shaped("ab", "xx"))
    fail_all(desk, desk.work())
    put_back(desk, "y", realtime_only=True)
    assert ways(desk) == {"a": 1, "b": 1}
    assert known(desk) == {"x"}
