"""What a spending limit of the account costs: calls that are refused, and probes while it stands; in virtual time.

python -m benchmarks.spendcap FOLDER
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Scale, told
from benchmarks.table import Row

REQUESTS = 1_000
"""A minute, at most; half as many are served until the limit on spending is reached."""

HOURS = 6
QUARTER = 15 * 60 * 1000


def measure(_scale: Scale, folder: Path) -> Iterator[Row]:
    found = told("spendcap", folder)
    yield Row(
        what=f"a spending limit is reached at {REQUESTS:,} requests a minute: calls wasted",
        budget="<= 8, all other jobs queued",
        measured=f"{found['wasted']}, {found['queued']:,} of {found['left']:,} queued",
        floor=f"{found['served']:,} answered before",
        fine=found["wasted"] <= 8 and found["queued"] == found["left"],
    )
    yield Row(
        what=f"  and `batchrun run` each minute for {HOURS} hours: calls in any 15 minutes",
        budget="<= 1",
        measured=f"{found['often']}",
        floor=f"{found['probes']} calls in {found['passes']} passes",
        fine=found["often"] <= 1,
    )


def _night(folder: Path) -> str:
    from batchrun.core.limits import Limits
    from batchrun.simulator.plan import Money, Plan
    from tests.scheduler.world import World
    from tests.virtual import VirtualClock, run

    served = REQUESTS // 2
    plan = Plan(limits={"*": Limits(requests=REQUESTS)}, money=Money(spend_cap_requests=served))

    async def night(clock: VirtualClock, dice: random.Random) -> str:
        world = World(folder, clock, dice, plan)
        world.add([f"question {number}" for number in range(4 * served)])
        ledger = world.simulator.ledger
        await world.live()
        wasted = sum(entry.status == 429 for entry in ledger.entries)
        calls, states = len(ledger.entries), world.states()
        for _ in range(HOURS * 60):
            await clock.sleep(60.0)
            await world.live()
        probes = [entry.at for entry in ledger.entries[calls:]]
        often = max(sum(at <= other < at + QUARTER for other in probes) for at in probes)
        return json.dumps(
            {
                "wasted": wasted,
                "served": states["succeeded"],
                "queued": states["queued"],
                "left": 4 * served - states["succeeded"],
                "probes": len(probes),
                "passes": HOURS * 60,
                "often": often,
            }
        )

    return run(night)


if __name__ == "__main__":
    print(_night(Path(sys.argv[1])))
