"""Every point at which a command can die: killed there, typed again, and all accounts come out right."""

from __future__ import annotations

import random

import pytest

from tests.crash.conftest import Report
from tests.crash.figures import Figures
from tests.crash.scenarios import EDITED, RUN, SCENARIOS, SUBMIT, Scenario, World, killed, whole
from tests.crash.share import SHARES, every, some

PARTS = 4
"""Into how many tests a sweep is cut, so that processors share it."""

parts = pytest.mark.parametrize("part", range(PARTS))
scenarios = pytest.mark.parametrize("scenario", SCENARIOS, ids=str)


@pytest.mark.sweep
@pytest.mark.timeout(600)
@scenarios
@parts
def test_a_command_killed_at_any_boundary_comes_to_its_end_when_it_is_typed_again(
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
@pytest.mark.parametrize("scenario", [SUBMIT, EDITED], ids=str)
def test_what_a_killed_submit_leaves_is_sent_as_a_whole_or_not_at_all(
    world: World, report: Report, scenario: Scenario
) -> None:
    figures, problems = Figures(), []
    loading = whole(world, scenario).boundaries
    opened = next(n for n, what in enumerate(loading) if what.startswith("before POST"))
    for at in some(range(1, opened), 1, first=0):
        experiment = killed(world, scenario, at, then=("run",))
        problems += [f"killed at {at}: {problem}" for problem in experiment.problems]
        figures.add(experiment.figures)
        figures.boundaries += 1
    report(f"a run after a killed {scenario}", figures)
    assert not problems


@pytest.mark.sweep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("scenario", [SUBMIT, RUN], ids=str)
@parts
def test_a_command_whose_recovery_is_killed_too_comes_to_its_end(
    world: World, report: Report, scenario: Scenario, part: int
) -> None:
    dice = random.Random(part)
    figures, problems = Figures(), []
    for at in every(2 * PARTS, first=3 + 2 * part):
        points = (at, dice.randint(1, 40), dice.randint(1, 60))
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
def test_a_submit_killed_here_and_there_comes_to_its_end(world: World, report: Report) -> None:
    trace = whole(world, SUBMIT)
    first = {what: at for at, what in reversed(list(enumerate(trace.boundaries, 1)))}
    answers = [at for at, what in enumerate(trace.boundaries, 1) if what.startswith("after POST")]
    places = ("before commit", "before flock", "before POST /v1/messages")
    figures, problems = Figures(), []
    for at in [*(first[what] for what in places), answers[0], answers[len(answers) // 2], answers[-1]]:
        experiment = killed(world, SUBMIT, at)
        problems += [f"killed at {at}: {problem}" for problem in experiment.problems]
        figures.add(experiment.figures)
        figures.boundaries += experiment.figures.kills
    report("a sample of a submit's boundaries", figures)
    assert not problems
    assert figures.kills > 3
