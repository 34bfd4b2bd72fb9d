"""Running the program in this process, and in one of its own."""

from __future__ import annotations

import functools
import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from batchrun.cli import main
from batchrun.cli.call import Call
from batchrun.cli.screen import Screen
from tests.cli.looking import LATER

VARIABLES = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI", "COLUMNS", "TERM")


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No wish of this machine about colours, and no traces in its home."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name in ("CONFIG", "STATE", "DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))


@dataclass(frozen=True)
class Shown:
    code: int
    out: str
    err: str


class Terminal(io.StringIO):
    """A stream that says it is a person's terminal."""

    def isatty(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a StringIO has none
        return "utf-8"


class Pipe(io.StringIO):
    @property
    def encoding(self) -> str:  # type: ignore[override]  # a StringIO has none
        return "utf-8"


Batchrun = Callable[..., Shown]


@pytest.fixture
def batchrun(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Batchrun:
    """The program, called in this process in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*args: str) -> Shown:
        capsys.readouterr()
        code = main.run(args)
        out, err = capsys.readouterr()
        return Shown(code, out, err)

    return call


@pytest.fixture
def process(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The program in a process of its own; `env` is added to the environment."""

    def call(
        *args: str, env: Mapping[str, str] | None = None, code: str = "", **more: object
    ) -> subprocess.CompletedProcess[str]:
        words: Sequence[str] = ("-c", code) if code else ("-m", "batchrun", *args)
        options: dict[str, object] = {"cwd": tmp_path, "text": True, "capture_output": True, "timeout": 60} | more
        return subprocess.run(  # type: ignore[call-overload,no-any-return]  # options differ by test
            [sys.executable, *words], env={**os.environ, **(env or {})}, check=False, **options
        )

    return call


@pytest.fixture
def looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the queue lies that is looked at, at 12:51 on the 20th of November 2026 in UTC."""
    monkeypatch.setattr(Call, "now", LATER)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield tmp_path / "batchrun.db"
    monkeypatch.undo()
    time.tzset()


def screen(
    *, tty: bool = True, color: str = "never", width: int = 80, out: io.StringIO | None = None, quiet: bool = False
) -> tuple[Screen, io.StringIO, io.StringIO]:
    """A screen on two streams in memory, and the streams."""
    made = out if out is not None else Terminal() if tty else Pipe()
    err = Terminal() if tty else Pipe()
    return Screen(color=color, quiet=quiet, environ={"COLUMNS": str(width)}, out=made, err=err), made, err


@pytest.fixture
def swift(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulator answers at once, and everybody waits less than a moment."""
    from batchrun.simulator import plan

    quick = functools.partial(plan.Plan, pace=plan.Pace(first=0.0, per_token=0.0))
    monkeypatch.setattr(plan, "Plan", quick)


@pytest.fixture
def soon(swift: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated batches have ended when they are first looked at."""
    _batches(monkeypatch, 0.0)


@pytest.fixture
def late(swift: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated batches end in an hour."""
    _batches(monkeypatch, 60.0)


def _batches(monkeypatch: pytest.MonkeyPatch, minutes: float) -> None:
    from batchrun.simulator import batchplan

    made = batchplan.BatchPlan

    def plan(**values: Any) -> batchplan.BatchPlan:
        return made(**(values | {"minutes": minutes, "canceling": 0.05}))

    monkeypatch.setattr(batchplan, "BatchPlan", plan)


def jobs_file(path: Path, prompts: Sequence[str], **more: object) -> Path:
    """A job file with one job for each of *prompts*: doc-0, doc-1 …"""
    job = {"model": "claude-haiku-5-5", "max_tokens": 64} | more
    lines = [json.dumps({"id": f"doc-{n}", **job, "prompt": prompt}) for n, prompt in enumerate(prompts)]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def settled(text: str) -> str:
    """*text* without what differs from one call to the next: moments, spans, paths and small sums."""
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "MOMENT", text)
    text = re.sub(r"elapsed=\S+", "elapsed=SPAN", text)
    text = re.sub(r"\$0\.\d+", "$SUM", text)
    return re.sub(r"/\S*/batchrun(-simulated)?\.db", r"/…/batchrun\1.db", text)


@pytest.fixture
def terminal(tmp_path: Path) -> Callable[..., str]:
    """Run a command on a terminal of its own and return all that it wrote there."""
    import pty

    def run(command: Sequence[str]) -> str:
        master, slave = pty.openpty()
        environ = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
        with subprocess.Popen(
            command, cwd=tmp_path, env=environ, stdin=slave, stdout=slave, stderr=slave, close_fds=True
        ):
            os.close(slave)
            pieces = []
            while True:
                try:
                    piece = os.read(master, 65536)
                except OSError:  # the other side has closed
                    break
                if not piece:
                    break
                pieces.append(piece)
        os.close(master)
        return b"".join(pieces).decode(errors="replace")

    return run
