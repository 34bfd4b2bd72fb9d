"""The commands of the how-to pages work as they stand there."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "nightly.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def crons() -> list[str]:
    """The commands of the crontab, as cron hands them to a shell."""
    (table,) = blocks("cron")
    return [re.split(r"\s+", line, maxsplit=5)[5].replace(r"\%", "%") for line in table.splitlines()]


def units() -> list[str]:
    """What the units start, as systemd hands it to a shell."""
    found = re.findall(r"^ExecStart=/bin/sh -c '(.*)'$", "".join(blocks("ini")), re.MULTILINE)
    return [command.replace("%%", "%").replace("$$", "$") for command in found]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file of sixty jobs: so many go in batches."""
    jobs = "".join(f"  - {{id: doc-{n}, prompt: Say {n}.}}\n" for n in range(60))
    (tmp_path / "jobs.yaml").write_text(
        f"version: 1\ndefaults: {{model: claude-haiku-5-5, max_tokens: 64}}\njobs:\n{jobs}"
    )
    return tmp_path


PROGRAM = """
import os, signal, sys
from batchrun.cli import main
from batchrun.simulator import batchplan, plan
made, sent = batchplan.BatchPlan, plan.Plan  # simulated batches have ended when they are first looked at
batchplan.BatchPlan = lambda **values: made(**(values | {"minutes": 0.0}))
plan.Plan = lambda **values: sent(**(values | {"pace": plan.Pace(first=0.0, per_token=0.0)}))
if "DIES" in os.environ:  # once the API has taken a batch, and before anybody has heard of it
    from batchrun.simulator.inprocess import InProcess
    answer = InProcess.handle_async_request
    async def dies(self, request):
        response = await answer(self, request)
        if request.method == "POST" and request.url.path.endswith("/batches"):
            os.kill(os.getpid(), signal.SIGKILL)
        return response
    InProcess.handle_async_request = dies
main.main()
"""
BANNER = "SIMULATED: no request leaves this machine and nothing costs money\n"


def shell(command: str, folder: Path, night: str = "2026-11-27", **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a line of the page, on the day *night*."""
    bin_ = folder / "bin"
    if not bin_.exists():
        bin_.mkdir()
        (folder / "program.py").write_text(PROGRAM)
        programs = {"batchrun": f'exec {sys.executable} "{folder}/program.py" "$@"', "date": 'echo "$NIGHT"'}
        for name, line in programs.items():
            (bin_ / name).write_text(f"#!/bin/sh\n{line}\n")
            (bin_ / name).chmod(0o755)
    path = f"{bin_}:{os.environ['PATH']}"
    return subprocess.run(
        ["/bin/sh", "-c", command.replace("/srv/nightly", str(folder))],
        cwd=folder,
        env={**os.environ, "BATCHRUN_SIMULATE": "1", "NIGHT": night, "PATH": path, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def mailed(done: subprocess.CompletedProcess[str]) -> str:
    """What cron would send of it; that nothing is real is said each time, and is no news."""
    return done.stdout + done.stderr.replace(BANNER, "")


@pytest.mark.timeout(300)  # a dozen processes, on a machine that may be busy
@pytest.mark.sweep
def test_three_nights_bring_the_answers_by_the_morning_though_the_second_is_killed(folder: Path) -> None:
    submit, run, morning = crons()
    for n, night in enumerate(("2026-11-25", "2026-11-26", "2026-11-27"), 1):
        killed = n == 2
        done = shell(submit, folder, night, **({"DIES": "1"} if killed else {}))
        assert done.returncode == (-9 if killed else 0) or (killed and done.returncode == 137), done.stderr
        if not killed:
            assert mailed(done) == ""
        for command in (morning,) if n == 1 else (run, morning):
            done = shell(command, folder, night)
            assert done.returncode == 0, done.stderr
            assert mailed(done) == "" or killed
        answers = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
        assert len({answer["id"] for answer in answers}) == 60
        with sqlite3.connect(folder / "batchrun-simulated.db") as queue:
            jobs, final = queue.execute("SELECT COUNT(*), SUM(state = 'succeeded') FROM jobs").fetchone()
            bought = queue.execute("SELECT COUNT(*) FROM attempts WHERE outcome = 'ok'").fetchone()
            maybe = queue.execute("SELECT COUNT(*) FROM attempts WHERE billed = 'maybe'").fetchone()
            batches = queue.execute("SELECT COUNT(*) FROM batches").fetchone()
        assert (jobs, final, bought, maybe, batches) == (60 * n, 60 * n, (60 * n,), (0,), (n,))
    (look,) = (block for block in blocks("sh") if "status" in block)
    for command in look.splitlines():
        assert shell(command, folder).returncode == 0
    assert shell(submit, folder).returncode == 0  # the same night again adds nothing
    assert json.loads(shell("batchrun status --all --json", folder).stdout)["runs"][0]["total"] == 60


def test_the_units_start_the_same_commands(folder: Path) -> None:
    submit, run = units()
    assert [f"cd /srv/nightly && {command}" for command in (submit, run)] == crons()[:2]


def test_the_first_steps_work(folder: Path) -> None:
    (first, _) = blocks("sh")
    assert shell(first, folder).returncode == 0
