from __future__ import annotations

from batchrun.core.estimate import Estimator
from batchrun.core.figures import DOLLAR
from batchrun.core.job import Job, Nanos, Request, Where
from batchrun.core.limits import Dimension, Limits
from batchrun.core.pricing import Price, PriceTable, Rates

CHEAP = Rates(input=1 * DOLLAR, output=5 * DOLLAR, cache_write_5m=0, cache_write_1h=0, cache_read=0)
PRICES = PriceTable(date="2026-11-01", source="a test", prices={"haiku": Price(rates=CHEAP)})
DEFAULT_WORST = Nanos(9_000_000)


def job(model: str = "haiku", *, max_tokens: int = 1_000, worst: Nanos | None = DEFAULT_WORST, why: str = "") -> Job:
    return Job(
        key="a",
        where=Where("jobs.jsonl", 1),
        model=model,
        request=Request(own="{}"),
        digest=b"",
        size=400,
        est_input=100,
        max_tokens=max_tokens,
        worst=worst,
        unbounded=why,
    )


def test_tokens_and_money_add_up() -> None:
    estimator = Estimator(prices=PRICES)
    for _ in range(3):
        estimator.add(job())
    estimate = estimator.estimate()
    assert (estimate.jobs, estimate.models) == (3, ("haiku",))
    assert (estimate.input_tokens, estimate.output_likely, estimate.output_most) == (300, 1_500, 3_000)
    assert estimate.likely == 300 * 1_000 + 1_500 * 5_000
    assert estimate.most == 3 * DEFAULT_WORST
    assert not estimate.seen


def test_answers_that_were_seen_replace_the_guess() -> None:
    estimator = Estimator(prices=PRICES, answers={"haiku": 96.4})
    estimator.add(job())
    estimator.add(job(max_tokens=50))
    estimate = estimator.estimate()
    assert estimate.output_likely == 96 + 50
    assert estimate.seen


def test_a_job_is_never_likely_to_cost_more_than_at_most() -> None:
    estimator = Estimator(prices=PRICES)
    estimator.add(job(worst=Nanos(5)))
    assert estimator.estimate().likely == 5


def test_an_unknown_price_is_counted_and_never_zero_in_silence() -> None:
    estimator = Estimator(prices=PRICES)
    estimator.add(job())
    estimator.add(job("new", worst=None, why="the price of `new` is unknown"))
    estimate = estimator.estimate()
    assert (estimate.unpriced, estimate.unbounded, estimate.why) == (1, 1, "the price of `new` is unknown")
    assert estimate.most == DEFAULT_WORST


def test_the_scarcest_limit_of_the_slowest_lane_tells_the_time() -> None:
    limits = {
        "haiku": ("haiku", Limits(requests=50, input_tokens=50_000, output_tokens=10_000)),
        "sonnet": ("sonnet", Limits(requests=1_000)),
    }
    estimator = Estimator(prices=PRICES)
    for _ in range(100):
        estimator.add(job())
        estimator.add(job("sonnet"))
    forecast = estimator.estimate(lambda model: limits[model]).forecast
    assert forecast is not None
    assert (forecast.lane, forecast.binding, forecast.seconds) == ("haiku", Dimension.OUTPUT, 300.0)


def test_models_of_one_lane_share_its_limits() -> None:
    estimator = Estimator(prices=PRICES)
    estimator.add(job())
    estimator.add(job("haiku-2"))
    forecast = estimator.estimate(lambda _: ("all", Limits(requests=1))).forecast
    assert forecast is not None
    assert forecast.seconds == 120


def test_without_limits_there_is_no_forecast() -> None:
    estimator = Estimator(prices=PRICES)
    estimator.add(job())
    assert estimator.estimate(lambda _: ("haiku", Limits())).forecast is None
