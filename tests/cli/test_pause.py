from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Batchrun, jobs_file
from tests.stock import Stock

QUIET = ("--simulate", "--progress", "none", "-q")


@pytest.fixture
def queued(batchrun: Batchrun, tmp_path: Path) -> Batchrun:
    """The program in a folder with a run of three jobs, of which none was sent."""
    jobs_file(tmp_path / "jobs.jsonl", ["one", "two", "three"])
    assert batchrun("submit", "jobs.jsonl", "--no-run", *QUIET).code == 0
    return batchrun


def counts(batchrun: Batchrun) -> dict[str, int]:
    found: dict[str, int] = json.loads(batchrun("status", "--simulate", "--json").out)["runs"][0]["counts"]
    return found


@pytest.mark.usefixtures("swift")
def test_a_paused_run_is_not_sent_until_somebody_resumes_and_status_says_who_and_how(queued: Batchrun) -> None:
    shown = queued("pause", "jobs", "--reason", "the prompt is wrong", "--simulate")
    assert (shown.code, shown.out) == (0, "")
    assert "paused: run jobs; what is out comes home and is kept" in shown.err
    assert "To go on:  batchrun --simulate resume jobs" in shown.err
    assert queued("run", *QUIET).code == 0
    assert counts(queued)["queued"] == 3
    status = queued("status", "jobs", "--simulate", "--json")
    (pause,) = json.loads(status.out)["pauses"]
    assert pause["reason"] == "user"
    assert pause["message"].endswith("the prompt is wrong")
    assert pause["next_probe"] is None
    assert queued("resume", "jobs", "--simulate").err.count("lifted") == 1
    assert queued("run", *QUIET).code == 0
    assert counts(queued)["succeeded"] == 3
    log = queued("log", "--simulate", "--format", "jsonl").out
    assert '"reason": "user"' in log
    assert '"code": "resumed"' in log


@pytest.mark.usefixtures("swift")
def test_all_is_paused_before_any_account_is_known(queued: Batchrun) -> None:
    assert queued("pause", "--all", "--simulate").code == 0
    queued("run", *QUIET)
    assert counts(queued)["queued"] == 3


def test_a_model_is_paused_in_every_account_and_resumed_alone(batchrun: Batchrun, tmp_path: Path) -> None:
    with Stock(tmp_path / "batchrun.db") as stock:
        stock.account()
        stock.job(stock.run("nightly"), "a")
    assert batchrun("pause", "--model", "claude-test-1").code == 0
    assert batchrun("pause", "--all").code == 0
    document = json.loads(batchrun("resume", "--model", "claude-test-1", "--json").out)
    assert [one["scope"] for one in document["lifted"]] == ["model"]
    assert len(json.loads(batchrun("resume", "--json").out)["lifted"]) == 2  # the account, and the run without one


def test_a_model_that_no_job_is_for_is_a_mistake(queued: Batchrun) -> None:
    shown = queued("pause", "--model", "claude-haiku-55", "--simulate")
    assert shown.code == 2
    assert "did you mean `claude-haiku-5-5`?" in shown.err


@pytest.mark.parametrize("args", [(), ("jobs", "--all"), ("--all", "--model", "m")])
def test_exactly_one_thing_is_paused(queued: Batchrun, args: tuple[str, ...]) -> None:
    shown = queued("pause", *args, "--simulate")
    assert shown.code == 2
    assert "pause what?" in shown.err


def test_a_key_in_the_reason_is_not_kept(queued: Batchrun, tmp_path: Path) -> None:
    queued("pause", "jobs", "--reason", "sk-ant-api03-abcdefgh leaked", "--simulate")
    assert b"abcdefgh" not in (tmp_path / "batchrun-simulated.db").read_bytes()
