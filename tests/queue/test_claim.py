"""Claims: in the file's order, each with its attempt on the books, within the money, and only where sending is allowed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import sqlalchemy as sa

from batchrun.core.account import Account
from batchrun.core.claim import Taken
from batchrun.core.job import Millis, Nanos, RunId
from batchrun.core.pause import Pause, PauseScope
from batchrun.queue import cancelling, pauses
from batchrun.queue import tables as t
from batchrun.queue.submit import RunTerms
from tests.queue.desk import MODEL, NOW, Desk, dropped, good, job, jobs


def take(desk: Desk, worker: int, n: int = 10, *, left: int | None = None, model: str = MODEL) -> Taken:
    taken: Taken = desk.wait(desk.store.claim(RunId(1), model, n, worker, desk.now, left))  # type: ignore[arg-type]  # numbers are ids here
    return taken


def keys(taken: Taken) -> list[str]:
    return [claim.key for claim in taken.claims]


def test_jobs_leave_in_the_order_of_the_file(desk: Desk) -> None:
    desk.submit(jobs("zyxw"))
    worker = desk.work()
    assert keys(take(desk, worker, 3)) == ["z", "y", "x"]
    assert keys(take(desk, worker, 3)) == ["w"]
    assert keys(take(desk, worker, 3)) == []
    desk.check()


def test_a_claim_says_all_that_a_request_needs(desk: Desk) -> None:
    desk.submit([job("a", max_tokens=77)], terms=RunTerms(betas=("b-1",), headers={"x-team": "red"}))
    worker = desk.work()
    (claim,) = take(desk, worker).claims
    assert (claim.run, claim.key, claim.model, claim.attempt, claim.tries) == (1, "a", MODEL, 1, 0)
    assert (claim.max_tokens, claim.est_input, claim.worst, claim.claimed) == (77, 5, 1000, NOW)
    assert (claim.betas, claim.headers) == (("b-1",), {"x-team": "red"})
    assert json.loads(claim.body)["messages"][0]["content"] == "hello"


def test_the_attempt_is_on_the_books_before_the_request_leaves(desk: Desk) -> None:
    desk.submit(jobs("a"))
    take(desk, desk.work())
    assert desk.attempts("a") == [(None, None, None, 1000)]
    assert desk.money() == (0, 1000)
    assert desk.states() == {"a": "running"}


def test_each_claim_is_another_attempt(desk: Desk) -> None:
    desk.submit(jobs("a"))
    worker = desk.work()
    for n in (1, 2, 3):
        (claim,) = take(desk, worker).claims
        assert (claim.attempt, claim.tries) == (n, 0)
        desk.wait(desk.store.release([claim], desk.now))
    assert [outcome for outcome, *_ in desk.attempts("a")] == ["released"] * 3
    assert desk.money() == (0, 0)
    desk.check()


def test_models_are_asked_for_one_by_one(desk: Desk) -> None:
    desk.submit([job("a", model="one"), job("b", model="two"), job("c", model="one")])
    worker = desk.work()
    assert keys(take(desk, worker, model="two")) == ["b"]
    assert keys(take(desk, worker, model="one")) == ["a", "c"]
    desk.check()


def test_a_request_is_put_together_from_its_parts(desk: Desk) -> None:
    shared = '{"system":"You are brief.","max_tokens":10}'
    cut = replace(job("a"), request=replace(job("a").request, own='{"model":"m","max_tokens":5}', shared=shared))
    ordered = replace(
        job("b"),
        request=replace(
            job("b").request,
            own='{"model":"m","temperature":1.0}',
            shared=shared,
            order=("model", "system", "temperature"),
        ),
    )
    desk.submit([cut, ordered])
    worker = desk.work()
    bodies = [claim.body for claim in take(desk, worker).claims]
    assert bodies == [
        '{"system":"You are brief.","max_tokens":5,"model":"m"}',
        '{"model":"m","system":"You are brief.","temperature":1.0,"max_tokens":10}',
    ]
    assert desk.rows(sa.select(sa.func.count()).select_from(t.shared)) == [(1,)]


def test_a_cap_lets_out_only_what_it_pays_for_at_worst(desk: Desk) -> None:
    desk.submit(jobs("abcd"), terms=RunTerms(budget=Nanos(2500)))
    worker = desk.work()
    taken = take(desk, worker)
    assert (keys(taken), taken.penniless) == (["a", "b"], True)
    assert desk.money() == (0, 2000)
    taken = take(desk, worker)
    assert (keys(taken), taken.penniless) == ([], True)


def test_money_comes_back_as_answers_come_in(desk: Desk) -> None:
    desk.submit(jobs("abcd"), terms=RunTerms(budget=Nanos(2500)))
    worker = desk.work()
    first, second = take(desk, worker).claims
    desk.finish(first, good(), cost=100)
    desk.finish(second, good(), cost=200)
    assert desk.money() == (300, 0)
    assert keys(take(desk, worker)) == ["c", "d"]
    desk.check()


def test_what_may_have_been_billed_counts_at_its_worst(desk: Desk) -> None:
    desk.submit(jobs("ab"), terms=RunTerms(budget=Nanos(1500)))
    worker = desk.work()
    (claim,) = take(desk, worker, 1).claims
    desk.finish(claim, dropped())
    assert desk.money() == (1000, 0)
    assert desk.attempts("a") == [("error", "maybe", None, 1000)]
    taken = take(desk, worker)
    assert (taken.claims, taken.penniless) == ((), True)


def test_a_calls_own_cap_binds_too(desk: Desk) -> None:
    desk.submit(jobs("abc"))
    worker = desk.work()
    taken = take(desk, worker, left=1999)
    assert (keys(taken), taken.penniless) == (["a"], True)
    taken = take(desk, worker, 1, left=5000)
    assert (keys(taken), taken.penniless) == (["b"], False)
    taken = take(desk, worker, left=5000)
    assert (keys(taken), taken.penniless) == (["c"], False)


def test_under_a_cap_no_job_leaves_whose_cost_has_no_bound(desk: Desk) -> None:
    desk.submit([job("a", worst=None), job("b"), job("c", worst=None)])
    worker = desk.work()
    taken = take(desk, worker, left=10_000)
    assert (keys(taken), taken.penniless) == (["b"], True)
    taken = take(desk, worker)
    assert (keys(taken), taken.penniless) == (["a", "c"], False)
    desk.check()


def test_several_claims_in_one_transaction_do_not_spend_the_same_money(desk: Desk) -> None:
    desk.submit(jobs("abcd"), terms=RunTerms(budget=Nanos(3000)))
    worker = desk.work()
    from batchrun.queue import jobs as claims
    from batchrun.queue import runs
    from batchrun.queue.bodies import SharedParts
    from batchrun.queue.transaction import Transaction

    def op(tx: Transaction) -> int:
        n = 0
        for _ in range(4):
            terms = runs.terms(tx, RunId(1), MODEL, NOW, None)
            assert terms is not None
            n += len(claims.claim(tx, terms, MODEL, 1, worker, NOW, SharedParts()))
        return n

    assert desk.do(op) == 3
    desk.check()


def test_a_cancelled_run_gives_nothing_more(desk: Desk) -> None:
    desk.submit(jobs("ab"))
    worker = desk.work()
    cancelling.cancel_run(desk.do, RunId(1), NOW)
    assert take(desk, worker) == Taken(claims=())


def test_nor_does_a_run_that_is_not_there(desk: Desk) -> None:
    assert desk.wait(desk.store.claim(RunId(77), MODEL, 1, desk.work(), NOW, None)) == Taken(claims=())


def paused(scope: PauseScope, subject: str, reason: str, *, since: int = NOW, until: int | None = None) -> Pause:
    return Pause(
        scope=scope,
        subject=subject,
        reason=reason,
        message="m",
        since=Millis(since),
        until=None if until is None else Millis(until),
    )


def bound(desk: Desk) -> int:
    account = desk.wait(desk.store.remember_account(Account(origin="https://api", organization="o"), "f", NOW))
    assert desk.wait(desk.store.bind(RunId(1), account.id))
    found: int = account.id
    return found


@pytest.mark.parametrize("scope", PauseScope)
def test_what_a_person_paused_gives_nothing_until_its_end(desk: Desk, scope: PauseScope) -> None:
    desk.submit(jobs("ab"))
    worker = desk.work()
    account = bound(desk)
    subject = {PauseScope.RUN: "1", PauseScope.ACCOUNT: f"{account}", PauseScope.MODEL: f"{account}:{MODEL}"}[scope]
    desk.wait(desk.store.pause(paused(scope, subject, "user")))
    assert keys(take(desk, worker)) == []
    desk.wait(desk.store.pause(paused(scope, subject, "user", until=NOW + 1)))
    assert keys(take(desk, worker)) == []
    desk.now = Millis(NOW + 1)
    assert keys(take(desk, worker)) == ["a"]
    desk.do(lambda tx: pauses.lift(tx, scope, subject))
    assert keys(take(desk, worker)) == ["b"]


def test_a_run_that_paused_by_itself_gives_one_job_once_it_may_be_asked(desk: Desk) -> None:
    desk.submit(jobs("abc"))
    worker = desk.work()
    desk.wait(desk.store.pause(paused(PauseScope.RUN, "1", "refusals")))
    assert keys(take(desk, worker)) == []
    desk.now = Millis(NOW + 15 * 60_000)
    assert keys(take(desk, worker)) == ["a"]


def test_another_runs_or_accounts_pause_does_not_matter(desk: Desk) -> None:
    desk.submit(jobs("ab"))
    worker = desk.work()
    account = bound(desk)
    for scope, subject in (
        (PauseScope.RUN, "2"),
        (PauseScope.ACCOUNT, f"{account + 1}"),
        (PauseScope.MODEL, f"{account}:other"),
    ):
        desk.wait(desk.store.pause(paused(scope, subject, "user")))
    assert keys(take(desk, worker)) == ["a", "b"]
