"""Which way a run goes: the cheapest that meets its deadline, and the reason in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.core.choice import ENDING, FEW, MARGIN, WORTH, Choice, Mode, choose
from batchrun.core.job import Millis

NOW = Millis(1_795_132_800_000)
HOUR = 3_600.0


def chosen(
    mode: Mode = Mode.AUTO, *, jobs: int = 1_000, hours: float | None = None, seconds: float | None = HOUR
) -> Choice:
    """The way of a run that is due in so many *hours*."""
    deadline = None if hours is None else Millis(NOW + round(hours * HOUR * 1000))
    return choose(mode, jobs=jobs, left=jobs, now=NOW, deadline=deadline, seconds=seconds)


def test_few_jobs_go_realtime_and_more_go_in_batches() -> None:
    assert chosen(jobs=FEW) == Choice(batch=False, why="50 jobs are too few for a batch")
    assert chosen(jobs=FEW + 1) == Choice(batch=True, why="half the price, and there is no deadline")


def test_a_few_jobs_left_of_a_large_run_are_no_few_jobs() -> None:
    assert choose(Mode.AUTO, jobs=1_000, left=3, now=NOW).batch


@pytest.mark.parametrize("mode", [Mode.BATCH, Mode.REALTIME])
def test_what_was_asked_for_is_done(mode: Mode) -> None:
    assert chosen(mode, jobs=1) == Choice(batch=mode is Mode.BATCH, why="asked for")


def test_with_time_enough_batches_are_tried_and_the_rest_is_rescued() -> None:
    way = chosen(hours=8)
    assert way.batch
    assert way.why == "half the price, and there is time until the deadline"
    needed = HOUR * MARGIN + ENDING  # an hour with a margin, and what a batch takes to end
    assert way.rescue == NOW + 8 * HOUR * 1000 - needed * 1000


def test_too_near_the_deadline_it_goes_realtime_at_once() -> None:
    way = chosen(hours=1.5)
    assert not way.batch
    assert way.why == "1,000 jobs take about 1h realtime, too near the deadline for batches"


def test_batches_get_ten_minutes_or_are_not_tried() -> None:
    just = (HOUR * MARGIN + ENDING + WORTH) / HOUR
    assert chosen(hours=just).batch
    assert not chosen(hours=just - 0.01).batch


def test_batches_that_were_asked_for_are_tried_until_the_moment_of_their_rescue() -> None:
    needed = (HOUR * MARGIN + ENDING) / HOUR
    assert chosen(Mode.BATCH, hours=needed + 0.01).batch
    over = chosen(Mode.BATCH, hours=needed - 0.01)
    assert not over.batch
    assert over.why.endswith("too near the deadline for batches")


def test_a_run_due_yesterday_goes_realtime() -> None:
    assert not chosen(hours=-24).batch


def test_where_nobody_can_tell_how_long_realtime_takes_it_is_the_safe_way() -> None:
    assert not chosen(hours=8, seconds=None).batch
    assert chosen(Mode.BATCH, hours=8, seconds=None).batch
    assert "not known" in chosen(hours=8, seconds=None).why


# -- properties --------------------------------------------------------------------------------------------------------

MODES = st.sampled_from(Mode)
JOBS = st.integers(min_value=0, max_value=10_000_000)
HOURS = st.none() | st.floats(min_value=-100, max_value=1_000)
SECONDS = st.none() | st.floats(min_value=0, max_value=1e7)


@given(jobs=JOBS, hours=HOURS, seconds=SECONDS)
def test_auto_never_sends_a_batch_that_would_have_to_be_rescued_already(
    jobs: int, hours: float | None, seconds: float | None
) -> None:
    way = chosen(jobs=jobs, hours=hours, seconds=seconds)
    if way.batch and hours is not None:
        assert way.rescue is not None
        assert way.rescue >= NOW + WORTH * 1000
        assert way.rescue < NOW + hours * HOUR * 1000


@given(mode=MODES, jobs=JOBS, hours=HOURS, seconds=SECONDS)
def test_no_mode_sends_a_batch_whose_rescue_is_past(
    mode: Mode, jobs: int, hours: float | None, seconds: float | None
) -> None:
    way = chosen(mode, jobs=jobs, hours=hours, seconds=seconds)
    assert not way.batch or way.rescue is None or way.rescue >= NOW


@given(jobs=JOBS, hours=HOURS, seconds=SECONDS)
def test_realtime_never_waits_for_a_rescue(jobs: int, hours: float | None, seconds: float | None) -> None:
    assert chosen(Mode.REALTIME, jobs=jobs, hours=hours, seconds=seconds) == Choice(batch=False, why="asked for")


@given(jobs=JOBS, seconds=SECONDS)
def test_batches_that_were_asked_for_without_a_deadline_are_never_rescued(jobs: int, seconds: float | None) -> None:
    assert chosen(Mode.BATCH, jobs=jobs, seconds=seconds) == Choice(batch=True, why="asked for")


@given(mode=MODES, jobs=JOBS, hours=HOURS, seconds=SECONDS)
def test_nothing_is_rescued_without_a_deadline_and_each_way_has_its_reason(
    mode: Mode, jobs: int, hours: float | None, seconds: float | None
) -> None:
    way = chosen(mode, jobs=jobs, hours=hours, seconds=seconds)
    assert way.why
    if hours is None:
        assert way.rescue is None


@given(jobs=JOBS, hours=st.floats(min_value=0, max_value=1_000), seconds=st.floats(min_value=0, max_value=1e7))
def test_more_time_never_makes_it_dearer(jobs: int, hours: float, seconds: float) -> None:
    before, after = chosen(jobs=jobs, hours=hours, seconds=seconds), chosen(jobs=jobs, hours=hours + 1, seconds=seconds)
    assert after.batch or not before.batch
