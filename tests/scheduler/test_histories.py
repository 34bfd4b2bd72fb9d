"""Nights of batches: nothing is lost, nothing is bought twice without a cause that is nobody's mistake, all ends.

A history that must not be names the line that replays it: `python -m tests.scheduler.histories SEED`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scheduler.histories import Wrong, histories
from tests.scheduler.histories_plants import PLANTS, Plant

CHUNK = 20

OFTEN = (
    *("adopted", "foreign", "lost", "late", "gone", "missing", "cut download", "cancel race", "rescued"),
    *("deaths", "stray", "twice"),
)
"""What must have happened in the whole sweep: histories count by it, not by their number."""


@pytest.mark.parametrize("seed", [1, 2, 3, 4, *range(6, 14)])
def test_a_night_of_batches_ends_well(tmp_path: Path, seed: int) -> None:
    histories(tmp_path, [seed])


@pytest.mark.sweep
@pytest.mark.parametrize("chunk", range(12))
def test_many_nights_of_batches_end_well(tmp_path: Path, chunk: int) -> None:
    happened = histories(tmp_path, range(1000 + chunk * CHUNK, 1000 + (chunk + 1) * CHUNK))
    # Twelve chunks: two of each in every chunk on average, and some of most of them in any.
    assert sum(happened[what] > 0 for what in OFTEN) >= len(OFTEN) - 4, happened


@pytest.mark.sweep
@pytest.mark.filterwarnings("ignore")  # a night that is broken off leaves coroutines behind
@pytest.mark.parametrize(("plant", "word"), PLANTS, ids=[plant.__name__ for plant, _ in PLANTS])
def test_a_planted_mistake_is_found_within_a_hundred_nights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plant: Plant, word: str
) -> None:
    plant(monkeypatch)
    with pytest.raises(Wrong, match=word):
        histories(tmp_path, range(2000, 2100))


def test_the_same_seed_is_the_same_night(tmp_path: Path) -> None:
    nights = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        nights.append(histories(tmp_path / name, [5]))
    assert nights[0] == nights[1]
