"""A batch is sent once or not at all; what is refused costs nobody a try but the one that is to blame."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Any

from batchrun.core.batch import BatchState
from batchrun.core.events import Turn
from batchrun.core.job import Nanos, RunId
from batchrun.core.outcome import AccountStopped, Dropped, Limited, Outcome, RateLimited, Reply, Stop
from batchrun.queue import cancelling
from batchrun.queue import tables as t
from batchrun.queue.writing import perform_now
from tests.scheduler.post import Office, failed, jobs_of, refused
from tests.scheduler.test_pass import in_world
from tests.scheduler.world import WORST, World


def questions(n: int) -> list[str]:
    return [f"question {i}" for i in range(n)]


def office(
    world: World, judge: Any = lambda requests: None, *, n: int = 1_000, max_cost: int | None = None, **more: Any
) -> Office:
    world.add(questions(n), mode="batch", **more)
    return Office(world, judge, max_cost=None if max_cost is None else Nanos(max_cost))


def text(request: dict[str, Any]) -> str:
    return str(request["params"]["messages"][0]["content"])


def test_a_refusal_that_names_a_request_fails_it_and_the_others_go_again(tmp_path: Path) -> None:
    def judge(requests: list[dict[str, Any]]) -> Outcome | None:
        at = [text(each) for each in requests]
        return refused(f"requests.{at.index('question 7')}.params: no") if "question 7" in at else None

    async def story(world: World) -> None:
        desk = office(world, judge)
        await desk.open()
        refusal = await desk.send()
        assert (refusal.n, refusal.hopeless) == (0, False)
        assert world.states() == {"queued": 999, "failed": 1}
        assert desk.state_of("run-7") == "failed"
        assert await desk.send_all() == len(desk.api.creates) - 1
        assert world.states() == {"in_batch": 999, "failed": 1}
        assert desk.tries() == {0, 1}

    in_world(tmp_path, story)


def test_a_refusal_that_names_none_is_searched_for_by_halves_and_the_rest_goes_as_before(tmp_path: Path) -> None:
    def judge(requests: list[dict[str, Any]]) -> Outcome | None:
        return refused("something is wrong") if any(text(each) == "question 777" for each in requests) else None

    async def story(world: World) -> None:
        desk = office(world, judge, n=5_000)
        await desk.open()
        await desk.send_all()
        assert world.states() == {"in_batch": 4_999, "failed": 1}
        assert desk.state_of("run-777") == "failed"
        sizes = [len(requests) for requests in desk.api.creates]
        denials = [requests for requests in desk.api.creates if judge(requests) is not None]
        assert len(denials) <= math.ceil(math.log2(200)) + 1
        usual = math.ceil(5_000 / 180)
        assert len(sizes) <= usual + 2 * math.ceil(math.log2(200)) + 1, sizes
        assert max(sizes[-3:-1]) >= 180, "what follows is as large as ever"
        assert desk.tries() == {0, 1}

    in_world(tmp_path, story)


def test_a_body_that_is_too_large_is_halved_until_it_fits(tmp_path: Path) -> None:
    def judge(requests: list[dict[str, Any]]) -> Outcome | None:
        return refused("too large", 413, "request_too_large") if len(requests) > 60 else None

    async def story(world: World) -> None:
        desk = office(world, judge)
        await desk.open()
        await desk.send_all()
        assert world.states() == {"in_batch": 1_000}
        sizes = [len(requests) for requests in desk.api.creates]
        assert len([n for n in sizes if n > 60]) == 2
        assert desk.tries() == {0}

    in_world(tmp_path, story)


def test_a_single_request_that_is_too_large_fails_and_the_others_go(tmp_path: Path) -> None:
    def judge(requests: list[dict[str, Any]]) -> Outcome | None:
        giant = any(text(each) == "question 3" for each in requests)
        return refused("too large", 413, "request_too_large") if giant else None

    async def story(world: World) -> None:
        desk = office(world, judge)
        await desk.open()
        tries = await desk.send_all()
        assert world.states() == {"in_batch": 999, "failed": 1}
        assert desk.state_of("run-3") == "failed"
        assert tries < 60, tries

    in_world(tmp_path, story)


def test_a_full_queue_or_a_stopped_account_costs_nobody_a_try(tmp_path: Path) -> None:
    full = RateLimited(reply=Reply(status=429, genuine=True), kind=Limited.RATE, retry_after=None)
    poor = AccountStopped(reply=Reply(status=402, genuine=True), stop=Stop.CREDIT)
    said: list[Outcome] = [full, poor, full]

    async def story(world: World) -> None:
        desk = office(world, lambda requests: said.pop(0) if said else None)
        await desk.open()
        for _ in range(3):
            created = await desk.send()
            assert (created.n, created.hopeless, created.claim is None) == (0, False, False)
            assert world.states() == {"queued": 1_000}
        await desk.send_all()
        assert world.states() == {"in_batch": 1_000}
        assert desk.tries() == {0}
        assert all(len(requests) >= 180 for requests in desk.api.creates[:-1]), "nor is it the batch's size"

    in_world(tmp_path, story)


def test_an_answer_that_does_not_come_keeps_the_jobs_in_a_batch_that_is_unclear(tmp_path: Path) -> None:
    said: list[Outcome] = [Dropped(reply=Reply(message="reset")), failed()]

    async def story(world: World) -> None:
        desk = office(world, lambda requests: said.pop(0))
        await desk.open()
        for nth, answered in enumerate([False, True]):
            created = await desk.send()
            batch = await desk.batch(nth)
            assert (batch.state, batch.answered, batch.n) == (BatchState.UNCLEAR, answered, created.n)
        assert len(desk.api.creates) == 2, "nothing is sent again by itself"
        assert desk.turns() == [Turn.UNCLEAR, Turn.UNCLEAR]
        sizes = {len(requests) for requests in desk.api.creates}
        assert len(sizes) == 2, "a listing must tell them apart"
        assert not set(jobs_of(desk.api.creates[0])) & set(jobs_of(desk.api.creates[1]))

    in_world(tmp_path, story)


def test_a_machine_that_slept_before_it_sent_does_not_send(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = office(world)
        await desk.open()
        sending = desk.store.sending

        async def slow(*args: Any) -> bool:
            told: bool = await sending(*args)
            await world.clock.sleep(6.0)
            return told

        desk.store.sending = slow
        assert (await desk.send()).n == 0
        assert desk.api.creates == []
        assert world.states() == {"queued": 1_000}
        assert (await desk.batch()).state is BatchState.REJECTED
        assert desk.purse.left() is None

    in_world(tmp_path, story)


def test_nor_one_whose_run_was_cancelled_meanwhile(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = office(world)
        await desk.open()
        lines = desk.store.lines

        async def cancelled(*args: Any) -> Any:
            cancelling.cancel_run(lambda op: perform_now(world.engine, op), RunId(1), world.clock.wall())
            return await lines(*args)

        desk.store.lines = cancelled
        assert (await desk.send()).n == 0
        assert desk.api.creates == []
        assert world.states() == {"cancelled": 1_000}

    in_world(tmp_path, story)


def test_nor_one_whose_program_is_being_stopped(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = office(world)
        await desk.open()
        desk.closed = True
        assert (await desk.send()).n == 0
        assert desk.api.creates == []
        assert world.states() == {"queued": 1_000}

    in_world(tmp_path, story)


def test_who_is_taken_for_dead_between_its_last_word_and_the_request_leaves_it_to_the_listings(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = office(world)
        await desk.open()
        sending = desk.store.sending

        async def buried(*args: Any) -> bool:
            told: bool = await sending(*args)
            await desk.store.unclear(args[0].id, "its worker died", answered=False)
            await world.clock.sleep(6.0)
            return told

        desk.store.sending = buried
        assert (await desk.send()).n == 0
        assert (await desk.batch()).state is BatchState.UNCLEAR
        assert world.states()["in_batch"] > 0, "nobody may send them now but whoever has seen the listings"

    in_world(tmp_path, story)


def test_two_batches_that_are_made_at_once_do_not_spend_the_same_money(tmp_path: Path) -> None:
    each = WORST // 2

    async def story(world: World) -> None:
        desk = office(world, max_cost=300 * each)
        await desk.open()
        intend = desk.store.intend

        async def slow(*args: Any) -> Any:
            await world.clock.sleep(0.1)
            return await intend(*args)

        desk.store.intend = slow
        await asyncio.gather(desk.send(), desk.send())
        assert sum(len(requests) for requests in desk.api.creates) <= 300

    in_world(tmp_path, story)


def test_money_that_a_refused_batch_had_is_free_again(tmp_path: Path) -> None:
    said: list[Outcome | None] = [refused("requests.0: no"), None]

    async def story(world: World) -> None:
        desk = office(world, lambda requests: said.pop(0), max_cost=200 * WORST)
        await desk.open()
        await desk.send()
        assert desk.purse.left() == 200 * WORST
        created = await desk.send()
        assert desk.purse.left() == 200 * WORST - created.n * (WORST // 2)
        ((reserved,),) = world.rows(t.runs, t.runs.c.reserved)
        assert reserved == created.n * (WORST // 2)

    in_world(tmp_path, story)
