"""What a worker needs with many jobs queued and many requests in flight.

python -m benchmarks.memory URL FOLDER QUEUED IN_FLIGHT ANSWERS
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchrun.core.events import Event, JobsSent, JobSucceeded
from batchrun.core.ports import Sink
from benchmarks.canned import canned
from benchmarks.measure import MEGABYTE, Scale, peak, told
from benchmarks.program import call, imported, prepared
from benchmarks.stock import Layer, stocked
from benchmarks.table import Row

if TYPE_CHECKING:
    from batchrun.scheduler.terms import Ended
    from batchrun.settings import Settings

IN_FLIGHT = 1_000
OUT, IN = 2_000, 4_000
DELAY = 2.0
"""Seconds until an answer: long enough for a thousand requests to be out together."""

MOST = 200 * MEGABYTE


def measure(scale: Scale, folder: Path) -> Iterator[Row]:
    stocked(folder / "batchrun.db", [Layer(n=scale.large, size=OUT)])
    with canned(IN, DELAY) as url:
        found = told("memory", url, folder, scale.large, IN_FLIGHT, 5 * IN_FLIGHT)
    yield Row(
        what=f"memory of a worker, {scale.large:,} queued, {IN_FLIGHT:,} in flight, {OUT:,} B out, {IN:,} B in",
        budget="< 200 MB",
        measured=f"{found['peak'] / MEGABYTE:.0f} MB",
        floor=f"{found['begun'] / MEGABYTE:.0f} MB before the pass; {found['out']:,} were out together",
        fine=found["peak"] < MOST and found["out"] >= 0.9 * IN_FLIGHT,
    )


class _Watching:
    """A sink that counts what is out, and asks for the end when enough has come home."""

    sink: Sink  #: whoever listens to the program

    def __init__(self, enough: int) -> None:
        self.out = 0
        self.most = 0
        self._left = enough

    def emit(self, event: Event) -> None:
        self.sink.emit(event)
        if isinstance(event, JobsSent):
            self.out += event.n
            self.most = max(self.most, self.out)
        elif isinstance(event, JobSucceeded):
            self.out -= 1
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGINT)


def _worker(url: str, folder: Path, in_flight: int, answers: int) -> None:
    imported()
    from batchrun import wiring

    begun = peak()
    run_pass = wiring.run_pass
    watching = _Watching(answers)

    def watched(settings: Settings, wish: wiring.Wish, sink: Sink, **more: Any) -> Ended:
        watching.sink = sink
        return run_pass(settings, wish, watching, **more)

    wiring.run_pass = watched
    prepared(folder, url)
    call("run", "--concurrency", str(in_flight), code=130)
    print(json.dumps({"begun": begun, "peak": peak(), "out": watching.most}))


if __name__ == "__main__":
    _worker(sys.argv[1], Path(sys.argv[2]), int(sys.argv[4]), int(sys.argv[5]))
