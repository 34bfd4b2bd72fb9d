"""The commands of the how-to pages work as they stand there."""

from __future__ import annotations

import json
import os
import re
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


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    bin_ = folder / "bin"
    bin_.mkdir(exist_ok=True)
    program = bin_ / "batchrun"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m batchrun "$@"\n')
    program.chmod(0o755)
    environ = {**os.environ, "BATCHRUN_SIMULATE": "1", "PATH": f"{bin_}:{os.environ['PATH']}"}
    return subprocess.run(
        ["/bin/sh", "-c", command.replace("/srv/nightly", str(folder))],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_crontab_brings_the_answers_by_the_morning(folder: Path) -> None:
    submit, run, morning = crons()
    for command in (submit, run):
        done = shell(command, folder)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
    done = shell(morning, folder)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
    assert len(lines) == 60
    (look,) = (block for block in blocks("sh") if "status" in block)
    for command in look.splitlines():
        assert shell(command, folder).returncode == 0
    again = shell(submit, folder)
    assert again.returncode == 0
    assert json.loads(shell("batchrun status --all --json", folder).stdout)["runs"][0]["total"] == 60


def test_the_units_start_the_same_commands(folder: Path) -> None:
    submit, run = units()
    assert [f"cd /srv/nightly && {command}" for command in (submit, run)] == crons()[:2]


def test_the_first_steps_work(folder: Path) -> None:
    (first, _) = blocks("sh")
    assert shell(first, folder).returncode == 0
