"""Money is exact, unknown is never zero, and no answer costs more than its worst case."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.core.figures import DOLLAR, decimal_string, dollars, parse_dollars
from batchrun.core.job import Nanos
from batchrun.core.outcome import Usage
from batchrun.core.pricing import Band, Price, PriceTable, Rates
from batchrun.core.tokens import Weight


def rates(**per_million: str) -> Rates:
    return Rates(**{name: int(Decimal(amount) * DOLLAR) for name, amount in per_million.items()})


SONNET = rates(input="2", output="10", cache_write_5m="2.5", cache_write_1h="4", cache_read="0.10")
SMALL = rates(input="0.10", output="0.50", cache_write_5m="0.125", cache_write_1h="0.20", cache_read="0.01")
LARGE = rates(input="0.50", output="2.50", cache_write_5m="0.625", cache_write_1h="1", cache_read="0.05")
OPUS = rates(input="4", output="20", cache_write_5m="5", cache_write_1h="8", cache_read="0.20")
FAST = rates(input="8", output="40", cache_write_5m="10", cache_write_1h="16", cache_read="0.40")

TABLE = PriceTable(
    date="2026-11-09",
    source="test",
    prices={
        "sonnet": Price(rates=SONNET),
        "haiku": Price(rates=SMALL, bands=(Band(over=100_000, rates=LARGE),)),
        "odd": Price(rates=LARGE, bands=(Band(over=1_000, rates=SMALL), Band(over=50_000, rates=SONNET))),
        "opus": Price(rates=OPUS, fast=FAST),
    },
    geo_percent={"global": 100, "us": 110},
    web_search=Nanos(10_000_000),
)


def cost(model: str, *, batch: bool = False, **usage: Any) -> Nanos | None:
    return TABLE.cost(model, Usage(**usage), batch=batch)


def test_a_million_tokens_cost_what_the_page_says() -> None:
    assert cost("sonnet", input=1_000_000) == 2 * DOLLAR
    assert cost("sonnet", output=1_000_000) == 10 * DOLLAR
    assert cost("sonnet", cache_read=1_000_000) == DOLLAR // 10
    assert cost("sonnet", cache_write_5m=1_000_000) == 5 * DOLLAR // 2
    assert cost("sonnet", cache_write_1h=1_000_000) == 4 * DOLLAR


def test_thinking_is_part_of_the_output_and_not_paid_twice() -> None:
    assert cost("sonnet", output=1_000, thinking=900) == cost("sonnet", output=1_000)


def test_a_batch_costs_half_and_one_token_is_still_exact() -> None:
    assert cost("sonnet", batch=True, input=1_000_000, output=1_000_000) == 6 * DOLLAR
    assert cost("haiku", batch=True, cache_read=1) == 5


def test_a_part_of_a_nano_dollar_is_rounded_up() -> None:
    assert cost("haiku", batch=True, cache_read=1, geo="us") == 6  # 5.5


def test_a_dated_id_has_the_price_of_its_model() -> None:
    assert cost("sonnet-20260928", input=1_000) == cost("sonnet", input=1_000)


def test_an_unknown_price_is_unknown_and_not_zero() -> None:
    assert cost("mystery", input=0) is None
    assert TABLE.worst("mystery", size=1, max_tokens=1, batch=True) is None
    assert TABLE.likely("mystery", input_tokens=1, output_tokens=1, batch=False) is None


def test_a_place_without_a_known_surcharge_makes_the_cost_unknown() -> None:
    assert cost("sonnet", input=1_000_000, geo="us") == 22 * DOLLAR // 10
    assert cost("sonnet", input=1_000_000, geo="global") == 2 * DOLLAR
    assert cost("sonnet", input=1_000_000, geo="moon") is None


def test_fast_mode_has_its_own_price_or_none() -> None:
    assert cost("opus", output=1_000_000, speed="fast") == 40 * DOLLAR
    assert cost("opus", output=1_000_000, speed="standard") == 20 * DOLLAR
    assert cost("sonnet", output=1, speed="fast") is None


def test_a_search_costs_the_same_in_a_batch() -> None:
    assert cost("sonnet", web_searches=1_000) == 10 * DOLLAR
    assert cost("sonnet", batch=True, web_searches=1_000) == 10 * DOLLAR


def test_searches_without_a_known_price_make_the_cost_unknown() -> None:
    table = PriceTable(date="", source="", prices=TABLE.prices)
    assert table.cost("sonnet", Usage(input=1), batch=False) is not None
    assert table.cost("sonnet", Usage(input=1, web_searches=1), batch=False) is None


@pytest.mark.parametrize(("prompt", "per_million"), [(100_000, Decimal("0.10")), (100_001, Decimal("0.50"))])
def test_a_band_goes_by_the_whole_prompt_and_holds_for_all_of_it(prompt: int, per_million: Decimal) -> None:
    assert cost("haiku", input=prompt) == int(prompt * per_million * 1_000)
    mixed = Usage(input=1, cache_read=prompt - 2, cache_write_5m=1)
    expected = SMALL if prompt <= 100_000 else LARGE
    assert TABLE.cost("haiku", mixed, batch=False) == -(-expected.of(mixed) // 1_000_000)


counts = st.integers(0, 300_000)


@given(
    model=st.sampled_from(sorted(TABLE.prices)),
    size=counts,
    max_tokens=st.integers(0, 128_000),
    batch=st.booleans(),
    geo=st.sampled_from([None, "global", "us"]),
    asked_fast=st.booleans(),
    cached=st.booleans(),
    cache_1h=st.booleans(),
    parts=st.tuples(counts, counts, counts, counts),
    output=st.integers(0, 128_000),
    runs_fast=st.booleans(),
)
def test_no_answer_within_its_bounds_costs_more_than_the_worst_case(
    *,
    model: str,
    size: int,
    max_tokens: int,
    batch: bool,
    geo: str | None,
    asked_fast: bool,
    cached: bool,
    cache_1h: bool,
    parts: tuple[int, int, int, int],
    output: int,
    runs_fast: bool,
) -> None:
    worst = TABLE.worst(
        model,
        size=size,
        max_tokens=max_tokens,
        batch=batch,
        geo=geo,
        fast=asked_fast,
        cached=cached,
        cache_1h=cache_1h,
    )
    if worst is None:
        assert asked_fast
        assert TABLE.prices[model].fast is None
        return
    allowed = (True, cached or cache_1h, cached or cache_1h, cache_1h)
    wanted = [part if may else 0 for part, may in zip(parts, allowed, strict=True)]
    total = sum(wanted)
    fitted = [part * size // total if total > size else part for part in wanted]
    usage = Usage(
        input=fitted[0],
        cache_read=fitted[1],
        cache_write_5m=fitted[2],
        cache_write_1h=fitted[3],
        output=min(output, max_tokens),
        speed="fast" if asked_fast and runs_fast else None,
        geo=geo,
    )
    paid = TABLE.cost(model, usage, batch=batch)
    assert paid is not None
    assert paid <= worst


@given(size=counts, more=counts, max_tokens=st.integers(0, 128_000), longer=st.integers(0, 128_000))
def test_the_worst_case_never_falls_as_a_request_grows(size: int, more: int, max_tokens: int, longer: int) -> None:
    for model in ("haiku", "odd"):
        small = TABLE.worst(model, size=size, max_tokens=max_tokens, batch=False)
        large = TABLE.worst(model, size=size + more, max_tokens=max_tokens + longer, batch=False)
        assert small is not None
        assert large is not None
        assert small <= large


def test_the_worst_case_is_the_exact_price_of_all_it_allows() -> None:
    assert TABLE.worst("sonnet", size=1_000, max_tokens=100, batch=False) == 1_000 * 2_000 + 100 * 10_000
    assert TABLE.worst("sonnet", size=1_000, max_tokens=100, batch=True) == 1_500_000
    assert TABLE.worst("sonnet", size=1_000, max_tokens=0, batch=False, cached=True) == 2_500_000
    assert TABLE.worst("sonnet", size=1_000, max_tokens=0, batch=False, cache_1h=True) == 4_000_000


def test_what_is_likely_is_the_cost_of_uncached_tokens() -> None:
    likely = TABLE.likely("haiku", input_tokens=200_000, output_tokens=7, batch=True)
    assert likely == cost("haiku", batch=True, input=200_000, output=7)


def test_the_prompts_of_many_jobs_are_not_taken_for_one_large_prompt() -> None:
    together = TABLE.likely("haiku", input_tokens=5_000_000, output_tokens=0, batch=False, jobs=1_000)
    assert together == 5_000_000 * 100
    assert TABLE.likely("haiku", input_tokens=5_000_000, output_tokens=0, batch=False, jobs=10) == 5_000_000 * 500


def weight(most: int | None = 1_000, **more: Any) -> Weight:
    return Weight(input=300, most=most, unbounded="" if most is not None else "a tool", **more)


def test_a_request_brings_its_own_place_speed_and_cache_to_its_worst_case() -> None:
    request = {"model": "opus", "inference_geo": "us", "speed": "fast"}
    found = TABLE.worst_of(request, weight(cache_1h=True), max_tokens=10, batch=False)
    most = TABLE.worst("opus", size=1_000, max_tokens=10, batch=False, geo="us", fast=True, cache_1h=True)
    assert found == (most, "")
    assert most == (1_000 * 16_000 + 10 * 40_000) * 11 // 10


@pytest.mark.parametrize(
    ("request_", "most", "why"),
    [
        ({"model": "sonnet"}, None, "a tool"),
        ({"model": "mystery"}, 10, "the price of `mystery` is unknown"),
        ({}, 10, "the price of `None` is unknown"),
        ({"model": "sonnet", "speed": "fast"}, 10, "the price of `sonnet` with this speed and place is unknown"),
        ({"model": "sonnet", "inference_geo": "eu"}, 10, "the price of `sonnet` with this speed and place is unknown"),
    ],
)
def test_a_request_without_a_bound_says_why(request_: dict[str, Any], most: int | None, why: str) -> None:
    assert TABLE.worst_of(request_, weight(most), max_tokens=10, batch=False) == (None, why)


@pytest.mark.parametrize(
    ("nanos", "written"),
    [
        (None, "unknown"),
        (0, "$0.00"),
        (5, "$0.000000005"),
        (12_345, "$0.000012"),
        (1_300_000, "$0.0013"),
        (30_000_000, "$0.03"),
        (99_600_000, "$0.10"),
        (996_000_000, "$1.00"),
        (69_520_000_000, "$69.52"),
        (1_234_567_890_123, "$1,234.57"),
        (-30_000_000, "-$0.03"),
    ],
)
def test_money_is_written_for_people(nanos: int | None, written: str) -> None:
    assert dollars(None if nanos is None else Nanos(nanos)) == written


@given(st.integers(-(10**18), 10**18))
def test_money_for_programs_is_exact_and_plain(nanos: int) -> None:
    written = decimal_string(Nanos(nanos))
    assert Decimal(written) * DOLLAR == nanos
    assert "E" not in written
    assert not written.endswith(".")


@given(st.integers(0, 10**18))
def test_an_amount_that_was_written_is_read_back(nanos: int) -> None:
    assert parse_dollars(decimal_string(Nanos(nanos))) == nanos


@pytest.mark.parametrize(("text", "nanos"), [("50", 50 * DOLLAR), (" $1,000.25 ", 1_000_250_000_000), ("0", 0)])
def test_amounts_are_read_as_people_write_them(text: str, nanos: int) -> None:
    assert parse_dollars(text) == nanos


def test_the_largest_amount_fits_into_a_database_many_times_over() -> None:
    assert 9 * parse_dollars("1,000,000,000") < 2**63


@pytest.mark.parametrize(
    "text",
    ["", "fifty", "-1", "NaN", "Infinity", "0.0000000001", "1e-9999999", "1 2", "2,50", "0,250", "1,00,000", "1,000e3"],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="dollar"):
        parse_dollars(text)


@pytest.mark.parametrize("text", ["1000000000.000000001", "10000000000", "1e400", "1e9999999"])
def test_an_amount_beyond_all_money_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="more than 1,000,000,000 dollars"):
        parse_dollars(text)
