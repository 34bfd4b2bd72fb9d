"""`batchrun runs`: what is set of runs, their names and tags, and removing those that are over, and nothing else."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from batchrun.core.job import Millis, RunId
from batchrun.queue import batches, removing
from batchrun.queue.connect import close_queue, open_queue
from batchrun.queue.writing import perform_now
from tests.cli.conftest import Batchrun, jobs_file
from tests.cli.looking import LATER, nightly
from tests.stock import MINUTE, NOON, Stock, message

QUIET = ("--simulate", "--progress", "none", "-q")
DAY = 24 * 60 * MINUTE


@pytest.fixture
def stocked(batchrun: Batchrun, looked_at: Path) -> Batchrun:
    with Stock(looked_at) as stock:
        nightly(stock)
    return batchrun


def listed(batchrun: Batchrun, *more: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(batchrun("runs", "--json", *more).out)["runs"]
    return found


def rows(folder: Path, sql: str, name: str = "batchrun.db") -> list[Any]:
    with closing(sqlite3.connect(folder / name)) as connection:
        return connection.execute(sql).fetchall()


def test_the_bare_noun_lists_all_runs_the_newest_first(stocked: Batchrun) -> None:
    assert [run["name"] for run in listed(stocked)] == ["nightly", "small"]
    assert [run["name"] for run in listed(stocked, "-n", "1")] == ["nightly"]
    lines = stocked("runs").out.splitlines()
    assert [line.split("\t")[1] for line in lines] == ["nightly", "small"]
    assert stocked("runs", "--format", "table").out.split("\n")[0].split()[:3] == ["id", "name", "state"]


def test_what_is_set_of_a_run_under_way_is_shown(stocked: Batchrun, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "batchrun.db")) as connection:
        connection.execute("UPDATE jobs SET worst = 5")
        connection.commit()
    words = (
        "max_cost=200",
        "deadline=2026-11-21T06:30Z",
        "priority=5",
        "mode=batch",
        "on-crash=hold",
        "hours=22:00-06:00 UTC",
    )
    shown = stocked("runs", "set", "nightly", *words)
    assert shown.code == 0, shown.err
    run = json.loads(stocked("runs", "show", "nightly", "--json").out)
    assert run["max_cost"] == {"amount": "200", "currency": "USD"}
    assert (run["priority"], run["mode"], run["on_crash"]) == (5, "batch", "hold")
    assert run["hours"] == "22:00-06:00 UTC"
    assert run["deadline"] == "2026-11-21T06:30:00Z"
    assert stocked("runs", "set", "nightly", "deadline=none", "max_cost=none").code == 0
    run = json.loads(stocked("runs", "show", "nightly", "--json").out)
    assert (run["deadline"], run["max_cost"]) == (None, None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nightly", "max-cots=5"), "did you mean `max_cost`?"),
        (("nightly", "mode=fast"), "mode must be"),
        (("nightly", "priority=much"), "priority must be"),
        (("nightly", "deadline=2020-01-01T00:00Z"), "deadline is past"),
        (("nightly",), "set what?"),
        (("max_cost=5",), "set of which run?"),
        (("nowhere", "mode=batch"), "no run `nowhere`"),
        (("nightly", "max_cost=5"), "has no bound"),
    ],
)
def test_what_cannot_be_set_is_said_and_nothing_is_changed(
    stocked: Batchrun, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    before = rows(tmp_path, "SELECT * FROM runs")
    shown = stocked("runs", "set", *words)
    assert shown.code == 2
    assert said in shown.err
    assert rows(tmp_path, "SELECT * FROM runs") == before


def test_a_cap_below_what_is_spent_says_that_nothing_more_is_sent(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        run = stock.run("nightly", spent=3_000_000_000)
        stock.job(run, "a", worst=5)
    assert "nothing more is sent" in batchrun("runs", "set", "nightly", "max_cost=2").err


def test_a_run_that_is_over_is_not_changed(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        stock.run("old", state="done", done=NOON)
    assert "is not under way" in batchrun("runs", "set", "old", "mode=batch").err


def test_tags_are_added_and_taken_away(stocked: Batchrun) -> None:
    stocked("runs", "tag", "nightly", "urgent", "draft")
    assert "nightly: urgent v2" in stocked("runs", "tag", "nightly", "~draft", "v2").err
    assert listed(stocked)[0]["tags"] == ["urgent", "v2"]
    assert stocked("runs", "tag", "nightly", "two words").code == 2


@pytest.mark.parametrize("name", ["small", "last", "r-7", "~x", "", "a\nb", " a"])
def test_a_name_that_is_taken_or_would_lead_elsewhere_is_refused(stocked: Batchrun, name: str) -> None:
    assert stocked("runs", "rename", "nightly", name).code == 2
    assert {run["name"] for run in listed(stocked)} == {"nightly", "small"}


@pytest.mark.usefixtures("swift")
def test_the_file_of_a_renamed_run_still_leads_to_it(batchrun: Batchrun, tmp_path: Path) -> None:
    jobs_file(tmp_path / "jobs.jsonl", ["one", "two"])
    batchrun("submit", "jobs.jsonl", *QUIET)
    assert batchrun("runs", "rename", "jobs", "monday", "--simulate").code == 0
    shown = batchrun("submit", "jobs.jsonl", "--simulate", "--progress", "none")
    assert "Nothing to add" in shown.err + shown.out
    assert [row[0] for row in rows(tmp_path, "SELECT name FROM runs", "batchrun-simulated.db")] == ["monday"]


def over(stock: Stock, name: str, *, days: int = 0, **values: Any) -> int:
    run = stock.run(name, state="done", done=LATER - days * DAY, **values)
    part = stock.add("shared", digest=name.encode(), body="{}")
    answered = stock.job(run, "a", "succeeded", answer=message("yes"))
    stock.sql.execute("UPDATE requests SET shared = ? WHERE job = ?", (part, answered))
    stock.add("events", at=LATER - days * DAY, kind="run_done", run=run, detail="{}")
    return run


def batch(stock: Stock, run: int, state: str, **values: Any) -> int:
    account = stock.account(organization=f"org-{run}")
    row = {"token": f"t{run}{state}", "n": 10, "bytes": 10, "intended": NOON, "remote_id": f"msgbatch_{run}"}
    return stock.add("batches", run=run, account=account, state=state, **(row | values))


def test_a_removed_run_leaves_nothing_but_what_later_listings_need_and_its_cost_in_the_log(
    batchrun: Batchrun, looked_at: Path, tmp_path: Path
) -> None:
    with Stock(looked_at) as stock:
        gone = over(stock, "gone", spent=2_500_000_000)
        batch(stock, gone, "done")
        over(stock, "kept")
    dry = batchrun("runs", "rm", "gone", "--dry-run")
    assert "gone (r-1): 1 job, 1 answer, $2.50 spent" in dry.err
    assert batchrun("runs", "rm", "gone").code == 2  # nobody there to ask
    assert [run["name"] for run in listed(batchrun)] == ["kept", "gone"]
    document = json.loads(batchrun("runs", "rm", "gone", "--yes", "--json").out)
    assert (document["jobs"], document["shared"]) == (1, 1)
    assert [run["name"] for run in listed(batchrun)] == ["kept"]
    for table in ("jobs", "requests", "attempts", "results", "shared", "runs"):
        assert rows(tmp_path, f"SELECT COUNT(*) FROM {table}") == [(1,)], table
    assert rows(tmp_path, "SELECT token, remote_id FROM past_batches") == [("t1done", "msgbatch_1")]
    assert "run gone (r-1) was removed: 1 job, 1 answer, $2.50 spent" in batchrun("log", "--format", "text").out
    assert [row[0] for row in rows(tmp_path, "SELECT name FROM v_runs")] == ["kept"]
    assert rows(tmp_path, "PRAGMA foreign_key_check") == []
    engine = open_queue(looked_at)
    assert perform_now(engine, lambda tx: batches.is_known(tx, "msgbatch_1"))
    close_queue(engine)


@pytest.mark.parametrize(
    ("state", "values"),
    [("submitted", {}), ("unclear", {"remote_id": None}), ("lost", {"remote_id": None, "lost": 2**60}), ("done", {})],
)
def test_a_run_of_which_a_batch_is_out_unclear_or_may_come_late_stays(
    batchrun: Batchrun, looked_at: Path, state: str, values: dict[str, Any]
) -> None:
    with Stock(looked_at) as stock:
        run = over(stock, "nightly", days=200)
        made = batch(stock, run, state, **values)
        if state == "done":  # perhaps it stands twice
            stock.add("candidates", batch=made, remote_id="msgbatch_x", seen=NOON, verdict="open")
    shown = batchrun("runs", "rm", "nightly", "--yes")
    assert shown.code == 2
    assert "out, unclear, or may still turn up" in shown.err
    assert "Kept: nightly" in batchrun("runs", "prune", "--yes").err
    assert [run["name"] for run in listed(batchrun)] == ["nightly"]


def test_a_run_with_jobs_that_are_not_at_their_end_stays(stocked: Batchrun) -> None:
    shown = stocked("runs", "rm", "nightly", "--yes")
    assert shown.code == 2
    assert "not at their end" in shown.err


def test_what_came_to_life_between_the_question_and_the_answer_is_left_alone(looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        run = over(stock, "nightly")
        stock.job(run, "again")
    engine = open_queue(looked_at)
    assert not perform_now(engine, lambda tx: removing.take(tx, RunId(run), Millis(LATER), spent=0))
    close_queue(engine)


def test_a_prune_takes_what_was_over_long_ago_and_the_log_of_then(
    batchrun: Batchrun, looked_at: Path, tmp_path: Path
) -> None:
    with Stock(looked_at) as stock:
        over(stock, "old", days=100)
        over(stock, "new", days=10)
        stock.add("events", at=LATER - 100 * DAY, kind="pass_ended", detail='{"why": ""}')
        stock.job(stock.run("open", created=NOON - 200 * DAY), "a")
    assert "Would remove 1 run" in batchrun("runs", "prune", "--dry-run").err
    assert batchrun("runs", "prune", "--older-than", "90d", "--yes").code == 0
    assert [run["name"] for run in listed(batchrun)] == ["open", "new"]
    assert [kind for (kind,) in rows(tmp_path, "SELECT kind FROM events ORDER BY id")] == ["run_done", "trouble"]
    assert batchrun("runs", "prune", "--older-than", "soon", "--yes").code == 2


def test_a_removal_that_was_killed_is_finished_by_the_next(batchrun: Batchrun, looked_at: Path, tmp_path: Path) -> None:
    with Stock(looked_at) as stock:
        run = over(stock, "half")
        over(stock, "other")
    engine = open_queue(looked_at)
    assert perform_now(engine, lambda tx: removing.take(tx, RunId(run), Millis(LATER), spent=0))
    close_queue(engine)
    with closing(sqlite3.connect(tmp_path / "batchrun.db")) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"DELETE FROM jobs WHERE run = {run}")  # it got as far as this
        connection.commit()
    checks = {one["name"]: one["found"] for one in json.loads(batchrun("db", "check", "--json").out)["checks"]}
    assert checks["counts"] == []
    assert "half" not in str(checks)
    assert [run["name"] for run in listed(batchrun)] == ["other"]
    assert batchrun("runs", "rm", "half", "--yes").code == 2
    assert batchrun("runs", "rm", "other", "--yes").code == 0
    assert rows(tmp_path, "SELECT COUNT(*) FROM runs") == [(0,)]
