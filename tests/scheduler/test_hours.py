"""Runs that are sent in their hours only: outside of them nothing leaves, and what is out is looked after."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from batchrun.core.events import HoursShut
from batchrun.core.hours import Hours, hours
from batchrun.core.job import Millis
from batchrun.core.limits import Limits
from batchrun.errors import Exit
from batchrun.queue import tables as t
from batchrun.scheduler.terms import Ended
from batchrun.simulator.batchplan import BatchPlan
from batchrun.simulator.plan import Plan
from tests import virtual
from tests.scheduler.world import MODEL, QUICK, TABLES, World

NIGHT = "22:00-06:00 Europe/Berlin"
HOUR = 3_600_000


def night() -> Hours:
    made = hours(NIGHT)
    assert made is not None
    return made


def moment(text: str) -> Millis:
    return Millis(round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000))


def left(world: World) -> list[Millis]:
    """When what was sent left: each realtime request and each batch."""
    calls = world.rows(t.attempts, t.attempts.c.sent)
    batches = world.rows(t.batches, t.batches.c.sent)
    return [Millis(at) for (at,) in [*calls, *batches] if at is not None]


def live(
    plan: Plan, folder: Path, begin: Millis, jobs: int, mode: str, sent: str = NIGHT, **terms: Any
) -> tuple[World, Ended]:
    async def main(clock: virtual.VirtualClock, dice: random.Random) -> tuple[World, Ended]:
        world = World(folder, clock, dice, plan)
        world.add([f"question {n}" for n in range(jobs)], mode=mode, hours=sent)
        ended = await world.live(**terms)
        assert ended is not None
        world.check()
        return world, ended

    return virtual.run(main, epoch=begin)


@pytest.mark.parametrize("begin", ["2026-11-20T00:45", "2027-03-28T00:45", "2026-10-25T00:05"])
def test_realtime_requests_leave_in_their_hours_only_through_every_change_of_the_clock(
    tmp_path: Path, begin: str
) -> None:
    """Minutes about the hour at which the clock in Berlin is put forward, put back, or left alone."""
    plan = Plan(pace=QUICK, limits={"*": Limits(requests=30, input_tokens=90_000, output_tokens=90_000)})
    minutes = "01:50-01:51, 02:10-02:11, 03:05-03:06 Europe/Berlin"
    world, ended = live(plan, tmp_path, moment(begin), 45, "realtime", minutes)
    made = hours(minutes)
    assert made is not None
    assert ended.exit is Exit.OK
    assert world.states() == {"succeeded": 45}
    assert all(made.open(at) for at in left(world))
    told = [event.until for event in world.heard.of(HoursShut)]
    assert len(told) == 2
    assert all(made.open(until) for until in told)


def test_batches_are_created_in_the_hours_and_collected_outside_of_them(tmp_path: Path) -> None:
    plan = Plan(pace=QUICK, batches=BatchPlan(minutes=45.0))
    begin = moment("2026-11-21T04:50")  # ten to six in Berlin: they end after six
    world, ended = live(plan, tmp_path, begin, 100, "batch")
    assert ended.exit is Exit.OK
    assert world.states() == {"succeeded": 100}
    assert all(night().open(at) for at in left(world))
    finished = [at for (at,) in world.rows(t.jobs, t.jobs.c.finished)]
    assert not any(night().open(at) for at in finished)
    assert max(finished) - begin < 2 * HOUR  # nobody waited for the night to collect


def test_a_pass_from_cron_returns_at_once_and_says_until_when_the_run_waits(tmp_path: Path) -> None:
    begin = moment("2026-11-20T12:00")
    for term in ("once", "detach"):
        folder = tmp_path / term
        folder.mkdir()
        world, ended = live(Plan(pace=QUICK), folder, begin, 60, "realtime", NIGHT, **{term: True})
        assert world.clock.wall() - begin < 60_000
        assert ended.exit is Exit.OK
        assert ended.message.startswith("run waits until ")
        assert not left(world)


def test_the_hours_of_one_run_keep_no_other_back(tmp_path: Path) -> None:
    async def main(clock: virtual.VirtualClock, dice: random.Random) -> tuple[list[int], int]:
        world = World(tmp_path, clock, dice, Plan(pace=QUICK))
        shut = world.add(["a", "b"], name="night", hours=NIGHT)
        world.add(["c", "d"], name="day")
        begin = clock.wall()
        await world.live()
        rows = world.rows(t.jobs, t.jobs.c.run, t.jobs.c.finished)
        return [at - begin for run, at in rows if run != shut], min(at for run, at in rows if run == shut)

    day, first = virtual.run(main, epoch=moment("2026-11-20T20:40"))
    assert max(day) < 60_000
    assert first >= moment("2026-11-20T21:00")


def test_a_deadline_rescues_so_early_that_what_is_left_of_the_hours_is_enough(tmp_path: Path) -> None:
    """Batches that take a day are wanted back before the night ends, though the deadline is at noon."""
    slow = Limits(requests=10, input_tokens=100_000, output_tokens=100_000)
    plan = Plan(pace=QUICK, limits={"*": slow}, batches=BatchPlan(minutes=1_400.0, canceling=1.0))

    async def main(clock: virtual.VirtualClock, dice: random.Random) -> World:
        world = World(tmp_path, clock, dice, plan)
        deadline = moment("2026-11-21T12:00")
        world.add([f"question {n}" for n in range(60)], mode="auto", hours=NIGHT, deadline=deadline)
        await world.live(custom={TABLES.limits.lane_of(MODEL): slow})
        return world

    world = virtual.run(main, epoch=moment("2026-11-21T03:50"))
    assert world.states() == {"succeeded": 60}
    assert max(at for (at,) in world.rows(t.jobs, t.jobs.c.finished)) <= moment("2026-11-21T05:00")
    assert world.rows(t.batches, t.batches.c.cancel_reason) == [("rescue",)]
