"""Batches as rows: each verb starts where it may and nowhere else, and the books are true after every one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import pytest
import sqlalchemy as sa

from batchrun.core.account import Account
from batchrun.core.batch import Batch, BatchState, CancelReason, Verdict
from batchrun.core.claim import Kept, OnCrash
from batchrun.core.job import Millis, Nanos, RunId, WorkerId
from batchrun.core.outcome import AccountStopped, Canceled, Expired, Refused, Reply, Stop
from batchrun.core.packing import body
from batchrun.core.retry import Cancel, Fail, Wait
from batchrun.errors import WorkerBusy
from batchrun.queue import cancelling
from batchrun.queue import tables as t
from batchrun.queue.store import QueueStore
from batchrun.queue.submit import RunTerms
from batchrun.queue.writing import Inline
from tests.queue.batchdesk import HALF, BatchDesk, packing, remote
from tests.queue.desk import NOW, Desk, good, jobs, refused

LATER = Millis(NOW + 60_000)


@pytest.fixture
def at(desk: Desk) -> BatchDesk:
    return BatchDesk(desk)


def dies(at: BatchDesk) -> None:
    """The worker's process is gone; the next one takes over."""
    at.desk.locks.close()
    at.desk.store = QueueStore(Inline(at.desk.engine), at.desk.locks)
    at.worker = at.desk.work()


# -- where each verb starts --------------------------------------------------------------------------------------------

STARTS: dict[str, set[BatchState]] = {
    "sending": {BatchState.INTENT},
    "submitted": {BatchState.SENDING, BatchState.UNCLEAR, BatchState.LOST},
    "reject": {BatchState.INTENT, BatchState.SENDING},
    "unclear": {BatchState.SENDING},
    "absent": {BatchState.UNCLEAR},
    "lose": {BatchState.UNCLEAR},
    "gone": {BatchState.SUBMITTED, BatchState.COLLECTING},
    "wish_cancel": {BatchState.SENDING, BatchState.UNCLEAR, BatchState.SUBMITTED},
    "done": {BatchState.COLLECTING},
}
"""The verbs that say whether they did something."""

SILENT = {
    "seen": {BatchState.SUBMITTED, BatchState.COLLECTING},
    "missed": {BatchState.SUBMITTED, BatchState.COLLECTING},
    "cancelled": {BatchState.SUBMITTED, BatchState.COLLECTING},
    "collecting": {BatchState.SUBMITTED, BatchState.COLLECTING},
    "short": {BatchState.COLLECTING, BatchState.DONE, BatchState.GONE},
}

VERBS: dict[str, Callable[[BatchDesk, Any], Any]] = {
    "sending": lambda at, intent: at.sending(intent, NOW, 9),
    "submitted": lambda at, intent: at.submitted(intent.id, remote("another"), LATER),
    "reject": lambda at, intent: at.reject(intent.id, LATER, "no"),
    "unclear": lambda at, intent: at.unclear(intent.id, "lost", answered=True),
    "absent": lambda at, intent: at.absent(intent.id, LATER),
    "lose": lambda at, intent: at.lose(intent.id, LATER, LATER),
    "gone": lambda at, intent: at.gone(intent.id, LATER, "deleted"),
    "wish_cancel": lambda at, intent: at.wish_cancel(intent.id, CancelReason.USER),
    "done": lambda at, intent: at.done(intent.id, LATER),
    "seen": lambda at, intent: at.seen(intent.id, remote("another", ended=True)),
    "missed": lambda at, intent: at.missed(intent.id, LATER),
    "cancelled": lambda at, intent: at.cancelled(intent.id),
    "collecting": lambda at, intent: at.collecting(intent.id),
    "short": lambda at, intent: at.short(intent.id, LATER),
}


def put(at: BatchDesk, state: BatchState) -> Any:
    """A batch with three jobs on its way to *state*; *done* and *collecting* ones have their answers."""
    at.submit()
    if state is BatchState.INTENT:
        return at.intent()
    if state is BatchState.REJECTED:
        intent = at.intent()
        at.reject(intent.id, NOW, "no")
        return intent
    if state in {BatchState.UNCLEAR, BatchState.LOST}:
        intent = at.sent()
        at.unclear(intent.id, "lost", answered=False)
        if state is BatchState.LOST:
            at.lose(intent.id, NOW, NOW)
        return intent
    intent = at.sent()
    if state is BatchState.SENDING:
        return intent
    at.submitted(intent.id, remote(), NOW)
    if state is BatchState.GONE:
        at.gone(intent.id, NOW, "deleted")
    if state in {BatchState.COLLECTING, BatchState.DONE}:
        at.collecting(intent.id)
        at.keep(at.batch(), at.won("a", "b", "c"), NOW)
    if state is BatchState.DONE:
        at.done(intent.id, NOW)
    return intent


def row(at: BatchDesk) -> tuple[Any, ...]:
    return at.desk.rows(sa.select(t.batches))[0]


@pytest.mark.parametrize(("verb", "state"), list(product(VERBS, BatchState)))
def test_a_verb_does_something_where_it_starts_and_nothing_anywhere_else(
    at: BatchDesk, verb: str, state: BatchState
) -> None:
    intent = put(at, state)
    before, jobs_before = row(at), at.desk.rows(sa.select(t.jobs))
    told = VERBS[verb](at, intent)
    starts = state in (STARTS | SILENT)[verb]
    if verb in STARTS:
        assert bool(told) == (starts if verb not in {"lose", "gone"} else bool(starts and told))
        assert (told is None or told is False) == (not starts)
    moved = row(at) != before
    again = (verb, state) == ("collecting", BatchState.COLLECTING)  # it is where it goes
    assert moved == (starts and not again)
    assert starts or at.desk.rows(sa.select(t.jobs)) == jobs_before
    at.check()


@pytest.mark.parametrize("state", BatchState)
def test_a_batch_is_attended_to_as_long_as_anything_may_come_of_it(at: BatchDesk, state: BatchState) -> None:
    put(at, state)
    over = {BatchState.DONE, BatchState.REJECTED, BatchState.GONE}
    assert [batch.state for batch in at.attended(at.account)] == ([] if state in over else [state])
    assert at.attended(at.account + 1) == []


def test_a_batch_that_may_stand_twice_is_attended_to_until_that_is_known(at: BatchDesk) -> None:
    put(at, BatchState.DONE)
    batch = at.batch()
    assert at.suspect(batch.id, ["twin"], NOW) == {"twin": Verdict.OPEN}
    assert [each.id for each in at.attended(at.account)] == [batch.id]
    at.judge(batch.id, "twin", Verdict.FOREIGN)
    assert at.attended(at.account) == []
    assert at.suspect(batch.id, ["twin"], NOW) == {"twin": Verdict.FOREIGN}, "what was cleared stays cleared"


def test_what_is_known_to_be_another_of_ours_is_no_candidate(at: BatchDesk) -> None:
    at.submit(*"abcdef")
    at.standing("token001", 3)
    other = at.unresolved("token002", 2)
    assert at.suspect(other.id, ["msgbatch_token001", "stranger"], NOW) == {"stranger": Verdict.OPEN}


def test_two_batches_are_never_the_same_one_at_the_api(at: BatchDesk) -> None:
    at.submit(*"abcdef")
    at.standing("token001", 3)
    other = at.unresolved("token002", 2)
    with pytest.raises(at.desk.engine.dialect.loaded_dbapi.IntegrityError):
        at.submitted(other.id, remote("msgbatch_token001"), NOW)


# -- the way out -------------------------------------------------------------------------------------------------------


def test_an_intent_has_its_jobs_and_their_attempts_and_money_at_once(at: BatchDesk) -> None:
    at.submit()
    intent = at.intent(n=2)
    assert (intent.n, intent.worst) == (2, 2 * HALF)
    assert at.desk.states() == {"a": "in_batch", "b": "in_batch", "c": "queued"}
    assert at.desk.money() == (0, 2 * HALF)
    assert at.desk.attempts("a") == [(None, None, None, HALF)]
    assert [line.job for line in at.lines(intent)] == [1, 2]
    at.check()


def test_the_price_of_a_job_in_a_batch_is_rounded_up(at: BatchDesk) -> None:
    at.submit("a", worst=Nanos(3))
    assert at.intent().worst == 2
    at.check()


def test_a_batch_takes_no_more_than_the_money_pays_for(at: BatchDesk) -> None:
    at.submit(*"abcde", terms=RunTerms(budget=Nanos(2 * HALF + HALF // 2)))
    intended = at.intend()
    assert intended.intent is not None
    assert (intended.intent.n, intended.penniless) == (2, True)
    assert at.intend(packing("token002")).penniless
    at.check()


def test_nor_than_this_call_may_spend(at: BatchDesk) -> None:
    at.submit(*"abcde")
    intended = at.intend(left=HALF)
    assert intended.intent is not None
    assert (intended.intent.n, intended.penniless) == (1, True)
    nothing = at.intend(packing("token002"), left=HALF - 1)
    assert (nothing.intent, nothing.penniless) == (None, True)
    at.check()


def test_where_money_is_counted_a_job_without_a_bound_stays_behind(at: BatchDesk) -> None:
    at.desk.submit([*jobs("a"), *jobs("b", worst=None)], terms=RunTerms(budget=Nanos(10**6)))
    intended = at.intend()
    assert intended.intent is not None
    assert (intended.intent.n, intended.penniless) == (1, True)
    at.check()


def test_a_body_has_no_more_bytes_than_was_asked_for(at: BatchDesk) -> None:
    at.submit(*(f"k{n}" for n in range(40)), text="é" * 100)
    for most in (400, 1_000, 3_000):
        intent = at.intend(replace(packing(f"token{most}", 40), bytes=most)).intent
        assert intent is not None
        lines = at.lines(intent)
        assert len(lines) == intent.n
        assert len(body(intent, lines)) <= most
        at.reject(intent.id, NOW, "a rehearsal")


def test_every_unresolved_batch_has_a_size_of_its_own(at: BatchDesk) -> None:
    at.submit(*"abcdefgh")
    assert [at.intent(f"token{n}", 3).n for n in range(2)] == [3, 2]
    intent = at.intent("token2", 3)
    assert intent.n == 1
    crowded = at.intend(packing("token3", 3))
    assert (crowded.intent, crowded.crowded) == (None, True)
    at.reject(intent.id, NOW, "no")
    assert at.intent("token4", 3).n == 1
    at.check()


def test_the_database_itself_refuses_a_second_of_that_size(at: BatchDesk) -> None:
    at.submit(*"abcdef")
    at.intent("token1", 3)
    at.intent("token2", 2)
    with pytest.raises(sa.exc.IntegrityError), at.desk.engine.begin() as connection:
        connection.execute(t.batches.update().where(t.batches.c.token == "token2").values(n=3))


def test_another_account_s_batches_do_not_count(at: BatchDesk) -> None:
    at.submit(*"abc")
    at.submit(*"def", name="other")
    assert at.intent("token1", 3).n == 3
    known = at.desk.wait(at.desk.store.remember_account(Account(origin="https://another.invalid"), "other", NOW))
    at.account = known.id
    assert at.intend(packing("token2", 3)).intent is None, "the run belongs to the first account"
    assert at.intent("token3", 3, run=2).n == 3


def test_a_worker_that_wakes_up_after_it_was_taken_for_dead_sends_nothing(at: BatchDesk) -> None:
    at.submit()
    intent = at.intent()
    dies(at)
    assert not at.sending(intent, NOW, 1)
    assert at.desk.states() == {"a": "queued", "b": "queued", "c": "queued"}
    assert at.batch().state is BatchState.REJECTED
    assert at.tries() == {"a": 0, "b": 0, "c": 0}
    assert at.desk.money() == (0, 0)
    at.check()


def test_nor_does_it_write_a_batch_down(at: BatchDesk) -> None:
    at.submit()
    dead = at.worker
    dies(at)
    at.worker = dead
    with pytest.raises(WorkerBusy):
        at.intend()


def test_nobody_else_may_send_a_batch_than_who_wrote_it_down(at: BatchDesk) -> None:
    at.submit()
    intent = at.intent()
    assert not at.sending(replace(intent, worker=WorkerId(at.worker + 1)), NOW, 1)
    assert at.sending(intent, NOW, 1)
    assert not at.sending(intent, NOW, 1), "once"


def test_a_run_that_was_cancelled_meanwhile_keeps_its_batch_from_being_sent(at: BatchDesk) -> None:
    at.submit()
    intent = at.intent()
    cancelling.cancel_run(at.desk.do, RunId(1), NOW)
    assert not at.sending(intent, NOW, 1)
    assert at.reject(intent.id, NOW, "its run was cancelled")
    assert set(at.desk.states().values()) == {"cancelled"}
    at.check()


def test_what_a_dead_worker_was_sending_is_unclear_and_keeps_itsjobs(at: BatchDesk) -> None:
    at.submit()
    at.sent()
    dies(at)
    batch = at.batch()
    assert (batch.state, batch.answered) == (BatchState.UNCLEAR, False)
    assert set(at.desk.states().values()) == {"in_batch"}
    assert at.desk.money() == (0, 3 * HALF)
    assert at.desk.possibly() == (0, 0)
    at.check()


def test_what_stands_is_nobody_s_and_survives_every_death(at: BatchDesk) -> None:
    at.submit()
    before = at.standing()
    dies(at)
    assert at.batch() == before
    at.check()


# -- the way back ------------------------------------------------------------------------------------------------------


def test_a_refusal_gives_all_back_but_the_one_that_is_to_blame(at: BatchDesk) -> None:
    at.submit()
    intent = at.sent()
    culprit = at.end_of(at.batch(), "b", refused())
    assert at.reject(intent.id, NOW, "requests.1: no", culprit)
    assert at.desk.states() == {"a": "queued", "b": "failed", "c": "queued"}
    assert at.tries() == {"a": 0, "b": 1, "c": 0}
    assert at.desk.attempts("a") == [("released", "no", None, HALF)]
    assert at.desk.attempts("b") == [("error", "no", None, HALF)]
    assert at.desk.money() == (0, 0)
    at.check()
    assert not at.reject(intent.id, NOW, "again", culprit)


def test_what_never_arrived_is_queued_again_and_no_try(at: BatchDesk) -> None:
    at.submit()
    batch = at.unresolved()
    assert at.absent(batch.id, NOW)
    assert not at.absent(batch.id, LATER), "only the first counts"
    assert at.batch().first_absent == NOW
    assert at.lose(batch.id, LATER, LATER) == 3
    assert at.desk.states() == {"a": "queued", "b": "queued", "c": "queued"}
    assert at.tries() == {"a": 0, "b": 0, "c": 0}
    assert at.desk.attempts("a") == [("unknown", "no", None, HALF)]
    assert at.desk.money() == (0, 0)
    assert at.batch().lost == LATER
    at.check()


def test_what_is_gone_is_held_and_counts_at_its_worst(at: BatchDesk) -> None:
    at.submit()
    batch = at.standing()
    assert at.gone(batch.id, NOW, "deleted") == 3
    assert set(at.desk.states().values()) == {"held"}
    assert set(at.errors().values()) == {"batch_gone"}
    assert at.desk.money() == (3 * HALF, 0)
    assert at.desk.possibly() == (3, 3 * HALF)
    at.check()


@pytest.mark.parametrize(
    ("on_crash", "state", "error", "tries"),
    [
        (OnCrash.RETRY, "queued", None, 1),
        (OnCrash.HOLD, "held", "missing_from_results", 0),
        (OnCrash.FAIL, "failed", "missing_from_results", 1),
    ],
)
def test_a_line_that_never_came_follows_its_run_s_policy(
    at: BatchDesk, on_crash: OnCrash, state: str, error: str | None, tries: int
) -> None:
    at.submit(terms=RunTerms(on_crash=on_crash))
    batch = at.collected()
    at.keep(batch, at.won("a"), NOW)
    assert at.missing(batch.id, NOW, "no line") == 2
    assert at.desk.states() == {"a": "succeeded", "b": state, "c": state}
    assert at.errors() == {"a": None, "b": error, "c": error}
    assert at.tries() == {"a": 0, "b": tries, "c": tries}
    assert at.desk.money() == (50 + 2 * HALF, 0)
    assert at.desk.possibly() == (2, 2 * HALF)
    assert at.done(batch.id, NOW)
    at.check()


def test_lines_that_never_come_end_at_the_bound_of_tries(at: BatchDesk) -> None:
    at.submit("a", terms=RunTerms(tries=2))
    for n, state in enumerate(["queued", "failed"]):
        batch = at.collected(f"token{n}")
        assert at.missing(batch.id, NOW, "no line") == 1
        assert at.desk.states() == {"a": state}
        at.check()
    assert at.tries() == {"a": 2}


def test_whoever_shall_be_cancelled_is_when_nothing_came_of_it(at: BatchDesk) -> None:
    for verb in ("reject", "lose", "gone", "missing"):
        at.submit("a", "b", name=verb)
        run = at.desk.rows(sa.select(sa.func.max(t.runs.c.id)))[0][0]
        intent = at.intent(verb, run=run)
        job = at.desk.rows(sa.select(sa.func.min(t.jobs.c.id)).where(t.jobs.c.run == run))[0][0]
        at.desk.do(partial(cancelling.cancel_jobs, chosen=[job], now=NOW))
        assert at.sending(intent, NOW, 1)
        if verb == "reject":
            at.reject(intent.id, NOW, "no")
        elif verb == "lose":
            at.unclear(intent.id, "lost", answered=False)
            at.lose(intent.id, NOW, NOW)
        else:
            at.submitted(intent.id, remote(verb), NOW)
            at.collecting(intent.id)
            at.gone(intent.id, NOW, "deleted") if verb == "gone" else at.missing(intent.id, NOW, "no line")
        assert at.desk.states(run)["a"] == "cancelled", verb
        assert at.desk.states(run)["b"] != "cancelled", verb
        at.check()


def test_cancelling_a_run_wishes_for_the_end_of_what_is_out(at: BatchDesk) -> None:
    at.submit(*"abcdef")
    at.standing("token001", 3)
    at.unresolved("token002", 2)
    cancelling.cancel_run(at.desk.do, RunId(1), NOW)
    assert {batch.cancel for batch in at.attended(at.account)} == {CancelReason.USER}
    assert at.desk.states() == {**dict.fromkeys("abcde", "in_batch"), "f": "cancelled"}
    at.check()


def test_the_first_wish_to_cancel_stands(at: BatchDesk) -> None:
    at.submit()
    batch = at.standing()
    assert at.wish_cancel(batch.id, CancelReason.RESCUE)
    assert not at.wish_cancel(batch.id, CancelReason.USER)
    at.cancelled(batch.id)
    assert (at.batch().cancel, at.batch().cancelled) == (CancelReason.RESCUE, True)


# -- what a batch brings -----------------------------------------------------------------------------------------------


def test_answers_are_kept_all_at_once(at: BatchDesk) -> None:
    at.submit()
    batch = at.collected()
    assert at.collecting(batch.id) == {1: (1, HALF), 2: (1, HALF), 3: (1, HALF)}
    assert at.keep(batch, at.won("a", "b"), NOW)
    assert at.desk.states() == {"a": "succeeded", "b": "succeeded", "c": "in_batch"}
    assert at.desk.results("a") == [(1, 1, '{"for":"a"}')]
    assert at.desk.attempts("a") == [("ok", "yes", 50, HALF)]
    assert at.desk.money() == (100, HALF)
    assert at.collecting(batch.id) == {3: (1, HALF)}
    assert not at.done(batch.id, NOW), "it still holds a job"
    at.check()


def test_or_none_of_them_where_one_is_not_held_any_more(at: BatchDesk) -> None:
    at.submit()
    batch = at.collected()
    won = at.won("a", "b", "c")
    assert at.keep(batch, won[:1], NOW)
    before = at.desk.rows(sa.select(t.attempts)), at.desk.money()
    assert not at.keep(batch, won, NOW)
    assert (at.desk.rows(sa.select(t.attempts)), at.desk.money()) == before
    assert at.desk.states() == {"a": "succeeded", "b": "in_batch", "c": "in_batch"}
    at.check()


def test_an_answer_whose_price_nobody_knows_counts_at_its_worst(at: BatchDesk) -> None:
    at.submit("a")
    batch = at.collected()
    assert at.keep(batch, at.won("a", cost=None), NOW)
    assert at.desk.money() == (HALF, 0)
    at.check()


def test_an_answer_that_turns_up_after_all_becomes_its_job_s(at: BatchDesk) -> None:
    at.submit("a")
    batch = at.unresolved()
    at.lose(batch.id, NOW, NOW)
    assert at.submitted(batch.id, remote("msgbatch_late", 1), LATER)
    assert at.collecting(batch.id) == {}
    late = at.end_of(at.batch(), "a", good())
    assert at.finish([late]) == [Kept.LATE]
    assert at.desk.states() == {"a": "succeeded"}
    assert at.desk.attempts("a") == [("ok", "yes", 50, HALF)]
    assert at.done(batch.id, LATER)
    at.check()


def test_an_answer_for_a_job_that_another_batch_holds_takes_it_out_of_it(at: BatchDesk) -> None:
    at.submit("a")
    lost = at.unresolved("token001")
    at.lose(lost.id, NOW, NOW)
    late = at.end_of(at.batch("token001"), "a", good("late"))
    second = at.collected("token002")
    won = at.won("a")
    at.submitted(lost.id, remote("msgbatch_late", 1), LATER)
    assert at.finish([late]) == [Kept.LATE]
    assert not at.keep(second, won, LATER)
    assert at.finish([at.end_of(second, "a", good("again"))]) == [Kept.TWICE]
    assert at.desk.results("a") == [(1, 1, "late"), (2, 0, "again")]
    assert at.desk.money() == (100, 0)
    at.check()


@pytest.mark.parametrize("how", ["reject", "lose", "gone", "missing"])
def test_no_money_stays_reserved_for_a_job_that_was_answered_out_of_its_batch(at: BatchDesk, how: str) -> None:
    at.submit("a", "b")
    lost = at.unresolved("token001")
    at.lose(lost.id, NOW, NOW)
    late = at.end_of(at.batch("token001"), "a", good("late"))
    second = at.intent("token002")
    assert at.finish([late]) == [Kept.LATE]
    at.check()
    if how == "reject":
        assert [line.job for line in at.lines(second)] == [2]
        assert at.reject(second.id, NOW, "some of its jobs found their answers meanwhile")
    else:
        at.sending(second, NOW, 1)
        if how == "lose":
            at.unclear(second.id, "lost", answered=False)
            at.lose(second.id, NOW, NOW)
        else:
            at.submitted(second.id, remote(), NOW)
            at.collecting(second.id)
            at.gone(second.id, NOW, "deleted") if how == "gone" else at.missing(second.id, NOW, "no line")
    assert at.desk.money()[1] == 0
    at.check()


def test_the_end_of_a_line_is_stored_once_however_often_the_file_is_read(at: BatchDesk) -> None:
    at.submit("a", "b")
    batch = at.collected()
    ends = [at.end_of(batch, "a", good()), at.end_of(batch, "b", refused())]
    assert at.finish(ends) == [Kept.CURRENT, Kept.CURRENT]
    assert at.finish(ends) == [Kept.CURRENT, Kept.STALE]
    assert at.desk.money() == (50, 0)
    assert at.desk.states() == {"a": "succeeded", "b": "failed"}
    at.check()


@pytest.mark.parametrize(
    ("outcome", "decision", "state", "tries"),
    [
        (Refused(reply=Reply(status=400, error_type="invalid_request_error")), Fail("no"), "failed", 1),
        (Expired(reply=Reply(error_type="expired")), Wait(1.0, counts=True), "waiting", 1),
        (
            AccountStopped(reply=Reply(error_type="billing_error"), stop=Stop.CREDIT),
            Wait(1.0, counts=False),
            "waiting",
            0,
        ),
    ],
)
def test_errors_of_lines_end_as_was_decided_and_cost_nothing(
    at: BatchDesk, outcome: Any, decision: Any, state: str, tries: int
) -> None:
    at.submit("a")
    batch = at.collected()
    finish = at.end_of(batch, "a", outcome, decision)
    due = Millis(LATER) if state == "waiting" else None
    assert at.finish([replace(finish, due=due)]) == [Kept.CURRENT]
    assert at.desk.states() == {"a": state}
    assert at.tries() == {"a": tries}
    assert at.desk.money() == (0, 0)
    assert at.done(batch.id, NOW)
    at.check()


def test_a_batch_knows_only_the_attempts_it_made_itself(at: BatchDesk) -> None:
    at.submit("a", "b")
    batch = at.standing(n=1)
    (a, attempt), (b, _) = at.held()["a"], at.held()["b"]
    assert list(at.claims(batch.id, [(a, attempt), (b, 1), (a, attempt + 1), (999, 1)])) == [a]


def test_what_was_bought_twice_is_booked_once(at: BatchDesk) -> None:
    at.submit("a")
    batch = at.collected()
    at.keep(batch, at.won("a"), NOW)
    assert not at.bought_twice(batch, "twin", Nanos(50)), "nobody suspected it"
    at.suspect(batch.id, ["twin"], NOW)
    assert at.bought_twice(batch, "twin", Nanos(50))
    assert not at.bought_twice(batch, "twin", Nanos(50))
    assert at.desk.money() == (100, 0)


def repetition(at: BatchDesk, batch: Batch, key: str, body: str) -> Kept:
    """How an answer is kept that a second copy of *batch* brings."""
    ((kept,),) = (at.finish([at.end_of(batch, key, good(body))], repetition=True),)
    told: Kept = kept
    return told


def test_a_repetition_answers_what_its_first_copy_ended_without_an_answer(at: BatchDesk) -> None:
    at.submit("errored", "cancelled", "answered")
    batch = at.collected()
    at.finish([at.end_of(batch, "errored", refused())])
    at.finish([at.end_of(batch, "cancelled", Canceled(reply=Reply(), by_user=True), Cancel())])
    at.keep(batch, at.won("answered"), NOW)
    assert at.done(batch.id, NOW)
    assert (at.desk.money(), at.desk.states()["errored"]) == ((50, 0), "failed")
    for _ in range(2):  # as after a death in between: an attempt is answered once, and booked once
        assert repetition(at, batch, "errored", "late") in {Kept.LATE, Kept.CURRENT}
        assert repetition(at, batch, "cancelled", "late, too") in {Kept.LATE, Kept.CURRENT}
        assert repetition(at, batch, "answered", "another") is Kept.REPEATED
    assert set(at.desk.states().values()) == {"succeeded"}
    assert at.desk.money() == (150, 0)
    assert at.desk.results("answered") == [(1, 1, '{"for":"answered"}')]
    assert at.finish([at.end_of(batch, "errored", refused())]) == [Kept.CURRENT], "an answer stays"
    assert at.desk.attempts("errored") == [("ok", "yes", 50, HALF)]
    at.check()


def test_a_repetition_of_a_line_that_never_came_leaves_what_the_first_copy_may_have_cost(at: BatchDesk) -> None:
    at.submit("a")
    batch = at.collected()
    assert at.missing(batch.id, NOW, "no line") == 1
    assert at.done(batch.id, NOW)
    assert (at.desk.money(), at.desk.possibly()) == ((HALF, 0), (1, HALF))
    assert [repetition(at, batch, "a", "late") for _ in range(2)] == [Kept.LATE, Kept.CURRENT]
    assert (at.desk.money(), at.desk.possibly()) == ((HALF + 50, 0), (0, 0))
    assert at.desk.states() == {"a": "succeeded"}


def test_a_lost_batch_that_turns_up_was_possibly_billed_until_its_results_tell(at: BatchDesk) -> None:
    at.submit("a", "b")
    batch = at.unresolved()
    assert at.lose(batch.id, NOW, NOW) == 2
    assert (at.desk.money(), at.desk.possibly()) == ((0, 0), (0, 0))
    assert at.submitted(batch.id, remote("late", batch.n), NOW)
    assert (at.desk.money(), at.desk.possibly()) == ((2 * HALF, 0), (2, 2 * HALF))
    assert at.finish([at.end_of(batch, "a", good("late"))]) == [Kept.LATE]
    assert (at.desk.money(), at.desk.possibly()) == ((HALF + 50, 0), (1, HALF))
    at.check()


def test_downloads_of_a_repetition_are_counted_by_themselves(at: BatchDesk) -> None:
    at.submit()
    batch = at.collected()
    at.short(batch.id, NOW)
    at.keep(batch, at.won("a", "b", "c"), NOW)
    assert at.done(batch.id, NOW)
    assert (at.batch().downloads, at.batch().downloaded) == (0, None)
    at.short(batch.id, LATER)
    assert (at.batch().downloads, at.batch().downloaded) == (1, LATER)


def test_downloads_are_counted_from_the_first_that_left_something_missing(at: BatchDesk) -> None:
    at.submit()
    batch = at.collected()
    at.short(batch.id, NOW)
    at.short(batch.id, LATER)
    assert (at.batch().downloads, at.batch().downloaded) == (2, NOW)


def test_a_batch_that_the_api_shows_again_was_never_gone(at: BatchDesk) -> None:
    at.submit()
    batch = at.standing()
    at.missed(batch.id, NOW)
    at.missed(batch.id, LATER)
    assert at.batch().absent == NOW
    at.seen(batch.id, remote("msgbatch_token001"))
    assert at.batch().absent is None
