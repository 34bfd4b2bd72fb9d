"""What is killed: commands on queues that have come to a certain point, and how each must end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchrun.core.states import State
from batchrun.errors import Exit
from tests.crash.experiment import CONCURRENCY, TRIES, Experiment
from tests.crash.lives import Nursery, Trace, trace_of, words_of
from tests.crash.simulated import Simulated

NEVER = 1_000_000
"""A boundary that no life comes to."""

FINE = frozenset({Exit.OK, Exit.FAILED_JOBS})

PROMPTS = {
    "plain": "How are you?",
    "limited": "[[simulate: 429 0 x1]]",
    "overloaded": "[[simulate: 529 0 x1]]",
    "failed": "[[simulate: 500 x1]]",
    "lost": "[[simulate: lose x1]]",
    "reset": "[[simulate: drop x1]]",
    "refused": "[[simulate: 400]]",
}
"""Each waits and is tried again, but for the first and the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """`prepare` brings the queue to where the command `args` is typed; it is typed again after a death."""

    name: str
    args: tuple[str, ...]
    prepare: Callable[[Experiment], None]
    least: int  #: boundaries that it has at least
    tries: int = TRIES
    batches: Mapping[str, Any] | None = None  #: how the API behaves with batches; None for a scenario without them
    reads: bool = True  #: whether the commands that only read are typed in the end

    def __str__(self) -> str:
        return self.name


def to_its_end(experiment: Experiment, *args: str) -> None:
    """One life that nobody cuts short."""
    life, end = experiment.live(*args)
    if end.code not in FINE:
        experiment.problems.append(f"`{' '.join(args)}` ended with {end}: {words_of(life)}")


def _file(experiment: Experiment) -> None:
    experiment.write("jobs.jsonl", PROMPTS)
    experiment.expected["refused"] = State.FAILED


def _stored(experiment: Experiment) -> None:
    _file(experiment)
    to_its_end(experiment, "submit", "jobs.jsonl", "--yes", "--no-run")


def _edited(experiment: Experiment) -> None:
    """A run that is done; then one line of its file is mended and two are added."""
    experiment.write("jobs.jsonl", {"plain": "Hello.", "refused": "[[simulate: 400]]"})
    to_its_end(experiment, "submit", "jobs.jsonl", "--yes")
    experiment.write(
        "jobs.jsonl", {"plain": "Hello.", "refused": "Better so?", "more": "And I.", "busy": "[[simulate: 500 x1]]"}
    )


def _failed(experiment: Experiment) -> None:
    """Jobs that used up their tries, among others."""
    experiment.write("jobs.jsonl", {"plain": "Hello.", "down": "[[simulate: 500 x2]]", "out": "[[simulate: 503 0 x2]]"})
    to_its_end(experiment, "submit", "jobs.jsonl", "--yes")


def _half_done(experiment: Experiment) -> None:
    """A run of which some jobs are done and others are queued."""
    experiment.write("jobs.jsonl", {"plain": "Hello.", "refused": "[[simulate: 400]]"})
    experiment.expected["refused"] = State.FAILED
    to_its_end(experiment, "submit", "jobs.jsonl", "--yes")
    more = {"more": "And I.", "busy": "[[simulate: 500 x1]]"}
    experiment.write("jobs.jsonl", {"plain": "Hello.", "refused": "[[simulate: 400]]", **more})
    to_its_end(experiment, "submit", "jobs.jsonl", "--yes", "--no-run")
    experiment.expected |= dict.fromkeys(more, State.CANCELLED)


ASKING_ON = ("--on-truncated", "retry", "--on-refused", "fail")

UNFINISHED = {
    "short": ("[[simulate: truncate x1]]", 2),
    "long": ("[[simulate: truncate]]", 3),
    "denied": ("[[simulate: truncate x3, 400]]", 3),
    "paused": ("[[simulate: pause x2]]", 3),
    "declined": ("[[simulate: refusal]]", 1),
}
"""Answers that are not the end, and how often each job is answered; a death can take one answer from each, and the
end is the same."""


def asks_on(experiment: Experiment, prompts: Mapping[str, tuple[str, int]] = UNFINISHED, *flags: str) -> None:
    """A run is stored whose jobs are asked on."""
    experiment.write("jobs.jsonl", {key: prompt for key, (prompt, _) in prompts.items()})
    experiment.rounds |= {key: rounds for key, (_, rounds) in prompts.items()}
    experiment.expected["declined"] = State.FAILED
    to_its_end(experiment, "submit", "jobs.jsonl", "--yes", "--no-run", *ASKING_ON, *flags)


SUBMIT = Scenario(name="submit", args=("submit", "jobs.jsonl", "--yes"), prepare=_file, least=100)
EDITED = Scenario(name="submit of an edited file", args=("submit", "jobs.jsonl", "--yes"), prepare=_edited, least=60)
RUN = Scenario(name="run", args=("run",), prepare=_stored, least=80)
RETRY = Scenario(name="retry", args=("retry", "jobs"), prepare=_failed, least=40, tries=2)
CANCEL = Scenario(name="cancel", args=("cancel", "jobs", "--yes"), prepare=_half_done, least=6)

ON = Scenario(name="run that asks on", args=("run",), prepare=asks_on, least=60)

SCENARIOS: Sequence[Scenario] = (SUBMIT, EDITED, RUN, RETRY, CANCEL)


class World:
    """What all experiments of one test share. `folder` must be empty and the test's own."""

    def __init__(self, nursery: Nursery, simulated: Simulated, folder: Path) -> None:
        self.nursery = nursery
        self.simulated = simulated
        self._folder = folder
        self._made = 0

    def experiment(
        self,
        plant: str | None = None,
        *,
        concurrency: int = CONCURRENCY,
        tries: int = TRIES,
        batches: Mapping[str, Any] | None = None,
    ) -> Experiment:
        self._made += 1
        folder = self._folder / str(self._made)
        folder.mkdir()
        return Experiment(
            folder=folder,
            nursery=self.nursery,
            simulated=self.simulated,
            plant=plant,
            concurrency=concurrency,
            tries=tries,
            batches=batches,
        )

    def before(self, scenario: Scenario, plant: str | None = None) -> Experiment:
        """An experiment that has come to where the command is typed."""
        experiment = self.experiment(plant, tries=scenario.tries, batches=scenario.batches)
        scenario.prepare(experiment)
        return experiment


def whole(world: World, scenario: Scenario, *, stops: bool = False, plant: str | None = None) -> Trace:
    """What the command does when nobody kills it; with the boundaries as one that *stops* counts them."""
    experiment = world.before(scenario, plant)
    life = experiment.life(*scenario.args, stop=NEVER if stops else None)
    end = world.nursery.wait(world.nursery.begin(life))
    assert end is not None
    assert end.code in FINE, words_of(life)
    return trace_of(life)


def cut(world: World, scenario: Scenario, at: int, plant: str | None) -> Experiment:
    """The command, killed there, and what is left looked at; nobody types it again."""
    experiment = world.before(scenario, plant)
    experiment.live(*scenario.args, die=at)
    return experiment


def killed(
    world: World, scenario: Scenario, *points: int, then: Sequence[str] = (), plant: str | None = None
) -> Experiment:
    """The command, killed at each of *points* in turn, life by life, and then left to end; before that, *then*.

    A life that ends by itself before its point is the last of them: `figures.kills` tells how many were killed.
    """
    experiment = world.before(scenario, plant)
    for at in points:
        _life, end = experiment.live(*scenario.args, die=at)
        if not end.killed:
            break
    if then:
        experiment.live(*then)
    finish(experiment, scenario)
    return experiment


READING = (("status",), ("results", "jobs"), ("errors", "jobs"))


def finish(experiment: Experiment, scenario: Scenario) -> None:
    """The same command again; then `run`, for a command that had done its own part sends nothing more."""
    again = [scenario.args] if scenario.args == ("run",) else [scenario.args, ("run",)]
    for args in [*again, *(READING if scenario.reads else ())]:
        to_its_end(experiment, *args)
    experiment.settle()
