"""Whether a batch stands whose create went unanswered: by two whole listings, a settle time of the server apart."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.core.batch import Batch, BatchState, Processing, Remote
from batchrun.core.job import BatchId, Millis, RunId
from batchrun.core.settling import (
    DRIFT,
    MINUTE,
    REPEATED,
    SETTLE,
    SETTLE_ANSWERED,
    WATCH,
    Reach,
    Settled,
    decided_by,
    earliest,
    is_watched,
    matching,
    settled,
)

NOW = Millis(1_795_132_800_000)
BATCH = Batch(
    id=BatchId(1),
    queue="q",
    token="t",
    run=RunId(1),
    run_name="run",
    model="m",
    account=1,
    state=BatchState.UNCLEAR,
    n=200,
    intended=NOW,
    watermark="msgbatch_old",
    watermark_date=NOW,
)


def remote(name: str = "msgbatch_1", *, n: int = 200, created: int = NOW) -> Remote:
    return Remote(id=name, processing=Processing.IN_PROGRESS, counts={"processing": n}, created=Millis(created))


def at(millis: int) -> Millis:
    return Millis(NOW + millis)


def test_one_listing_without_it_says_nothing_yet() -> None:
    assert settled(BATCH, NOW, possible=False) is Settled.ABSENT
    assert decided_by(BATCH) is None


@pytest.mark.parametrize(("answered", "apart"), [(False, SETTLE), (True, SETTLE_ANSWERED)])
def test_a_second_one_says_so_after_the_settle_time_and_not_a_millisecond_before(answered: bool, apart: int) -> None:
    once = replace(BATCH, answered=answered, first_absent=NOW)
    assert settled(once, at(0), possible=False) is Settled.WAIT
    assert settled(once, at(apart - 1), possible=False) is Settled.WAIT
    assert settled(once, at(apart), possible=False) is Settled.LOST
    assert decided_by(once) == at(apart)


@given(st.none() | st.integers(0, 10**9), st.integers(0, 10**10), st.booleans())
def test_as_long_as_something_may_be_it_nothing_is_given_up(first: int | None, later: int, answered: bool) -> None:
    batch = replace(BATCH, answered=answered, first_absent=None if first is None else at(first))
    assert settled(batch, at(later), possible=True) is Settled.POSSIBLE


@given(st.lists(st.integers(-(10**7), 10**7), min_size=1, max_size=20), st.booleans())
def test_whatever_the_listings_dates_are_two_of_them_lie_a_settle_time_apart(dates: list[int], answered: bool) -> None:
    batch = replace(BATCH, answered=answered)
    for date in dates:
        said = settled(batch, at(date), possible=False)
        if said is Settled.ABSENT:
            batch = replace(batch, first_absent=at(date))
        elif said is Settled.LOST:
            assert batch.first_absent is not None
            assert at(date) - batch.first_absent >= (SETTLE_ANSWERED if answered else SETTLE)
            return


def test_it_may_be_any_of_its_size_that_is_not_older_and_not_another_s() -> None:
    listed = [
        remote("it"),
        remote("other-size", n=199),
        remote("known"),
        remote("just-in-time", created=NOW - DRIFT),
        remote("too-old", created=NOW - DRIFT - 1),
        remote("much-later", created=NOW + 10 * WATCH),
    ]
    assert [each.id for each in matching(BATCH, listed, {"known"})] == ["it", "just-in-time", "much-later"]


def test_a_repetition_is_looked_for_soon_after_the_first_and_before_it() -> None:
    known = replace(BATCH, state=BatchState.DONE, remote="it", created=at(MINUTE))
    listed = [
        remote("before", created=at(MINUTE) - DRIFT),
        remote("too-early", created=at(MINUTE) - DRIFT - 1),
        remote("after", created=at(MINUTE) + REPEATED),
        remote("too-late", created=at(MINUTE) + REPEATED + 1),
        remote("it", created=at(MINUTE)),
    ]
    assert [each.id for each in matching(known, listed, {"it"})] == ["before", "after"]


def test_without_any_date_everything_ever_listed_may_be_it() -> None:
    assert earliest(replace(BATCH, watermark_date=None)) < 0


def test_an_unclear_batch_is_looked_for_for_ever_and_a_lost_one_for_two_days() -> None:
    assert is_watched(BATCH, at(10 * WATCH))
    gone = replace(BATCH, state=BatchState.LOST, lost=NOW)
    assert is_watched(gone, at(WATCH))
    assert not is_watched(gone, at(WATCH + 1))
    assert is_watched(gone, None)


@pytest.mark.parametrize("state", sorted(set(BatchState) - {BatchState.UNCLEAR, BatchState.LOST}))
def test_no_other_is(state: BatchState) -> None:
    assert not is_watched(replace(BATCH, state=state), NOW)


def test_a_listing_goes_back_to_the_watermark_or_past_the_moment() -> None:
    reach = Reach(frozenset({"mark"}), NOW)
    assert not reach.covers([])
    assert not reach.covers([remote("a", created=NOW)])
    assert reach.covers([remote("a", created=NOW), remote("mark", created=NOW)])
    assert reach.covers([remote("a", created=NOW - 1)])
