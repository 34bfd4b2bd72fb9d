"""How much of a limit is used, and how often the API has to say no: the real scheduler, in virtual time.

python -m benchmarks.limits requests | input_tokens | output_tokens LIMIT MINUTES told | learned WORKERS FOLDER
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from batchrun.core.figures import count
from batchrun.core.job import Millis
from batchrun.core.limits import Dimension, Limits
from benchmarks.measure import Scale, told
from benchmarks.table import Row

TIERS = {"start": 1_000, "build": 5_000, "scale": 10_000}
PLENTY = 1_000_000_000
TOKENS = {Dimension.INPUT: 2_000_000, Dimension.OUTPUT: 400_000}
"""A minute, where tokens bind: what the lowest of today's tiers grants."""

SIZES = (1_000, 8_000, 20_000)
"""Characters of the prompts where input tokens bind, a third each."""

MINUTE = 60_000
CONCURRENCY = 600
WORKERS = (1, 2, 4)
"""On one queue at once."""


def measure(scale: Scale, folder: Path) -> Iterator[Row]:
    for tier, requests in TIERS.items():
        if not scale.whole and requests > 1_000:
            continue
        for how, workers in itertools.product(("told", "learned"), WORKERS):
            found = told("limits", Dimension.REQUESTS, requests, 2, how, workers, folder)
            yield Row(
                what=f"requests-bound, {tier}, limit {how}, {count(workers, 'worker')}: share of {requests:,} a minute",
                budget=">= 97 %, no 429, no 60 s over",
                measured=f"{found['share']:.1%}, {found['refused']} 429s, at most {found['busiest']:,}",
                floor=f"{found['sent']:,} requests in virtual time",
                fine=found["share"] >= 0.97 and not found["refused"] and found["busiest"] <= requests,
            )
    minutes = 10 if scale.whole else 2
    for dimension, tokens in TOKENS.items():
        what = dimension.removesuffix("_tokens")
        for how, workers in itertools.product(("told", "learned"), WORKERS):
            found = told("limits", dimension, tokens, minutes, how, workers, folder)
            refused = found["refused"] / found["sent"]
            yield Row(
                what=f"{what}-bound, mixed sizes, limit {how}, {count(workers, 'worker')}: "
                f"share of {tokens:,} a minute over {minutes} minutes",
                budget=">= 97 %, < 0.1 % answered 429",
                measured=f"{found['share']:.1%}, {refused:.2%} 429s",
                floor=f"{found['sent']:,} requests in virtual time",
                fine=found["share"] >= 0.97 and refused < 0.001 if scale.whole else None,
            )


def _night(dimension: Dimension, limit: int, minutes: int, *, known: bool, workers: int, folder: Path) -> str:
    """Passes on one queue that are stopped when a minute to warm up and *minutes* more are over."""
    from batchrun.core.tokens import weigh
    from batchrun.scheduler.shutdown import Shutdown
    from batchrun.simulator.plan import Plan
    from tests.scheduler.world import MODEL, World
    from tests.virtual import VirtualClock, run

    plenty = Limits(requests=PLENTY, input_tokens=PLENTY, output_tokens=PLENTY)
    limits = replace(plenty, **{str(dimension): limit})
    sizes = SIZES if dimension is Dimension.INPUT else (20,)
    a_minute = {
        Dimension.REQUESTS: limit,
        Dimension.INPUT: limit // (sum(SIZES) // len(SIZES) // 4),
        Dimension.OUTPUT: limit // 150,
    }[dimension]

    async def night(clock: VirtualClock, dice: random.Random) -> str:
        world = World(folder, clock, dice, Plan(limits={"*": limits}))
        for size in sizes:
            text = "word " * (size // 5)
            prompts = [f"{number} {text}" for number in range(a_minute * (minutes + 2) // len(sizes))]
            est_input = weigh({"model": MODEL}, size + 100).input
            world.add(prompts, name=f"size-{size}", est_input=est_input)
        custom = {"haiku-5-5": limits} if known else {}
        stops = [Shutdown() for _ in range(workers)]
        lives = [asyncio.create_task(world.live(most=CONCURRENCY, custom=custom, shutdown=stop)) for stop in stops]
        await clock.sleep(60.0 * (minutes + 1) + 5.0)
        assert not any(life.done() for life in lives), "too few jobs"
        for stop in stops:
            stop.ask()
        await asyncio.gather(*lives)
        ledger = world.simulator.ledger
        begin = Millis(ledger.entries[0].at + MINUTE)
        end = Millis(begin + minutes * MINUTE)
        return json.dumps(
            {
                "share": ledger.utilisation(dimension, limit, begin, end),
                "refused": sum(entry.status == 429 for entry in ledger.entries),
                "busiest": ledger.busiest(dimension),
                "sent": len(ledger.entries),
            }
        )

    return run(night)


if __name__ == "__main__":
    what, limit, minutes, how, n, place = sys.argv[1:]
    path = Path(place) / "-".join(sys.argv[1:6])
    path.mkdir()
    print(_night(Dimension(what), int(limit), int(minutes), known=how == "told", workers=int(n), folder=path))
