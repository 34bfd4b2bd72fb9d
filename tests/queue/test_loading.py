"""Submit: all or nothing; the same again is nothing; an edited file is only what changed; a crash leaves no trace."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from batchrun.core.claim import OnCrash
from batchrun.core.job import Job, Millis, Nanos, RunId, Where
from batchrun.errors import StoreError, UsageError
from batchrun.queue import cancelling, clearing, family, loading, merging
from batchrun.queue import tables as t
from batchrun.queue.connect import scratch_queue
from batchrun.queue.living import Living
from batchrun.queue.loading import Loading
from batchrun.queue.mistakes import unbounded
from batchrun.queue.submit import Added, Changed, RunTerms, Same, Totals
from batchrun.queue.transaction import Transaction
from tests.queue.desk import MODEL, NOW, Desk, card, good, job, jobs, on_file, presence_of, refused


def folder_of(desk: Desk) -> Path:
    return Living(desk.engine.url.database or "").folder


def begin(desk: Desk, name: str = "jobs", **more: object) -> Loading:
    """A submit of another process, not begun yet."""
    locks = presence_of(desk.engine)
    given: dict[str, object] = {"name": name, "sources": ["jobs.jsonl"], **more}
    return Loading(desk.engine, locks, card(pid=3), **given)  # type: ignore[arg-type]  # the caller's own


def bodies(desk: Desk) -> dict[str, str]:
    """Key to the text that its request says."""
    rows = desk.rows(sa.select(t.jobs.c.key, t.requests.c.own).join(t.requests, t.requests.c.job == t.jobs.c.id))
    return {key: json.loads(own)["messages"][0]["content"] for key, own in rows}


def told(added: Added) -> list[str]:
    return [f"{problem.code} {problem.where}: {problem.message}" for problem in added.problems]


# -- what goes wrong at the door ---------------------------------------------------------------------------------------


@on_file
@pytest.mark.parametrize("where", ["clear_dead", "hold", "prepare"])
def test_a_submit_that_cannot_begin_lets_go_of_everything(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise StoreError("no")

    owner = {"clear_dead": clearing, "hold": Living, "prepare": family}[where]
    monkeypatch.setattr(owner, where, fails)
    before = desk.engine.pool.checkedout()  # type: ignore[attr-defined]  # a queue pool
    loads = begin(desk)
    with pytest.raises(StoreError), loads:
        pytest.fail("it began")
    assert desk.engine.pool.checkedout() == before  # type: ignore[attr-defined]  # a queue pool
    assert not folder_of(desk).exists() or list(folder_of(desk).iterdir()) == []
    assert desk.run_states() == {}


# -- a new run -------------------------------------------------------------------------------------------------------


def test_a_submit_makes_an_open_run_with_queued_jobs(desk: Desk) -> None:
    added = desk.submit(jobs("abc"), digest=b"d")
    assert added == Added(
        run=RunId(1),
        name="jobs",
        fresh=True,
        new=3,
        totals={MODEL: Totals(jobs=3, est_input=15, max_tokens=30, worst=3000)},
    )
    assert desk.states() == {"a": "queued", "b": "queued", "c": "queued"}
    assert desk.run_states() == {"jobs": "open"}
    facts = (t.runs.c.source, t.runs.c.source_digest, t.runs.c.loader, t.runs.c.stem, t.runs.c.mode, t.runs.c.tries)
    assert desk.rows(sa.select(*facts)) == [('["jobs.jsonl"]', b"d", None, "jobs", "auto", 5)]
    desk.check()


def test_a_run_is_told_its_terms(desk: Desk) -> None:
    terms = RunTerms(
        mode="batch",
        priority=3,
        deadline=Millis(9),
        on_crash=OnCrash.HOLD,
        tries=7,
        betas=("b",),
        headers={"h": "v"},
        budget=Nanos(12),
    )
    desk.submit(jobs("a"), terms=terms)
    names = ["mode", "priority", "deadline", "on_crash", "tries", "betas", "headers", "budget"]
    assert desk.rows(sa.select(*(t.runs.c[name] for name in names))) == [
        ("batch", 3, 9, "hold", 7, '["b"]', '{"h": "v"}', 12)
    ]


def test_each_job_is_stored_as_its_file_said_it(desk: Desk) -> None:
    one = replace(
        job("a", line=4, file=1, max_tokens=9, worst=None),
        est_input=77,
        size=123,
        metadata='{"row":1}',
        where=Where("b.jsonl", 4),
    )
    desk.submit([one], sources=["a.jsonl", "b.jsonl"])
    names = ["key", "seq", "file", "line", "model", "size", "est_input", "max_tokens", "worst", "digest"]
    assert desk.rows(sa.select(*(t.jobs.c[name] for name in names))) == [
        ("a", 0, 1, 4, MODEL, 123, 77, 9, None, one.digest)
    ]
    assert desk.rows(sa.select(t.requests.c.own, t.requests.c.metadata)) == [(one.request.own, '{"row":1}')]
    assert desk.wait(desk.store.work(NOW))[0].queued == {MODEL: 1}


def test_nothing_can_be_seen_before_it_is_accepted(desk: Desk) -> None:
    worker = desk.work()
    with begin(desk) as submit:
        submit.add(jobs("ab"))
        assert submit.draft().new == 2
        assert desk.wait(desk.store.work(NOW)) == []
        assert desk.claim(worker, run=1) == ()
        assert desk.wait(desk.store.settle(NOW)) == []
        desk.check()
        submit.accept(NOW)
    assert [run.name for run in desk.wait(desk.store.work(NOW))] == ["jobs"]
    desk.check()


@on_file
def test_a_submit_that_is_given_up_leaves_nothing(desk: Desk) -> None:
    with begin(desk) as submit:
        submit.add(jobs("ab"))
    for table in (t.runs, t.run_counts, t.jobs, t.requests):
        assert desk.rows(sa.select(sa.func.count()).select_from(table)) == [(0,)]
    assert sorted(path.name for path in folder_of(desk).iterdir()) == []


def test_so_does_one_that_fails_on_the_way(desk: Desk) -> None:
    def broken() -> Iterator[Job]:
        yield job("a")
        raise RuntimeError("while reading the file")

    with pytest.raises(RuntimeError, match="while reading"), begin(desk) as submit:
        submit.add(broken())
    assert desk.states() == {}
    assert desk.run_states() == {}


DIE = """
import os, signal, sys
from batchrun.queue.connect import open_queue
from batchrun.queue.loading import Loading
from batchrun.queue.living import Living
from tests.queue.desk import card, jobs
with Loading(open_queue(sys.argv[1]), Living(sys.argv[1]), card(), name="jobs", sources=["f"]) as loading:
    loading.add(jobs(str(n) for n in range(100)))
    os.kill(os.getpid(), signal.SIGKILL)
"""


@on_file
def test_what_a_dead_submit_left_is_cleared_by_the_next_and_what_a_living_one_loads_is_not(desk: Desk) -> None:
    died = subprocess.run([sys.executable, "-c", DIE, str(desk.engine.url.database)], check=False)
    assert died.returncode == -signal.SIGKILL
    assert len(desk.states()) == 100
    desk.check()
    with begin(desk, "other") as living:
        assert desk.states() == {}
        living.add(jobs("xy"))
        desk.submit(jobs("ab"))
        assert set(desk.states()) == set("xyab")
        living.accept(NOW)
    assert desk.run_states() == {"jobs": "open", "other": "open"}
    assert sorted(path.name for path in folder_of(desk).iterdir()) == []
    desk.check()


def test_an_id_that_was_given_away_is_not_given_again(desk: Desk) -> None:
    with begin(desk) as submit:
        submit.add(jobs("abc"))
    desk.submit(jobs("d"))
    assert desk.rows(sa.select(t.jobs.c.id, t.jobs.c.run)) == [(4, 2)]


@pytest.mark.parametrize("name", ["", "~", "~7"])
def test_a_run_needs_a_name_of_its_own(desk: Desk, name: str) -> None:
    with pytest.raises(UsageError, match="a run cannot be called"):
        desk.submit(jobs("a"), name=name)


def test_shared_parts_are_stored_once_for_all_runs(desk: Desk) -> None:
    system = '{"system":"You are brief."}'
    desk.submit(jobs("ab", shared=system))
    desk.submit(jobs("cd", shared=system), name="more")
    desk.submit(jobs("e", shared='{"system":"You are long."}'), name="most")
    assert desk.rows(sa.select(t.shared.c.id, t.shared.c.body)) == [
        (1, system),
        (2, '{"system":"You are long."}'),
    ]
    assert desk.rows(sa.select(t.requests.c.shared).order_by(t.requests.c.job)) == [(1,), (1,), (1,), (1,), (2,)]


# -- mistakes ----------------------------------------------------------------------------------------------------------


def test_two_jobs_of_one_id_are_a_problem_that_names_both_lines(desk: Desk) -> None:
    added = desk.submit(jobs("abcb"))
    assert told(added) == ["BR101 jobs.jsonl:4:1: the id `b` is taken by jobs.jsonl:2"]
    assert desk.states() == {}


def test_even_if_they_are_far_apart(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "CHUNK", 2)
    added = desk.submit(jobs("abcdbea"))
    assert told(added) == [
        "BR101 jobs.jsonl:5:1: the id `b` is taken by jobs.jsonl:2",
        "BR101 jobs.jsonl:7:1: the id `a` is taken by jobs.jsonl:1",
    ]
    assert desk.states() == {}


@pytest.mark.parametrize("first", ["hello", "edited"])
@pytest.mark.parametrize("second", ["hello", "edited", "edited once more"])
@pytest.mark.parametrize("chunk", [1, 100])
def test_and_also_if_the_queue_knows_the_id(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, first: str, second: str, chunk: int
) -> None:
    monkeypatch.setattr(loading, "CHUNK", chunk)
    desk.submit(jobs("ab"))
    added = desk.submit([job("a", first, line=1), job("b", line=2), job("a", second, line=3)])
    assert told(added) == ["BR101 jobs.jsonl:3:1: the id `a` is taken by jobs.jsonl:1"]
    assert bodies(desk) == {"a": "hello", "b": "hello"}
    desk.check()


def test_a_submit_knows_whether_its_run_has_a_cost_cap_or_gets_one(desk: Desk) -> None:
    with begin(desk) as submit:
        assert not submit.capped
    with begin(desk, terms=RunTerms(budget=Nanos(1))) as submit:
        assert submit.capped
    desk.submit([job("b")], terms=RunTerms(budget=Nanos(1)))
    with begin(desk) as submit:
        assert submit.capped


def test_a_job_without_a_bound_on_its_cost_says_why_it_does_not_fit_into_a_capped_run() -> None:
    free = replace(job("a", line=3, worst=None), unbounded="web search has no bound")
    problem = unbounded(free)
    assert f"{problem.code} {problem.where}: {problem.message}" == (
        "BR201 jobs.jsonl:3:1: what this job costs at most cannot be told (web search has no bound), and its run has a cost cap"
    )


def test_more_mistakes_than_anybody_reads_are_counted(desk: Desk) -> None:
    twice = jobs(f"{n}" for n in range(1500))
    added = desk.submit(twice + twice)
    assert (len(added.problems), added.problems_more) == (1000, 500)


def test_a_submit_that_is_only_looked_at_finds_the_same_mistakes_and_stores_no_request(desk: Desk) -> None:
    desk.submit(jobs("ab"))
    desk.finish(desk.claim(desk.work())[0], good())
    with begin(desk) as submit:
        submit.add([job("a", "edited", line=1), job("b", line=2)])
        submit.only_look()
        submit.add([job("c", line=3), job("d", line=4), job("c", line=5)])
        assert [problem.code for problem in submit.draft().problems] == ["BR101", "BR202"]
        assert submit.places(["a", "b", "c", "x"]) == {"a": (0, 1), "b": (0, 2), "c": (0, 3)}
        assert set(bodies(desk)) == {"a", "b"}
        assert set(desk.states()) == {"a", "b", "c", "d"}
        with pytest.raises(AssertionError):
            submit.accept(NOW)
    assert desk.states() == {"a": "succeeded", "b": "queued"}
    desk.check()


def test_a_scratch_queue_is_gone_in_the_end() -> None:
    with scratch_queue(simulated=False) as engine:
        path = Path(engine.url.database or "")
        with begin(Desk(engine, Living(path))) as submit:
            submit.add(jobs("aba"))
            assert [problem.code for problem in submit.draft().problems] == ["BR101"]
        assert path.stat().st_mode & 0o077 == path.parent.stat().st_mode & 0o077 == 0
    assert not path.parent.exists()


# -- the same name again -----------------------------------------------------------------------------------------------


def test_the_same_jobs_again_add_nothing(desk: Desk) -> None:
    desk.submit(jobs("abc"))
    added = desk.submit(jobs("abc"))
    assert added == Added(run=RunId(1), name="jobs", fresh=False, unchanged=3)
    assert desk.run_states() == {"jobs": "open"}
    desk.check()


@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_an_edited_file_adds_what_is_new_and_replaces_what_changed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(loading, "CHUNK", chunk)
    desk.submit(jobs("abc"))
    added = desk.submit([job("a"), job("b", "edited", line=2, max_tokens=99), job("d", "new", line=4)])
    assert (added.new, added.unchanged, added.replaced, added.fresh) == (1, 1, 1, False)
    assert added.totals == {MODEL: Totals(jobs=2, est_input=10, max_tokens=109, worst=2000)}
    assert desk.states(1) == dict.fromkeys("abcd", "queued")
    assert bodies(desk) == {"a": "hello", "b": "edited", "c": "hello", "d": "new"}
    seq = desk.rows(sa.select(t.jobs.c.key, t.jobs.c.seq, t.jobs.c.max_tokens).order_by(t.jobs.c.seq))
    assert seq == [("a", 0, 10), ("b", 1, 99), ("c", 2, 10), ("d", 4, 10)]
    desk.check()


def test_new_jobs_open_a_run_that_was_done(desk: Desk) -> None:
    desk.submit(jobs("a"))
    (claim,) = desk.claim(desk.work())
    desk.finish(claim, good())
    assert desk.wait(desk.store.settle(NOW)) == [(1, "jobs")]
    assert desk.run_states() == {"jobs": "done"}
    desk.submit(jobs("a"))
    assert desk.run_states() == {"jobs": "done"}
    desk.submit(jobs("ab"))
    assert desk.run_states() == {"jobs": "open"}
    assert desk.states() == {"a": "succeeded", "b": "queued"}
    desk.check()


def test_new_jobs_open_a_run_that_was_cancelled_and_what_was_cancelled_stays_so(desk: Desk) -> None:
    desk.submit(jobs("ab"))
    desk.do(lambda tx: tx.run(cancelling._CLOSE, it=1, now=NOW))  # its jobs have not followed yet
    desk.submit(jobs("abc"))
    assert desk.run_states() == {"jobs": "open"}
    assert desk.states() == {"a": "cancelled", "b": "cancelled", "c": "queued"}
    desk.check()


def test_what_a_cancel_had_not_reached_is_cancelled_in_chunks_before_new_jobs_open_the_run(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [f"{n:04}" for n in range(2 * cancelling.CHUNK + 1)]
    desk.submit(jobs(keys))
    desk.do(lambda tx: tx.run(cancelling._CLOSE, it=1, now=NOW))  # its jobs have not followed yet
    cancelled: list[int] = []

    def reopen(tx: Transaction, run: RunId, now: Millis) -> bool:
        cancelled.append(cancelling.cancel_some(tx, run, now))
        return cancelling.reopen(tx, run, now)

    monkeypatch.setattr(merging, "reopen", reopen)
    desk.submit(jobs([*keys, "new"]))
    assert cancelled == [0]
    assert Counter(desk.states().values()) == {"cancelled": len(keys), "queued": 1}
    desk.check()


def test_a_job_that_changed_after_it_was_answered_or_sent_is_a_problem_that_names_both_lines(desk: Desk) -> None:
    desk.submit(jobs("abc"))
    done, _out = desk.claim(desk.work(), 2)
    desk.finish(done, good("answer"))
    edited = jobs(["x", "a", "b", "c"], "edited")
    added = desk.submit(edited)
    assert told(added) == [
        "BR202 jobs.jsonl:2:1: `a` changed since it was submitted from jobs.jsonl:1, and it has its answer",
        "BR202 jobs.jsonl:3:1: `b` changed since it was submitted from jobs.jsonl:2, and it is at Anthropic",
    ]
    assert bodies(desk) == dict.fromkeys("abc", "hello")
    desk.check()


def test_keep_leaves_such_jobs_as_they_are(desk: Desk) -> None:
    desk.submit(jobs("abc"))
    done, _out = desk.claim(desk.work(), 2)
    desk.finish(done, good("answer"))
    added = desk.submit(jobs(["x", "a", "b", "c"], "edited"), changed=Changed.KEEP)
    assert (added.new, added.replaced, added.kept, added.problems) == (1, 1, 2, ())
    assert added.totals[MODEL].jobs == 2
    assert bodies(desk) == {"a": "hello", "b": "hello", "c": "edited", "x": "edited"}
    assert desk.states() == {"a": "succeeded", "b": "running", "c": "queued", "x": "queued"}
    desk.check()


def test_again_asks_anew_and_the_old_answer_wins_no_more(desk: Desk) -> None:
    desk.submit(jobs("a"))
    (claim,) = desk.claim(desk.work())
    desk.finish(claim, good("old"))
    desk.wait(desk.store.settle(NOW))
    added = desk.submit(jobs("a", "edited"), changed=Changed.AGAIN)
    assert (added.replaced, added.problems) == (1, ())
    assert (desk.states(), desk.run_states()) == ({"a": "queued"}, {"jobs": "open"})
    desk.check()
    (second,) = desk.claim(claim.worker)
    assert second.attempt == 2
    assert json.loads(second.body)["messages"][0]["content"] == "edited"
    desk.finish(second, good("new"))
    assert desk.results("a") == [(1, 0, "old"), (2, 1, "new")]
    desk.check()


def test_but_not_what_is_out(desk: Desk) -> None:
    desk.submit(jobs("a"))
    desk.claim(desk.work())
    assert told(desk.submit(jobs("a", "edited"), changed=Changed.AGAIN)) == [
        "BR202 jobs.jsonl:1:1: `a` changed since it was submitted from jobs.jsonl:1, and it is at Anthropic"
    ]


def test_what_failed_is_put_right_by_an_edited_file_and_gets_all_its_tries_again(desk: Desk) -> None:
    desk.submit([job("a"), job("b", model="other")])
    worker = desk.work()
    (claim,) = desk.claim(worker)
    desk.finish(claim, refused())
    added = desk.submit([job("a", "put right", model="other"), job("b", model="other")])
    assert (added.replaced, added.unchanged) == (1, 1)
    assert desk.rows(
        sa.select(t.jobs.c.state, t.jobs.c.error, t.jobs.c.tries, t.jobs.c.finished, t.jobs.c.attempt).order_by(
            t.jobs.c.id
        )
    ) == [
        ("queued", None, 0, None, 1),
        ("queued", None, 0, None, 0),
    ]
    assert len(desk.claim(worker, 5, model="other")) == 2
    desk.check()


def test_what_is_set_by_hand_goes_when_the_file_is_edited(desk: Desk) -> None:
    desk.submit(jobs("a"))
    with desk.engine.begin() as connection:
        connection.execute(t.requests.update().values(overrides='{"max_tokens":1}'))
    desk.submit(jobs("a"))
    assert desk.rows(sa.select(t.requests.c.overrides)) == [('{"max_tokens":1}',)]
    desk.submit(jobs("a", "edited"))
    assert desk.rows(sa.select(t.requests.c.overrides)) == [(None,)]


def test_a_file_without_a_known_id_makes_a_run_of_its_own_and_finds_it_again(desk: Desk) -> None:
    desk.submit(jobs("ab"))
    added = desk.submit(jobs("xy"))
    assert (added.name, added.fresh, added.new) == ("jobs-2", True, 2)
    added = desk.submit(jobs("xyz"))
    assert (added.name, added.fresh, added.new, added.unchanged) == ("jobs-2", False, 1, 2)
    added = desk.submit(jobs("abc"))
    assert (added.name, added.new, added.unchanged) == ("jobs", 1, 2)
    added = desk.submit(jobs("abxyq"))  # in either of them: nothing of it is bought twice
    assert (added.name, added.new, added.unchanged) == ("jobs-2", 1, 4)
    assert desk.submit(jobs("pq"), name="other").name == "other"
    desk.check()


def test_it_is_found_again_however_many_such_files_came_after_it(desk: Desk) -> None:
    nights = 12
    for night in range(nights):
        desk.submit(jobs([f"{night}-a", f"{night}-b"]), digest=bytes([night]))
    assert desk.run_states().keys() == {"jobs", *(f"jobs-{n}" for n in range(2, nights + 1))}
    assert desk.do(lambda tx: family.unchanged(tx, "", "jobs", bytes([0]))) == Same(run=RunId(1), name="jobs")
    added = desk.submit([*jobs(["0-a", "0-b"]), job("0-c", line=3)])
    assert (added.name, added.fresh, added.new, added.unchanged) == ("jobs", False, 1, 2)
    added = desk.submit([job("1-a", "edited")])
    assert (added.name, added.replaced) == ("jobs-2", 1)
    desk.check()


def test_a_name_that_only_looks_alike_is_another_name(desk: Desk) -> None:
    desk.submit(jobs("ab"), name="eval")
    desk.submit(jobs("ab", "other prompt"), name="eval-2")
    added = desk.submit(jobs("ab"), name="eval")
    assert (added.name, added.unchanged) == ("eval", 2)
    assert desk.submit(jobs("q"), name="eval").name == "eval-3"
    assert desk.submit(jobs("ab", "new prompt"), name="eval_2").name == "eval_2"


def test_what_changed_is_replaced_in_the_run_that_has_it(desk: Desk) -> None:
    desk.submit(jobs("ab"), sources=["a.jsonl"])
    desk.submit(jobs("xy"), sources=["a.jsonl"])
    assert desk.run_states() == {"jobs": "open", "jobs-2": "open"}
    where = Where("b.jsonl", 9)
    files = [replace(job("a", "edited", file=1), where=where), job("x"), replace(job("q", file=1), where=where)]
    added = desk.submit(files, sources=["c.jsonl", "b.jsonl"])
    assert (added.name, added.new, added.replaced, added.unchanged) == ("jobs-2", 1, 1, 1)
    rows = desk.rows(
        sa.select(t.jobs.c.run, t.jobs.c.key, t.runs.c.source, t.jobs.c.file)
        .join(t.runs, t.runs.c.id == t.jobs.c.run)
        .order_by(t.jobs.c.run, t.jobs.c.seq)
    )
    assert [(run, key, json.loads(source)[file]) for run, key, source, file in rows] == [
        (1, "a", "b.jsonl"),
        (1, "b", "a.jsonl"),
        (2, "x", "a.jsonl"),
        (2, "y", "a.jsonl"),
        (2, "q", "b.jsonl"),
    ]
    desk.check()


def test_again_always_makes_a_run_of_its_own(desk: Desk) -> None:
    desk.submit(jobs("ab"))
    added = desk.submit(jobs("ab"), again=True)
    assert (added.name, added.fresh, added.new) == ("jobs-2", True, 2)
    assert desk.submit(jobs("ab"), again=True).name == "jobs-3"
    assert desk.submit(jobs("ab")).unchanged == 2
    desk.check()


def test_terms_that_are_said_again_change_those_of_the_run(desk: Desk) -> None:
    desk.submit(jobs("a"), terms=RunTerms(priority=1, budget=Nanos(5)))
    desk.submit(jobs("a"), terms=RunTerms(budget=Nanos(9)))
    assert desk.rows(sa.select(t.runs.c.priority, t.runs.c.budget)) == [(1, 9)]


def test_the_same_inputs_are_known_by_their_digest_without_loading_them(desk: Desk) -> None:
    desk.submit(jobs("a"), digest=b"one")
    desk.submit(jobs("x"), digest=b"two")

    def known(digest: bytes, name: str = "jobs") -> Same | None:
        return desk.do(lambda tx: family.unchanged(tx, "", name, digest))

    assert known(b"one") == Same(run=RunId(1), name="jobs")
    assert known(b"two") == Same(run=RunId(2), name="jobs-2")
    assert (known(b"three"), known(b"one", "other")) == (None, None)
    desk.submit(jobs("ab"), digest=b"three")
    assert known(b"one") is None
    assert known(b"three") == Same(run=RunId(1), name="jobs")


# -- two at once -------------------------------------------------------------------------------------------------------


def test_two_submits_of_one_file_at_once_add_it_once(desk: Desk) -> None:
    with begin(desk) as first, begin(desk) as second:
        first.add(jobs("abc"))
        second.add(jobs("abcd"))
        assert first.accept(NOW).new == 3
        added = second.accept(NOW)
    assert (added.name, added.fresh, added.new, added.unchanged) == ("jobs", False, 1, 3)
    assert added.totals[MODEL].jobs == 1
    assert desk.states() == dict.fromkeys("abcd", "queued")
    desk.check()


def test_who_comes_second_replaces_what_changed_meanwhile(desk: Desk) -> None:
    with begin(desk) as first, begin(desk) as second:
        first.add(jobs("ab"))
        second.add([*jobs("ab", "edited"), job("c")])
        first.accept(NOW)
        added = second.accept(NOW)
    assert (added.new, added.replaced) == (1, 2)
    assert bodies(desk) == {"a": "edited", "b": "edited", "c": "hello"}
    desk.check()


def test_unless_it_was_sent_meanwhile(desk: Desk) -> None:
    worker = desk.work()
    desk.submit(jobs("ab"))
    with begin(desk) as submit:
        submit.add(jobs("ab", "edited"))
        assert submit.draft().problems == ()
        desk.claim(worker)
        added = submit.accept(NOW)
        assert [problem.code for problem in added.problems] == ["BR202"]
    assert bodies(desk) == {"a": "hello", "b": "hello"}
    assert desk.states() == {"a": "running", "b": "queued"}
    desk.check()


def test_who_compared_with_what_is_no_longer_there_is_told(desk: Desk) -> None:
    desk.submit(jobs("ab"), digest=b"one")
    with begin(desk) as submit:
        submit.add(jobs("ab"))
        desk.submit(jobs("ab", "edited"), digest=b"two")
        with pytest.raises(UsageError, match="another submit changed jobs of `jobs` at the same time"):
            submit.accept(NOW)
    assert bodies(desk) == {"a": "edited", "b": "edited"}
    assert desk.run_states() == {"jobs": "open"}
    desk.check()


def test_new_runs_of_one_name_at_once_get_names_of_their_own(desk: Desk) -> None:
    with begin(desk) as first, begin(desk) as second, begin(desk, again=True) as third:
        first.add(jobs("ab"))
        second.add(jobs("xy"))
        third.add(jobs("ab"))
        assert [submit.accept(NOW).name for submit in (third, second, first)] == ["jobs", "jobs-2", "jobs"]
    assert desk.run_states() == {"jobs": "open", "jobs-2": "open"}
    desk.check()


# -- cost --------------------------------------------------------------------------------------------------------------


def test_memory_does_not_grow_with_the_file(desk: Desk) -> None:
    """Chunks are let go: at no time are more jobs alive than a chunk and the one that is being made."""
    alive = most = 0

    class Counted(Job):
        def __init__(self, **facts: object) -> None:
            nonlocal alive, most
            super().__init__(**facts)  # type: ignore[arg-type]  # as given
            alive += 1
            most = max(most, alive)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    facts = {name: getattr(job("a"), name) for name in Job.__dataclass_fields__}
    with begin(desk) as submit:
        submit.add(Counted(**{**facts, "key": f"{n}"}) for n in range(4 * loading.CHUNK))
    assert most <= 2 * loading.CHUNK + 1


def test_a_submit_does_not_keep_others_from_writing(desk: Desk) -> None:
    desk.submit(jobs("a"), name="other")
    worker = desk.work()
    with begin(desk) as submit:
        submit.add(jobs("xyz"))
        (claim,) = desk.claim(worker)
        desk.finish(claim, good())
        submit.accept(NOW)
    desk.check()


def test_between_two_chunks_it_lets_others_in(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(loading.time, "sleep", pauses.append)  # type: ignore[attr-defined]  # the module's own import
    monkeypatch.setattr(loading, "CHUNK", 2)
    with begin(desk) as submit:
        submit.add(jobs("ab"))
        assert pauses == []
        submit.add(jobs("cdefg"))
    assert pauses == [loading.PAUSE] * 3
