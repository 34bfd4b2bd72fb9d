"""What an outcome costs and whom it concerns."""

from __future__ import annotations

from typing import get_args

import pytest

from batchrun.core.outcome import (
    AccountStopped,
    Answer,
    Billed,
    Canceled,
    Dropped,
    Expired,
    Flag,
    Misrouted,
    ModelUnavailable,
    Outcome,
    Overloaded,
    RateLimited,
    Refused,
    Reply,
    Scope,
    ServerFailed,
    Stop,
    Succeeded,
    Unknown,
    Unreachable,
    Usage,
    billed,
    scope,
)

REPLY = Reply()
ANSWER = Answer(body="{}", stop_reason="end_turn", usage=Usage())

TABLE: list[tuple[Outcome, Billed, Scope]] = [
    (Succeeded(reply=REPLY, answer=ANSWER), Billed.YES, Scope.JOB),
    (Refused(reply=REPLY), Billed.NO, Scope.JOB),
    (RateLimited(reply=REPLY, retry_after=None), Billed.NO, Scope.LANE),
    (Overloaded(reply=REPLY), Billed.NO, Scope.SERVICE),
    (ServerFailed(reply=REPLY), Billed.NO, Scope.SERVICE),
    (ServerFailed(reply=REPLY, billed=Billed.MAYBE), Billed.MAYBE, Scope.SERVICE),
    (Dropped(reply=REPLY), Billed.MAYBE, Scope.JOB),
    (Unreachable(reply=REPLY), Billed.NO, Scope.ENVIRONMENT),
    (Misrouted(reply=REPLY), Billed.NO, Scope.ENVIRONMENT),
    (Misrouted(reply=REPLY, billed=Billed.MAYBE), Billed.MAYBE, Scope.ENVIRONMENT),
    (ModelUnavailable(reply=REPLY), Billed.NO, Scope.MODEL),
    (AccountStopped(reply=REPLY, stop=Stop.CREDIT), Billed.NO, Scope.ACCOUNT),
    (Expired(reply=REPLY), Billed.NO, Scope.JOB),
    (Canceled(reply=REPLY, by_user=True), Billed.NO, Scope.JOB),
    (Unknown(reply=REPLY), Billed.MAYBE, Scope.JOB),
]


@pytest.mark.parametrize(("outcome", "money", "whom"), TABLE)
def test_each_outcome_says_what_it_costs_and_whom_it_concerns(outcome: Outcome, money: Billed, whom: Scope) -> None:
    assert billed(outcome) is money
    assert scope(outcome) is whom


def test_the_table_names_every_outcome() -> None:
    assert {type(outcome) for outcome, _, _ in TABLE} == set(get_args(Outcome))


@pytest.mark.parametrize(
    ("stop_reason", "flag"),
    [
        ("end_turn", None),
        ("tool_use", None),
        ("a_reason_of_tomorrow", None),
        ("max_tokens", Flag.TRUNCATED),
        ("refusal", Flag.REFUSED),
        ("model_context_window_exceeded", Flag.CONTEXT),
        ("pause_turn", Flag.PAUSED),
    ],
)
def test_an_answer_that_is_not_a_plain_success_is_flagged(stop_reason: str, flag: Flag | None) -> None:
    assert Answer(body="{}", stop_reason=stop_reason, usage=Usage()).flag is flag


def test_cache_reads_do_not_count_against_the_input_limit() -> None:
    usage = Usage(input=1, cache_write_5m=20, cache_write_1h=300, cache_read=4_000, output=50_000)
    assert usage.charged_input == 321
