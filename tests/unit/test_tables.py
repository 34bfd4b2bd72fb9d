"""The dated tables: complete, consistent with one another, and changed only by what a user's file says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from batchrun.core.figures import DOLLAR
from batchrun.core.limits import Limits
from batchrun.core.models import Model
from batchrun.core.outcome import Usage
from batchrun.core.pricing import Rates
from batchrun.errors import UsageError
from batchrun.settings import load
from batchrun.settings.options import TIERS
from batchrun.settings.tables import DATA, Tables, tables

SHIPPED = tables("auto", {})
CURRENT = ("claude-fable-5-2", "claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5")


def with_file(folder: Path, text: str, **flags: object) -> Tables:
    (folder / "batchrun.toml").write_text(text)
    return load(flags, environ={"HOME": str(folder)}, folder=folder, system_file=folder / "none").tables()


def mistakes(folder: Path, text: str, **flags: object) -> str:
    with pytest.raises(UsageError) as caught:
        with_file(folder, text, **flags)
    return caught.value.message


@pytest.mark.parametrize("table", [SHIPPED.limits, SHIPPED.prices, SHIPPED.models])
def test_each_table_has_a_date_and_a_source(table: Any) -> None:
    assert "2026-10-01" <= table.date <= "2026-11-30"
    assert table.source.startswith("https://platform.claude.com/")


def test_every_tier_that_may_be_set_has_a_row_for_every_model() -> None:
    for tier in TIERS:
        for model in [*SHIPPED.models.models, "claude-of-tomorrow"]:
            assert isinstance(SHIPPED.limits.limits(tier, SHIPPED.limits.lane_of(model)), Limits)


def test_every_published_tier_has_limits_for_batches() -> None:
    assert set(SHIPPED.limits.batches) == set(TIERS) - {"auto", "custom"}
    assert SHIPPED.limits.batches["build"].queued == 300_000


def test_every_row_of_a_tier_is_a_lane_of_some_model() -> None:
    lanes = {*SHIPPED.limits.pools.values(), "*"}
    for tier in SHIPPED.limits.tiers.values():
        assert set(tier) <= lanes


def test_models_of_one_pool_share_a_lane_and_others_do_not() -> None:
    lane = SHIPPED.limits.lane_of
    assert lane("claude-opus-4-5") == lane("claude-opus-4-8") == lane("claude-opus-4-5-20251101")
    assert lane("claude-fable-5") == lane("claude-fable-5-2")
    assert len({lane(f"claude-{name}") for name in ("opus-5", "opus-5-5", "opus-4-8", "sonnet-5", "sonnet-5-5")}) == 5
    assert lane("claude-haiku-5-5") != lane("claude-haiku-4-5")


def test_tiers_have_the_published_numbers() -> None:
    limits = SHIPPED.limits.limits
    assert limits("start", "opus-5") == Limits(requests=1_000, input_tokens=2_000_000, output_tokens=400_000)
    assert limits("scale", "fable-5") == Limits(requests=4_000, input_tokens=4_000_000, output_tokens=800_000)
    assert limits("1", "sonnet-4") == Limits(requests=50, input_tokens=30_000, output_tokens=8_000)
    assert limits("start", "mythos") == Limits()


def test_auto_starts_from_the_lowest_published_tier() -> None:
    assert SHIPPED.limits.tiers["auto"] == SHIPPED.limits.tiers["start"]


@pytest.mark.parametrize("tier", ["1", "2", "3", "4"])
def test_a_numbered_tier_is_used_with_a_warning(tier: str) -> None:
    assert "no more" in tables(tier, {}).warnings[0]
    assert tables("start", {}).warnings == ()


def test_every_priced_model_is_known_and_every_model_that_serves_has_a_price_or_is_by_arrangement() -> None:
    served = {name for name, model in SHIPPED.models.models.items() if not model.retired}
    priced = set(SHIPPED.prices.prices)
    assert priced <= served
    assert served - priced == {"claude-mythos-5-2", "claude-mythos-preview"}


def test_every_price_is_plausible() -> None:
    for price in SHIPPED.prices.prices.values():
        for rates in (price.rates, *(band.rates for band in price.bands), *([price.fast] if price.fast else [])):
            assert 0 < rates.cache_read < rates.input < rates.cache_write_5m < rates.cache_write_1h
            assert rates.output == 5 * rates.input


def test_cache_prices_follow_the_published_multipliers_where_none_is_written() -> None:
    price = SHIPPED.prices.find("claude-opus-4-8")
    assert price is not None
    assert price.rates == Rates(
        input=5 * DOLLAR,
        output=25 * DOLLAR,
        cache_write_5m=6_250_000_000,
        cache_write_1h=10 * DOLLAR,
        cache_read=500_000_000,
    )


@pytest.mark.parametrize(
    ("model", "read"), [("claude-fable-5-1", "0.25"), ("claude-opus-5-5", "0.20"), ("claude-sonnet-5-5", "0.10")]
)
def test_cheaper_cache_reads_are_written_out(model: str, read: str) -> None:
    cost = SHIPPED.prices.cost(model, Usage(cache_read=1_000_000), batch=False)
    assert cost == round(float(read) * DOLLAR)


def test_a_search_costs_a_cent() -> None:
    assert SHIPPED.prices.web_search == DOLLAR // 100


def test_the_small_model_is_dearer_above_a_hundred_thousand_tokens() -> None:
    cost = SHIPPED.prices.cost
    assert cost("claude-haiku-5-5", Usage(input=100_000), batch=False) == DOLLAR // 100
    assert cost("claude-haiku-5-5", Usage(input=100_001), batch=False) == 50_000_500


@pytest.mark.parametrize("name", CURRENT)
def test_current_models_have_their_sizes_and_refuse_what_they_refuse(name: str) -> None:
    model = SHIPPED.models.find(name)
    assert model is not None
    assert (model.context, model.max_output) == (1_000_000, 128_000)
    assert not model.prefill
    assert not model.sampling
    assert model.thinking is not None
    assert "adaptive" in model.thinking
    assert not model.gone("2026-12-31")


def test_what_only_some_models_take_is_told_apart() -> None:
    def find(name: str) -> Model:
        model = SHIPPED.models.find(name)
        assert model is not None
        return model

    assert find("claude-haiku-4-5-20251001").prefill
    assert find("claude-sonnet-4-6").sampling
    assert find("claude-haiku-5-5").forced_tool
    assert not find("claude-sonnet-5-5").forced_tool
    assert find("claude-sonnet-5-5").thinking == frozenset({"adaptive", "between_tools"})
    assert find("claude-opus-4-5").thinking == frozenset({"disabled", "enabled"})
    assert not find("claude-opus-4-5").geo
    assert find("claude-opus-4-6").batch_output == 300_000
    assert find("claude-haiku-4-5").batch_output is None


def test_retirement_is_known_before_and_after_the_day() -> None:
    sonnet, opus = SHIPPED.models.find("claude-sonnet-4-5"), SHIPPED.models.find("claude-opus-4-1-20250805")
    assert sonnet is not None
    assert opus is not None
    assert (sonnet.gone("2026-11-29"), sonnet.gone("2026-11-30")) == (False, True)
    assert opus.gone("2026-11-20")


def test_the_tables_lie_beside_the_code_as_package_data() -> None:
    assert {path.name for path in DATA.glob("*.toml")} >= {"limits.toml", "prices.toml", "models.toml"}


# What the user changes


def test_the_user_s_limits_go_by_lane_or_by_model(tmp_path: Path) -> None:
    found = with_file(
        tmp_path, '[limits."opus-5"]\nrequests = 7\n[limits."claude-haiku-5-5"]\noutput_tokens = 9\n', tier="build"
    )
    assert found.custom == {
        "opus-5": Limits(requests=7, input_tokens=5_000_000, output_tokens=1_000_000),
        "haiku-5-5": Limits(requests=5_000, input_tokens=5_000_000, output_tokens=9),
    }


def test_the_user_s_limits_for_all_other_lanes(tmp_path: Path) -> None:
    found = with_file(tmp_path, '[limits."*"]\nrequests = 7\n', tier="custom")
    assert found.custom == {}
    assert found.limits.limits("custom", "opus-5") == Limits(requests=7)


def test_custom_limits_that_name_no_number_are_no_limits(tmp_path: Path) -> None:
    found = with_file(tmp_path, '[limits."opus-5"]\nrequests = 7\n', tier="custom")
    assert found.custom == {"opus-5": Limits(requests=7)}
    assert found.limits.limits("custom", "sonnet-5") == Limits()


def test_the_tier_custom_needs_numbers(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "tier = 'custom'\n") == "`tier = custom` needs numbers"


def test_the_user_s_price_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    found = with_file(tmp_path, '[prices."claude-opus-5-5"]\noutput = 21.5\n').prices
    ours, shipped = found.find("claude-opus-5-5"), SHIPPED.prices.find("claude-opus-5-5")
    assert ours is not None
    assert shipped is not None
    assert ours.rates.output == 21_500_000_000
    assert (ours.rates.input, ours.rates.cache_read) == (shipped.rates.input, shipped.rates.cache_read)
    assert ours.fast == shipped.fast


def test_a_price_for_a_model_of_tomorrow(tmp_path: Path) -> None:
    text = (
        "[prices.claude-of-tomorrow]\ninput = 1\noutput = 5\nfast = { input = 2, output = 10 }\n"
        "bands = [{ over = 200_000, input = 4, output = 20 }, { over = 100_000, input = 3, output = 15 }]\n"
    )
    price = with_file(tmp_path, text).prices.find("claude-of-tomorrow")
    assert price is not None
    assert [band.over for band in price.bands] == [100_000, 200_000]
    assert price.rates_for(150_000).input == 3 * DOLLAR
    assert price.fast is not None
    assert price.fast.cache_write_1h == 4 * DOLLAR


def test_a_new_price_needs_its_main_numbers(tmp_path: Path) -> None:
    assert "needs `input` and `output`" in mistakes(tmp_path, "[prices.claude-of-tomorrow]\ninput = 1\n")


def test_the_user_may_know_better_what_a_model_takes(tmp_path: Path) -> None:
    text = (
        "[models.claude-of-tomorrow]\ncontext = 2_000_000\nprefill = false\nthinking = ['adaptive']\n"
        "retires = 2030-01-01\n[models.claude-sonnet-4-5]\nretires = '2027-01-31'\n"
    )
    models = with_file(tmp_path, text).models
    assert models.find("claude-of-tomorrow") == Model(
        id="claude-of-tomorrow",
        context=2_000_000,
        prefill=False,
        thinking=frozenset({"adaptive"}),
        retires="2030-01-01",
    )
    changed = models.find("claude-sonnet-4-5")
    assert changed is not None
    assert (changed.retires, changed.context) == ("2027-01-31", 200_000)


def test_a_nearer_file_changes_single_numbers_of_a_farther_one(tmp_path: Path) -> None:
    system = tmp_path / "system.toml"
    system.write_text("[limits.opus-5]\nrequests = 7\ninput_tokens = 8\n")
    (tmp_path / "batchrun.toml").write_text("[limits.opus-5]\nrequests = 9\n")
    found = load({"tier": "custom"}, environ={"HOME": str(tmp_path)}, folder=tmp_path, system_file=system)
    assert found.tables().custom == {"opus-5": Limits(requests=9, input_tokens=8)}


NO_PRICE = "./batchrun.toml:2: `input` must be dollars per million tokens, up to 1,000,000"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("limits = 3", "./batchrun.toml:1: `limits` must be a table of tables, such as [limits.name]"),
        ("[limits]\nopus-5 = 7", "./batchrun.toml:2: `limits.opus-5` must be a table"),
        ("[limits.opus-5]\nrequests = 0", "./batchrun.toml:2: `requests` must be a whole number"),
        ("[limits.opus-5]\nrequests = true", "./batchrun.toml:2: `requests` must be a whole number"),
        ("[limits]\nopus-5 = { request = 1 }", "./batchrun.toml:2: unknown key `request`; did you mean `requests`?"),
        *((f"[prices.m]\ninput = {value}", NO_PRICE) for value in ("'1'", "-1", "inf", "nan", "1000001", "1e30")),
        ("[prices.m]\nfast = 1", "./batchrun.toml:2: `fast` must be a table"),
        ("[prices.m]\nfast = { input = 1 }", "./batchrun.toml:2: `fast` needs `output`"),
        ("[prices.m]\nbands = { over = 1 }", "./batchrun.toml:2: `bands` must be a list of bands"),
        ("[prices.m]\nbands = [{ input = 1, output = 1 }]", "./batchrun.toml:2: `bands` needs `over`"),
        ("[models.m]\nprefill = 1", "./batchrun.toml:2: `prefill` must be true or false"),
        ("[models.m]\nthinking = 'adaptive'", "./batchrun.toml:2: `thinking` must be a list of texts"),
        ("[models.m]\nretires = 'soon'", "./batchrun.toml:2: `retires` must be a day, such as 2026-11-30"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    assert mistakes(tmp_path, text) == message
