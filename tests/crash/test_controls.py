"""Mistakes planted into the program: each must be found, or else the other tests here see nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

import pytest

from tests.crash.plants import (
    a_run_is_open_while_it_is_loaded,
    answers_are_acknowledged_before_the_commit,
    attempts_are_booked_after_the_send,
    no_fence,
    the_buried_go_on_claiming,
)
from tests.crash.scenarios import RUN, SUBMIT, Scenario, World, cut, whole
from tests.crash.test_zombies import haunted, met

Plant = Callable[[], None]

FOUND_BY_A_KILL = [
    (attempts_are_booked_after_the_send, RUN, "after POST", "have left, 0 are on the books"),
    (answers_are_acknowledged_before_the_commit, RUN, "after POST", "was spoken of and is not durable"),
    (a_run_is_open_while_it_is_loaded, SUBMIT, "after commit", "half of a submit is open"),
]


def found(word: str, problems: Iterable[list[str]]) -> bool:
    return any(word in problem for some in problems for problem in some)


@pytest.mark.parametrize(
    ("plant", "scenario", "place", "word"), FOUND_BY_A_KILL, ids=[plant.__name__ for plant, *_ in FOUND_BY_A_KILL]
)
def test_a_planted_mistake_is_found_by_a_kill(
    world: World, plant: Plant, scenario: Scenario, place: str, word: str
) -> None:
    places = [at for at, what in enumerate(whole(world, scenario).boundaries, 1) if what.startswith(place)]
    assert found(word, (cut(world, scenario, at, plant.__name__).problems for at in places))


def test_a_missing_fence_is_found_by_a_worker_that_stands_still(world: World) -> None:
    trace = whole(world, RUN, stops=True)
    places = [at for at, what in enumerate(trace.boundaries, 1) if what.startswith("after POST")]
    assert found("who went on", (haunted(world, RUN, at, no_fence.__name__).problems for at in places))


@pytest.mark.sweep
def test_claims_of_one_who_was_taken_for_dead_are_found_by_its_death(world: World) -> None:
    dice = random.Random(0)
    plant = the_buried_go_on_claiming.__name__
    points = ((at, dice.randint(1, 60), at + dice.randint(1, 30)) for at in range(20, 80))
    assert found("and is running", (met(world, at, other, die, plant).problems for at, other, die in points))
