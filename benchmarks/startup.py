"""How soon a command that only looks is there: processor time against `python -c pass`, and steps of SQLite's machine.

python -m benchmarks.startup DATABASE
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import Scale, median, times, told
from benchmarks.program import call
from benchmarks.stock import Layer, stocked
from benchmarks.table import Row

RUNS = 12
ROUNDS = 7
STEPS = 20_000


def measure(scale: Scale, folder: Path) -> Iterator[Row]:
    for size in (scale.small, scale.large):
        queue = stocked(folder / f"{size}.db", _layers(size))
        steps = told("startup", queue)
        yield Row(
            what=f"status, {size:,} jobs: VM steps",
            budget=f"<= {STEPS:,}",
            measured=f"{steps:,}",
            floor="exact",
            fine=steps <= STEPS,
        )
        yield from _starts(f"status, {size:,} jobs", ["--db", str(queue), "status"])
    yield from _starts("--version", ["--version"])
    yield from _starts("--help", ["--help"])


def _layers(size: int) -> list[Layer]:
    """One large run with jobs of all kinds, and small ones beside it."""
    states = ("queued", "running", "failed", "succeeded")
    large = [Layer(n=size // len(states), state=state, size=100) for state in states]
    return [*large, *(Layer(n=5, run=run) for run in range(2, RUNS + 1))]


def _starts(what: str, arguments: Sequence[str]) -> Iterator[Row]:
    program = str(Path(sys.executable).with_name("batchrun"))
    ours, floor = [], []
    for _ in range(ROUNDS):
        floor.append(_took([sys.executable, "-c", "pass"]))
        ours.append(_took([program, *arguments]))
    ratios = [mine[0] / its[0] for mine, its in zip(ours, floor, strict=True)]
    walls = [mine[1] / its[1] for mine, its in zip(ours, floor, strict=True)]
    yield Row(
        what=f"{what}: processor time to start and end",
        budget="<= 10 × python -c pass",
        measured=times(ratios),
        floor=f"{median([cpu for cpu, _ in floor]) * 1e3:.0f} ms; by the clock {median(walls):.1f} ×",
        fine=median(ratios) <= 10.0,
    )


def _took(command: Sequence[str]) -> tuple[float, float]:
    """Processor seconds of a whole process, and those on the clock."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return usage.ru_utime + usage.ru_stime, seconds


def _steps(path: Path) -> int:
    """Of all queries of a status, those that look at the schema before it included."""
    import sqlite3

    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    connect = sqlite3.connect

    def watched(*arguments: Any, **more: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **more)
        connection.set_progress_handler(step, 1)
        return connection

    sqlite3.connect = watched  # type: ignore[assignment]  # in this process alone
    call("--db", str(path), "status")
    return steps


if __name__ == "__main__":
    print(_steps(Path(sys.argv[1])))
