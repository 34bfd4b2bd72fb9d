from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from batchrun.core.figures import dollars
from batchrun.core.job import Nanos
from batchrun.queue.locks import Locks
from batchrun.simulator import plan
from batchrun.simulator.inprocess import InProcess
from batchrun.wiring import card
from tests.cli.conftest import Batchrun, jobs_file

SWIFT = """
import functools, sys
from batchrun.simulator import plan
plan.Plan = functools.partial(plan.Plan, pace=plan.Pace(first=0.0, per_token=0.0))
from batchrun.cli import main
sys.argv = ["batchrun", *sys.argv[1:]]
main.main()
"""


HELD = (
    """
import asyncio, sys
from batchrun.scheduler.shutdown import Shutdown
from batchrun.simulator.inprocess import InProcess

asked = asyncio.Event()
answer, ask = InProcess.handle_async_request, Shutdown.ask

async def held(self, request):
    if request.method == "POST":
        print("AT THE API", file=sys.stderr, flush=True)
        await asked.wait()
    return await answer(self, request)

def heard(self):
    asked.set()
    ask(self)

InProcess.handle_async_request, Shutdown.ask = held, heard
"""
    + SWIFT
)
"""No job is answered before somebody has asked to stop."""


@pytest.fixture
def stored(swift: None, batchrun: Batchrun, tmp_path: Path) -> Batchrun:
    """The program in a folder with a stored, simulated run of three jobs."""
    jobs_file(tmp_path / "small.jsonl", ["one", "two", "three"])
    batchrun("submit", "small.jsonl", "--simulate", "--no-run")
    return batchrun


def test_a_run_does_what_is_due_and_then_nothing_is(stored: Batchrun) -> None:
    shown = stored("run", "--simulate", "--progress", "none")
    assert shown.code == 0
    assert "Done. run=small succeeded=3 failed=0 cancelled=0 total=3" in shown.err
    assert stored("run", "--simulate").err.endswith("Nothing is due.\n")


def test_quiet_is_silent_for_cron(stored: Batchrun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCHRUN_QUIET", "1")
    shown = stored("run", "--once", "--simulate")
    assert (shown.code, shown.out) == (0, "")
    assert "Done" not in shown.err


def test_one_run_can_be_named(stored: Batchrun, tmp_path: Path) -> None:
    jobs_file(tmp_path / "other.jsonl", ["four"])
    stored("submit", "other.jsonl", "--simulate", "--no-run")
    shown = stored("run", "other", "--simulate", "--progress", "none")
    assert "run=other succeeded=1" in shown.err
    assert "run=small" not in shown.err
    unknown = stored("run", "othr", "--simulate")
    assert unknown.code == 2
    assert "no run `othr`; did you mean `other`?" in unknown.err


def test_json_is_one_launch_and_one_done(stored: Batchrun) -> None:
    launch, done = (json.loads(line) for line in stored("run", "--simulate", "--json", "-q").out.splitlines())
    assert launch["runs"] == [{"id": "r-1", "name": "small"}]
    assert launch["pid"] == os.getpid()
    assert (done["exit"], done["runs"][0]["state"], done["spent"]["currency"]) == (0, "done", "USD")


def test_a_cap_of_this_call_ends_with_6_and_leaves_the_rest(stored: Batchrun) -> None:
    shown = stored("run", "--simulate", "--max-cost", "0.00006", "--progress", "none")
    assert shown.code == 6
    assert "this call's --max-cost leaves no money for another job" in shown.err
    assert stored("run", "--simulate").code == 0


def test_without_a_queue_there_is_nothing_to_run(batchrun: Batchrun) -> None:
    shown = batchrun("run")
    assert shown.code == 2
    assert "there is no queue" in shown.err


def test_a_second_worker_is_told_who_works_here(stored: Batchrun, tmp_path: Path) -> None:
    locks = Locks(tmp_path / "batchrun-simulated.db")
    locks.hold_run(card(), exclusive=True)
    shown = stored("run", "--simulate")
    locks.close()
    assert shown.code == 75
    assert f"error: batchrun is already running here: pid {os.getpid()}" in shown.err


def test_a_spend_cap_of_the_account_pauses_and_resume_lifts_it(
    swift: None, batchrun: Batchrun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swift_plan = plan.Plan
    monkeypatch.setattr(plan, "Plan", functools.partial(swift_plan, money=plan.Money(spend_cap_requests=0)))
    jobs_file(tmp_path / "capped.jsonl", ["one", "two"])
    shown = batchrun("submit", "capped.jsonl", "--simulate", "--progress", "none")
    assert shown.code == 6
    assert "a spending limit of the account is reached" in shown.err
    assert "Open. run=capped succeeded=0 failed=0" in shown.err
    monkeypatch.setattr(plan, "Plan", swift_plan)
    paused = batchrun("run", "--simulate", "--progress", "none")
    assert paused.code == 6
    assert "error: paused: a spending limit of the account is reached" in paused.err
    assert "lifted: the account" in batchrun("resume", "--simulate").err
    assert batchrun("run", "--simulate", "--progress", "none").code == 0


def test_a_run_that_somebody_submits_meanwhile_is_shown_by_its_name(
    stored: Batchrun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs_file(tmp_path / "theirs.jsonl", ["four", "five"])
    command = [sys.executable, "-m", "batchrun", "submit", "theirs.jsonl", "--no-run", "--simulate"]
    answer = InProcess.handle_async_request
    done: list[Any] = []

    async def meanwhile(self: InProcess, request: Any) -> Any:
        if not done and request.method == "POST":
            done.append(subprocess.run(command, cwd=tmp_path, check=True))  # noqa: ASYNC221  # all wait for it
        return await answer(self, request)

    monkeypatch.setattr(InProcess, "handle_async_request", meanwhile)
    shown = stored("run", "--simulate", "--progress", "json")
    told = [json.loads(line) for line in shown.err.splitlines() if line.startswith("{")]
    progress = [one for one in told if one["event"] == "progress" and one["run"] == "r-2"]
    assert {(one["name"], one["total"]) for one in progress} == {("theirs", 2)}
    assert "Done. run=theirs succeeded=2" in shown.err


# -- signals ---------------------------------------------------------------------------------------------------------


@contextmanager
def working(folder: Path, *args: str) -> Iterator[subprocess.Popen[str]]:
    """The program at work in a process of its own: a request is at the API when the block begins."""
    command = [sys.executable, "-c", HELD, *args, "--simulate", "--progress", "plain", "-v"]
    with subprocess.Popen(command, cwd=folder, env=os.environ, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if line == "AT THE API\n":
                break
        yield running
        running.kill()


@pytest.mark.parametrize(("which", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_lets_what_is_in_flight_come_home(
    which: signal.Signals, code: int, tmp_path: Path, swift: None, batchrun: Batchrun
) -> None:
    jobs_file(tmp_path / "slow.jsonl", ["one", "two", "three"])
    with working(tmp_path, "submit", "slow.jsonl") as running:
        running.send_signal(which)
        assert running.stderr is not None
        said = running.stderr.read()
        assert running.wait(60) == code
    assert "Traceback" not in said
    counts = json.loads(batchrun("status", "--simulate", "--json").out)["runs"][0]["counts"]
    assert counts["succeeded"] > 0
    assert counts["sent"] == 0
    assert f"Stopped. {counts['succeeded']} done, {counts['queued']} to do, nothing lost." in said or (
        "Done. run=slow succeeded=3" in said
    )


def test_a_second_signal_drops_what_is_in_flight(tmp_path: Path, batchrun: Batchrun) -> None:
    jobs_file(tmp_path / "hung.jsonl", ["[[simulate: slow 600]]"])
    with working(tmp_path, "submit", "hung.jsonl") as running:
        running.send_signal(signal.SIGINT)
        assert running.stderr is not None
        for line in running.stderr:
            if "stopping:" in line:
                break
        running.send_signal(signal.SIGINT)
        said = running.stderr.read()
        assert running.wait(60) == 130
    run = json.loads(batchrun("status", "--simulate", "--json").out)["runs"][0]
    worst = dollars(Nanos(round(1e9 * float(run["possibly_billed_cost"]["amount"]))))
    assert run["possibly_billed"] == 1
    assert (
        "Stopped. 0 done, 1 to do, nothing lost; 1 request without an answer, possibly billed "
        f"(counted at {worst}). Continue:  batchrun --simulate run hung\n"
    ) in said


def test_output_that_nobody_reads_any_more_does_not_stop_the_work(tmp_path: Path, batchrun: Batchrun) -> None:
    jobs_file(tmp_path / "small.jsonl", ["one", "two", "three"])
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", SWIFT, "submit", "small.jsonl", "--simulate", "--progress", "plain", "-vv"]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ, stderr=writer, check=False)
    os.close(writer)
    assert done.returncode == 0
    assert json.loads(batchrun("status", "--simulate", "--json").out)["runs"][0]["counts"]["succeeded"] == 3


def test_the_bar_is_drawn_for_a_person(tmp_path: Path, terminal: Callable[..., str]) -> None:
    jobs_file(tmp_path / "small.jsonl", ["one", "two", "three"])
    shown = terminal([sys.executable, "-c", SWIFT, "submit", "small.jsonl", "--simulate"])
    assert "3/3   100 %" in shown
    assert "Done. run=small succeeded=3" in shown
    assert "Traceback" not in shown


def test_a_forgotten_flag_is_thought_of(stored: Batchrun) -> None:
    shown = stored("run")
    assert shown.code == 2
    assert shown.err.endswith("hint: there is a simulated one: add --simulate\n")


def test_the_next_command_leads_to_the_same_queue(swift: None, batchrun: Batchrun, tmp_path: Path) -> None:
    jobs_file(tmp_path / "small.jsonl", ["one"])
    shown = batchrun("submit", "small.jsonl", "--no-run", "--db", "a queue.db")
    assert shown.err.endswith("To send them:  batchrun --db 'a queue.db' run small\n")


def test_a_pass_that_cannot_begin_leaves_the_cursor_alone(tmp_path: Path, terminal: Callable[..., str]) -> None:
    jobs_file(tmp_path / "small.jsonl", ["one"])
    shown = terminal([sys.executable, "-m", "batchrun", "submit", "small.jsonl"])
    assert "there is no API key" in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 0
