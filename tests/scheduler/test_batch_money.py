"""Money in batches: no cap is passed, by the API's own books, whichever way the jobs go and however slow the queue is."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchrun.core.job import Nanos
from batchrun.errors import Exit
from batchrun.queue import tables as t
from batchrun.simulator.batchplan import BatchPlan, Verb
from batchrun.simulator.effects import parse
from batchrun.simulator.plan import Plan
from tests.scheduler.test_pass import in_world
from tests.scheduler.world import QUICK, WORST, World

HALF = WORST // 2


def questions(n: int) -> list[str]:
    return [f"question {i}" for i in range(n)]


@pytest.mark.parametrize("slow", [0.0, 0.05])
@pytest.mark.sweep
def test_a_call_never_spends_more_than_it_may_over_both_ways(tmp_path: Path, slow: float) -> None:
    cap = Nanos(250 * HALF)

    async def story(world: World) -> None:
        world.add(questions(1_000), name="in-batches", mode="batch")
        world.add([f"now {i}" for i in range(200)], name="now", mode="realtime")
        ended = await world.live(max_cost=cap, slow=slow)
        assert ended is not None
        assert ended.exit is Exit.MONEY, ended
        await world.simulator.settle()
        assert 0 < world.simulator.ledger.spent() <= cap
        assert ended.spent == world.simulator.ledger.spent()

    in_world(tmp_path, story, Plan(pace=QUICK))


@pytest.mark.sweep
def test_a_run_never_spends_more_than_its_budget(tmp_path: Path) -> None:
    cap = Nanos(250 * HALF)

    async def story(world: World) -> None:
        world.add(questions(1_000), mode="batch", budget=cap, pilots=2)
        ended = await world.live(slow=0.05)
        assert ended is not None
        await world.simulator.settle()
        ((spent, reserved),) = world.rows(t.runs, t.runs.c.spent, t.runs.c.reserved)
        assert reserved == 0
        assert spent == world.simulator.ledger.spent() <= cap
        left = cap - spent
        assert left < WORST, f"{left} would have paid for more"

    in_world(tmp_path, story, Plan(pace=QUICK))


def test_money_for_a_batch_that_never_arrived_is_there_again(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(questions(200), mode="batch")
        ended = await world.live(max_cost=Nanos(200 * HALF))
        assert ended is not None
        assert ended.exit is Exit.OK, ended
        assert world.states() == {"succeeded": 200}

    in_world(tmp_path, story, Plan(pace=QUICK, batches=BatchPlan(script={Verb.CREATE: parse("500 x1")})))


@pytest.mark.parametrize("limit", [250, 500])
@pytest.mark.sweep
def test_no_more_requests_wait_in_batches_than_the_account_allows(tmp_path: Path, limit: int) -> None:
    async def story(world: World) -> None:
        world.add(questions(1_000), mode="batch")
        ended = await world.live(batch_queue=limit, detach=True)
        assert ended is not None
        out = sum(n for (n,) in world.rows(t.batches, t.batches.c.n))
        assert 0 < out <= limit
        await world.live(batch_queue=limit)
        assert world.states() == {"succeeded": 1_000}
        await world.simulator.settle()
        assert not world.simulator.ledger.repeated()

    in_world(tmp_path, story, Plan(pace=QUICK))
