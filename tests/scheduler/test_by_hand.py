"""What people do to a run while a worker is at it is heeded within seconds, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from batchrun.core.job import Millis, Nanos
from batchrun.core.pause import Pause, PauseScope
from batchrun.queue import pauses, runfacts
from batchrun.queue import tables as t
from batchrun.queue.transaction import Transaction
from batchrun.queue.writing import perform_now
from batchrun.simulator.plan import Pace, Plan
from tests.scheduler.test_pass import in_world
from tests.scheduler.world import World

SLOW = Plan(pace=Pace(first=5.0, per_token=0.0))


def paused(tx: Transaction) -> None:
    pauses.write(tx, Pause(scope=PauseScope.RUN, subject="1", reason="user", message="by hand", since=Millis(0)))


def capped(tx: Transaction) -> None:
    assert runfacts.set_facts(tx, run=1, facts={"budget": Nanos(1)})  # type: ignore[arg-type]  # an id


@pytest.mark.parametrize("change", [paused, capped])
def test_a_worker_that_is_at_it_sends_no_more_and_what_is_out_comes_home(
    tmp_path: Path, change: Callable[[Transaction], None]
) -> None:
    async def story(world: World) -> None:
        world.add([f"question {n}" for n in range(100)])
        working = asyncio.create_task(world.live(most=4))
        await world.clock.sleep(12)
        perform_now(world.engine, change)
        out = len(world.rows(t.attempts))
        await world.clock.sleep(3)
        assert len(world.rows(t.attempts)) <= out + 4
        await working
        states = world.states()
        assert states["queued"] > 80
        assert states["succeeded"] == len(world.rows(t.attempts))

    in_world(tmp_path, story, SLOW)


def test_a_run_that_shall_go_first_does(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add([f"question {n}" for n in range(60)], name="first")
        second = world.add([f"other {n}" for n in range(8)], name="second")
        working = asyncio.create_task(world.live(most=4))
        await world.clock.sleep(6)
        perform_now(world.engine, lambda tx: runfacts.set_facts(tx, second, {"priority": 9}))
        await world.clock.sleep(25)
        done = world.rows(t.jobs, t.jobs.c.run, t.jobs.c.state)
        assert sum(run == second and state == "succeeded" for run, state in done) >= 7
        world.shutdown.ask()
        await working

    in_world(tmp_path, story, SLOW)


def test_who_pauses_while_a_probe_is_out_is_not_overruled_by_its_answer(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add([f"question {n}" for n in range(20)])
        found = Pause(scope=PauseScope.RUN, subject="1", reason="refusals", message="no", since=Millis(0))
        perform_now(world.engine, lambda tx: pauses.write(tx, found))
        working = asyncio.create_task(world.live(most=4))
        await world.clock.sleep(3)
        assert world.states() == {"running": 1, "queued": 19}  # it asks whether the pause is over
        perform_now(world.engine, paused)
        await working
        assert world.states() == {"succeeded": 1, "queued": 19}
        assert [row.reason for row in world.rows(t.pauses)] == ["user"]

    in_world(tmp_path, story, SLOW)
