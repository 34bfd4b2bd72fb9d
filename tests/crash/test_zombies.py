"""Workers that stand still, are taken for dead, and go on when others have done their work."""

from __future__ import annotations

import os
import random
import shutil
import signal

import pytest

from batchrun.core.states import State
from batchrun.errors import Exit
from tests.crash.batched import PILOT, PLAIN_RUN
from tests.crash.books import Books
from tests.crash.conftest import Report
from tests.crash.experiment import Experiment
from tests.crash.figures import Figures
from tests.crash.lives import words_of
from tests.crash.nursery import Life
from tests.crash.scenarios import FINE, RUN, SUBMIT, Scenario, World, to_its_end, whole
from tests.crash.share import SHARES, every, some

PARTS = 4

OUT = {State.RUNNING, State.IN_BATCH}

parts = pytest.mark.parametrize("part", range(PARTS))


class Zombie:
    """A command that stops itself at a boundary; `stopped` is False if it came to its end first."""

    def __init__(self, experiment: Experiment, scenario: Scenario, at: int, die: int | None = None) -> None:
        self.experiment = experiment
        self.life: Life = experiment.life(*scenario.args, stop=at, die=die)
        self._pid = experiment.nursery.begin(self.life)
        end = experiment.nursery.wait(self._pid)
        assert end is not None
        self.stopped = end.stopped
        if self.stopped:
            experiment.stopped(self.life)

    def declared_dead(self) -> None:
        """As a user does it who deletes the locks; for who comes then, no process of before counts."""
        shutil.rmtree(f"{self.experiment.database}-locks", ignore_errors=True)
        self.experiment.elsewhere = True

    def goes_on(self) -> None:
        """To its end, or to its death where that was chosen."""
        self.life.stood.touch()
        os.kill(self._pid, signal.SIGCONT)
        end = self.experiment.nursery.wait(self._pid)
        assert end is not None
        words = words_of(self.life)
        told = "was taken for dead" in words and end.code in {Exit.USAGE, Exit.BUSY}
        if not end.killed and end.code not in FINE and not told:
            self.experiment.problems.append(f"who went on ended with {end}: {words}")
        self.experiment.look(self.life, killed=end.killed, alone=False)


def ends(experiment: Experiment) -> dict[str, tuple[str, str | None]]:
    """State and winning answer of each job, by key."""
    books = Books(experiment.database, experiment.folder / "copy.db")
    try:
        answers = {answer.job: answer.body for answer in books.answers if answer.winning}
        return {books.keys[job]: (state, answers.get(job)) for job, state in books.states.items()}
    finally:
        books.close()


def haunted(world: World, scenario: Scenario, at: int, plant: str | None = None) -> Experiment:
    """The command stops at a boundary, another worker does everything, and then the first one goes on."""
    experiment = world.before(scenario, plant)
    zombie = Zombie(experiment, scenario, at)
    if not zombie.stopped:
        return experiment
    zombie.declared_dead()
    to_its_end(experiment, *scenario.args)
    to_its_end(experiment, "run")
    before = ends(experiment)
    zombie.goes_on()
    after = ends(experiment)
    experiment.problems += [
        f"who went on made {after.get(key)} of job {key}, which was {before.get(key)}"
        for key in {*before, *after}
        if after.get(key) != before.get(key)
    ]
    experiment.settle()
    return experiment


@pytest.mark.sweep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("scenario", [SUBMIT, RUN], ids=str)
@parts
def test_who_was_taken_for_dead_and_goes_on_changes_nothing(
    world: World, report: Report, scenario: Scenario, part: int
) -> None:
    figures, problems = Figures(), []
    for at in every(PARTS, first=1 + part):
        experiment = haunted(world, scenario, at)
        problems += [f"stopped at {at}: {problem}" for problem in experiment.problems]
        figures.add(experiment.figures)
        if not experiment.figures.stops:
            break
        figures.boundaries += 1
    report(f"stopped at each boundary of a {scenario}, and going on", figures)
    assert not problems
    assert figures.boundaries >= scenario.least // 2 // PARTS // SHARES, "the command hardly ever stopped"


def sending(world: World, scenario: Scenario) -> range:
    """The boundaries from the first listing until all batches are sent, as one that stops counts them."""
    boundaries = whole(world, scenario, stops=True).boundaries
    listed = boundaries.index("before GET /v1/messages/batches") + 1
    sent = len(boundaries) - boundaries[::-1].index("after POST /v1/messages/batches")
    return range(listed, sent + 5)


@pytest.mark.sweep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("scenario", [PLAIN_RUN, PILOT], ids=str)
@parts
def test_who_was_taken_for_dead_sends_no_batch_when_it_goes_on(
    world: World, report: Report, scenario: Scenario, part: int
) -> None:
    figures, problems = Figures(), []
    for at in some(sending(world, scenario), PARTS, first=part):
        experiment = haunted(world, scenario, at)
        problems += [f"stopped at {at}: {problem}" for problem in experiment.problems]
        figures.add(experiment.figures)
        figures.boundaries += experiment.figures.stops
    report(f"stopped while a {scenario} sends, and going on", figures)
    assert not problems
    assert figures.boundaries > 0, "the command never stopped"


def met(world: World, at: int, other: int, die: int | None = None, plant: str | None = None) -> Experiment:
    """A worker stops, another takes its place and stops too; the first one goes on (to where it dies), then the second.

    At the end somebody looks after what they may have left.
    """
    experiment = world.experiment(plant)
    RUN.prepare(experiment)
    experiment.concurrency *= 2  # as many may be out where two work
    first = Zombie(experiment, RUN, at, die)
    if not first.stopped:
        return experiment
    first.declared_dead()
    second = Zombie(experiment, RUN, other)
    first.goes_on()
    if second.stopped:
        second.goes_on()
    to_its_end(experiment, "run")
    experiment.settle()
    return experiment


@pytest.mark.sweep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("dies", [False, True], ids=["who both come to their end", "of whom the first dies"])
@parts
def test_two_workers_of_whom_one_was_taken_for_dead_do_no_harm_together(
    world: World, report: Report, part: int, *, dies: bool
) -> None:
    dice = random.Random(part)
    figures, problems = Figures(), []
    for at in every(PARTS, first=20 + part):
        other, die = dice.randint(1, 60), at + dice.randint(1, 30) if dies else None
        experiment = met(world, at, other, die)
        problems += [f"stopped at {at} and {other}, died at {die}: {problem}" for problem in experiment.problems]
        figures.add(experiment.figures)
        if not experiment.figures.stops:
            break
        figures.boundaries += 1
    report("two workers at once", figures)
    assert not problems


def cancelled(world: World, scenario: Scenario, at: int, die: int | None) -> Experiment:
    """A worker stops, its run is cancelled (by a command that is killed and typed again), and the worker goes on."""
    experiment = world.before(scenario)
    worker = Zombie(experiment, scenario, at)
    if not worker.stopped:
        return experiment
    cancel = ("cancel", "jobs", "--yes")
    _life, end = experiment.live(*cancel, die=die)
    if end.killed:
        to_its_end(experiment, *cancel)
    states = {key: State(state) for key, (state, _answer) in ends(experiment).items()}
    worker.goes_on()
    to_its_end(experiment, "run")
    after = {key: State(state) for key, (state, _answer) in ends(experiment).items()}
    for key, state in states.items():
        # What was out may still succeed, or fail for what it is; nothing else may move.
        may = {State.CANCELLED, State.SUCCEEDED, State.FAILED} if state in OUT else {state}
        if after[key] not in may:
            experiment.problems.append(f"job {key} was {state} when its run was cancelled and became {after[key]}")
    experiment.expected = after
    experiment.settle()
    return experiment


@pytest.mark.sweep
@pytest.mark.timeout(600)
@parts
def test_what_was_not_out_when_its_run_was_cancelled_never_leaves(world: World, report: Report, part: int) -> None:
    dice = random.Random(part)
    figures, problems = Figures(), []
    for at in every(PARTS, first=1 + part):
        experiment = cancelled(world, RUN, at, dice.choice([None, *range(1, 9)]))
        problems += [f"stopped at {at}: {problem}" for problem in experiment.problems]
        figures.add(experiment.figures)
        if not experiment.figures.stops:
            break
        figures.boundaries += 1
    report("cancelled while a worker was out", figures)
    assert not problems


@pytest.mark.sweep
@pytest.mark.timeout(600)
@parts
def test_what_was_in_no_batch_when_its_run_was_cancelled_never_leaves(world: World, report: Report, part: int) -> None:
    figures, problems = Figures(), []
    for at in some(sending(world, PLAIN_RUN), PARTS, first=part):
        experiment = cancelled(world, PLAIN_RUN, at, None)
        problems += [f"stopped at {at}: {problem}" for problem in experiment.problems]
        figures.add(experiment.figures)
        figures.boundaries += experiment.figures.stops
    report("cancelled while a worker sent batches", figures)
    assert not problems
    assert figures.boundaries > 0, "the command never stopped"
