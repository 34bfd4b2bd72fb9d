"""A few that came back from batches wait for others of their like: only while any can come, and without haste."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from batchrun.core.job import Millis
from batchrun.core.states import State
from batchrun.queue import tables as t
from batchrun.queue.store import QueueStore
from batchrun.scheduler.feed import GATHER
from batchrun.simulator.batchplan import BatchPlan
from batchrun.simulator.plan import Plan
from tests.scheduler.test_batches import questions
from tests.scheduler.test_pass import in_world
from tests.scheduler.world import MODEL, QUICK, World

PLAN = Plan(pace=QUICK, batches=BatchPlan(minutes=1.0))
LATER = 700 * 1000


def aside(world: World, state: State, *, hours: str | None = None) -> None:
    """A run of four jobs that go in batches; the first is elsewhere."""
    world.add(questions(4), mode="batch", hours=hours)
    due = world.clock.wall() + LATER if state is State.WAITING else None
    with world.engine.begin() as tx:
        tx.execute(t.jobs.update().where(t.jobs.c.seq == 0).values(state=state, due=due, error="dropped"))
        tx.execute(t.run_counts.update().values(n=3))
        tx.execute(t.run_counts.insert().values(run=1, model=MODEL, state=state, n=1))


def sent(world: World) -> float:
    """Seconds from now on after which the first batch was sent."""
    return min(float(sent) for (sent,) in world.rows(t.batches, t.batches.c.sent)) / 1000


def test_a_job_that_waits_for_a_person_keeps_no_batch_back(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        aside(world, State.HELD)
        began = world.clock.wall() / 1000
        await world.live()
        assert world.states() == {"held": 1, "succeeded": 3}
        assert sent(world) - began < GATHER / 10

    in_world(tmp_path, story, PLAN)


def test_while_a_few_wait_for_others_the_queue_is_not_asked_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    work = QueueStore.work

    async def counted(self: QueueStore, now: Millis) -> Any:
        nonlocal looks
        looks += 1
        return await work(self, now)

    monkeypatch.setattr(QueueStore, "work", counted)

    async def story(world: World) -> None:
        aside(world, State.WAITING)
        began = world.clock.wall() / 1000
        await world.live()
        assert world.states() == {"succeeded": 4}
        assert GATHER <= sent(world) - began < GATHER + 60
        assert looks < LATER / 1000, "more than once a second"

    in_world(tmp_path, story, PLAN)


def test_nobody_waits_for_others_beyond_the_hours(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        began = world.clock.wall() // 1000
        closes = datetime.fromtimestamp(began + 300, UTC).strftime("%H:%M")
        opened = datetime.fromtimestamp(began - 7200, UTC).strftime("%H:%M")
        aside(world, State.WAITING, hours=f"{opened}-{closes} UTC")
        living = asyncio.create_task(world.live())
        await world.clock.sleep(120)
        world.dead.set()
        await living
        assert sent(world) - began < GATHER / 10

    in_world(tmp_path, story, PLAN)
