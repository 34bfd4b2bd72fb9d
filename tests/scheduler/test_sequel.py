"""Answers that were cut off, refused or paused, from end to end in both modes; a kill changes nothing of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from batchrun.core.events import JobAsksOn
from batchrun.queue import tables as t
from batchrun.simulator.batchplan import BatchPlan
from batchrun.simulator.plan import Plan
from tests.scheduler.test_pass import in_world
from tests.scheduler.world import QUICK, World

PROMPTS = (
    "[[simulate: truncate x1]] a",
    "[[simulate: truncate x1, 400]] b",
    "[[simulate: truncate]] c",
    "[[simulate: pause x2]] d",
    "[[simulate: refusal]] e",
)
PLAN = Plan(pace=QUICK, batches=BatchPlan(minutes=1.0))


def said(world: World, *, mode: str, on_truncated: str = "retry", on_refused: str = "fail") -> None:
    world.add(PROMPTS, mode=mode)
    with world.engine.begin() as tx:
        tx.execute(t.runs.update().values(on_truncated=on_truncated, on_refused=on_refused))


def ends(world: World) -> list[tuple[object, ...]]:
    """(state, error, attempts, the stop_reason that won, answers) of each job, in order."""
    j, r = t.jobs.c, t.results.c
    answers = world.rows(t.results, r.job, r.stop_reason, r.winning)
    found = []
    for job, state, error, attempt in sorted(world.rows(t.jobs, j.id, j.state, j.error, j.attempt)):
        won = [stop for its, stop, winning in answers if its == job and winning]
        found.append((state, error, attempt, *won, sum(its == job for its, _, _ in answers)))
    return found


WANTED = [
    ("succeeded", None, 2, "end_turn", 2),
    ("succeeded", None, 2, "max_tokens", 1),
    ("succeeded", None, 3, "max_tokens", 3),
    ("succeeded", None, 3, "end_turn", 3),
    ("failed", "refusal", 1, 1),
]


@pytest.mark.parametrize("mode", ["realtime", "batch"])
def test_what_is_not_the_end_is_asked_on_and_nothing_of_it_is_lost(tmp_path: Path, mode: str) -> None:
    async def story(world: World) -> None:
        said(world, mode=mode)
        await world.live()
        assert ends(world) == WANTED
        if mode == "realtime":
            assert sorted((each.key, each.max_tokens) for each in world.heard.of(JobAsksOn)) == [
                ("run-0", 800),
                ("run-1", 800),
                ("run-2", 800),
                ("run-2", 1600),
                ("run-3", None),
                ("run-3", None),
            ]

    in_world(tmp_path, story, PLAN)


@pytest.mark.parametrize("mode", ["realtime", "batch"])
def test_by_default_such_answers_are_the_results_and_only_a_pause_is_gone_on_from(tmp_path: Path, mode: str) -> None:
    async def story(world: World) -> None:
        said(world, mode=mode, on_truncated="keep", on_refused="keep")
        await world.live()
        assert [stop for *_, stop, _ in ends(world)] == [
            "max_tokens",
            "max_tokens",
            "max_tokens",
            "end_turn",
            "refusal",
        ]
        assert [attempts for _, _, attempts, *_ in ends(world)] == [1, 1, 1, 3, 1]

    in_world(tmp_path, story, PLAN)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("mode", ["realtime", "batch"])
def test_a_kill_at_the_end_of_an_answer_leaves_each_job_on_its_way(tmp_path: Path, mode: str, after: bool) -> None:
    async def story(world: World) -> None:
        said(world, mode=mode)
        lives = 0
        while await world.live(dies_in="finish" if lives < 3 else None, after=after) is None:
            lives += 1
        assert lives == 3
        if mode == "batch":
            assert ends(world) == WANTED  # its results are read again
        else:  # what was out is possibly billed, and asked anew: the second job may lose what it fell back on
            states = [(state, error) for state, error, *_ in ends(world)]
            assert states[:1] + states[2:] == [(state, error) for state, error, *_ in WANTED[:1] + WANTED[2:]]

    in_world(tmp_path, story, PLAN)
