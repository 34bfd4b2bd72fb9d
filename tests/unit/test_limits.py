"""Lanes are found by the longest prefix, and the gate lets no minute over."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.core.limits import Dimension, Limits, LimitTable, gate

TABLE = LimitTable(
    date="2026-10-09",
    source="test",
    tiers={"start": {"*": Limits(requests=1_000), "opus-4": Limits(requests=7), "mythos": Limits()}},
    pools={
        "claude-opus-4": "opus-4",
        "claude-opus-5": "opus-5",
        "claude-opus-5-5": "opus-5-5",
        "claude-mythos": "mythos",
    },
)


@pytest.mark.parametrize(
    ("model", "lane"),
    [
        ("claude-opus-4-8", "opus-4"),
        ("claude-opus-4-5-20251101", "opus-4"),
        ("claude-opus-5", "opus-5"),
        ("claude-opus-5-5", "opus-5-5"),
        ("claude-of-tomorrow", "claude-of-tomorrow"),
        ("claude-of-tomorrow-20270101", "claude-of-tomorrow"),
    ],
)
def test_a_model_goes_through_the_lane_of_the_longest_prefix_or_its_own(model: str, lane: str) -> None:
    assert TABLE.lane_of(model) == lane


def test_a_lane_without_a_row_has_the_tier_s_general_one() -> None:
    assert TABLE.limits("start", "opus-4").requests == 7
    assert TABLE.limits("start", "opus-5").requests == 1_000


def test_a_row_without_numbers_is_not_the_general_one() -> None:
    assert TABLE.limits("start", "mythos") == Limits()


def test_an_unknown_tier_is_an_error() -> None:
    with pytest.raises(KeyError):
        TABLE.limits("platinum", "opus-4")


def test_each_dimension_has_its_limit() -> None:
    limits = Limits(requests=1, input_tokens=2, output_tokens=3)
    assert [limits.of(dimension) for dimension in Dimension] == [1, 2, 3]


class Bucket:
    """A bucket of *burst* units that fills by *rate* a second, full at the start."""

    def __init__(self, burst: float, rate: float) -> None:
        self.burst, self.rate, self.level, self.at = burst, rate, burst, 0.0

    def take(self, amount: float, now: float) -> float:
        """When *amount* units asked for at *now* are let through."""
        now = max(now, self.at)
        level = min(self.burst, self.level + (now - self.at) * self.rate)
        if level < amount:
            now += (amount - level) / self.rate
            level = amount
        self.level, self.at = level - amount, now
        return now


def fullest_minute(passed: list[tuple[float, float]]) -> float:
    """The most units in any closed window of 60 seconds."""
    most, first, inside = 0.0, 0, 0.0
    for when, amount in passed:
        inside += amount
        while when - passed[first][0] > 60.0:
            inside -= passed[first][1]
            first += 1
        most = max(most, inside)
    return most


gaps = st.lists(st.floats(0.0, 90.0), min_size=1, max_size=60)


@given(limit=st.integers(1, 400), gaps=gaps)
def test_no_minute_takes_more_requests_than_the_limit(limit: int, gaps: list[float]) -> None:
    """After each pause everything asks at once, as much as two minutes' limit."""
    bucket, now, passed = Bucket(*gate(limit)), 0.0, []
    for gap in gaps[:5]:
        now = max(now + gap, bucket.at)
        passed += [(bucket.take(1.0, now), 1.0) for _ in range(2 * limit)]
    assert fullest_minute(passed) <= limit + 1e-6


@given(
    limit=st.integers(61, 10_000_000),
    shares=st.lists(st.floats(0.01, 1.0), min_size=1, max_size=8),
    pauses=st.lists(st.floats(0.0, 5.0), min_size=1, max_size=8),
)
def test_no_minute_takes_more_tokens_than_the_limit(limit: int, shares: list[float], pauses: list[float]) -> None:
    """Amounts of any size up to the burst, which is how larger ones are charged too: in pieces."""
    burst, rate = gate(limit)
    bucket, passed = Bucket(burst, rate), []
    for pause in pauses:
        now = bucket.at + pause
        wanted = 0.0
        for share in itertools.cycle(shares):  # more than a minute and a half's worth, asked for at once
            passed.append((bucket.take(share * burst, now), share * burst))
            wanted += share
            if wanted > 90.0 or len(passed) > 4_000:
                break
    assert fullest_minute(passed) <= limit * (1 + 1e-9)


@given(st.integers(1, 10_000_000))
def test_in_the_long_run_98_percent_of_a_limit_can_be_used(limit: int) -> None:
    burst, rate = gate(limit)
    assert rate * 60.0 == pytest.approx(limit * 60 / 61)
    assert burst >= 1.0


@given(st.floats(-10.0, 1.0))
def test_a_limit_below_one_lets_one_through_a_minute_and_never_stops(limit: float) -> None:
    assert gate(limit) == gate(1)


@given(st.floats(1.0, 60.0))
def test_a_broken_limit_counts_by_its_whole_part(limit: float) -> None:
    assert gate(limit) == gate(int(limit))


@given(st.floats(0.1, 1_000_000.0), st.floats(0.1, 1_000_000.0))
def test_a_larger_limit_never_lets_less_through(one: float, other: float) -> None:
    smaller, larger = sorted((one, other))
    assert gate(smaller)[0] <= gate(larger)[0]
    assert gate(smaller)[1] <= gate(larger)[1]
