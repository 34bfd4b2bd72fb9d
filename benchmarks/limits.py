"""How much of a limit is used, and how often the API has to say no: the real scheduler, in virtual time.

python -m benchmarks.limits REQUESTS INPUT OUTPUT MINUTES told | learned FOLDER
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from batchrun.core.job import Millis
from batchrun.core.limits import Dimension, Limits
from benchmarks.measure import Scale, told
from benchmarks.table import Row

TIERS = {"start": 1_000, "build": 5_000, "scale": 10_000}
PLENTY = 1_000_000_000
TOKENS = 60_000
"""Output tokens a minute where those bind: some 240 answers."""

MINUTE = 60_000
CONCURRENCY = 600


def measure(scale: Scale, folder: Path) -> Iterator[Row]:
    for tier, requests in TIERS.items():
        if not scale.whole and requests > 1_000:
            continue
        for how in ("told", "learned"):
            found = told("limits", requests, PLENTY, PLENTY, 2, how, folder)
            yield Row(
                what=f"requests-bound, {tier}, limit {how}: share of {requests:,} a minute",
                budget=">= 97 %, no 429, no 60 s over",
                measured=f"{found['share']:.1%}, {found['refused']} 429s, at most {found['busiest']:,}",
                floor=f"{found['sent']:,} requests in virtual time",
                fine=found["share"] >= 0.97 and not found["refused"] and found["busiest"] <= requests,
            )
    minutes = 10 if scale.whole else 2
    for how in ("told", "learned"):
        found = told("limits", PLENTY, PLENTY, TOKENS, minutes, how, folder)
        refused = found["refused"] / found["sent"]
        yield Row(
            what=f"output-bound, lengths unknown, limit {how}: share of {TOKENS:,} a minute over {minutes} minutes",
            budget=">= 97 %, < 0.1 % answered 429",
            measured=f"{found['output']:.1%}, {refused:.2%} 429s",
            floor=f"{found['sent']:,} requests in virtual time",
            fine=found["output"] >= 0.97 and refused < 0.001 if scale.whole else None,
        )


def _night(requests: int, input_tokens: int, output_tokens: int, minutes: int, *, known: bool, folder: Path) -> str:
    """One pass that is stopped when a minute to warm up and *minutes* more are over."""
    from batchrun.simulator.plan import Plan
    from tests.scheduler.world import World
    from tests.virtual import VirtualClock, run

    limits = Limits(requests=requests, input_tokens=input_tokens, output_tokens=output_tokens)
    a_minute = requests if requests < PLENTY else output_tokens // 150

    async def night(clock: VirtualClock, dice: random.Random) -> str:
        world = World(folder, clock, dice, Plan(limits={"*": limits}))
        world.add([f"question {number}" for number in range(a_minute * (minutes + 2))])
        custom = {"haiku-5-5": limits} if known else {}
        life = asyncio.create_task(world.live(most=CONCURRENCY, custom=custom))
        await clock.sleep(60.0 * (minutes + 1) + 5.0)
        assert not life.done(), "too few jobs"
        world.shutdown.ask()
        await life
        ledger = world.simulator.ledger
        begin = Millis(ledger.entries[0].at + MINUTE)
        end = Millis(begin + minutes * MINUTE)
        return json.dumps(
            {
                "share": ledger.utilisation(Dimension.REQUESTS, requests, begin, end),
                "output": ledger.utilisation(Dimension.OUTPUT, output_tokens, begin, end),
                "refused": sum(entry.status == 429 for entry in ledger.entries),
                "busiest": ledger.busiest(Dimension.REQUESTS),
                "sent": len(ledger.entries),
            }
        )

    return run(night)


if __name__ == "__main__":
    numbers, place = [int(number) for number in sys.argv[1:5]], Path(sys.argv[6])
    path = place / "-".join(sys.argv[1:6])
    path.mkdir()
    print(_night(*numbers, known=sys.argv[5] == "told", folder=path))
