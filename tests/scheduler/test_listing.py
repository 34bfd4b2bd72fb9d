"""The workspace's batches as they are listed: as far back as somebody has to look, and no proof where that failed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from batchrun.core.batch import Batch, BatchState, Page, Processing, Remote
from batchrun.core.events import Turn
from batchrun.core.job import BatchId, Millis, RunId
from batchrun.core.outcome import Dropped, Outcome, Reply
from batchrun.core.settling import DRIFT, MINUTE, SETTLE, Reach
from batchrun.scheduler.listing import MOST_PAGES, Listing, listing, reach_of
from tests.scheduler.post import Office, Post
from tests.scheduler.test_pass import in_world
from tests.scheduler.world import World
from tests.virtual import run

NOW = Millis(1_795_132_800_000)
BATCH = Batch(
    id=BatchId(1),
    queue="q",
    token="t",
    run=RunId(1),
    run_name="run",
    model="m",
    account=1,
    state=BatchState.UNCLEAR,
    n=200,
    intended=NOW,
    watermark="mark",
    watermark_date=NOW,
)


def listed(reach: Reach | None, *, batches: int = 2_500, size: int = 1_000) -> tuple[Listing, list[str]]:
    """What a workspace with so many batches, made a minute apart until now, says, and the calls it took."""

    async def main(clock: object, dice: object) -> tuple[Listing, list[str]]:
        post = Post(clock)
        post.page_size = size
        for minute in range(batches, 0, -1):
            post.stands(1, created=Millis(NOW - minute * MINUTE))
        return await listing(post, reach), post.calls

    return run(main)


def test_the_newest_page_is_enough_for_whoever_looks_for_nothing() -> None:
    found, calls = listed(None)
    assert (found.complete, len(found.batches), calls) == (True, 1_000, ["page None"])
    assert found.newest == "msgbatch_2500"


def test_pages_are_asked_for_until_the_watermark_or_the_moment() -> None:
    found, calls = listed(Reach(frozenset({"msgbatch_0600"}), Millis(0)))
    assert (found.complete, calls) == (True, ["page None", "page msgbatch_1501"])
    found, calls = listed(Reach(frozenset(), Millis(NOW - 500 * MINUTE)))
    assert (found.complete, len(calls)) == (True, 1)


def test_a_workspace_that_ends_before_is_complete() -> None:
    found, calls = listed(Reach(frozenset(), Millis(0)))
    assert (found.complete, len(found.batches), len(calls)) == (True, 2_500, 3)


def test_a_listing_that_never_ends_is_given_up_and_proves_nothing() -> None:
    found, calls = listed(Reach(frozenset(), Millis(0)), batches=MOST_PAGES + 5, size=1)
    assert (found.complete, len(calls)) == (False, MOST_PAGES)


def test_how_far_back_is_as_far_as_the_oldest_that_is_looked_for() -> None:
    young = replace(BATCH, id=BatchId(2), watermark="young", watermark_date=Millis(NOW + 10 * MINUTE))
    standing = replace(BATCH, id=BatchId(3), state=BatchState.SUBMITTED, created=Millis(NOW - MINUTE))
    assert reach_of([], NOW) is None
    assert reach_of([replace(BATCH, state=BatchState.INTENT)], NOW) is None
    assert reach_of([BATCH], NOW) == Reach(frozenset({"mark"}), Millis(NOW - DRIFT))
    assert reach_of([BATCH, young], NOW) == Reach(frozenset(), Millis(NOW - DRIFT)), "its own mark bounds one alone"
    assert reach_of([young, standing], NOW) == Reach(frozenset(), Millis(NOW - MINUTE - DRIFT))


# -- what a look concludes ---------------------------------------------------------------------------------------------


async def unclear(world: World) -> Office:
    world.add([f"question {i}" for i in range(40)], mode="batch")
    desk = Office(world, lambda requests: Dropped(reply=Reply(message="reset")))
    await desk.open()
    await desk.send()
    return desk


async def looks(desk: Office, minutes: int) -> None:
    for _ in range(minutes):
        await desk.look()
        await desk.world.clock.sleep(60.0)


def test_what_is_in_no_listing_for_a_settle_time_is_queued_again(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await unclear(world)
        await looks(desk, SETTLE // MINUTE)
        assert world.states() == {"in_batch": 40}
        await looks(desk, 1)
        assert world.states() == {"queued": 40}
        assert desk.turns() == [Turn.UNCLEAR, Turn.LOST]

    in_world(tmp_path, story)


def test_without_the_server_s_clock_nothing_is_ever_given_up(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await unclear(world)
        desk.api.dated = False
        await looks(desk, 100)
        assert (await desk.look()).mark is None
        assert world.states() == {"in_batch": 40}

    in_world(tmp_path, story)


def test_nor_by_listings_that_broke_off(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await unclear(world)
        reset: Outcome = Dropped(reply=Reply(message="reset"))
        other = Remote(
            id="other", processing=Processing.IN_PROGRESS, counts={"processing": 1}, created=world.clock.wall()
        )
        for _ in range(40):
            desk.api.pages = [Page(batches=(other,), more=True, date=world.clock.wall()), reset]
            assert (await desk.look()).outcome == reset
            await world.clock.sleep(60.0)
        assert world.states() == {"in_batch": 40}

    in_world(tmp_path, story)


def test_nor_while_one_of_its_size_is_being_processed(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await unclear(world)
        desk.api.stands(40)
        await looks(desk, 60)
        assert world.states() == {"in_batch": 40}
        assert not [call for call in desk.api.calls if call.startswith(("cancel", "results"))]

    in_world(tmp_path, story)


def test_the_wall_clock_of_this_machine_decides_nothing(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await unclear(world)
        now = world.clock.wall()
        for _ in range(5):
            desk.api.pages = [Page(batches=(), more=False, date=Millis(now + MINUTE))]
            await desk.look()
            world.clock.step_wall(10 * SETTLE)
        assert world.states() == {"in_batch": 40}

    in_world(tmp_path, story)


def test_one_listing_tells_of_all_that_stand(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add([f"question {i}" for i in range(2_000)], mode="batch")
        desk = Office(world)
        await desk.open()
        await desk.send_all()
        desk.api.calls.clear()
        looked = await desk.look()
        assert (len(looked.attended), desk.api.calls) == (len(desk.api.creates), ["page None"])

    in_world(tmp_path, story)
