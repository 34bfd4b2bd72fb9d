"""Runs that end in time, and checks from outside that say nothing when all is well."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.cli.conftest import Batchrun, jobs_file

HOUR = 3_600_000
BANNER = "SIMULATED: no request leaves this machine and nothing costs money\n"


@pytest.fixture
def sixty(batchrun: Batchrun, tmp_path: Path) -> Batchrun:
    """The program in a folder with a stored, simulated run of sixty jobs, which go in batches."""
    jobs_file(tmp_path / "sixty.jsonl", [f"Say {n}." for n in range(60)])
    assert batchrun("submit", "sixty.jsonl", "--simulate", "--no-run").code == 0
    return batchrun


def change(folder: Path, *statements: str) -> None:
    with sqlite3.connect(folder / "batchrun-simulated.db") as queue:
        for statement in statements:
            queue.execute(statement)


def test_a_run_ends_when_its_time_is_over_and_leaves_the_rest_queued(sixty: Batchrun, late: None) -> None:
    shown = sixty("run", "--simulate", "--max-duration", "1s", "--progress", "none")
    assert shown.code == 7
    assert "the time given is over" in shown.err
    assert "the rest is queued: `batchrun --simulate run` goes on" in shown.err
    assert "sent=59" in shown.err


def test_until_idle_ends_once_all_is_sent_and_until_done_collects_it(sixty: Batchrun, late: None) -> None:
    shown = sixty("run", "--simulate", "--until", "idle", "--progress", "none")
    assert shown.code == 0
    assert "sent=59" in shown.err


def test_a_time_that_is_none_is_refused(sixty: Batchrun) -> None:
    for command in (("run", "--max-duration", "soon"), ("status", "--check", "--stale", "soon")):
        shown = sixty(*command, "--simulate")
        assert shown.code == 2
        assert f"`{command[-2]} soon` must be a time, such as 90, 90s, 5m or 1h30m" in shown.err
    assert "add --check" in sixty("status", "--stale", "2h", "--simulate").err


def test_a_quiet_check_says_nothing_when_all_is_well_and_one_line_when_not(sixty: Batchrun, soon: None) -> None:
    shown = sixty("status", "--check", "--quiet", "--simulate")
    assert (shown.code, shown.out) == (8, "")
    assert "sixty (r-1): 60 jobs left; nobody is running it: batchrun --simulate run sixty" in shown.err
    assert sixty("run", "--simulate", "--quiet").code == 0
    shown = sixty("status", "--check", "--quiet", "--simulate")
    assert (shown.code, shown.out, shown.err) == (0, "", BANNER)
    assert "sixty" in sixty("status", "--check", "--simulate").out


def test_jobs_that_are_left_are_stale_only_once_nobody_has_worked_for_long(
    sixty: Batchrun, soon: None, tmp_path: Path
) -> None:
    check = ("status", "--check", "--stale", "2h", "--quiet", "--simulate")
    assert sixty(*check).code == 0
    change(tmp_path, f"UPDATE runs SET created = created - {3 * HOUR}")
    assert sixty(*check).code == 8
    change(tmp_path, "UPDATE runs SET hours = '00:00-00:01 UTC'")
    assert sixty(*check).code == 0
    sixty("run", "--once", "--simulate", "--quiet")
    change(tmp_path, "UPDATE runs SET hours = NULL")
    assert sixty(*check).code == 0  # a worker was there just now
    change(tmp_path, f'UPDATE workers SET started = started - {3 * HOUR}, "left" = "left" - {3 * HOUR}')
    assert sixty(*check).code == 8


def test_a_check_counts_failures_also_when_quiet(sixty: Batchrun, soon: None, tmp_path: Path) -> None:
    sixty("run", "--simulate", "--quiet")
    change(tmp_path, "UPDATE run_counts SET state = 'failed' WHERE state = 'succeeded'")
    shown = sixty("status", "--check", "--quiet", "--simulate")
    assert shown.code == 1
    assert "sixty (r-1): 60 jobs failed: batchrun --simulate errors sixty" in shown.err
