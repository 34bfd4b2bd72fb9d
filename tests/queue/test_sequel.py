"""Answers that are not the end: kept while the job is asked again, and its result if no better one comes."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa

from batchrun.core.claim import Claim, Kept, OnCrash
from batchrun.core.job import Nanos, RunId
from batchrun.core.outcome import Answer, Reply, Succeeded, Usage
from batchrun.core.retry import Decision, Extend, Fail, GoOn, Succeed
from batchrun.queue import cancelling, recovery, retrying
from batchrun.queue import tables as t
from batchrun.queue.submit import RunTerms
from tests.queue.desk import NOW, Desk, good, job, jobs, refused


def message(stop_reason: str, *content: dict[str, Any], **more: Any) -> Succeeded:
    body = json.dumps({"type": "message", "content": list(content), "stop_reason": stop_reason, **more})
    usage = Usage(input=40, output=10)
    return Succeeded(reply=Reply(status=200), answer=Answer(body=body, stop_reason=stop_reason, usage=usage))


CUT = message("max_tokens", {"type": "text", "text": "half of"})


def one(desk: Desk, **terms: Any) -> Claim:
    desk.submit(jobs("a"), terms=RunTerms(**terms))
    (claim,) = desk.claim(desk.work())
    return claim


def extended(desk: Desk, claim: Claim) -> Claim:
    """The next claim of a job whose answer was cut off."""
    assert desk.finish(claim, CUT, Extend(20)) is Kept.ASIDE
    (again,) = desk.claim(claim.worker)
    return again


def test_a_cut_answer_is_kept_and_the_job_asked_again_with_more_room(desk: Desk) -> None:
    claim = one(desk)
    digest = desk.rows(sa.select(t.jobs.c.digest))
    again = extended(desk, claim)
    assert json.loads(again.body) == {**json.loads(claim.body), "max_tokens": 20}
    assert (again.attempt, again.tries, again.max_tokens, again.worst) == (2, 1, 20, 2 * (claim.worst or 0))
    assert (again.kept, again.extended, again.turns) == (True, 1, 0)
    assert desk.results("a") == [(1, 0, CUT.answer.body)]
    desk.check()
    assert desk.finish(again, good("whole")) is Kept.CURRENT
    assert desk.results("a") == [(1, 0, CUT.answer.body), (2, 1, "whole")]
    assert desk.money() == (100, 0)
    assert desk.rows(sa.select(t.jobs.c.digest)) == digest
    assert desk.rows(sa.select(t.jobs.c.kept)) == [(None,)]
    desk.check()


def _refused(desk: Desk, claim: Claim) -> None:
    assert desk.finish(claim, refused()) is Kept.EARLIER


def _declined(desk: Desk, claim: Claim) -> None:
    assert desk.finish(claim, message("refusal"), Fail("declined")) is Kept.EARLIER


def _dead(desk: Desk, claim: Claim) -> None:
    desk.do(lambda tx: recovery.give_back(tx, claim.worker, NOW))


def _cancelled(desk: Desk, claim: Claim) -> None:
    cancelling.cancel_run(desk.do, RunId(1), NOW)
    desk.wait(desk.store.release([claim], NOW))


def _cancelled_in_the_queue(desk: Desk, claim: Claim) -> None:
    desk.wait(desk.store.release([claim], NOW))
    desk.do(lambda tx: cancelling.cancel_jobs(tx, [claim.job], NOW))


@pytest.mark.parametrize("end", [_refused, _declined, _dead, _cancelled, _cancelled_in_the_queue])
def test_where_no_better_answer_comes_the_kept_one_is_the_result(desk: Desk, end: Any) -> None:
    end(desk, extended(desk, one(desk, on_crash=OnCrash.FAIL)))
    assert desk.states() == {"a": "succeeded"}
    assert desk.results("a")[0] == (1, 1, CUT.answer.body)
    desk.check()


def test_a_held_job_with_a_kept_answer_is_still_held_and_gives_it_when_it_is_given_up(desk: Desk) -> None:
    _dead(desk, extended(desk, one(desk, on_crash=OnCrash.HOLD)))
    assert desk.states() == {"a": "held"}
    cancelling.cancel_run(desk.do, RunId(1), NOW)
    assert desk.states() == {"a": "succeeded"}
    desk.check()


def test_no_more_is_asked_of_a_job_that_somebody_cancels_or_that_the_budget_does_not_pay_for(desk: Desk) -> None:
    desk.submit([job("a"), job("b", line=2)], terms=RunTerms(budget=Nanos(2_500)))
    first, second = desk.claim(desk.work(), 2)
    assert desk.finish(first, CUT, Extend(20), cost=900) is Kept.CURRENT  # 900 and 1,000 of the other leave 600
    desk.do(lambda tx: cancelling.cancel_jobs(tx, [second.job], NOW))
    assert desk.finish(second, message("pause_turn"), GoOn()) is Kept.CURRENT
    assert set(desk.states().values()) == {"succeeded"}
    desk.check()


def test_a_paused_answer_is_sent_back_to_the_letter_behind_the_messages(desk: Desk) -> None:
    claim = one(desk)
    said = {"type": "server_tool_use", "id": "x", "name": "web_search", "input": {"n": 1.10}}
    assert desk.finish(claim, message("pause_turn", said, container={"id": "c1"}), GoOn()) is Kept.ASIDE
    (second,) = desk.claim(claim.worker)
    sent = json.loads(second.body)
    mine = json.loads(claim.body)["messages"]
    assert sent["messages"] == [*mine, {"role": "assistant", "content": [said]}]
    assert sent["container"] == "c1"
    assert (second.tries, second.turns, second.est_input) == (0, 1, 50)
    desk.finish(second, message("pause_turn", {"type": "text", "text": "more"}), GoOn())
    (third,) = desk.claim(claim.worker)
    more = {"role": "assistant", "content": [{"type": "text", "text": "more"}]}
    assert json.loads(third.body)["messages"] == [*mine, {"role": "assistant", "content": [said]}, more]
    desk.finish(third, good("end"))
    assert [winning for _, winning, _ in desk.results("a")] == [0, 0, 1]
    desk.check()


@pytest.mark.parametrize(("decision", "kept"), [(Extend(20), Kept.ASIDE), (Succeed(), Kept.LATE)])
def test_a_late_answer_that_was_cut_off_is_only_kept_while_a_better_one_is_asked_for(
    desk: Desk, decision: Decision, kept: Kept
) -> None:
    claim = one(desk)
    _dead(desk, claim)
    assert desk.finish(claim, CUT, decision) is kept
    assert desk.states() == {"a": "queued" if kept is Kept.ASIDE else "succeeded"}
    assert desk.finish(claim, CUT, decision) is (Kept.TWICE if kept is Kept.ASIDE else Kept.CURRENT)
    desk.check()


def test_a_refusal_to_answer_that_fails_the_job_is_kept_and_can_be_retried(desk: Desk) -> None:
    claim = one(desk)
    assert desk.finish(claim, message("refusal"), Fail("declined")) is Kept.CURRENT
    assert desk.rows(sa.select(t.jobs.c.state, t.jobs.c.error)) == [("failed", "refusal")]
    assert [winning for _, winning, _ in desk.results("a")] == [0]
    assert desk.money() == (50, 0)
    retrying.retry(desk.do, RunId(1), NOW, lambda _: True)
    (again,) = desk.claim(claim.worker)
    desk.finish(again, good("yes"))
    assert [winning for _, winning, _ in desk.results("a")] == [0, 1]
    desk.check()
