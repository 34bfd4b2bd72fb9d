"""Nights of batches: nothing is lost, nothing is bought twice without a cause that is nobody's mistake, all ends.

A history that must not be names the line that replays it: `python -m tests.scheduler.histories SEED`.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from tests.crash.share import some
from tests.scheduler.histories import ASKING, Wrong, histories, told
from tests.scheduler.histories_judge import SEQUELS
from tests.scheduler.histories_plants import PLANTS, Plant

CHUNKS, CHUNK = 14, 20

OFTEN = {
    "adopted": "adopted",
    "foreign cleared": "foreign",
    "lost and resent": "lost",
    "late arrival": "late",
    "gone": "gone",
    "missing lines": "missing",
    "cut download": "cut download",
    "cancel race": "cancel race",
    "rescue": "rescued",
    "repetition": "twice",
}
"""What must have happened at least `TIMES` times in the whole sweep: histories count by it, not by their number."""

TIMES = 20

ASKED = 2
"""Nights of each share in which jobs are asked on."""


@pytest.fixture
def totals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all workers of this test run leave what they counted."""
    base = tmp_path_factory.getbasetemp()
    place = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "histories"
    place.mkdir(exist_ok=True)
    return place


@pytest.mark.parametrize("seed", [1, 2, 3, 4, *range(6, 14)])
def test_a_night_of_batches_ends_well(tmp_path: Path, seed: int) -> None:
    histories(tmp_path, [seed])


@pytest.mark.sweep
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_many_nights_of_batches_end_well_and_hold_much_of_everything(
    tmp_path: Path, totals: Path, capsys: pytest.CaptureFixture[str], chunk: int
) -> None:
    happened = histories(tmp_path, range(1000 + chunk * CHUNK, 1000 + (chunk + 1) * CHUNK))
    written = totals / f"{chunk}.new"
    written.write_text(json.dumps(happened))
    written.rename(totals / f"{chunk}.json")
    chunks = [json.loads(path.read_text()) for path in totals.glob("*.json")]
    if len(chunks) == CHUNKS:  # whoever is the last looks at them all
        together = sum((Counter(each) for each in chunks), Counter[str]())
        with capsys.disabled():
            print(f"\n{told(together)}")  # noqa: T201  # what the sweep was made of belongs to its outcome
        rare = {what: together[name] for what, name in OFTEN.items() if together[name] < TIMES}
        assert not rare, f"too seldom: {rare}"


@pytest.mark.sweep
@pytest.mark.timeout(1200)
def test_nights_in_which_answers_are_not_the_end_end_well(tmp_path: Path) -> None:
    happened = histories(tmp_path, some(ASKING, 1, 0)[:ASKED])
    assert min(happened[f"ended by {stop}"] for stop in SEQUELS) > 0


@pytest.mark.sweep
@pytest.mark.timeout(1200)
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
