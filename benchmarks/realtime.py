"""Realtime requests at zero latency: everything durable, against the SDK in a loop that stores nothing.

python -m benchmarks.realtime ours | bare | aiohttp URL N CONCURRENCY FOLDER
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.canned import MODEL, canned
from benchmarks.measure import Scale, Stretch, Took, child, median, times
from benchmarks.program import call, imported, prepared
from benchmarks.raw import opened
from benchmarks.stock import Layer, stocked
from benchmarks.table import Row

CONCURRENCY = 50
JOBS = 10_000
SIZE = 1_000
"""Bytes of a request, and of an answer."""


def measure(scale: Scale, folder: Path) -> Iterator[Row]:
    takes: dict[str, list[Took]] = {"bare": [], "ours": [], "aiohttp": []}
    jobs = JOBS if scale.whole else JOBS // 5
    with canned(SIZE) as url:
        for round_ in range(scale.rounds):
            for who, took in takes.items():
                place = folder / f"realtime-{who}-{round_}"
                place.mkdir()
                took.append(child("realtime", who, url, jobs, CONCURRENCY, place))
    bare, ours, others = takes["bare"], takes["ours"], takes["aiohttp"]
    floor = f"{median([took.rate for took in bare]):,.0f} jobs/s, {median([t.cpu_each for t in bare]) * 1e3:.2f} ms"
    rates = [mine.rate / its.rate for mine, its in zip(ours, bare, strict=True)]
    costs = [mine.cpu_each / its.cpu_each for mine, its in zip(ours, bare, strict=True)]
    yield Row(
        what="realtime, zero latency: jobs per second",
        budget=">= 1.3 × the bare SDK loop",
        measured=times(rates),
        floor=floor,
        fine=median(rates) >= 1.3,
    )
    yield Row(
        what="realtime, zero latency: processor time per job",
        budget="<= 0.8 × the bare SDK loop",
        measured=times(costs),
        floor=floor,
        fine=median(costs) <= 0.8,
    )
    yield Row(
        what="  the bare loop with aiohttp, nothing stored: jobs per second",
        budget="",
        measured=times([mine.rate / its.rate for mine, its in zip(others, bare, strict=True)]),
        floor=floor,
        fine=None,
    )


def _bare(url: str, n: int, concurrency: int, *, aiohttp: bool) -> None:
    from anthropic import AsyncAnthropic, DefaultAioHttpClient

    text = "x" * (SIZE - 90)

    async def main() -> None:
        client = AsyncAnthropic(
            api_key="a-key-of-nobody", base_url=url, http_client=DefaultAioHttpClient() if aiohttp else None
        )
        semaphore = asyncio.Semaphore(concurrency)

        async def ask(number: int) -> None:
            async with semaphore:
                content = f"{number} {text}"
                await client.messages.create(
                    model=MODEL, max_tokens=500, messages=[{"role": "user", "content": content}]
                )

        with stretch:
            await asyncio.gather(*(ask(number) for number in range(n)))
        await client.close()

    stretch = Stretch()
    asyncio.run(main())
    stretch.tell(n)


def _ours(url: str, n: int, concurrency: int, folder: Path) -> None:
    queue = stocked(folder / "batchrun.db", [Layer(n=n, size=SIZE)])
    prepared(folder, url)
    imported()
    with Stretch() as stretch:
        call("run", "--concurrency", str(concurrency))
    database = opened(queue)
    kept = database.execute("SELECT COUNT(*) FROM results WHERE winning = 1").fetchone()[0]
    assert kept == n, kept
    stretch.tell(n)


if __name__ == "__main__":
    who, address, jobs, most, place = sys.argv[1:]
    if who == "ours":
        _ours(address, int(jobs), int(most), Path(place))
    else:
        _bare(address, int(jobs), int(most), aiohttp=who == "aiohttp")
