"""Batches through a whole pass, in virtual time: sent once, found again, collected, and never bought twice."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from batchrun.core.events import BatchTurned, Turn
from batchrun.core.job import Millis, RunId
from batchrun.core.pause import PauseScope
from batchrun.errors import Exit
from batchrun.queue import cancelling, pauses
from batchrun.queue import tables as t
from batchrun.queue.writing import perform_now
from batchrun.simulator.batchplan import BatchPlan, Verb
from batchrun.simulator.effects import Kind, parse
from batchrun.simulator.plan import Plan
from tests.scheduler.test_pass import in_world
from tests.scheduler.world import QUICK, World

HOUR = 3600.0


def questions(n: int) -> list[str]:
    return [f"question {i}" for i in range(n)]


def turns(world: World) -> list[Turn]:
    return [event.turn for event in world.heard.of(BatchTurned)]


def bought(world: World) -> int:
    """Answers that were paid for beyond one for each question."""
    return sum(len(entries) - 1 for entries in world.simulator.ledger.repeated().values())


def planned(**changes: object) -> Plan:
    return Plan(pace=QUICK, batches=BatchPlan(**changes))  # type: ignore[arg-type]


def test_a_run_in_batches_ends_with_every_answer_at_half_the_price(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(questions(600), mode="batch")
        ended = await world.live()
        assert ended is not None
        assert ended.exit is Exit.OK, ended
        assert world.states() == {"succeeded": 600}
        await world.simulator.settle()
        assert bought(world) == 0
        assert world.simulator.ledger.spent() == ended.spent
        sizes = sorted(n for (n,) in world.rows(t.batches, t.batches.c.n))
        assert sum(sizes) == 600
        assert len(sizes) in {3, 4}
        assert {state for (state,) in world.rows(t.batches, t.batches.c.state)} == {"done"}

    in_world(tmp_path, story, planned())


@pytest.mark.sweep
def test_what_comes_back_from_many_batches_goes_in_a_few_again(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(questions(4000), mode="batch")
        ended = await world.live()
        assert ended is not None
        assert ended.exit is Exit.OK, ended
        assert world.states() == {"succeeded": 4000}
        sizes = [n for (n,) in world.rows(t.batches, t.batches.c.n)]
        first, again = [n for n in sizes if n >= 100], [n for n in sizes if n < 100]
        assert len(first) >= 9
        assert sum(again) > 20, "hardly any came back"
        assert len(again) <= 18, again  # each as it comes back they were 24

    in_world(tmp_path, story, planned(items={Kind.OVERLOADED: 0.03}, minutes=60.0, spread=1.2))


def test_who_detaches_ends_once_the_batches_stand_and_the_next_pass_collects(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(questions(100), mode="batch")
        ended = await world.live(detach=True)
        assert ended is not None
        assert ended.exit is Exit.OK
        assert world.states() == {"in_batch": 100}
        await world.clock.sleep(10 * HOUR)
        again = await world.live(once=True)
        assert again is not None
        assert world.states() == {"succeeded": 100}
        assert turns(world) == [Turn.SUBMITTED, Turn.COLLECTED]

    in_world(tmp_path, story, planned())


def test_a_pilot_goes_first_and_its_refusal_stops_the_run(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(["[[simulate: 400]]", *questions(99)], mode="batch", pilots=1)
        ended = await world.live()
        assert ended is not None
        assert ended.exit is Exit.FAILED_JOBS
        assert "refused" in ended.message
        assert world.states() == {"failed": 1, "queued": 99}
        assert not world.rows(t.batches)

    in_world(tmp_path, story, planned())


def test_a_pilot_that_is_answered_opens_the_way(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(questions(100), mode="batch", pilots=1)
        ended = await world.live()
        assert ended is not None
        assert world.states() == {"succeeded": 100}
        assert sorted(n for (n,) in world.rows(t.batches, t.batches.c.n)) == [99]

    in_world(tmp_path, story, planned())


@pytest.mark.parametrize("mode", ["batch", "realtime"])
def test_who_wants_to_look_at_pilots_gets_no_more_than_them_until_he_has_looked(tmp_path: Path, mode: str) -> None:
    async def story(world: World) -> None:
        run = world.add(questions(100), mode=mode, pilots=3, look=True)
        ended = await world.live()
        assert ended is not None
        assert ended.exit is Exit.OK
        assert "looked" in ended.message
        assert world.states() == {"succeeded": 3, "queued": 97}
        await world.live()
        assert world.states() == {"succeeded": 3, "queued": 97}
        perform_now(world.engine, lambda tx: pauses.lift(tx, PauseScope.RUN, str(run)))
        await world.live()
        assert world.states() == {"succeeded": 100}

    in_world(tmp_path, story, planned())


def test_a_create_whose_reply_is_lost_is_found_again_and_not_sent_again(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(questions(200), mode="batch")
        ended = await world.live()
        assert ended is not None
        assert world.states() == {"succeeded": 200}
        await world.simulator.settle()
        assert bought(world) == 0
        assert turns(world)[:2] == [Turn.UNCLEAR, Turn.ADOPTED]

    in_world(tmp_path, story, planned(script={Verb.CREATE: parse("lose x1")}))


def test_a_create_that_never_arrived_is_sent_again_after_the_settle_time(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(questions(200), mode="batch")
        ended = await world.live()
        assert ended is not None
        assert world.states() == {"succeeded": 200}
        await world.simulator.settle()
        assert bought(world) == 0
        assert turns(world) == [Turn.UNCLEAR, Turn.LOST, Turn.SUBMITTED, Turn.COLLECTED]

    in_world(tmp_path, story, planned(script={Verb.CREATE: parse("500 x1")}))


def test_what_a_gateway_sends_twice_is_noticed_and_booked_and_each_job_has_one_answer(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        run = world.add(questions(200), mode="batch")
        await world.live()
        assert world.states() == {"succeeded": 200}
        await world.clock.sleep(3 * HOUR)
        world.add(questions(200), name="another", mode="batch")  # gives the program a reason to look again
        await world.live()
        await world.simulator.settle()
        assert bought(world) == 400  # the second run asks the same again, once
        assert Turn.TWICE in turns(world)
        spent = dict(world.rows(t.runs, t.runs.c.id, t.runs.c.spent))
        assert sum(spent.values()) == world.simulator.ledger.spent()
        assert spent[run] > spent[RunId(2)]

    in_world(tmp_path, story, planned(script={Verb.CREATE: parse("twice x1")}))


def test_downloads_that_break_are_begun_anew_and_nothing_is_stored_twice(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(questions(900), mode="batch")
        await world.live()
        assert world.states() == {"succeeded": 900}
        await world.simulator.settle()
        assert bought(world) == 0

    in_world(tmp_path, story, planned(script={Verb.RESULTS: parse("cut x3, short x2, 500 x1, drop x1")}))


def test_lines_that_never_come_are_possibly_billed_and_asked_again(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(questions(200), mode="batch")
        await world.live()
        assert world.states() == {"succeeded": 200}
        assert Turn.MISSING in turns(world)
        ((possibly,),) = world.rows(t.runs, t.runs.c.possibly)
        assert possibly > 0

    in_world(tmp_path, story, planned(items={Kind.NO_LINE: 0.05}))


def test_expired_and_errored_items_are_tried_again_within_their_bound(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(questions(300), mode="batch")
        await world.live()
        assert world.states()["succeeded"] > 290
        assert set(world.states()) <= {"succeeded", "failed"}

    in_world(tmp_path, story, planned(items={Kind.EXPIRED: 0.1, Kind.OVERLOADED: 0.1}))


def test_a_cancelled_run_keeps_what_its_batches_have_done(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        run = world.add(questions(300), mode="batch")
        await world.live(detach=True)
        await world.clock.sleep(600)
        now = world.clock.wall()
        cancelling.cancel_run(lambda op: perform_now(world.engine, op), run, now)
        await world.live()
        states = world.states()
        assert set(states) <= {"succeeded", "cancelled"}
        assert states["cancelled"] > 0
        assert Turn.CANCELLING in turns(world)

    in_world(tmp_path, story, planned(minutes=60.0))


def test_a_deadline_calls_back_what_is_not_done_and_sends_it_realtime(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        deadline = Millis(world.clock.wall() + round(3 * HOUR * 1000))
        world.add(questions(300), mode="auto", deadline=deadline)
        ended = await world.live()
        assert ended is not None
        assert world.states() == {"succeeded": 300}
        assert world.clock.wall() <= deadline
        assert Turn.RESCUED in turns(world)
        await world.simulator.settle()
        assert bought(world) == 0
        ways = [via for (via,) in world.rows(t.attempts, t.attempts.c.via)]
        assert "realtime" in ways

    in_world(tmp_path, story, planned(minutes=900.0))


def test_foreign_batches_of_the_same_size_are_cleared_by_their_first_line(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(questions(200), mode="batch")
        world.simulator.foreign_batch(200, minutes=30.0)
        await world.live()
        assert world.states() == {"succeeded": 200}
        await world.simulator.settle()
        assert bought(world) == 0
        assert Turn.FOREIGN in turns(world)

    in_world(tmp_path, story, planned(script={Verb.CREATE: parse("drop x1")}))


def test_a_batch_that_is_deleted_holds_its_jobs_instead_of_buying_them_again(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(questions(200), mode="batch")
        await world.live(detach=True)
        ((remote,),) = world.rows(t.batches, t.batches.c.remote_id)
        await world.clock.sleep(10 * HOUR)
        await world.simulator.delete_batch(remote)
        await world.live()
        assert world.states() == {"held": 200}
        assert Turn.GONE in turns(world)

    in_world(tmp_path, story, planned())


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.sweep
def test_a_pass_that_dies_at_any_verb_buys_nothing_twice(tmp_path: Path, after: bool) -> None:
    for at in range(1 + after, 40, 2):  # before one, after the next: each moment between two of them
        folder = tmp_path / str(at)
        folder.mkdir()

        async def story(world: World, at: int = at) -> None:
            world.add(questions(20), mode="batch", pilots=1)
            await world.live(dies_at=at, after=after)
            await world.live()
            assert world.states() == {"succeeded": 20}, at
            await world.simulator.settle()
            ((possibly,),) = world.rows(t.runs, t.runs.c.possibly)
            assert bought(world) <= 1, at  # the pilot, which went realtime
            assert bought(world) <= possibly, at

        in_world(folder, story, planned())


@pytest.mark.parametrize(
    ("deaths", "plan"),
    [
        pytest.param(["submitted"], planned(), id="killed between accept and reply"),
        pytest.param([], planned(script={Verb.CREATE: parse("lose x1")}), id="connection dropped after accept"),
        pytest.param([], planned(script={Verb.CREATE: parse("500-late x1")}), id="500 after accept"),
        pytest.param(["seen", "collecting", "keep"], planned(), id="killed while polling and collecting"),
    ],
)
def test_two_hundred_rows_under_fire_are_billed_once_and_delivered(
    tmp_path: Path, deaths: list[str], plan: Plan
) -> None:
    async def story(world: World) -> None:
        world.add(questions(200), mode="batch")
        for verb in deaths:
            assert await world.live(dies_in=verb) is None, verb
        ended = await world.live()
        assert ended is not None
        await world.simulator.settle()
        bought_answers = world.simulator.ledger.billed()
        assert (bought_answers, world.states()) == (200, {"succeeded": 200})

    in_world(tmp_path, story, plan)


def test_two_hundred_rows_with_expired_errored_and_missing_ones_all_end(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(questions(200), mode="batch")
        ended = await world.live()
        assert ended is not None
        assert ended.exit is Exit.OK
        assert set(world.states()) <= {"succeeded", "failed"}
        assert world.states()["succeeded"] >= 198

    items = {Kind.EXPIRED: 0.1, Kind.OVERLOADED: 0.1, Kind.NO_LINE: 0.05}
    in_world(tmp_path, story, planned(items=items))


def test_new_batches_go_on_within_a_minute_of_one_whose_reply_was_lost(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(questions(1000), mode="batch")
        await world.live()
        sent = sorted(at for (at,) in world.rows(t.batches, t.batches.c.sent))
        assert sent[1] - sent[0] <= 60_000
        assert world.states() == {"succeeded": 1000}

    in_world(tmp_path, story, planned(script={Verb.CREATE: parse("lose x1")}))


@pytest.mark.sweep
def test_a_line_that_strays_to_the_top_of_the_results_does_not_disown_a_batch(tmp_path: Path) -> None:
    for seed in range(8):  # each has another line first
        folder = tmp_path / str(seed)
        folder.mkdir()

        async def story(world: World) -> None:
            world.add(questions(3), mode="batch")
            await world.live()
            assert world.states() == {"succeeded": 3}
            await world.simulator.settle()
            assert bought(world) == 0
            assert Turn.LOST not in turns(world)

        in_world(folder, story, planned(script={Verb.CREATE: parse("lose x1")}, stray=6), seed=seed)


def test_results_that_end_before_their_first_line_disown_nothing(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(questions(1), mode="batch")
        await world.live()
        assert world.states() == {"succeeded": 1}
        await world.simulator.settle()
        assert bought(world) == 0
        assert turns(world) == [Turn.UNCLEAR, Turn.ADOPTED, Turn.COLLECTED]

    script = {Verb.CREATE: parse("lose x1"), Verb.RESULTS: parse("short x1")}
    in_world(tmp_path, story, planned(script=script), seed=3)


def test_downloads_that_fail_for_hours_do_not_make_what_was_bought_missing(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(questions(60), mode="batch")
        await world.live(detach=True)
        await world.clock.sleep(10 * HOUR)
        for _ in range(12):
            await world.live(once=True)
            await world.clock.sleep(HOUR / 4)
        assert world.states() == {"succeeded": 60}
        assert Turn.MISSING not in turns(world)
        await world.simulator.settle()
        assert bought(world) == 0

    in_world(tmp_path, story, planned(script={Verb.RESULTS: parse("redirect x4, 500 x4, drop x2")}))


def test_downloads_that_break_in_a_row_are_tried_again_ever_more_slowly(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(questions(200), mode="batch")
        await world.live()
        assert world.states() == {"succeeded": 200}
        at = [each.at for each in world.simulator.ledger.entries if each.endpoint.endswith("/results")]
        gaps = [(later - earlier) / 1000 for earlier, later in itertools.pairwise(at)]
        assert len(gaps) == 8
        assert all(gap >= min(5 * 2**nth, 300) for nth, gap in enumerate(gaps))

    in_world(tmp_path, story, planned(script={Verb.RESULTS: parse("drop x8")}))
