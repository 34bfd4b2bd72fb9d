"""Who may leave when: never more in a minute than its limit, whoever asks, and hardly less."""

from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.core.limits import Dimension, Limits
from batchrun.core.sharing import CREDIT, LATE, Want, depart

ONE = Want()


def busiest(moments: list[float]) -> int:
    moments = sorted(moments)
    return max(n + 1 - bisect_left(moments, at - 60.0 + 1e-6) for n, at in enumerate(moments))


@given(
    limit=st.integers(1, 3000),
    rests=st.lists(st.tuples(st.floats(0.0, 90.0), st.integers(1, 40)), min_size=1, max_size=60),
    late=st.floats(0.0, LATE),
)
def test_no_minute_has_more_than_its_limit_however_they_come_and_however_late_they_leave(
    limit: int, rests: list[tuple[float, int]], late: float
) -> None:
    empty: dict[Dimension, float] = {}
    now, moments = 0.0, []
    for rest, n in rests:
        now += rest
        moments += depart(empty, Limits(requests=limit), [ONE] * n, now)
    half = [moment + late * (nth % 2) for nth, moment in enumerate(moments)]
    assert busiest(moments) <= limit
    assert busiest(half) <= limit


@pytest.mark.parametrize("limit", [7, 50, 1000, 10_000])
def test_who_always_asks_gets_ninety_eight_percent(limit: int) -> None:
    moments = depart({}, Limits(requests=limit), [ONE] * (limit * 3), 0.0)
    assert len(moments) / moments[-1] * 60.0 >= 0.98 * limit


def test_a_new_bucket_has_no_burst_and_an_idle_one_keeps_half_a_second_s_worth() -> None:
    limits = Limits(requests=6100)
    empty: dict[Dimension, float] = {}
    assert depart(empty, limits, [ONE], 0.0) == [pytest.approx(0.01)]
    idle = depart(empty, limits, [ONE] * 60, 30.0)
    assert sum(moment <= 30.0 + 1e-6 for moment in idle) == int(100 * CREDIT)


def test_a_large_request_leaves_once_a_second_s_worth_is_paid_and_the_next_one_waits_for_the_rest() -> None:
    limits = Limits(input_tokens=6100)
    wants = [Want(input_tokens=5000.0), Want(input_tokens=1.0)]
    assert depart({}, limits, wants, 0.0) == [pytest.approx(1.0), pytest.approx(50.01)]


def test_the_dimension_that_binds_decides_and_the_others_keep_no_more_than_their_credit() -> None:
    limits = Limits(requests=6100, input_tokens=6100)
    empty: dict[Dimension, float] = {}
    moments = depart(empty, limits, [Want(input_tokens=100.0)] * 5, 0.0)
    assert moments == [pytest.approx(1.0 + nth) for nth in range(5)]
    assert 5.0 - empty[Dimension.REQUESTS] <= CREDIT


def test_nobody_leaves_while_a_lane_is_blocked() -> None:
    assert depart({}, Limits(requests=6100), [ONE] * 2, 5.0, 20.0) == [20.0, pytest.approx(20.0, abs=0.02)]
