"""How things are measured: each in a process of its own, in turn with its floor, as ratios of rounds."""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How large a call of the benchmarks is. `small` is the size that ratios of growth begin at."""

    small: int = 10_000
    large: int = 1_000_000
    huge: int | None = None
    submitted: int = 1_000_000
    answers: int = 100_000
    rounds: int = 4

    @property
    def whole(self) -> bool:
        """Whether the budgets, which are set for whole sizes, can be judged where they are not ratios."""
        return self.large >= 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """What a piece of work took in its process: seconds, processor seconds of all threads, bytes of memory at most.

    `n` is whatever the piece counts.
    """

    n: int
    seconds: float
    cpu: float
    peak: int

    @property
    def rate(self) -> float:
        return self.n / self.seconds

    @property
    def cpu_each(self) -> float:
        return self.cpu / self.n


class Stretch:
    """The piece of work inside a `with`; `tell` hands its figures to the process that waits for them."""

    def __enter__(self) -> Self:
        self._seconds, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._seconds, self._cpu = time.perf_counter() - self._seconds, time.process_time() - self._cpu

    def tell(self, n: int) -> None:
        print(json.dumps(asdict(Took(n=n, seconds=self._seconds, cpu=self._cpu, peak=peak()))), flush=True)


def peak() -> int:
    """Bytes of memory that this process has had at most.

    Where the kernel tells it of the process alone, for `getrusage` begins with the size of the parent.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def told(module: str, *arguments: object) -> Any:
    """Run `python -m benchmarks.MODULE ARGUMENTS` and return the JSON value that it printed last."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)], check=True, stdout=subprocess.PIPE
    )
    return json.loads(done.stdout.splitlines()[-1])


def child(module: str, *arguments: object) -> Took:
    """The same for one that tells of a `Stretch`."""
    return Took(**told(module, *arguments))


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def times(ratios: Sequence[float]) -> str:
    """The median of the rounds and how far they lie apart."""
    return f"{median(ratios):.2f} × ({min(ratios):.2f} to {max(ratios):.2f})"
