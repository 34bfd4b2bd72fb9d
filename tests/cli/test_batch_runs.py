"""Runs in batches from the command line: sent and left alone, waited for, collected by a later call."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from batchrun.cli.commands import wait
from batchrun.queue.locks import Locks
from batchrun.wiring import card
from tests.cli.conftest import Batchrun, jobs_file

SUBMIT = ("submit", "jobs.jsonl", "--mode", "batch", "--simulate", "--progress", "none")


@pytest.fixture
def ten(batchrun: Batchrun, tmp_path: Path) -> Batchrun:
    """The program in a folder with a file of ten jobs."""
    jobs_file(tmp_path / "jobs.jsonl", ["one"] * 10)
    return batchrun


def counts(batchrun: Batchrun) -> dict[str, int]:
    found = json.loads(batchrun("status", "--simulate", "--json").out)["runs"][0]["counts"]
    return {state: n for state, n in found.items() if n}


@pytest.mark.usefixtures("late")
def test_a_submit_returns_once_its_batches_stand_and_says_what_to_type_next(ten: Batchrun) -> None:
    shown = ten(*SUBMIT)
    assert (shown.code, shown.out) == (0, "")
    said = shown.err.splitlines()[-3:]
    assert said[0].startswith("Open. run=jobs succeeded=1 failed=0 cancelled=0 sent=9 queued=0")
    assert said[1].startswith("9 jobs in batches: 1 batch, sent ")
    assert said[2] == (
        "You can close this terminal. To look:  batchrun --simulate status jobs   "
        "To collect:  batchrun --simulate run jobs  or  batchrun --simulate wait jobs"
    )
    assert counts(ten) == {"succeeded": 1, "sent": 9}


@pytest.mark.usefixtures("late")
def test_the_same_submit_again_sends_nothing_twice_and_says_what_is_out(ten: Batchrun) -> None:
    ten(*SUBMIT)
    shown = ten(*SUBMIT)
    assert "already: 1 succeeded, 9 in batches\n" in shown.err
    assert shown.code == 0
    (run,) = json.loads(ten("status", "--simulate", "--json").out)["runs"]
    assert [batch["jobs"] for batch in run["batches"]] == [9]


@pytest.mark.usefixtures("soon")
def test_a_submit_that_waits_collects_too(ten: Batchrun) -> None:
    shown = ten(*SUBMIT, "--wait")
    assert shown.code == 0
    assert "Done. run=jobs succeeded=10" in shown.err
    assert "close this terminal" not in shown.err


def test_a_submit_cannot_both_wait_and_not_send(ten: Batchrun) -> None:
    assert ten(*SUBMIT, "--wait", "--no-run").code == 2


@pytest.mark.usefixtures("late")
def test_a_pass_of_once_leaves_what_is_out_and_says_so(ten: Batchrun) -> None:
    ten(*SUBMIT)
    shown = ten("run", "--once", "--simulate", "--progress", "none")
    assert shown.code == 0
    assert "9 jobs in batches: 1 batch" in shown.err
    assert ten("run", "--once", "--simulate", "-q").err.count("\n") == 1  # that it is simulated


@pytest.mark.usefixtures("late")
def test_json_of_a_submit_tells_what_is_out(ten: Batchrun) -> None:
    _launch, done = (json.loads(line) for line in ten(*SUBMIT, "--json", "-q").out.splitlines())
    assert (done["exit"], done["runs"][0]["counts"]) == (0, {"in_batch": 9, "succeeded": 1})


# -- wait --------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("soon")
def test_wait_stays_until_a_run_is_over(ten: Batchrun) -> None:
    ten(*SUBMIT)
    shown = ten("wait", "jobs", "--simulate", "--progress", "none")
    assert shown.code == 0
    assert "Done. run=jobs succeeded=10" in shown.err
    assert ten("wait", "jobs", "--simulate").code == 0
    assert ten("wait", "--simulate").err.endswith("Nothing to wait for: no run is open.\n")


@pytest.mark.usefixtures("soon")
def test_wait_ends_with_1_when_jobs_failed(ten: Batchrun, tmp_path: Path) -> None:
    jobs_file(tmp_path / "jobs.jsonl", ["one", "[[simulate: 400]]"])
    ten(*SUBMIT)
    assert ten("wait", "--simulate", "--progress", "none").code == 1
    assert ten("wait", "jobs", "--simulate").code == 1


@pytest.mark.usefixtures("late")
def test_wait_ends_with_8_when_its_time_is_over(ten: Batchrun) -> None:
    ten(*SUBMIT)
    shown = ten("wait", "jobs", "--simulate", "--timeout", "0.1s", "--progress", "none", "--json")
    assert shown.code == 8
    assert shown.err.endswith(
        "9 jobs are not finished: the time given is over. To look:  batchrun --simulate status jobs\n"
    )
    assert "error:" not in shown.err
    assert json.loads(shown.out.splitlines()[-1])["exit"] == 8
    wrong = ten("wait", "--simulate", "--timeout", "soon")
    assert wrong.code == 2
    assert "`--timeout soon` must be a time" in wrong.err


@pytest.mark.usefixtures("late")
def test_wait_for_several_runs_ends_when_they_are_over_though_others_are_not(ten: Batchrun, tmp_path: Path) -> None:
    ten(*SUBMIT)
    for name in ("small", "other"):
        jobs_file(tmp_path / f"{name}.jsonl", ["one"])
        ten("submit", f"{name}.jsonl", "--simulate", "--no-run")
    shown = ten("wait", "small", "other", "--simulate", "--progress", "none")
    assert shown.code == 0
    assert counts(ten) == {"succeeded": 1}  # of the newest; the batch of the first is still out
    assert ten("status", "--format", "text", "--simulate", "--check").code == 8


@pytest.mark.usefixtures("late")
def test_wait_watches_while_another_worker_is_at_it(
    ten: Batchrun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ten(*SUBMIT)
    monkeypatch.setattr(wait, "LOOK", 0.0)
    locks = Locks(tmp_path / "batchrun-simulated.db")
    locks.hold_run(card(), exclusive=True)
    shown = ten("wait", "jobs", "--simulate", "--timeout", "0.05s")
    locks.close()
    assert shown.code == 8
    assert shown.err.count("Waiting for it.") == 1


@pytest.mark.usefixtures("swift")
def test_wait_does_not_stay_for_what_only_a_person_can_bring_about(ten: Batchrun) -> None:
    ten(*SUBMIT, "--pilot", "2", "--no-run")
    shown = ten("wait", "jobs", "--simulate", "--progress", "none")
    assert shown.code != 0
    assert counts(ten) == {"succeeded": 2, "queued": 8}


# -- cancel ------------------------------------------------------------------------------------------------------------


def standing(batchrun: Batchrun) -> list[str]:
    """Where the batches of the queue stand."""
    found = json.loads(batchrun("batches", "--simulate", "--json").out)["batches"]
    return [batch["standing"] for batch in found]


@pytest.mark.usefixtures("late")
def test_a_cancel_reaches_the_batches_at_once_and_says_what_may_be_billed(ten: Batchrun) -> None:
    ten(*SUBMIT)
    dry = ten("cancel", "jobs", "--simulate", "--dry-run")
    assert "9 jobs would be stopped. 9 of them may be at Anthropic: they may still be billed" in dry.err
    assert "1 batch is cancelled there." in dry.err
    shown = ten("cancel", "jobs", "--simulate", "--yes")
    assert shown.code == 0
    assert "cancelled run jobs: all of its jobs that are left are out\n" in shown.err
    assert "b-1 (9 jobs) is being cancelled, as you wished; what is done by then is kept" in shown.err
    assert standing(ten) == ["cancelling"]


@pytest.mark.usefixtures("late")
def test_where_a_worker_is_at_it_a_cancel_leaves_the_batches_to_it(ten: Batchrun, tmp_path: Path) -> None:
    ten(*SUBMIT)
    locks = Locks(tmp_path / "batchrun-simulated.db")
    locks.hold_run(card(), exclusive=True)
    shown = ten("cancel", "jobs", "--simulate", "--yes")
    locks.close()
    assert shown.code == 0
    assert "it cancels the batches at its next look" in shown.err
    assert "b-1 (9 jobs) is to be cancelled, as you wished   batchrun --simulate run" in shown.err
    assert standing(ten) == ["at Anthropic"]
    ten("run", "--once", "--simulate", "-q")
    assert standing(ten) == ["cancelling"]


@pytest.mark.usefixtures("late")
def test_single_jobs_of_a_batch_cannot_be_stopped_there(ten: Batchrun) -> None:
    ten(*SUBMIT)
    shown = ten("cancel", "-s", "id:doc-5", "--simulate", "--dry-run")
    assert shown.err.endswith("Single jobs of a batch cannot be stopped there.\n")
    ten("cancel", "-s", "id:doc-5", "--simulate", "--yes")
    assert standing(ten) == ["at Anthropic"]


@pytest.mark.usefixtures("late")
def test_jobs_of_an_unclear_batch_cannot_be_stopped_before_it_is_known(ten: Batchrun, tmp_path: Path) -> None:
    ten(*SUBMIT)
    with sqlite3.connect(tmp_path / "batchrun-simulated.db") as connection:
        connection.execute("UPDATE batches SET state = 'unclear', remote_id = NULL, processing = NULL, created = NULL")
    shown = ten("cancel", "jobs", "--simulate", "--yes", "--json")
    assert json.loads(shown.out)["batches"] == [{"id": "b-1", "standing": "unclear", "jobs": 9}]
    assert counts(ten) == {"succeeded": 1, "sent": 9}
    dry = ten("cancel", "jobs", "--simulate", "--dry-run")
    assert "9 jobs cannot be stopped before it is known whether their batch stands." in dry.err


# -- the way and why ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("late")
def test_verbose_says_once_which_way_each_run_goes_and_why(ten: Batchrun) -> None:
    shown = ten("submit", "jobs.jsonl", "--simulate", "--progress", "plain", "-v", "--name", "few")
    assert shown.err.count("run few goes in realtime: 10 jobs are too few for a batch\n") == 1
    shown = ten(*SUBMIT[:-1], "plain", "-v", "--name", "many")
    assert shown.err.count("run many goes in batches: asked for\n") == 1
    assert "run many goes in batches: asked for" in ten("log", "--format", "text", "many", "--simulate").out
    assert "goes in" not in ten(*SUBMIT[:-1], "plain", "--name", "quiet").err


@pytest.mark.usefixtures("soon")
def test_what_a_batch_had_done_before_its_cancel_is_kept(ten: Batchrun) -> None:
    ten(*SUBMIT)
    shown = ten("cancel", "jobs", "--simulate", "--yes")
    assert counts(ten) == {"succeeded": 10}
    assert "may be at Anthropic" not in shown.err
