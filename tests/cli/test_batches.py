"""`batchrun batches`: what is listed, and that nothing is settled by hand which is not proven or wished."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Batchrun, jobs_file
from tests.stock import MINUTE, NOON, Stock

SUBMIT = ("submit", "jobs.jsonl", "--mode", "batch", "--no-pilot", "--simulate", "--progress", "none", "-q")


@pytest.fixture
def sent(batchrun: Batchrun, tmp_path: Path) -> Batchrun:
    """The program in a folder with a run of ten jobs in one batch."""
    jobs_file(tmp_path / "jobs.jsonl", ["one"] * 10)
    assert batchrun(*SUBMIT).code == 0
    return batchrun


def listed(batchrun: Batchrun, *more: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(batchrun("batches", "list", *more, "--simulate", "--json").out)["batches"]
    return found


def forget(folder: Path, state: str = "unclear") -> str:
    """Let the first batch be as if the answer to its create had been lost; returns its remote id."""
    with sqlite3.connect(folder / "batchrun-simulated.db") as connection:
        (remote,) = connection.execute("SELECT remote_id FROM batches WHERE id = 1").fetchone()
        connection.execute(
            "UPDATE batches SET state = ?, remote_id = NULL, processing = NULL, created = NULL, submitted = NULL "
            "WHERE id = 1",
            (state,),
        )
    return str(remote)


@pytest.mark.usefixtures("late")
def test_the_batches_of_a_queue_are_listed(sent: Batchrun) -> None:
    (batch,) = listed(sent)
    assert (batch["id"], batch["run"], batch["state"], batch["jobs"]) == ("b-1", "jobs", "submitted", 10)
    assert batch["remote_id"].startswith("msgbatch_")
    assert batch["results"] is None
    assert sent("batches", "list", "jobs", "--simulate").out.count("\n") == 1
    assert sent("batches", "list", "other", "--simulate").code == 2


@pytest.mark.usefixtures("late")
def test_the_workspace_is_listed_with_those_that_are_ours(sent: Batchrun, tmp_path: Path) -> None:
    (remote,) = listed(sent, "--remote")
    (ours,) = listed(sent)
    assert (remote["remote_id"], remote["ours"], remote["requests"]) == (ours["remote_id"], "b-1", 10)
    forget(tmp_path)
    (remote,) = listed(sent, "--remote")
    assert remote["ours"] is None


def test_the_table_and_what_is_unclear(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        run = stock.run("nightly", mode="batch")
        counts = json.dumps({"processing": 0, "succeeded": 198, "errored": 2, "canceled": 0, "expired": 0})
        stock.batch(run, "done", processing="ended", counts=counts, ended=NOON + 40 * MINUTE)
        unclear = stock.batch(run, "unclear", n=7, message="(timeout)", first_absent=NOON + 45 * MINUTE)
        for remote, verdict in (("msgbatch_x", "open"), ("msgbatch_y", "foreign")):
            stock.add("candidates", batch=unclear, remote_id=remote, seen=NOON, verdict=verdict)
    shown = batchrun("batches", "--format", "table")
    assert " ".join(shown.out.split()).endswith(
        "b-1 nightly done 200 msgbatch_01 12:00 Nov 21 12:00 198 succeeded, 2 errored"
    )
    assert shown.err.splitlines() == [
        "b-2 (7 jobs, sent 12:00): not known whether it arrived; decided at 13:00 at the earliest",
        "  (timeout)",
        "  msgbatch_x, of as many requests, may be it",
        "  `batchrun run` finds out by itself; sending again may be paid twice:",
        "  batchrun batches resolve b-2 --resend",
    ]
    (first, _) = json.loads(batchrun("batches", "--json").out)["batches"]
    assert first["candidates"] == ["msgbatch_x"]


# -- adopt -------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("state", ["unclear", "lost"])
def test_a_batch_that_is_proven_is_adopted_and_collected(sent: Batchrun, tmp_path: Path, state: str) -> None:
    remote = forget(tmp_path, state)
    shown = sent("batches", "adopt", "b-1", remote, "--simulate")
    assert shown.code == 0
    assert f"b-1 is {remote}, proven by its first line" in shown.err
    assert sent("wait", "--simulate", "-q").code == 0
    assert [batch["state"] for batch in listed(sent)] == ["done"]
    assert "adopted by hand" in sent("log", "--format", "text", "--simulate").out


@pytest.mark.usefixtures("soon")
def test_a_batch_of_as_many_requests_that_is_another_is_refused(sent: Batchrun, tmp_path: Path) -> None:
    jobs_file(tmp_path / "other.jsonl", ["two"] * 10)
    sent("submit", "other.jsonl", *SUBMIT[2:])
    other = listed(sent)[0]["remote_id"]
    forget(tmp_path)
    with sqlite3.connect(tmp_path / "batchrun-simulated.db") as connection:  # as if another program had made it
        connection.execute("UPDATE batches SET remote_id = NULL WHERE id = 2")
    shown = sent("batches", "adopt", "b-1", other, "--simulate")
    assert shown.code == 2
    assert f"the first line of {other} is not of b-1; it was not adopted" in shown.err
    assert listed(sent)[1]["state"] == "unclear"


@pytest.mark.usefixtures("late")
def test_what_has_not_ended_or_is_not_there_or_not_sought_is_not_adopted(sent: Batchrun, tmp_path: Path) -> None:
    (batch,) = listed(sent)
    assert "b-1 is submitted: only a batch that is unclear" in sent("batches", "adopt", "b-1", "x", "--simulate").err
    forget(tmp_path)
    running = sent("batches", "adopt", "b-1", batch["remote_id"], "--simulate")
    assert (running.code, "it has not ended" in running.err) == (2, True)
    missing = sent("batches", "adopt", "b-1", "msgbatch_none", "--simulate")
    assert (missing.code, "has no batch msgbatch_none" in missing.err) == (2, True)
    assert "no batch `b-9` in this queue" in sent("batches", "adopt", "b-9", "x", "--simulate").err
    assert listed(sent)[0]["state"] == "unclear"


# -- resolve -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("late")
def test_jobs_of_an_unclear_batch_are_sent_again_only_by_a_clear_wish(sent: Batchrun, tmp_path: Path) -> None:
    assert "there is nothing to resolve" in sent("batches", "resolve", "b-1", "--simulate").err
    forget(tmp_path)
    told = sent("batches", "resolve", "b-1", "--simulate")
    assert (told.code, "not known whether it arrived" in told.out) == (0, True)
    unasked = sent("batches", "resolve", "b-1", "--resend", "--simulate")
    assert unasked.code == 2
    assert "this sends 10 jobs again, which may be paid twice; pass --yes" in unasked.err
    assert listed(sent)[0]["state"] == "unclear"
    done = sent("batches", "resolve", "b-1", "--resend", "--yes", "--simulate")
    assert done.code == 0
    assert "10 jobs queued again; b-1 is looked for two days" in done.err
    assert listed(sent)[0]["state"] == "lost"
    (run,) = json.loads(sent("status", "--simulate", "--json").out)["runs"]
    assert run["counts"]["queued"] == 10


# -- delete ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("soon")
def test_only_what_is_stored_here_is_deleted_there_and_only_when_wished(sent: Batchrun) -> None:
    early = sent("batches", "delete", "b-1", "--yes", "--simulate")
    assert (early.code, "b-1 is submitted: only what is collected" in early.err) == (2, True)
    sent("wait", "--simulate", "-q")
    assert "pass --yes" in sent("batches", "delete", "b-1", "--simulate").err
    assert len(listed(sent, "--remote")) == 1
    assert "deleted" in sent("batches", "delete", "b-1", "--yes", "--simulate").err
    assert listed(sent, "--remote") == []
    assert "was not there any more" in sent("batches", "delete", "b-1", "--yes", "--simulate").err
    assert sent("results", "--simulate", "-n", "1").code == 0


@pytest.mark.parametrize(
    "args",
    [["adopt", "b-1"], ["resolve"], ["delete"], ["list", "a", "b"], ["delete", "--remote"], ["list", "--resend"]],
)
def test_an_action_without_its_names_is_a_mistake(batchrun: Batchrun, args: list[str]) -> None:
    assert batchrun("batches", *args, "--simulate").code == 2
