"""Mistakes planted into the program: each must be found, or else the other tests here see nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

import pytest

from tests.crash.batched import LOST, ON, PLAIN_RUN
from tests.crash.plants import (
    a_run_is_open_while_it_is_loaded,
    answers_are_acknowledged_before_the_commit,
    attempts_are_booked_after_the_send,
    batches_are_booked_after_the_send,
    batches_are_given_up_at_once,
    kept_answers_are_forgotten,
    no_fence,
    no_fence_before_a_batch,
    only_results_are_kept,
    the_buried_go_on_claiming,
)
from tests.crash.scenarios import NEVER, RUN, SUBMIT, Scenario, World, cut, killed, whole
from tests.crash.test_zombies import haunted, met

pytestmark = pytest.mark.sweep  # whole processes: slow

Plant = Callable[[], None]

FOUND_BY_A_KILL = [
    (attempts_are_booked_after_the_send, RUN, "after POST", "have left, 0 are on the books"),
    (answers_are_acknowledged_before_the_commit, RUN, "after POST", "was spoken of and is not durable"),
    (batches_are_booked_after_the_send, PLAIN_RUN, "after POST", "have left, 0 are on the books"),
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
    boundaries = whole(world, scenario, plant=plant.__name__).boundaries
    places = [at for at, what in enumerate(boundaries, 1) if what.startswith(place)]
    assert found(word, (cut(world, scenario, at, plant.__name__).problems for at in places))


def test_a_missing_fence_is_found_by_a_worker_that_stands_still(world: World) -> None:
    trace = whole(world, RUN, stops=True)
    places = [at for at, what in enumerate(trace.boundaries, 1) if what.startswith("after POST")]
    assert found("who went on", (haunted(world, RUN, at, no_fence.__name__).problems for at in places))


def test_a_batch_that_is_written_down_too_late_is_bought_twice_after_a_kill(world: World) -> None:
    plant = batches_are_booked_after_the_send.__name__
    arrived = whole(world, PLAIN_RUN, plant=plant).boundaries.index("after POST /v1/messages/batches") + 1
    assert found("was answered 2 times", [killed(world, PLAIN_RUN, arrived, plant=plant).problems])


def test_a_batch_that_is_given_up_too_soon_is_found_by_a_listing_that_lags(world: World) -> None:
    plant = batches_are_given_up_at_once.__name__
    assert found("was answered 2 times", [killed(world, LOST, plant=plant).problems])


def test_a_missing_fence_before_a_batch_is_found_by_a_worker_that_stands_still(world: World) -> None:
    boundaries = whole(world, PLAIN_RUN, stops=True).boundaries
    create = boundaries.index("before POST /v1/messages/batches") + 1
    plant = no_fence_before_a_batch.__name__
    stopped = (haunted(world, PLAIN_RUN, at, plant).problems for at in range(create - 1, create - 8, -1))
    assert found("was answered 2 times", stopped)


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("plant", "word"),
    [(kept_answers_are_forgotten, "did not take the answer"), (only_results_are_kept, "results are of")],
)
def test_an_answer_that_is_lost_where_a_job_asks_on_is_found(world: World, plant: Plant, word: str) -> None:
    assert found(word, [cut(world, ON, NEVER, plant.__name__).problems])


@pytest.mark.sweep
def test_claims_of_one_who_was_taken_for_dead_are_found_by_its_death(world: World) -> None:
    dice = random.Random(0)
    plant = the_buried_go_on_claiming.__name__
    points = ((at, dice.randint(1, 60), at + dice.randint(1, 30)) for at in range(20, 80))
    assert found("and is running", (met(world, at, other, die, plant).problems for at, other, die in points))
