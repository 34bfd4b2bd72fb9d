"""`batchrun status`: the screen, the document, the verdict, and what it may import."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from batchrun.core.job import WorkerId
from batchrun.queue.locks import Locks
from batchrun.queue.schema import VERSION
from tests.cli.conftest import Batchrun
from tests.cli.looking import nightly
from tests.stock import MINUTE, NOON, SECOND, Stock, message, old_queue

DOLLAR = 1_000_000_000


def test_where_there_is_no_queue_there_is_nothing_to_show_and_a_hint(batchrun: Batchrun, tmp_path: Path) -> None:
    shown = batchrun("status", "--format", "text")
    assert (shown.code, shown.out, shown.err) == (0, "No queue here yet.\n", "`batchrun submit FILE` makes one\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("args", [["--check"], ["--db", "elsewhere.db"], ["last"]])
def test_a_queue_that_was_asked_for_and_is_not_there_is_a_mistake(batchrun: Batchrun, args: list[str]) -> None:
    shown = batchrun("status", "--format", "text", *args)
    assert shown.code == 2
    assert "error: there is no queue at" in shown.err


def test_without_a_queue_the_document_is_empty(batchrun: Batchrun) -> None:
    shown = batchrun("status", "--json")
    document = json.loads(shown.out)
    assert (shown.code, document["schema"], document["runs"]) == (0, "batchrun.status/1", [])


def test_a_queue_without_runs_says_so(batchrun: Batchrun, tmp_path: Path) -> None:
    Stock(tmp_path / "batchrun.db").__exit__()
    shown = batchrun("status", "--format", "text")
    assert (shown.code, shown.out) == (0, "No runs yet.\n")


def test_the_screen(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        nightly(stock)
    shown = batchrun("status", "--format", "text")
    assert shown.code == 0
    assert shown.err == ""
    assert shown.out == (
        "nightly  r-2  realtime  submitted 12:00, 51m ago   $66.10 so far, $0.40 reserved, cap $163.00\n"
        "\n"
        "██████████████████▒▒░░░░░░░░░░░░  11 / 19   57 %\n"
        "\n"
        "succeeded            6\n"
        "in flight            1   their worker died; the next batchrun run takes them over\n"
        "queued               5\n"
        "waiting              1   the next try in 1m\n"
        "held                 1   possibly billed when a worker died   batchrun errors nightly\n"
        "failed               5   3 invalid_request_error, 2 overloaded_error   batchrun errors nightly\n"
        "\n"
        "1 request without an answer, possibly billed (counted at $0.009)\n"
        "\n"
        "small  r-1    realtime          2 / 3          nobody is running it  batchrun run small\n"
        "\n"
        "Nobody is running it: batchrun run nightly\n"
    )


@pytest.mark.parametrize("command", ["status", "run"])
def test_the_queue_of_an_older_batchrun_is_brought_up_to_date(command: str, batchrun: Batchrun, tmp_path: Path) -> None:
    old_queue(tmp_path / "batchrun.db")
    assert "has schema" not in batchrun(command).err
    with sqlite3.connect(tmp_path / "batchrun.db") as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(VERSION,)]
    connection.close()
    assert batchrun("status", "--format", "text").out == "No runs yet.\n"


def test_a_worker_that_lives_is_named_and_its_speed_is_told(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        run = stock.run("nightly")
        worker = stock.worker()
        for n in range(30):
            stock.job(run, f"k{n}", "succeeded", attempts=[{"ended": NOON + 51 * MINUTE - n * SECOND}])
        stock.job(run, "out", "running")
        stock.many(run, 100, first=1_000)
    locks = Locks(looked_at)
    locks.hold(WorkerId(worker))
    shown = batchrun("status", "--format", "text")
    locks.close()
    assert "30 / 131   22 %   1.0/s   about 1m38s left\n" in shown.out
    assert "in flight            1\n" in shown.out
    assert shown.out.endswith("\nWorked on by pid 4127 on db1 since 12:00 (batchrun run).\n")


def test_a_pause_says_since_when_why_and_what_to_do(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        account = stock.account("my org")
        run = stock.run("nightly", account=account)
        stock.job(run, "a")
        stock.pause("account", str(account), since=NOON + 45 * MINUTE)
    shown = batchrun("status", "--format", "text")
    assert shown.out.endswith(
        "! account my org paused since 12:45: the prepaid credit is used up (Your credit balance is too low)\n"
        "  add credit in the Console; asked again from 13:00 on, or at once after  batchrun resume\n"
        "\n"
        "To go on at once: batchrun resume\n"
    )


def test_a_finished_run_leads_to_its_answers(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        run = stock.run("nightly", state="done", done=NOON + 40 * MINUTE)
        stock.job(run, "a", "succeeded")
    shown = batchrun("status", "--format", "text")
    assert "done 12:40, 40m after its submit" in shown.out
    assert "100 %" in shown.out
    assert shown.out.endswith("Look: batchrun results nightly   Take away: batchrun export nightly -o FILE\n")


def test_one_run_is_shown_alone_and_all_with_all(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        for n in range(30):
            stock.run(f"night-{n}", state="done", done=NOON)
    assert "night-29" not in batchrun("status", "--format", "text", "night-3").out
    assert "20 older runs: batchrun status --all" in batchrun("status", "--format", "text").out
    everything = batchrun("status", "--format", "text", "--all").out
    assert all(f"night-{n}" in everything for n in range(30))


def test_an_unknown_run_is_a_mistake_with_the_nearest_name(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        stock.run("nightly")
    shown = batchrun("status", "--format", "text", "nihgtly")
    assert (shown.code, shown.out) == (2, "")
    assert "no run `nihgtly`; did you mean `nightly`?" in shown.err


def test_a_status_stays_readable_where_too_many_failed_to_be_counted(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        run = stock.run("nightly")
        stock.many(run, 600, "failed", error="overloaded_error")
        stock.job(run, "x", "failed", error="api_error")
    assert (
        "failed             601   api_error, overloaded_error   batchrun errors nightly\n"
        in batchrun("status", "--format", "text").out
    )


def test_the_document(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        nightly(stock)
        stock.pause("run", "2", "refusals", message="text is empty")
    shown = batchrun("status", "nightly", "--json")
    assert json.loads(shown.out) == {
        "schema": "batchrun.status/1",
        "database": str(looked_at),
        "at": "2026-11-20T12:51:00Z",
        "runs": [
            {
                "id": "r-2",
                "name": "nightly",
                "state": "open",
                "mode": "realtime",
                "counts": {
                    "queued": 5,
                    "sent": 1,
                    "waiting": 1,
                    "succeeded": 6,
                    "failed": 5,
                    "cancelled": 0,
                    "held": 1,
                    "blocked": 0,
                },
                "total": 19,
                "spent": {"amount": "66.1", "currency": "USD"},
                "possibly_billed": 1,
                "possibly_billed_cost": {"amount": "0.009", "currency": "USD"},
                "reserved": {"amount": "0.4", "currency": "USD"},
                "max_cost": {"amount": "163", "currency": "USD"},
                "account": "org",
                "files": ["jobs.jsonl"],
                "created": "2026-11-20T12:00:00Z",
                "deadline": None,
                "hours": None,
                "hours_open": None,
                "done": None,
                "cancelled": None,
                "way": "realtime",
                "way_why": "asked for",
                "batches": [],
            }
        ],
        "pauses": [
            {
                "scope": "run",
                "run": "r-2",
                "model": None,
                "reason": "refusals",
                "message": "text is empty",
                "since": "2026-11-20T12:00:00Z",
                "until": None,
                "next_probe": "2026-11-20T12:15:00Z",
            }
        ],
        "workers": [],
        "next_due": "2026-11-20T12:52:00Z",
        "older": 0,
        "rewound": None,
    }
    assert shown.out.count("\n") == 1


@pytest.mark.parametrize(
    ("state", "jobs", "code"),
    [
        ("open", ["succeeded", "queued"], 8),
        ("open", ["failed", "queued"], 8),
        ("loading", ["queued"], 8),
        ("open", ["succeeded"], 0),
        ("done", ["succeeded"], 0),
        ("done", ["succeeded", "failed"], 1),
        ("cancelled", ["cancelled"], 0),
    ],
)
def test_check_turns_the_state_into_an_exit_code(
    batchrun: Batchrun, looked_at: Path, state: str, jobs: list[str], code: int
) -> None:
    with Stock(looked_at) as stock:
        extra: dict[str, dict[str, int]] = {
            "loading": {"loader": stock.worker(role="loader")},
            "done": {"done": NOON},
            "cancelled": {"cancelled": NOON},
        }
        run = stock.run("nightly", state=state, **extra.get(state, {}))
        for n, one in enumerate(jobs):
            stock.job(run, f"k{n}", one)
    assert batchrun("status", "--format", "text").code == 0
    assert batchrun("status", "--format", "text", "--check").code == code
    assert batchrun("status", "last", "--check", "--json").code == code


def test_names_and_messages_of_others_do_not_reach_the_terminal(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        evil = "\x1b[2J\u202e\x07"
        run = stock.run(f"name{evil}", source=json.dumps([f"file{evil}"]))
        stock.job(run, "a", "failed", error=f"error{evil}")
        stock.job(run, "b")
        stock.run(f"other{evil}")
        stock.pause("run", str(run), f"reason{evil}", message=f"message{evil}")
        stock.pause("model", f"1:model{evil}", "model")
    for args in (["status"], ["status", "--json"]):
        out = batchrun(*args).out
        assert not {"\x1b", "\u202e", "\x07"} & set(out)


def test_a_simulated_queue_says_so_on_the_screen_and_in_the_document(batchrun: Batchrun, tmp_path: Path) -> None:
    with Stock(tmp_path / "batchrun-simulated.db", simulated=True) as stock:
        stock.run("nightly")
    shown = batchrun("status", "--format", "text", "--simulate")
    assert shown.err.startswith("SIMULATED")
    assert json.loads(batchrun("status", "--simulate", "--json").out)["simulated"] is True


def test_commands_to_type_lead_to_the_same_queue(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at.parent / "batchrun-simulated.db", simulated=True) as stock:
        run = stock.run("nightly")
        stock.job(run, "a", "failed", error="overloaded_error")
        stock.job(run, "b", "succeeded", answer=message("…", stop="max_tokens"))
        stock.job(run, "c")
        stock.pause("run", str(run), "user")
    text = ["--format", "text"]
    for args in (["status", *text], ["errors", *text], ["errors", "--json"], ["show", "a"], ["results", *text]):
        shown = batchrun(*args, "--simulate")
        commands = re.findall(r"batchrun [^(\n;]*", shown.out + shown.err)
        assert commands, shown
        assert all("--simulate" in command for command in commands), commands
    (looked_at.parent / "batchrun-simulated.db").rename(looked_at.parent / "other.db")
    resume = next(
        line
        for line in batchrun("status", "--format", "text", "--db", "other.db").out.splitlines()
        if "To go on" in line
    )
    assert "--db other.db" in resume


def test_symbols_give_way_on_a_stream_without_them(looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        nightly(stock)
    done = subprocess.run(
        [sys.executable, "-m", "batchrun", "status", "--format", "text"],
        cwd=looked_at.parent,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    assert b"###" in done.stdout
    assert b"\\x" not in done.stdout
    assert b"\\u" not in done.stdout


def test_into_a_pipe_each_run_is_a_row_of_plain_cells(batchrun: Batchrun, looked_at: Path) -> None:
    with Stock(looked_at) as stock:
        nightly(stock)
    cells = [line.split("\t") for line in batchrun("status").out.splitlines()]
    assert [row[1] for row in cells] == ["nightly", "small"]
    assert cells[0][4:13] == ["19", "5", "1", "1", "6", "5", "0", "1", "0"]
    assert {len(row) for row in cells} == {18}
    header, *found = batchrun("status", "nightly", "--format", "csv").out.splitlines()
    assert header.startswith("id,name,state,mode,total,queued")
    assert len(found) == 1


def test_into_a_pipe_no_queue_is_no_row(batchrun: Batchrun) -> None:
    shown = batchrun("status")
    assert (shown.code, shown.out) == (0, "")
    assert "No queue here yet" in shown.err
