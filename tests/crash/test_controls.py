"""Mistakes planted into the program: each must be found, or else the other tests here see nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.crash.plants import (
    answers_are_acknowledged_before_the_commit,
    attempts_are_booked_after_the_send,
    no_fence,
)
from tests.crash.scenarios import RUN, World, killed, whole
from tests.crash.test_zombies import haunted

Plant = Callable[[], None]

FOUND_BY_A_KILL = [
    (attempts_are_booked_after_the_send, "have left, 0 are on the books"),
    (answers_are_acknowledged_before_the_commit, "was spoken of and is not durable"),
]


@pytest.mark.parametrize(("plant", "word"), FOUND_BY_A_KILL)
def test_a_planted_mistake_is_found_by_a_kill(world: World, plant: Plant, word: str) -> None:
    answered = [at for at, what in enumerate(whole(world, RUN).boundaries, 1) if what.startswith("after POST")]
    found = (killed(world, RUN, at, plant=plant.__name__).problems for at in answered)
    assert any(word in problem for problems in found for problem in problems)


def test_a_missing_fence_is_found_by_a_worker_that_stands_still(world: World) -> None:
    stops = whole(world, RUN, stops=True)
    answered = [at for at, what in enumerate(stops.boundaries, 1) if what.startswith("after POST")]
    found = (haunted(world, RUN, at, no_fence.__name__).problems for at in answered)
    assert any("who went on" in problem for problems in found for problem in problems)
