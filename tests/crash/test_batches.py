"""Every point at which a command can die that sends, finds, collects or cancels batches: nothing is bought twice."""

from __future__ import annotations

import random

import pytest

from tests.crash import scenarios
from tests.crash.batched import BATCHED, LOST, ON, PILOT, PLAIN_RUN, RESCUE
from tests.crash.conftest import Report
from tests.crash.figures import Figures
from tests.crash.scenarios import Scenario, World, killed, whole
from tests.crash.share import SHARES, every

PARTS = 4

parts = pytest.mark.parametrize("part", range(PARTS))


@pytest.mark.sweep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("scenario", BATCHED, ids=str)
@parts
def test_a_command_killed_at_any_boundary_buys_no_batch_twice(
    world: World, report: Report, scenario: Scenario, part: int
) -> None:
    figures, problems = Figures(), []
    for at in every(PARTS, first=1 + part):
        experiment = killed(world, scenario, at)
        problems += [f"killed at {at}: {problem}" for problem in experiment.problems]
        figures.add(experiment.figures)
        if not experiment.figures.kills:
            break
        figures.boundaries += 1
    report(f"killed at each boundary of a {scenario}", figures)
    assert not problems
    assert figures.boundaries >= scenario.least // PARTS // SHARES, "the command was hardly ever killed"


@pytest.mark.sweep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("scenario", [ON, scenarios.ON], ids=str)
@pytest.mark.parametrize("part", range(2))
def test_a_run_that_asks_on_killed_here_and_there_loses_no_answer(
    world: World, report: Report, scenario: Scenario, part: int
) -> None:
    figures, problems = Figures(), []
    for at in every(6, first=1 + 3 * part):
        experiment = killed(world, scenario, at)
        problems += [f"killed at {at}: {problem}" for problem in experiment.problems]
        figures.add(experiment.figures)
        if not experiment.figures.kills:
            break
        figures.boundaries += 1
    report(f"killed here and there in a {scenario}", figures)
    assert not problems
    assert figures.boundaries >= scenario.least // 6 // SHARES, "the command was hardly ever killed"


@pytest.mark.sweep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("scenario", [PLAIN_RUN, LOST, PILOT, RESCUE], ids=str)
def test_a_command_whose_recovery_is_killed_too_buys_no_batch_twice(
    world: World, report: Report, scenario: Scenario
) -> None:
    dice = random.Random(0)
    figures, problems = Figures(), []
    for at in every(5, first=15):
        points = (at, dice.randint(1, 60), dice.randint(1, 90))
        experiment = killed(world, scenario, *points)
        problems += [f"killed at {points}: {problem}" for problem in experiment.problems]
        figures.add(experiment.figures)
        if not experiment.figures.kills:
            break
        figures.boundaries += 1
    report(f"killed in the recovery of a {scenario} too", figures)
    assert not problems
    assert figures.kills > figures.boundaries, "no recovery was ever killed"


@pytest.mark.sweep
def test_a_run_of_batches_killed_round_its_calls_buys_nothing_twice(world: World, report: Report) -> None:
    boundaries = whole(world, PLAIN_RUN).boundaries
    creates = [at for at, what in enumerate(boundaries, 1) if what.endswith("POST /v1/messages/batches")]
    results = [at for at, what in enumerate(boundaries, 1) if what.endswith("/results")]
    figures, problems = Figures(), []
    for at in [creates[0], creates[1], creates[1] + 2, results[1] + 2]:
        experiment = killed(world, PLAIN_RUN, at)
        problems += [f"killed at {at}: {problem}" for problem in experiment.problems]
        figures.add(experiment.figures)
        figures.boundaries += experiment.figures.kills
    report("a sample of the boundaries of a run of batches", figures)
    assert not problems
    assert figures.kills == 4
