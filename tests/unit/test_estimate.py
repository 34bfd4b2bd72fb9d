from __future__ import annotations

import pytest

from batchrun.core.choice import Choice
from batchrun.core.estimate import Estimate, Share, estimate, meets
from batchrun.core.figures import DOLLAR
from batchrun.core.job import Millis, Nanos
from batchrun.core.limits import Dimension, Limits
from batchrun.core.pricing import Price, PriceTable, Rates

CHEAP = Rates(input=1 * DOLLAR, output=5 * DOLLAR, cache_write_5m=0, cache_write_1h=0, cache_read=0)
PRICES = PriceTable(date="2026-11-01", source="a test", prices={"haiku": Price(rates=CHEAP)})


def share(jobs: int = 1, *, max_tokens: int = 1_000, worst: int = 9_000_000, unbounded: int = 0) -> Share:
    return Share(
        jobs=jobs, est_input=100 * jobs, max_tokens=max_tokens * jobs, worst=Nanos(worst * jobs), unbounded=unbounded
    )


def made(
    shares: dict[str, Share],
    *,
    answers: dict[str, float] | None = None,
    limits: dict[str, tuple[str, Limits]] | None = None,
    realtime: dict[str, Share] | None = None,
) -> Estimate:
    lanes = limits or {}
    return estimate(shares, PRICES, answers or {}, lambda model: lanes.get(model, (model, Limits())), realtime=realtime)


def test_tokens_and_money_add_up() -> None:
    found = made({"haiku": share(3)})
    assert (found.jobs, found.models) == (3, ("haiku",))
    assert (found.input_tokens, found.output_likely, found.output_most) == (300, 1_800, 3_000)
    assert found.likely == 300 * 1_000 + 1_800 * 5_000
    assert found.most == 27_000_000
    assert not found.seen


def test_answers_that_were_seen_replace_the_guess() -> None:
    found = made({"haiku": share(10)}, answers={"haiku": 96.4})
    assert found.output_likely == 964
    assert found.seen


def test_no_more_output_is_likely_than_is_allowed() -> None:
    assert made({"haiku": share(max_tokens=50)}, answers={"haiku": 96.4}).output_likely == 50
    assert made({"haiku": share(max_tokens=10_000_000)}).output_likely == 1_500
    assert made({"haiku": share(max_tokens=20)}).output_likely == 20


def test_a_job_is_never_likely_to_cost_more_than_at_most() -> None:
    assert made({"haiku": share(worst=5)}).likely == 5


def test_an_unknown_price_is_counted_and_never_zero_in_silence() -> None:
    found = made({"haiku": share(), "new": share(2, worst=0, unbounded=2)})
    assert (found.unpriced, found.unbounded) == ({"new": 2}, 2)
    assert found.most == 9_000_000


def test_the_scarcest_limit_of_the_slowest_lane_tells_the_time() -> None:
    limits = {
        "haiku": ("haiku", Limits(requests=50, input_tokens=50_000, output_tokens=10_000)),
        "sonnet": ("sonnet", Limits(requests=1_000)),
    }
    forecast = made({"haiku": share(100), "sonnet": share(100)}, limits=limits).forecast
    assert forecast is not None
    assert (forecast.lane, forecast.binding, forecast.seconds) == ("haiku", Dimension.OUTPUT, 360.0)


def test_models_of_one_lane_share_its_limits() -> None:
    lane = ("all", Limits(requests=1))
    forecast = made({"haiku": share(), "haiku-2": share()}, limits={"haiku": lane, "haiku-2": lane}).forecast
    assert forecast is not None
    assert forecast.seconds == 120


def test_without_limits_there_is_no_forecast() -> None:
    assert made({"haiku": share()}).forecast is None


# -- in batches --------------------------------------------------------------------------------------------------------


def test_without_batches_all_jobs_go_realtime() -> None:
    found = made({"haiku": share(3), "new": share(2, worst=0, unbounded=2)})
    assert found.realtime == found.jobs == 5
    assert found.likely == found.likely_realtime


def test_batches_cost_half_of_what_realtime_costs() -> None:
    whole, half = made({"haiku": share(3)}), made({"haiku": share(3)}, realtime={})
    assert (half.likely, half.likely_realtime) == (whole.likely // 2, whole.likely)
    assert whole.most / 2 <= half.most <= whole.most / 2 + 3
    assert (half.realtime, half.output_likely, half.forecast) == (0, whole.output_likely, whole.forecast)


def test_what_goes_realtime_all_the_same_costs_the_full_price() -> None:
    pilot, whole = made({"haiku": share(1)}), made({"haiku": share(3)})
    found = made({"haiku": share(3)}, realtime={"haiku": share(1)})
    rest = made({"haiku": share(2)}, realtime={})
    assert found.realtime == 1
    assert found.likely == pilot.likely + rest.likely
    assert found.most == pilot.most + rest.most
    assert made({"haiku": share(3)}, realtime={"haiku": share(3)}).most == whole.most


@pytest.mark.parametrize("worst", [1, 3, 5, 999_999, 999_999_999])
def test_what_is_likely_is_never_more_than_at_most_and_that_covers_each_job_rounded_up(worst: int) -> None:
    found = made({"haiku": share(7, worst=worst)}, realtime={"haiku": share(2, worst=worst)})
    assert found.likely <= found.most
    each = -(-worst // 2)
    assert 2 * worst + 5 * each <= found.most <= 2 * worst + 5 * each + 5


def test_an_unknown_price_is_unknown_in_batches_too() -> None:
    found = made({"new": share(2, worst=0, unbounded=2)}, realtime={"new": share(1, worst=0, unbounded=1)})
    assert (found.unpriced, found.unbounded, found.likely, found.most) == ({"new": 2}, 2, 0, 0)


# -- in time -----------------------------------------------------------------------------------------------------------

NOW = Millis(1_795_132_800_000)
HOUR = 3_600_000


def test_realtime_meets_a_deadline_if_there_is_time_and_a_margin() -> None:
    way = Choice(batch=False, why="")
    assert meets(way, now=NOW, deadline=Millis(NOW + 2 * HOUR), seconds=3_600)
    assert not meets(way, now=NOW, deadline=Millis(NOW + HOUR), seconds=3_600)
    assert not meets(way, now=NOW, deadline=Millis(NOW - 1), seconds=0.0)


def test_batches_meet_it_by_what_is_sent_realtime_after_them() -> None:
    assert meets(Choice(batch=True, why="", rescue=NOW), now=NOW, deadline=Millis(NOW + HOUR), seconds=60)
    assert not meets(Choice(batch=True, why=""), now=NOW, deadline=Millis(NOW + HOUR), seconds=60)


def test_without_a_limit_nobody_can_tell() -> None:
    assert meets(Choice(batch=False, why=""), now=NOW, deadline=NOW, seconds=None) is None
