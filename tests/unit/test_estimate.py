from __future__ import annotations

from batchrun.core.estimate import Estimate, Share, estimate
from batchrun.core.figures import DOLLAR
from batchrun.core.job import Nanos
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
) -> Estimate:
    lanes = limits or {}
    return estimate(shares, PRICES, answers or {}, lambda model: lanes.get(model, (model, Limits())))


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
