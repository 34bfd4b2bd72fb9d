"""How often the API is asked about batches: soon while they are young, and seldom enough for a whole night."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.core.job import Millis
from batchrun.core.polling import DOWNLOADS, GONE, LATEST, SOONEST, WITHIN, download_due, is_gone, is_missing, rest

HOUR = 3600.0
NOW = Millis(1_795_132_800_000)


def looks(sent: list[float], until: float, dice: random.Random) -> list[float]:
    """When the listing is asked for while batches are *sent* at these seconds; one listing tells of all."""
    now, asked = 0.0, []
    while now < until:
        asked.append(now)
        out = [moment for moment in sent if moment <= now]
        now += rest(now - max(out, default=0.0), dice.random())
    return asked


def busiest_hour(asked: list[float]) -> int:
    return max(sum(start <= moment < start + HOUR for moment in asked[at:]) for at, start in enumerate(asked))


@pytest.mark.parametrize("seed", range(3))
def test_five_hundred_batches_out_for_a_day_cost_at_most_120_calls_an_hour(seed: int) -> None:
    dice = random.Random(seed)
    assert busiest_hour(looks([0.0] * 500, 24 * HOUR, dice)) <= 120


def test_a_batch_that_ends_in_a_minute_is_noticed_within_a_quarter_of_one() -> None:
    for seed in range(20):
        asked = looks([0.0], 10 * 60, random.Random(seed))
        assert next(moment for moment in asked if moment >= 60.0) < 75.0


@given(st.floats(0, 10**7), st.floats(0, 1, exclude_max=True))
def test_a_rest_is_never_shorter_or_longer_than_it_may_be(age: float, chance: float) -> None:
    assert 0.8 * SOONEST <= rest(age, chance) <= 1.2 * LATEST


@given(st.lists(st.floats(0, 10**6), min_size=2), st.floats(0, 1, exclude_max=True))
def test_what_has_been_out_for_longer_is_not_asked_for_more_often(ages: list[float], chance: float) -> None:
    rests = [rest(age, chance) for age in sorted(ages)]
    assert all(one <= other for one, other in itertools.pairwise(rests))


def test_the_first_download_is_due_at_once_and_later_ones_ever_later() -> None:
    assert download_due(0, None, NOW)
    due = [
        next(minute for minute in range(10**3) if download_due(downloads, NOW, Millis(NOW + minute * 60_000)))
        for downloads in range(1, DOWNLOADS)
    ]
    assert due == [2, 10, 30, 60]


def test_a_line_is_missing_after_five_downloads_and_an_hour_and_not_before_either() -> None:
    assert is_missing(DOWNLOADS, NOW, Millis(NOW + WITHIN))
    assert not is_missing(DOWNLOADS - 1, NOW, Millis(NOW + 100 * WITHIN))
    assert not is_missing(100, NOW, Millis(NOW + WITHIN - 1))
    assert not is_missing(100, None, NOW)


def test_whoever_downloads_whenever_it_is_due_knows_after_an_hour() -> None:
    downloads = 0
    for minute in range(61):
        date = Millis(NOW + minute * 60_000)
        assert not is_missing(downloads, NOW, date)
        if download_due(downloads, NOW if downloads else None, date):
            downloads += 1
    assert is_missing(downloads, NOW, date)


def test_a_batch_is_gone_once_it_was_unknown_for_hours() -> None:
    assert not is_gone(None, NOW)
    assert not is_gone(NOW, Millis(NOW + GONE - 1))
    assert is_gone(NOW, Millis(NOW + GONE))
