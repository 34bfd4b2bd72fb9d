"""Retry: what failed is queued again with all its tries; what is out is left alone; parts can be set anew."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from batchrun.core.job import Nanos, RunId
from batchrun.core.retry import Fail
from batchrun.core.select import Facts, parse
from batchrun.core.states import State
from batchrun.queue import cancelling, retrying
from batchrun.queue import tables as t
from batchrun.queue.retrying import Change, Measured
from tests.queue.desk import MODEL, NOW, Desk, dropped, good, jobs, refused


def anything(_facts: Facts) -> bool:
    return True


def mixed(desk: Desk) -> None:
    """A run that is over: s succeeded, f and g failed (g dropped), c is cancelled, r is out, q is queued."""
    desk.submit(jobs("sfgcrq"))
    worker = desk.work()
    succeeded, failed, gone, cancelled, _running = desk.claim(worker, 5)
    desk.finish(succeeded, good())
    desk.finish(failed, refused())
    desk.finish(gone, dropped(), Fail("gave up after 5 tries"))
    desk.wait(desk.store.release([cancelled], NOW))
    desk.do(lambda tx: cancelling.cancel_jobs(tx, [cancelled.job], NOW))


def test_what_failed_or_was_cancelled_is_queued_again_with_all_its_tries(desk: Desk) -> None:
    mixed(desk)
    done = retrying.retry(desk.do, RunId(1), NOW, anything)
    assert done.queued == 3
    assert dict(done.left) == {State.SUCCEEDED: 1, State.RUNNING: 1, State.QUEUED: 1}
    assert desk.states() == {
        "s": "succeeded",
        "f": "queued",
        "g": "queued",
        "c": "queued",
        "r": "running",
        "q": "queued",
    }
    j = t.jobs.c
    facts = (j.tries, j.error, j.finished, j.cancel_requested)
    assert set(desk.rows(sa.select(*facts).where(j.key.in_(list("fgc"))))) == {(0, None, None, None)}
    assert [attempt for (attempt,) in desk.rows(sa.select(j.attempt).where(j.key.in_(list("fgc"))))] == [1, 1, 1]
    desk.check()


@pytest.mark.parametrize(
    ("select", "back"),
    [
        ("state:failed", "fg"),
        ("error:dropped", "g"),
        ("id:c", "c"),
        ("error:invalid_request", "f"),
        ("state:succeeded", ""),
    ],
)
def test_only_what_is_chosen_is_put_back(desk: Desk, select: str, back: str) -> None:
    mixed(desk)
    done = retrying.retry(desk.do, RunId(1), NOW, parse(select).holds)
    assert done.queued == len(back)
    assert {key for key, state in desk.states().items() if state == "queued"} == {*back, "q"}
    desk.check()


def test_a_dry_run_only_counts(desk: Desk) -> None:
    mixed(desk)
    before = desk.states()
    assert retrying.retry(desk.do, RunId(1), NOW, anything, dry=True).queued == 3
    assert desk.states() == before


def test_a_run_that_was_over_is_open_again(desk: Desk) -> None:
    desk.submit(jobs("ab"))
    worker = desk.work()
    for claim in desk.claim(worker, 2):
        desk.finish(claim, refused())
    desk.wait(desk.store.settle(NOW))
    assert desk.run_states() == {"jobs": "done"}
    retrying.retry(desk.do, RunId(1), NOW, parse("id:a").holds)
    assert desk.run_states() == {"jobs": "open"}
    assert [claim.key for claim in desk.claim(worker, 9)] == ["a"]
    desk.check()


def test_of_a_run_that_was_cancelled_only_what_is_chosen_comes_back(desk: Desk) -> None:
    desk.submit(jobs("abc"))
    cancelling.cancel_run(desk.do, RunId(1), NOW)
    retrying.retry(desk.do, RunId(1), NOW, parse("id:a").holds)
    assert desk.run_states() == {"jobs": "open"}
    assert desk.states() == {"a": "queued", "b": "cancelled", "c": "cancelled"}
    desk.check()


def test_nothing_chosen_leaves_a_run_as_it_is(desk: Desk) -> None:
    desk.submit(jobs("abc"))
    cancelling.cancel_run(desk.do, RunId(1), NOW)
    assert retrying.retry(desk.do, RunId(1), NOW, parse("id:zzz").holds).queued == 0
    assert desk.run_states() == {"jobs": "cancelled"}


def test_parts_of_a_request_can_be_set_anew_and_it_is_weighed_again(desk: Desk) -> None:
    desk.submit(jobs("ab", shared='{"system":"You are brief."}'))
    worker = desk.work()
    for claim in desk.claim(worker, 2):
        desk.finish(claim, refused())
    seen: list[str] = []

    def measure(body: str) -> Measured:
        seen.append(body)
        return Measured(model="other", size=9, est_input=8, max_tokens=7, worst=Nanos(6))

    change = Change(members={"max_tokens": "7", "model": '"other"'}, measure=measure)
    retrying.retry(desk.do, RunId(1), NOW, parse("id:a").holds, change=change)
    assert [json.loads(body)["max_tokens"] for body in seen] == [7]
    (claim,) = desk.claim(worker, 5, model="other")
    assert claim.body == seen[0]
    assert json.loads(claim.body) == {
        "system": "You are brief.",
        "model": "other",
        "messages": [{"role": "user", "content": "hello"}],
        "max_tokens": 7,
    }
    assert (claim.model, claim.est_input, claim.max_tokens, claim.worst) == ("other", 8, 7, 6)
    assert desk.claim(worker, 5, model=MODEL) == ()
    desk.check()


def test_what_was_set_before_stays_set(desk: Desk) -> None:
    desk.submit(jobs("a"))
    worker = desk.work()

    def measure(_body: str) -> Measured:
        return Measured(model=MODEL, size=1, est_input=1, max_tokens=1, worst=None)

    for members in ({"a": "1", "b": "1"}, {"b": "2"}):
        (claim,) = desk.claim(worker)
        desk.finish(claim, refused())
        retrying.retry(desk.do, RunId(1), NOW, anything, change=Change(members=members, measure=measure))
    (claim,) = desk.claim(worker)
    body = json.loads(claim.body)
    assert (body["a"], body["b"]) == (1, 2)
    assert desk.submit(jobs("a")).unchanged == 1
    desk.check()


def test_a_large_run_is_put_back_page_by_page(desk: Desk) -> None:
    n = 2 * retrying.PAGE + 5
    desk.submit(jobs(f"{at:05}" for at in range(n)))
    cancelling.cancel_run(desk.do, RunId(1), NOW)
    assert retrying.retry(desk.do, RunId(1), NOW, anything).queued == n
    desk.check()
