"""Steps of SQLite's machine for one claim: exact, the same on any machine, and they must not grow with the queue.

python -m benchmarks.claim DATABASE RUN MODEL
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from batchrun.core.job import Millis, RunId
from benchmarks.canned import MODEL
from benchmarks.measure import Scale, told
from benchmarks.stock import Layer, stocked
from benchmarks.table import Row

AT_ONCE = 20
"""Jobs in one claim."""

OTHER = "claude-sonnet-5-5"
NOW = Millis(1_795_176_000_000)
LATER = NOW + 60 * 60 * 1000


def _plain(n: int) -> list[Layer]:
    return [Layer(n=n)]


def _waiting(n: int) -> list[Layer]:
    return [Layer(n=n // 5, state="waiting", due=LATER), Layer(n=n - n // 5)]


def _due(n: int) -> list[Layer]:
    return [Layer(n=n // 5, state="waiting", due=1), Layer(n=n - n // 5)]


def _paused(n: int) -> list[Layer]:
    return [Layer(n=n * 2 // 5, model=OTHER), Layer(n=n - n * 2 // 5)]


def _beside(n: int) -> list[Layer]:
    return [Layer(n=n), Layer(n=1_000, run=2)]


LAYOUTS: dict[str, tuple[Callable[[int], Sequence[Layer]], int]] = {
    "plain": (_plain, 1),
    "20 % wait until later": (_waiting, 1),
    "20 % waited, and are due": (_due, 1),
    "one model paused": (_paused, 1),
    "a small run beside a huge one": (_beside, 2),
}
"""Each with the run that is asked."""


def measure(scale: Scale, folder: Path) -> Iterator[Row]:
    sizes = [size for size in (scale.small, scale.large, scale.huge) if size is not None]
    for name, (layers, run) in LAYOUTS.items():
        steps = []
        for size in sizes:
            with TemporaryDirectory(dir=folder) as place:
                path = stocked(Path(place) / "batchrun.db", layers(size), paused=OTHER)
                steps.append(told("claim", path, run))
        yield _row(f"claim, {name}: VM steps per job", sizes, [one["claim"] for one in steps])
        yield _row(f"  look at what there is, {name}: VM steps", sizes, [one["look"] for one in steps])


def _row(what: str, sizes: Sequence[int], steps: Sequence[float]) -> Row:
    worst = max(steps) / steps[0]
    return Row(
        what=what,
        budget=f"<= 1.5 × those at {sizes[0]:,}",
        measured=f"{worst:.2f} × at {sizes[steps.index(max(steps))]:,}",
        floor=", ".join(f"{one:,.0f}" for one in steps),
        fine=worst <= 1.5,
    )


async def _claims(path: Path, run: RunId) -> dict[str, float]:
    import sqlalchemy as sa

    from batchrun import wiring
    from batchrun.queue.connect import open_queue
    from batchrun.queue.living import Living
    from batchrun.queue.store import QueueStore
    from batchrun.queue.writing import Inline

    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    engine = open_queue(path)
    engine.dispose()
    sa.event.listen(engine, "connect", lambda connection, _: connection.set_progress_handler(step, 1))
    store = QueueStore(Inline(engine), Living(path))
    worker = await store.register(wiring.card())
    found: dict[str, list[int]] = {"look": [], "claim": []}
    for _ in range(10):
        steps = 0
        await store.settle(NOW)
        await store.work(NOW)
        await store.pauses()
        found["look"].append(steps)
        steps = 0
        taken = await store.claim(run, MODEL, AT_ONCE, worker, NOW, None)
        found["claim"].append(steps)
        assert len(taken.claims) == AT_ONCE, taken
    await store.leave(worker)
    engine.dispose()
    return {"look": max(found["look"]), "claim": max(found["claim"]) / AT_ONCE}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_claims(Path(sys.argv[1]), RunId(int(sys.argv[2]))))))
