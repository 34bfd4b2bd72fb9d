"""The whole way at full size: a job file → batches at the served simulator → answers, with `status` asked meanwhile.

python -m benchmarks.whole submit | run | status URL FOLDER N
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

from benchmarks import program
from benchmarks.canned import MODEL
from benchmarks.measure import MEGABYTE, Scale, Stretch, Took, child, median
from benchmarks.table import Row

SIZE = 2_000
"""Bytes of each request's text."""

PLAN = {"length": {"median": 60.0, "spread": 0.5}, "batches": {"minutes": 0.2}}
MOST = 200 * MEGABYTE


def measure(scale: Scale, folder: Path) -> Iterator[Row]:
    n = scale.answers
    _write(folder / "jobs.jsonl", n)
    with _simulator(folder) as url:
        submitted, while_sending = _beside("submit", url, folder, n)
        collected, while_collecting = _beside("run", url, folder, n)
        bought = _bought(url)
    yield Row(
        what=f"{n:,} jobs of {SIZE:,} B through the served simulator: submit until the batches stand",
        budget="< 200 MB",
        measured=f"{submitted.peak / MEGABYTE:.0f} MB; processor time {submitted.cpu:.1f} s",
        floor=f"{submitted.seconds:.0f} s by the clock, the simulator's own time within",
        fine=submitted.peak < MOST,
    )
    yield Row(
        what="  collecting them",
        budget="< 200 MB",
        measured=f"{collected.peak / MEGABYTE:.0f} MB; processor time {collected.cpu:.1f} s",
        floor=f"{collected.seconds:.0f} s by the clock",
        fine=collected.peak < MOST,
    )
    looks = [*while_sending, *while_collecting]
    yield Row(
        what="  `status` meanwhile: time to start and end",
        budget="it answers",
        measured=f"median {median(looks):.2f} s, at most {max(looks):.2f} s, {len(looks)} times",
        floor="on the same two processors as the worker and the simulator",
        fine=bool(looks),
    )
    twice = sum(times - 1 for times in bought.values())
    yield Row(
        what="  bought, by the simulator's ledger",
        budget="each job once",
        measured=f"{len(bought):,} jobs, {twice} twice",
        floor="exact",
        fine=len(bought) == n and not twice,
    )


def _write(path: Path, n: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for i in range(n):
            text = f"{i} {'lorem ipsum dolor sit amet ' * (SIZE // 27 + 1)}"[:SIZE]
            params = {"model": MODEL, "max_tokens": 500, "messages": [{"role": "user", "content": text}]}
            file.write(json.dumps({"custom_id": f"job-{i}", "params": params}) + "\n")


@contextmanager
def _simulator(folder: Path) -> Iterator[str]:
    plan = folder / "plan.json"
    plan.write_text(json.dumps(PLAN), encoding="utf-8")
    words = [sys.executable, "-m", "batchrun", "simulator", "--plan", str(plan), "--keep", str(folder / "api")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def _beside(verb: str, url: str, folder: Path, n: int) -> tuple[Took, list[float]]:
    """What *verb* took in a process of its own, and how long each `status` did that was asked while it ran."""
    over = Event()

    def look() -> list[float]:
        times = []
        while not over.wait(1.0):
            if not any((folder / "api").glob("*")):
                continue  # nothing has arrived yet: there may be no queue to look at
            began = time.perf_counter()
            child("whole", "status", url, folder, n)
            times.append(time.perf_counter() - began)
        return times

    with ThreadPoolExecutor(1) as beside:
        looks = beside.submit(look)
        try:
            took = child("whole", verb, url, folder, n)
        finally:
            over.set()
        return took, looks.result()


def _bought(url: str) -> Counter[str]:
    """How often each request was answered, by its digest."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.request("GET", "/_simulator/batches")
    batches = json.load(connection.getresponse())["batches"]
    connection.close()
    from batchrun.simulator.lots import Lot

    return Counter(
        str(item.prompt) for batch in batches for item in Lot(**batch).items() if item.billed and item.prompt
    )


def _do(verb: str, url: str, folder: Path, n: int) -> None:
    program.prepared(folder, url)
    with Stretch() as stretch:
        match verb:
            case "submit":
                program.call("submit", "jobs.jsonl", "--mode", "batch", "--no-pilot", "--yes")
            case "run":
                program.call("run")
            case _:
                program.call("status", "--json", "--db", "batchrun.db")
    stretch.tell(n)


if __name__ == "__main__":
    _do(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
