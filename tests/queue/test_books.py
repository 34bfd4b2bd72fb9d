"""The books of a run: every attempt once, and a choice of its jobs that says what it is a choice of."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import pytest

from batchrun.core.job import RunId
from batchrun.queue import books as reading_books
from batchrun.queue.books import chosen, entries, events_of, stop_reasons, ways
from batchrun.queue.reading import Reading
from tests.stock import NOON, Stock, message

RUN = RunId(1)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(reading_books, "STRETCH", 7)
    return tmp_path / "batchrun.db"


def test_every_attempt_of_the_run_comes_once(path: Path) -> None:
    with Stock(path) as stock:
        run, other = stock.run("one"), stock.run("two")
        for n in range(20):
            stock.job(run, f"a{n}", "succeeded", attempts=[{"status": 529}] * (n % 3) + [{"cache_write_1h": 3}])
            stock.job(other, f"b{n}", "succeeded")
        stock.job(run, "waits")
    with Reading.open(path) as reading:
        found = list(entries(reading, RUN))
    assert len(found) == sum(n % 3 + 1 for n in range(20))
    assert Counter(one.outcome for one in found) == {"ok": 20, "error": sum(n % 3 for n in range(20))}
    assert {one.cache_write for one in found if one.outcome == "ok"} == {3}


@pytest.mark.parametrize(("sample", "others"), [(0, 50), (1, 50), (7, 50), (49, 50), (50, 50), (80, 50), (5, 0)])
def test_the_sample_is_of_the_size_asked_for_even_and_in_order(path: Path, sample: int, others: int) -> None:
    with Stock(path) as stock:
        run = stock.run("one")
        for n in range(others):
            stock.job(run, f"{n}", "succeeded")
            if n % 5 == 0:
                stock.job(run, f"bad-{n}", "failed")
    with Reading.open(path) as reading:
        picked = chosen(reading, RUN, sample)
        seqs = dict(reading.rows("SELECT id, seq FROM jobs"))
        bad = {id_ for (id_,) in reading.rows("SELECT id FROM jobs WHERE state = 'failed'")}
    assert (picked.others, picked.all_others) == (min(sample, others), others)
    assert picked.failed == picked.all_failed == len(bad)
    assert [seqs[job] for job in picked.jobs] == sorted(seqs[job] for job in picked.jobs)
    assert len(set(picked.jobs)) == len(picked.jobs) == picked.others + picked.failed
    places = [n for n, id_ in enumerate(sorted(set(seqs) - bad)) if id_ in set(picked.jobs)]
    gaps = {after - before for before, after in itertools.pairwise(places)}
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_of_very_many_failures_the_first_are_shown_and_all_are_counted(path: Path) -> None:
    with Stock(path) as stock:
        run = stock.run("one")
        for n in range(12):
            stock.job(run, f"bad-{n}", "failed" if n % 2 else "held")
    with Reading.open(path) as reading:
        picked = chosen(reading, RUN, 5, failed=4)
    assert (picked.failed, picked.all_failed, picked.jobs) == (4, 12, (1, 2, 3, 4))


def test_reasons_ways_and_events_are_those_of_the_run(path: Path) -> None:
    with Stock(path) as stock:
        run, other = stock.run("one"), stock.run("two")
        for n in range(9):
            stock.job(run, f"{n}", "succeeded", answer=message("x", stop="max_tokens" if n % 3 else "end_turn"))
        stock.job(run, "pilot", way=2)
        stock.job(other, "other", "succeeded", way=1)
        stock.event("way_chosen", NOON + 1, run=run, name="one", batch=True, why="b")
        stock.event("way_chosen", NOON, run=other, name="two", batch=True, why="b")
        stock.event("run_done", NOON, run=run, name="one")
    with Reading.open(path) as reading:
        assert stop_reasons(reading, RUN) == {"max_tokens": 6, "end_turn": 3}
        assert ways(reading, RUN) == {2: 1}
        assert [row.at for row in events_of(reading, RUN, "way_chosen", 5)] == [NOON + 1]
