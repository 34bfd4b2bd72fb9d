"""Several workers on one queue, in virtual time: one account, one set of limits, each job once."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from batchrun.core.events import BatchTurned, Recovered, Throttled, Trouble, Turn
from batchrun.core.job import Millis, WorkerId
from batchrun.core.limits import Dimension, Limits
from batchrun.errors import Exit
from batchrun.queue import tables as t
from batchrun.queue import workers
from batchrun.queue.writing import perform_now
from batchrun.scheduler.shutdown import Shutdown
from batchrun.scheduler.terms import Ended
from batchrun.simulator.batchplan import BatchPlan
from batchrun.simulator.plan import Pace, Plan
from tests.scheduler.test_pass import in_world
from tests.scheduler.world import QUICK, World

BRISK = Pace(first=0.2, spread=0.1, per_token=0.0002)
PLENTY = 1_000_000_000
LANE = "haiku-5-5"


def told(requests: int) -> Limits:
    return Limits(requests=requests, input_tokens=PLENTY, output_tokens=PLENTY)


class Crew:
    """Passes that began and may be told to stop."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.lives: list[asyncio.Task[Ended | None]] = []
        self._shutdowns: list[Shutdown] = []

    def join(self, **changes: object) -> asyncio.Task[Ended | None]:
        shutdown = Shutdown()
        life = asyncio.create_task(self.world.live(shutdown=shutdown, **changes))  # type: ignore[arg-type]
        self._shutdowns.append(shutdown)
        self.lives.append(life)
        return life

    async def leave(self) -> list[Ended | None]:
        for shutdown in self._shutdowns:
            shutdown.ask()
        return await asyncio.gather(*self.lives)


def sent(world: World, since: float, until: float) -> Counter[int]:
    """Requests that left in seconds of the virtual time, by worker."""
    begin = world.simulator.ledger.entries[0].at
    rows = world.rows(t.attempts, t.attempts.c.worker, t.attempts.c.sent)
    return Counter(worker for worker, at in rows if at is not None and begin + since * 1e3 <= at < begin + until * 1e3)


@pytest.mark.parametrize("n", [2, 4])
@pytest.mark.sweep
def test_together_they_use_ninety_seven_percent_and_no_minute_is_over(tmp_path: Path, n: int) -> None:
    async def story(world: World) -> None:
        crew, limit = Crew(world), 150
        world.add([f"question {number}" for number in range(limit * 3)])
        for _ in range(n):
            crew.join(custom={LANE: told(limit)})
        await world.clock.sleep(125.0)
        await crew.leave()
        ledger = world.simulator.ledger
        begin = ledger.entries[0].at
        used = ledger.utilisation(Dimension.REQUESTS, limit, Millis(begin + 60_000), Millis(begin + 120_000))
        assert used >= 0.97
        assert ledger.busiest(Dimension.REQUESTS) <= limit
        assert {entry.status for entry in ledger.entries} == {200}
        assert not ledger.repeated()
        parts = sent(world, 20.0, 120.0)
        assert len(parts) == n
        assert min(parts.values()) >= 0.9 * max(parts.values())
        world.check()

    in_world(tmp_path, story, Plan(pace=BRISK, limits={"*": told(150)}))


def test_who_comes_later_has_its_share_within_three_seconds(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        crew = Crew(world)
        world.add([f"question {number}" for number in range(600)])
        crew.join(custom={LANE: told(600)})
        await world.clock.sleep(10.0)
        crew.join(custom={LANE: told(600)})
        await world.clock.sleep(11.0)
        await crew.leave()
        parts = sent(world, 13.0, 20.0)
        assert parts[2] >= 0.9 * parts[1] > 0
        assert world.simulator.ledger.busiest(Dimension.REQUESTS) <= 600

    in_world(tmp_path, story, Plan(pace=BRISK, limits={"*": told(600)}))


@pytest.mark.sweep
def test_a_program_that_is_started_again_and_again_gets_no_new_burst(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add([f"question {number}" for number in range(300)])
        for _ in range(40):
            crew = Crew(world)
            crew.join(custom={LANE: told(60)})
            await world.clock.sleep(1.5)
            await crew.leave()
        assert world.simulator.ledger.busiest(Dimension.REQUESTS) <= 60
        assert {entry.status for entry in world.simulator.ledger.entries} == {200}

    in_world(tmp_path, story, Plan(pace=QUICK, limits={"*": told(60)}))


def test_when_the_api_tells_one_worker_to_wait_all_wait(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        crew = Crew(world)
        world.add([f"question {number}" for number in range(100)])
        for _ in range(3):
            crew.join(custom={LANE: told(600)})  # the user is wrong
        await world.clock.sleep(30.0)
        await crew.leave()
        refused = [entry for entry in world.simulator.ledger.entries if entry.status == 429]
        (first, *_) = [event for event in world.heard.of(Throttled) if event.why == "rate"]
        rest = [entry.at for entry in world.simulator.ledger.entries if entry.at > first.at + 1_000]
        assert refused
        assert min(rest) >= first.at + round(first.seconds * 1000) - 1

    in_world(tmp_path, story, Plan(pace=QUICK, limits={"*": told(60)}))


def test_who_is_taken_for_dead_goes_on_as_a_new_one_and_no_job_is_bought_twice(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        crew = Crew(world)
        world.add([f"question {number}" for number in range(120)])
        crew.join(custom={LANE: told(240)})
        await world.clock.sleep(10.2)
        perform_now(world.engine, lambda tx: workers.bury(tx, WorkerId(1), world.clock.wall()))
        (ended,) = await asyncio.gather(*crew.lives)
        assert ended is not None
        assert ended.exit is Exit.OK
        assert world.states() == {"succeeded": 120}
        assert [event.code for event in world.heard.of(Trouble)] == ["buried"]
        assert len(world.rows(t.workers)) == 2
        assert {left is not None for (left,) in world.rows(t.workers, t.workers.c.left)} == {True}

    in_world(tmp_path, story, Plan(pace=QUICK))


def test_a_living_worker_takes_over_from_a_dead_one_within_seconds(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add([f"question {number}" for number in range(200)])
        assert await world.live(dies_at=80, custom={LANE: told(600)}) is None
        out = world.states()["running"]
        (dead,) = [row.id for row in world.rows(t.workers)]
        crew = Crew(world)
        crew.join(custom={LANE: told(240)})
        await asyncio.gather(*crew.lives)
        assert out
        assert world.states() == {"succeeded": 200}
        assert sum(event.unknown for event in world.heard.of(Recovered)) == out
        assert dict(world.rows(t.workers, t.workers.c.id, t.workers.c.left))[dead] is not None
        world.check()

    in_world(tmp_path, story, Plan(pace=QUICK))


# -- batches -----------------------------------------------------------------------------------------------------------


def lists(world: World) -> int:
    return sum(entry.endpoint == "GET /v1/messages/batches" for entry in world.simulator.ledger.entries)


def test_one_worker_looks_after_the_batches_and_another_one_ends_and_says_who(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        crew = Crew(world)
        world.add([f"question {number}" for number in range(300)], mode="batch")
        first = crew.join()
        await world.clock.sleep(60.0)
        before = lists(world)
        ended = await crew.join()
        assert ended is not None
        assert (ended.exit, ended.message) == (Exit.OK, "pid 1 on host h looks after the batches")
        assert lists(world) <= before + 1
        last = await first
        assert last is not None
        assert last.exit is Exit.OK
        assert world.states() == {"succeeded": 300}
        assert not world.simulator.ledger.repeated()

    in_world(tmp_path, story, Plan(pace=QUICK, batches=BatchPlan()))


def test_who_waits_takes_over_when_the_attendant_leaves(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        first, second = Crew(world), Crew(world)
        world.add([f"question {number}" for number in range(300)], mode="batch")
        first.join()
        await world.clock.sleep(60.0)
        second.join(patient=True)
        await world.clock.sleep(60.0)
        await first.leave()
        (ended,) = await asyncio.gather(*second.lives)
        assert ended is not None
        assert ended.exit is Exit.OK
        assert world.states() == {"succeeded": 300}
        assert not world.simulator.ledger.repeated()
        assert world.rows(t.accounts, t.accounts.c.attendant) == [(2,)]

    in_world(tmp_path, story, Plan(pace=QUICK, batches=BatchPlan()))


@pytest.mark.sweep
def test_all_may_send_batches_and_each_job_is_in_one(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        crew = Crew(world)
        for name in "ab":
            world.add([f"question {number} of {name}" for number in range(300)], name=name, mode="batch")
        for _ in range(3):
            crew.join(patient=True)
        ends = await asyncio.gather(*crew.lives)
        assert [ended.exit for ended in ends if ended is not None] == [Exit.OK] * 3
        assert world.states() == {"succeeded": 600}
        await world.simulator.settle()
        assert not [entries for entries in world.simulator.ledger.repeated().values() if len(entries) > 1]
        submitted = [event for event in world.heard.of(BatchTurned) if event.turn is Turn.SUBMITTED]
        assert len(submitted) == len(world.rows(t.batches))
        world.check()

    in_world(tmp_path, story, Plan(pace=QUICK, batches=BatchPlan()))
