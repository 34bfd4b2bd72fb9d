"""What a dead worker held is given back: ours against the UPDATEs alone.

python -m benchmarks.recovery ours | raw DATABASE
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from batchrun.core.job import Millis
from benchmarks.measure import Scale, Stretch, child, median, times
from benchmarks.raw import opened
from benchmarks.stock import Layer, stocked
from benchmarks.table import Row

OUT = 100_000
NOW = Millis(1_795_176_000_000)


def measure(scale: Scale, folder: Path) -> Iterator[Row]:
    original = stocked(folder / "original.db", [Layer(n=OUT, state="running"), Layer(n=OUT)])
    ours: list[float] = []
    raw: list[float] = []
    for _ in range(scale.rounds):
        for who, seconds in (("raw", raw), ("ours", ours)):
            copy = folder / "copy.db"
            shutil.copyfile(original, copy)
            copy.chmod(0o600)
            seconds.append(child("recovery", who, copy).seconds)
    yield Row(
        what=f"recovery with {OUT:,} attempts in flight",
        budget="<= 2 s",
        measured=f"{median(ours):.2f} s, {times([mine / its for mine, its in zip(ours, raw, strict=True)])} raw",
        floor=f"{median(raw):.2f} s for the two raw UPDATEs",
        fine=median(ours) <= 2.0,
    )


def _ours(path: Path) -> int:
    from batchrun import wiring
    from batchrun.queue.connect import open_queue
    from batchrun.queue.living import Living
    from batchrun.queue.store import QueueStore
    from batchrun.queue.writing import Writer

    async def main() -> int:
        writer = Writer(open_queue(path))
        store = QueueStore(writer, Living(path))
        worker = await store.register(wiring.card())
        with stretch:
            released = await store.recover(worker, NOW)
        await store.leave(worker)
        await writer.close()
        return released.unknown

    return asyncio.run(main())


def _raw(path: Path) -> int:
    database = opened(path)
    with stretch:
        database.execute("BEGIN IMMEDIATE")
        n = database.execute(
            "UPDATE attempts SET outcome = 'unknown', ended = ?, billed = 'maybe', "
            "message = 'its worker died before the answer came' WHERE worker = 1 AND outcome IS NULL",
            (NOW,),
        ).rowcount
        database.execute(
            "UPDATE jobs SET state = 'queued', owner = NULL, error = 'worker_died', tries = tries + 1 WHERE owner = 1"
        )
        database.execute("COMMIT")
    database.close()
    return n


if __name__ == "__main__":
    stretch = Stretch()
    given_back = {"ours": _ours, "raw": _raw}[sys.argv[1]](Path(sys.argv[2]))
    assert given_back == OUT, given_back
    stretch.tell(given_back)
