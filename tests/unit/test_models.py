"""Models are found by their id, with or without its date."""

from __future__ import annotations

import pytest

from batchrun.core.models import Model, ModelTable, undated

TABLE = ModelTable(
    date="2026-11-17",
    source="test",
    models={
        "claude-haiku-4-5": Model(id="claude-haiku-4-5"),
        "claude-sonnet-4-5": Model(id="claude-sonnet-4-5", retires="2026-11-30"),
        "claude-opus-4": Model(id="claude-opus-4", retired=True),
    },
)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("claude-haiku-4-5", "claude-haiku-4-5"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("claude-opus-4-20250514", "claude-opus-4"),
        ("claude-opus-4-1", None),
        ("claude-haiku-4-5-2025100", None),
        ("claude-haiku-4-5-202510011", None),
        ("claude-haiku-4-520251001", None),
        ("claude-haiku", None),
        ("", None),
    ],
)
def test_a_model_is_found_by_its_id_and_by_its_dated_id(asked: str, found: str | None) -> None:
    model = TABLE.find(asked)
    assert (model.id if model else None) == found


def test_only_a_date_of_ascii_digits_is_taken_off() -> None:
    assert undated("m-20251001") == "m"
    assert undated("m-2025100x") == "m-2025100x"
    assert undated("-20251001") == ""
    assert undated("20251001") == "20251001"


def test_a_model_is_gone_from_the_day_it_retires() -> None:
    sonnet = TABLE.models["claude-sonnet-4-5"]
    assert not sonnet.gone("2026-11-29")
    assert sonnet.gone("2026-11-30")
    assert sonnet.gone("2027-01-01")


def test_a_retired_model_is_gone_whatever_the_day() -> None:
    assert TABLE.models["claude-opus-4"].gone("2020-01-01")
    assert not TABLE.models["claude-haiku-4-5"].gone("2099-01-01")
