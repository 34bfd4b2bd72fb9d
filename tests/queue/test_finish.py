"""The end of an attempt: stored whole or not at all, late answers kept, money put right."""

from __future__ import annotations

import sqlalchemy as sa

from batchrun.core.claim import Claim, Kept
from batchrun.core.job import Millis, RunId
from batchrun.core.outcome import Reply, ServerFailed, Unreachable
from batchrun.core.retry import Cancel, Fail, Release, Wait
from batchrun.queue import cancelling, recovery
from batchrun.queue import tables as t
from tests.queue.desk import NOW, Desk, dropped, ending, good, job, jobs, refused


def one(desk: Desk) -> Claim:
    """Job `a`, claimed."""
    desk.submit(jobs("a"))
    (claim,) = desk.claim(desk.work())
    return claim


def lose(desk: Desk, claim: Claim) -> None:
    """The claim ends without its worker: somebody thought it dead."""
    desk.do(lambda tx: recovery.give_back(tx, claim.worker, NOW))


def test_an_answer_is_kept_as_it_came_with_all_that_is_known_of_it(desk: Desk) -> None:
    body = '{"type":"message","content":[],"odd":1.10}'
    assert desk.finish(one(desk), good(body, "req_7")) is Kept.CURRENT
    assert desk.results("a") == [(1, 1, body)]
    facts = ["via", "sent", "ended", "outcome", "status", "request_id", "other_ids", "input", "output", "thinking"]
    tokens = ["cache_read", "cache_write_5m", "cache_write_1h", "cost", "billed"]
    assert desk.rows(sa.select(*(t.attempts.c[name] for name in facts + tokens))) == [
        ("realtime", NOW, NOW, "ok", 200, "req_7", '["ray-1"]', 5, 7, 1, 2, 3, 4, 50, "yes")
    ]
    assert desk.rows(sa.select(t.jobs.c.state, t.jobs.c.finished, t.jobs.c.owner)) == [("succeeded", NOW, None)]
    assert desk.money() == (50, 0)
    desk.check()


def test_a_refusal_fails_the_job_and_says_why(desk: Desk) -> None:
    assert desk.finish(one(desk), refused()) is Kept.CURRENT
    facts = (t.attempts.c.status, t.attempts.c.error_type, t.attempts.c.message, t.attempts.c.request_id)
    assert desk.rows(sa.select(*facts)) == [(400, "invalid_request_error", "no", "req_2")]
    assert desk.rows(sa.select(t.jobs.c.state, t.jobs.c.error, t.jobs.c.tries)) == [
        ("failed", "invalid_request_error", 1)
    ]
    assert desk.money() == (0, 0)
    desk.check()


def test_a_job_waits_until_it_is_due_and_counts_its_tries(desk: Desk) -> None:
    claim = one(desk)
    desk.finish(claim, dropped(), Wait(2.5, counts=True))
    assert desk.rows(sa.select(t.jobs.c.state, t.jobs.c.due, t.jobs.c.tries, t.jobs.c.error)) == [
        ("waiting", NOW + 2500, 1, "dropped")
    ]
    ((_run, _model, due),) = desk.wait(desk.store.next_due())
    assert due == NOW + 2500
    assert [run.waiting for run in desk.wait(desk.store.work(NOW))] == [1]
    desk.now = Millis(NOW + 2500)
    assert [dict(run.queued) for run in desk.wait(desk.store.work(desk.now))] == [{claim.model: 1}]
    (again,) = desk.claim(claim.worker)
    assert (again.attempt, again.tries) == (2, 1)
    desk.finish(again, ServerFailed(reply=Reply(status=500)), Wait(1.0, counts=False))
    assert desk.rows(sa.select(t.jobs.c.tries)) == [(1,)]
    desk.check()


def test_a_job_that_is_given_back_can_be_claimed_at_once_and_lost_no_try(desk: Desk) -> None:
    claim = one(desk)
    desk.finish(claim, Unreachable(reply=Reply(message="no route")), Release())
    assert desk.states() == {"a": "queued"}
    assert desk.attempts("a") == [("error", "no", None, 1000)]
    (again,) = desk.claim(claim.worker)
    assert (again.attempt, again.tries) == (2, 0)
    desk.check()


def test_who_shall_be_cancelled_is_unless_it_succeeds(desk: Desk) -> None:
    desk.submit(jobs("abcd"))
    claims = desk.claim(desk.work(), 4)
    cancelling.cancel_run(desk.do, RunId(1), NOW)
    assert set(desk.states().values()) == {"running"}
    desk.finish(claims[0], good())
    desk.finish(claims[1], dropped(), Wait(1.0, counts=True))
    desk.finish(claims[2], refused(), Fail("refused"))
    desk.wait(desk.store.release([claims[3]], NOW))
    assert desk.states() == {"a": "succeeded", "b": "cancelled", "c": "cancelled", "d": "cancelled"}
    desk.check()


def test_a_cancel_decision_ends_a_job(desk: Desk) -> None:
    desk.finish(one(desk), dropped(), Cancel())
    assert desk.states() == {"a": "cancelled"}
    desk.check()


def test_an_answer_that_comes_late_becomes_the_jobs_and_the_money_is_put_right(desk: Desk) -> None:
    claim = one(desk)
    lose(desk, claim)
    assert (desk.states(), desk.money()) == ({"a": "queued"}, (1000, 0))
    assert desk.finish(claim, good("late"), cost=40) is Kept.LATE
    assert desk.results("a") == [(1, 1, "late")]
    assert desk.attempts("a") == [("ok", "yes", 40, 1000)]
    assert (desk.states(), desk.money()) == ({"a": "succeeded"}, (40, 0))
    desk.check()


def test_whoever_holds_the_job_then_loses_it_and_what_it_buys_is_marked(desk: Desk) -> None:
    claim = one(desk)
    lose(desk, claim)
    (second,) = desk.claim(claim.worker)
    assert desk.finish(claim, good("first"), cost=40) is Kept.LATE
    assert desk.states() == {"a": "succeeded"}
    desk.check()
    assert desk.finish(second, good("second"), cost=60) is Kept.TWICE
    assert desk.results("a") == [(1, 1, "first"), (2, 0, "second")]
    assert desk.money() == (100, 0)
    desk.check()


def test_a_late_failure_only_ends_its_attempt(desk: Desk) -> None:
    claim = one(desk)
    lose(desk, claim)
    (second,) = desk.claim(claim.worker)
    assert desk.finish(claim, refused()) is Kept.STALE
    assert desk.attempts("a") == [("error", "no", None, 1000), (None, None, None, 1000)]
    assert desk.money() == (0, 1000)
    assert desk.finish(second, good()) is Kept.CURRENT
    desk.check()


def test_a_late_answer_revives_what_was_cancelled_or_failed(desk: Desk) -> None:
    for key in ("a", "b"):
        desk.submit([job(key)], name=key)
    worker = desk.work()
    (cancelled,) = desk.claim(worker, run=1)
    (failed,) = desk.claim(worker, run=2)
    desk.do(lambda tx: recovery.give_back(tx, worker, NOW))
    cancelling.cancel_run(desk.do, RunId(1), NOW)
    (again,) = desk.claim(worker, run=2)
    desk.finish(again, refused())
    assert desk.states() == {"a": "cancelled", "b": "failed"}
    assert desk.finish(cancelled, good()) is Kept.LATE
    assert desk.finish(failed, good()) is Kept.LATE
    assert desk.states() == {"a": "succeeded", "b": "succeeded"}
    assert desk.rows(sa.select(t.jobs.c.error)) == [(None,), (None,)]
    desk.check()


def test_the_same_end_stored_twice_changes_nothing(desk: Desk) -> None:
    claim = one(desk)
    for expected in (Kept.CURRENT, Kept.CURRENT):
        assert desk.finish(claim, good()) is expected
    assert (desk.results("a"), desk.money()) == ([(1, 1, '{"type":"message"}')], (50, 0))
    desk.submit(jobs("b"), name="b")
    (other,) = desk.claim(claim.worker, run=2)
    assert desk.finish(other, refused()) is Kept.CURRENT
    assert desk.finish(other, refused()) is Kept.STALE
    assert desk.money(2) == (0, 0)
    desk.check()


def test_an_answer_for_a_job_that_was_pruned_is_no_error(desk: Desk) -> None:
    claim = one(desk)
    with desk.engine.begin() as connection:
        connection.execute(t.jobs.delete())
        connection.execute(t.run_counts.delete())
    assert desk.finish(claim, good()) is Kept.STALE


def test_what_was_possibly_billed_is_counted_until_its_answer_comes_or_it_proves_unsent(desk: Desk) -> None:
    desk.submit(jobs("abc"))
    claims = desk.claim(desk.work(), 3)
    desk.finish(claims[0], dropped())
    assert desk.possibly() == (1, 1000)
    lose(desk, claims[0])
    assert (desk.possibly(), desk.money()) == ((3, 3000), (3000, 0))
    assert desk.finish(claims[1], good(), cost=40) is Kept.LATE
    assert (desk.possibly(), desk.money()) == ((2, 2000), (2040, 0))
    desk.wait(desk.store.release([claims[2]], NOW))
    assert (desk.possibly(), desk.money()) == ((1, 1000), (1040, 0))
    desk.check()


def test_what_has_no_known_worst_case_is_possibly_billed_all_the_same(desk: Desk) -> None:
    desk.submit(jobs("a", worst=None))
    (claim,) = desk.claim(desk.work())
    lose(desk, claim)
    assert desk.possibly() == (1, 0)
    desk.check()


def test_what_was_never_sent_but_thought_lost_is_put_right(desk: Desk) -> None:
    claim = one(desk)
    lose(desk, claim)
    desk.wait(desk.store.release([claim], NOW))
    assert desk.attempts("a") == [("released", "no", None, 1000)]
    assert (desk.states(), desk.money()) == ({"a": "queued"}, (0, 0))
    desk.check()


def test_a_release_after_the_end_changes_nothing(desk: Desk) -> None:
    claim = one(desk)
    desk.finish(claim, good())
    desk.wait(desk.store.release([claim], NOW))
    assert desk.states() == {"a": "succeeded"}
    assert desk.attempts("a") == [("ok", "yes", 50, 1000)]
    desk.check()


def test_an_answer_without_a_price_counts_at_its_worst_and_stays_unpriced(desk: Desk) -> None:
    desk.finish(one(desk), good(), cost=None)
    assert desk.attempts("a") == [("ok", "yes", None, 1000)]
    assert desk.money() == (1000, 0)
    desk.check()


def test_an_answer_that_is_not_taken_for_the_result_is_kept_without_winning(desk: Desk) -> None:
    claim = one(desk)
    kept = desk.wait(desk.store.finish(ending(claim, good("cut"), Fail("truncated"))))
    assert kept is Kept.CURRENT
    assert desk.results("a") == [(1, 0, "cut")]
    assert desk.states() == {"a": "failed"}
    desk.check()
