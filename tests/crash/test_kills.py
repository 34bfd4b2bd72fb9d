"""Larger runs, killed at moments that chance chooses, again and again, until they are done."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from batchrun.core.states import State
from tests.crash.conftest import Report
from tests.crash.experiment import Experiment
from tests.crash.figures import Figures
from tests.crash.lives import words_of
from tests.crash.scenarios import FINE, World
from tests.crash.simulated import AT_ONCE, Simulated

JOBS = 300
CONCURRENCY = 32
KILLS = 25

MARKS = ("429 0 x1", "529 0 x1", "500 x1", "500 x2", "lose x1", "drop x1")
DREADFUL: Mapping[str, Any] = {
    "minutes": 8.0,
    "items": {"529": 0.05, "expired": 0.05},
    "faults": {
        "create": {"lose": 0.1, "500": 0.05, "500-late": 0.05, "drop": 0.05},
        "list": {"529": 0.05, "drop": 0.05},
        "results": {"cut": 0.1, "short": 0.1},
    },
}
"""How the API behaves with batches."""

LONGEST = 1.2
"""Seconds that a life may last at most. Some end before."""


@pytest.fixture
def unhurried(simulated: Simulated) -> Iterator[None]:
    """Answers that take some time, so that many are out at once."""
    simulated.change({**AT_ONCE, "pace": {"first": 0.05, "spread": 0.5, "per_token": 0.0}})
    yield
    simulated.change(AT_ONCE)


def prompts(dice: random.Random) -> dict[str, str]:
    """Every tenth job is in for something."""
    return {
        f"job-{n}": f"[[simulate: {dice.choice(MARKS)}]]" if dice.random() < 0.1 else "How are you?"
        for n in range(JOBS)
    }


def killed_at_random(
    world: World, dice: random.Random, most: int, *flags: str, batches: Mapping[str, Any] | None = None
) -> Experiment:
    """One run: submitted, and resumed by whatever comes to a user's mind, each time killed after a random while."""
    experiment = world.experiment(concurrency=CONCURRENCY, tries=100, batches=batches)
    experiment.write("jobs.jsonl", {**prompts(dice), "refused": "[[simulate: 400]]"})
    experiment.expected["refused"] = State.FAILED
    submit = ("submit", "jobs.jsonl", "--yes", *flags)
    args: tuple[str, ...] = submit
    while True:
        life = experiment.life(*args)
        pid = experiment.nursery.begin(life)
        over = experiment.figures.kills >= most
        end = experiment.nursery.wait(pid, None if over else dice.uniform(0.0, LONGEST))
        if end is None:
            end = experiment.nursery.kill(pid)
        experiment.look(life, killed=end.killed)
        if not end.killed:
            if end.code not in FINE:
                experiment.problems.append(f"`{' '.join(args)}` ended with {end}: {words_of(life)}")
            break
        args = dice.choice([submit, ("run",)]) if experiment.visible else submit
    for args in (submit, ("run",), ("status",)):
        experiment.live(*args)
    experiment.settle()
    return experiment


@pytest.mark.sweep
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("seed", range(4))
def test_a_large_run_killed_at_random_moments_comes_to_its_end(world: World, report: Report, seed: int) -> None:
    dice = random.Random(seed)
    figures, problems = Figures(), []
    while figures.kills < KILLS:
        experiment = killed_at_random(world, dice, KILLS - figures.kills)
        problems += experiment.problems
        figures.add(experiment.figures)
    report("larger runs killed at random moments", figures)
    assert not problems
    assert figures.in_flight, "nothing was ever out at a death"


@pytest.mark.sweep
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("seed", range(2))
def test_a_large_run_of_batches_killed_at_random_moments_comes_to_its_end(
    world: World, report: Report, seed: int
) -> None:
    dice = random.Random(seed)
    figures, problems = Figures(), []
    while figures.kills < KILLS:
        most = KILLS - figures.kills
        experiment = killed_at_random(world, dice, most, "--mode", "batch", "--no-pilot", batches=DREADFUL)
        problems += experiment.problems
        figures.add(experiment.figures)
    report("larger runs of batches killed at random moments", figures)
    assert not problems
