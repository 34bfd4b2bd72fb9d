"""A whole night in a few seconds: a thousand jobs, faults of every kind, and a program that keeps dying.

One seed is one history. `python -m pytest tests/scheduler/test_night.py -k seed7` replays the seventh.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from batchrun.core.limits import Limits
from batchrun.errors import Exit
from batchrun.queue import tables as t
from batchrun.simulator import answers
from batchrun.simulator.effects import Effect, Kind
from batchrun.simulator.plan import Outage, Plan
from tests import virtual
from tests.scheduler.world import QUICK, World

FAULTS = {
    Kind.REFUSE: 0.005,
    Kind.DROP: 0.01,
    Kind.LOSE: 0.01,
    Kind.CUT: 0.01,
    Kind.SHORT: 0.005,
    Kind.FAILED: 0.03,
    Kind.FAILED_LATE: 0.01,
    Kind.NOT_NOW: 0.01,
    Kind.GATEWAY: 0.01,
    Kind.OVERLOADED: 0.02,
    Kind.LIMITED: 0.01,
    Kind.BARE_LIMITED: 0.005,
    Kind.CONNECTIONS: 0.002,
    Kind.RAMP: 0.002,
    Kind.TIMED_OUT: 0.005,
    Kind.CONFLICT: 0.005,
    Kind.HTML: 0.002,
    Kind.REDIRECT: 0.002,
    Kind.TRUNCATE: 0.02,
    Kind.REFUSAL: 0.02,
}


AHEAD = 5
"""At a death: the answer that was just being stored, and what a quarter of a second's requests had been claimed."""


def plan_of(seed: int) -> Plan:
    return Plan(
        seed=seed,
        pace=QUICK,
        limits={"*": Limits(requests=600, input_tokens=100_000, output_tokens=150_000)},
        faults=FAULTS,
        streaks=3,
        outages=(
            Outage(effect=Effect(Kind.OVERLOADED), start=60.0, end=120.0),
            Outage(effect=Effect(Kind.REFUSE), start=200.0, end=230.0),
        ),
    )


def history(folder: Path, seed: int, jobs: int) -> dict[str, int]:
    """One night. Returns what happened in it, counted."""

    async def main(clock: virtual.VirtualClock, dice: random.Random) -> dict[str, int]:
        world = World(folder, clock, dice, plan_of(seed))
        world.add([f"question {n}" for n in range(jobs)])
        deaths = lives = 0
        in_doubt_at_deaths: set[tuple[int, int]] = set()  # who dies before it recovers leaves the same ones again
        while True:
            lives += 1
            dies = dice.random() < 0.8 and deaths < 15
            nth = dice.randrange(1, 400) if dies else None
            ended = await world.live(dies_at=nth, after=dice.random() < 0.5)
            world.check()
            if ended is None:
                deaths += 1
                in_flight = world.simulator.ledger.in_flight(clock.wall())
                rows = world.rows(t.jobs, t.jobs.c.id, t.jobs.c.attempt, t.jobs.c.state)
                in_doubt = {(job, attempt) for job, attempt, state in rows if state == "running"} - in_doubt_at_deaths
                assert len(in_doubt) <= in_flight + AHEAD
                in_doubt_at_deaths |= in_doubt
                await clock.sleep(dice.uniform(0.0, 60.0))
            elif ended.exit is Exit.UNREACHABLE:
                await clock.sleep(60.0)
            else:
                break
        judge(world, jobs, len(in_doubt_at_deaths))
        return {
            "lives": lives,
            "deaths": deaths,
            "calls": len(world.simulator.ledger.entries),
            "repeated": sum(len(entries) - 1 for entries in world.simulator.ledger.repeated().values()),
            "in doubt at deaths": len(in_doubt_at_deaths),
        }

    return virtual.run(main, seed)


def judge(world: World, jobs: int, in_doubt_at_deaths: int) -> None:
    """Nothing lost, every answer its own job's, nothing off the books, nothing repeated without a reason."""
    ledger = world.simulator.ledger
    states = world.states()
    assert sum(states.values()) == jobs
    assert set(states) <= {"succeeded", "failed"}
    requests = dict(world.rows(t.requests, t.requests.c.job, t.requests.c.own))
    for job, body in world.rows(t.results, t.results.c.job, t.results.c.body):
        assert answers.digest(json.loads(requests[job])) in body or json.loads(body)["stop_reason"] != "end_turn"
    attempts = Counter(job for (job,) in world.rows(t.attempts, t.attempts.c.job))
    accepted = ledger.accepted()
    for job, body in requests.items():
        assert accepted[answers.digest(json.loads(body))] <= attempts[job]
    # Work was done twice only where the books have an attempt whose answer was lost on its way or with its worker.
    excused = Counter(row.job for row in world.rows(t.attempts) if row.billed == "maybe" or (row.status or 0) >= 500)
    for job, body in requests.items():
        assert accepted[answers.digest(json.loads(body))] <= 1 + excused[job]
    unknown = sum(1 for row in world.rows(t.attempts) if row.outcome == "unknown")
    assert unknown == in_doubt_at_deaths


@pytest.mark.parametrize("seed", [8], ids=["seed8"])
def test_a_thousand_jobs_through_a_night_of_faults_and_deaths(tmp_path: Path, seed: int) -> None:
    happened = history(tmp_path, seed, 1000)
    assert happened["deaths"] >= 3


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(100, 160))
def test_many_nights(tmp_path: Path, seed: int) -> None:
    history(tmp_path, seed, 150)


def test_the_same_seed_is_the_same_night(tmp_path: Path) -> None:
    nights = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        nights.append(history(tmp_path / name, 3, 120))
    assert nights[0] == nights[1]
