"""What the outcome of a create says about whether the batch stands."""

from __future__ import annotations

from typing import get_args

import pytest

from batchrun.core.batch import Clarity, clarity
from batchrun.core.outcome import (
    AccountStopped,
    Answer,
    Billed,
    Canceled,
    Dropped,
    Expired,
    Misrouted,
    ModelUnavailable,
    Outcome,
    Overloaded,
    RateLimited,
    Refused,
    Reply,
    ServerFailed,
    Stop,
    Succeeded,
    Unknown,
    Unreachable,
    Usage,
)


def said(status: int | None = None, *, genuine: bool = False) -> Reply:
    return Reply(status=status, genuine=genuine)


TABLE: list[tuple[Outcome, Clarity]] = [
    (Unreachable(reply=said()), Clarity.REFUSED),
    (Refused(reply=said()), Clarity.REFUSED),
    (Refused(reply=said(413)), Clarity.REFUSED),
    (RateLimited(reply=said(429), retry_after=None), Clarity.REFUSED),
    (AccountStopped(reply=said(401), stop=Stop.KEY), Clarity.REFUSED),
    (ModelUnavailable(reply=said(404)), Clarity.REFUSED),
    (Misrouted(reply=said(307)), Clarity.REFUSED),
    (Misrouted(reply=said(407)), Clarity.REFUSED),
    (ServerFailed(reply=said(400, genuine=True)), Clarity.REFUSED),
    (ServerFailed(reply=said(408, genuine=True)), Clarity.ANSWERED),
    (ServerFailed(reply=said(409, genuine=True)), Clarity.ANSWERED),
    (ServerFailed(reply=said(500, genuine=True)), Clarity.ANSWERED),
    (Overloaded(reply=said(529, genuine=True)), Clarity.ANSWERED),
    (ServerFailed(reply=said(504, genuine=True)), Clarity.UNCLEAR),
    (ServerFailed(reply=said(409)), Clarity.UNCLEAR),
    (ServerFailed(reply=said(503)), Clarity.UNCLEAR),
    (Overloaded(reply=said(529)), Clarity.UNCLEAR),
    (ServerFailed(reply=said(502), billed=Billed.MAYBE), Clarity.UNCLEAR),
    (ServerFailed(reply=said(500, genuine=True), billed=Billed.MAYBE), Clarity.UNCLEAR),
    (Misrouted(reply=said(200), billed=Billed.MAYBE), Clarity.UNCLEAR),
    (Misrouted(reply=said(200)), Clarity.UNCLEAR),
    (Refused(reply=said(200, genuine=True)), Clarity.UNCLEAR),
    (Dropped(reply=said()), Clarity.UNCLEAR),
    (Dropped(reply=said(200, genuine=True)), Clarity.UNCLEAR),
    (Dropped(reply=said(499)), Clarity.UNCLEAR),
    (Succeeded(reply=said(200), answer=Answer(body="{}", stop_reason="", usage=Usage())), Clarity.UNCLEAR),
    (Expired(reply=said()), Clarity.UNCLEAR),
    (Canceled(reply=said(), by_user=True), Clarity.UNCLEAR),
    (Unknown(reply=said()), Clarity.UNCLEAR),
]


@pytest.mark.parametrize(("outcome", "clear"), TABLE)
def test_each_outcome_of_a_create_says_whether_the_batch_may_stand(outcome: Outcome, clear: Clarity) -> None:
    assert clarity(outcome) is clear


def test_the_table_names_every_outcome() -> None:
    assert {type(outcome) for outcome, _ in TABLE} == set(get_args(Outcome))
