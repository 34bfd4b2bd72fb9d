"""What is said while job files are read, and once they are."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from batchrun.cli.problems import summary
from batchrun.cli.screen import Screen, clean
from batchrun.core.figures import count

if TYPE_CHECKING:
    from batchrun.jobfile.problems import Problems

EVERY = 0.2
"""Seconds between two counts on the screen."""


class Counter:
    """Shows a person how many jobs were read, or what else is *done* to them, if it takes a while; wipes the line."""

    def __init__(self, screen: Screen, done: str = "read") -> None:
        self._done = done
        self._screen = screen if screen.interactive and not screen.quiet else None
        self._next = time.monotonic() + 1.0
        self._shown = False

    def __call__(self, jobs: int) -> None:
        if self._screen is not None and time.monotonic() >= self._next:
            self._next = time.monotonic() + EVERY
            self._shown = True
            self._screen.err.write(f"\r{jobs:,} jobs {self._done} …")
            self._screen.err.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._screen is not None and self._shown:
            self._screen.err.write("\r\x1b[K")


def headline(files: Sequence[str], shapes: Sequence[str], jobs: int, models: int, problems: Problems) -> str:
    """What was read: "Checked jobs.jsonl (short lines): 10,000 jobs, 2 models, no problems"."""
    name = clean(files[0]) if len(files) == 1 else count(len(files), "file")
    kinds = list(dict.fromkeys(shape for shape in shapes if shape))
    shape = f" ({kinds[0]})" if len(kinds) == 1 else ""
    several = f", {models} models" if models > 1 else ""
    return f"Checked {name}{shape}: {count(jobs, 'job')}{several}, {summary(problems)}"
