"""What just happened: what ended in which moment, and what a look at it may cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchrun.core.limits import Dimension
from batchrun.core.states import State
from batchrun.queue.pulse import SLOT, beats, ended, limits
from batchrun.queue.reading import Reading
from tests.queue.test_reading import _steps
from tests.stock import MINUTE, NOON, SECOND, Stock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "batchrun.db"


def test_what_came_back_is_summed_up_by_slot_run_and_model(path: Path) -> None:
    with Stock(path) as stock:
        run = stock.run("nightly", account=stock.account())
        for n in range(3):
            stock.job(run, f"a{n}", "succeeded", attempts=[{"ended": NOON + n * SECOND, "cache_write_5m": 4}])
        stock.job(run, "b", "succeeded", model="other", attempts=[{"ended": NOON}])
        refused = [{"ended": NOON + SLOT, "status": status} for status in (429, 529, 529)]
        stock.job(run, "c", "failed", attempts=refused)
    with Reading.open(path) as reading:
        first, found = beats(reading, NOON)
    assert first == NOON // SLOT
    told = {(one.slot - first, one.model): one for one in found}
    assert told.keys() == {(0, "claude-test-1"), (0, "other"), (1, "claude-test-1")}
    one = told[0, "claude-test-1"]
    assert (one.n, one.ok, one.input_tokens, one.output_tokens, one.account) == (3, 3, 42, 15, 1)
    late = told[1, "claude-test-1"]
    assert (late.n, late.ok, late.limited, late.overloaded) == (3, 0, 1, 2)


def test_what_never_left_what_is_older_and_what_went_in_a_batch_has_no_pace(path: Path) -> None:
    with Stock(path) as stock:
        run = stock.run("nightly")
        stock.job(run, "given back", attempts=[{"outcome": "released", "ended": NOON}])
        stock.job(run, "older", "succeeded", attempts=[{"ended": NOON - MINUTE}])
        stock.job(run, "batch", "succeeded", attempts=[{"via": "batch", "ended": NOON}])
    with Reading.open(path) as reading:
        assert beats(reading, NOON) == (NOON // SLOT, [])
        assert [one.key for one in ended(reading, 9)] == ["older"]


def test_a_look_that_reads_too_much_says_from_when_on_it_knows_everything(path: Path) -> None:
    with Stock(path) as stock:
        run = stock.run("nightly")
        for n in range(6):
            stock.job(run, f"{n}", "succeeded", attempts=[{"ended": NOON + n * SLOT // 2}])
    with Reading.open(path) as reading:
        first, found = beats(reading, NOON, most=5)
    assert first == NOON // SLOT + 1  # of the slot before one is missing
    assert [(one.slot - first, one.n) for one in found] == [(0, 2), (1, 2)]


def test_what_ended_comes_newest_first_with_what_became_of_its_job(path: Path) -> None:
    with Stock(path) as stock:
        run, other = stock.run("nightly"), stock.run("other")
        stock.job(run, "good", "succeeded", attempts=[{"sent": NOON, "ended": NOON + 1_500}])
        due = NOON + MINUTE
        stock.job(
            run,
            "later",
            "waiting",
            due=due,
            attempts=[{"status": 529, "error_type": "overloaded_error", "ended": NOON + 9}],
        )
        stock.job(other, "else", "succeeded", attempts=[{"ended": NOON + 2_000}])
    with Reading.open(path) as reading:
        assert [one.key for one in ended(reading, 2)] == ["else", "good"]
        good, later = ended(reading, 9, reading.run("nightly").id)
    assert (good.ok, good.seconds, good.output_tokens, good.stop_reason) == (True, 1.5, 5, "end_turn")
    assert (later.ok, later.status, later.error) == (False, 529, "overloaded_error")
    assert (later.state, later.due) == (State.WAITING, due)


def test_learned_limits_are_told_by_lane(path: Path) -> None:
    with Stock(path) as stock:
        account = stock.account()
        stock.add(
            "buckets",
            account=account,
            lane="haiku",
            dimension="requests",
            capacity=50,
            refill=1.0,
            source="headers",
            learned=1,
        )
    with Reading.open(path) as reading:
        (known,) = limits(reading)
    assert (known.lane, known.dimension, known.limit, known.source) == ("haiku", Dimension.REQUESTS, 50, "headers")


def test_a_look_costs_the_same_in_a_queue_of_any_age(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {}
    for size in (1_000, 100_000):
        path = tmp_path / f"{size}.db"
        with Stock(path) as stock:
            run = stock.run("nightly")
            stock.many(run, size, "succeeded")
            stock.sql.execute("UPDATE attempts SET ended = ? + job", (NOON - size - SLOT,))
            # A batch that was written down later stands above them, and tells nothing.
            stock.many(run, size, first=size + 1)
            stock.sql.execute(
                "INSERT INTO attempts (job, n, via, claimed) SELECT id, 1, 'batch', ? FROM jobs WHERE seq > ?",
                (NOON, size),
            )

        def look(reading: Reading) -> None:
            assert beats(reading, NOON, most=500)[1] == []
            assert len(ended(reading, 60)) == 60

        found[size] = _steps(path, look, monkeypatch)
    assert 500 < found[1_000] <= 30_000
    assert found[100_000] <= 1.1 * found[1_000]
