"""A pass from its start to its end, with the real queue and the real SDK against the simulator, in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from batchrun.core.events import JobSucceeded, LimitsLearned
from batchrun.core.job import Millis, Nanos
from batchrun.core.limits import Dimension, Limits
from batchrun.core.outcome import Flag
from batchrun.core.retry import LONGEST
from batchrun.errors import Exit
from batchrun.queue import cancelling
from batchrun.queue import tables as t
from batchrun.queue.writing import perform_now
from batchrun.scheduler.lane import Lane
from batchrun.simulator.effects import Effect, Kind
from batchrun.simulator.plan import Metering, Money, Outage, Pace, Plan
from tests import virtual
from tests.scheduler.world import QUICK, World

T = TypeVar("T")


def in_world(folder: Path, story: Callable[[World], Awaitable[T]], plan: Plan | None = None, seed: int = 1) -> T:
    async def main(clock: virtual.VirtualClock, dice: random.Random) -> T:
        world = World(folder, clock, dice, plan or Plan(pace=QUICK))
        result = await story(world)
        world.check()
        return result

    return virtual.run(main, seed)


def test_every_job_gets_an_answer_of_its_own(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add([f"question {n}" for n in range(50)])
        ended = await world.live()
        assert ended is not None
        assert ended.exit is Exit.OK, ended
        assert world.states() == {"succeeded": 50}
        assert len(world.rows(t.attempts)) == 50
        assert ended.done == ((1, "run"),)
        assert ended.spent == sum(cost for (cost,) in world.rows(t.attempts, t.attempts.c.cost))

    in_world(tmp_path, story)


def test_a_job_that_is_refused_fails_with_the_api_s_words_and_the_others_go_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(["good", "[[simulate: 400]]", "good too"])
        ended = await world.live()
        assert ended is not None
        assert ended.exit is Exit.OK
        assert world.states() == {"succeeded": 2, "failed": 1}
        (failed,) = [row for row in world.rows(t.attempts) if row.outcome == "error"]
        assert (failed.status, failed.error_type, failed.billed) == (400, "invalid_request_error", "no")
        assert failed.request_id.startswith("req_")

    in_world(tmp_path, story)


def test_a_truncated_or_refused_answer_is_kept_and_told_apart(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(["[[simulate: truncate]]", "[[simulate: refusal]]"])
        await world.live()
        assert world.states() == {"succeeded": 2}
        assert sorted(event.flag for event in world.heard.of(JobSucceeded)) == [Flag.REFUSED, Flag.TRUNCATED]

    in_world(tmp_path, story)


def test_what_fails_for_a_moment_is_tried_again(tmp_path: Path) -> None:
    marks = ["529 x2", "500 x3", "503 x1", "lose x1", "cut x1", "short x1", "408 x1", "409 x1", "502 x1", "429 x3"]

    async def story(world: World) -> None:
        world.add([f"[[simulate: {mark}]]" for mark in marks])
        ended = await world.live()
        assert ended is not None
        assert ended.exit is Exit.OK
        assert world.states() == {"succeeded": len(marks)}

    in_world(tmp_path, story)


def test_a_job_that_keeps_failing_fails_after_five_tries(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(["[[simulate: 500]]", *(f"fine {n}" for n in range(40))])
        await world.live()
        assert world.states() == {"succeeded": 40, "failed": 1}
        assert [row.tries for row in world.rows(t.jobs) if row.state == "failed"] == [5]

    in_world(tmp_path, story)


def test_waiting_for_a_rate_limit_costs_no_try(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(["[[simulate: 429 x7]]"])
        await world.live()
        (job,) = world.rows(t.jobs)
        assert (job.state, job.attempt, job.tries) == ("succeeded", 8, 0)

    in_world(tmp_path, story)


def test_the_lane_rests_for_as_long_as_the_server_asks(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(["[[simulate: 429 40 x1]]"])
        await world.live()
        first, second = world.simulator.ledger.entries[-2:]
        assert second.at - first.at >= 40_000

    in_world(tmp_path, story)


def test_a_server_that_asks_for_a_month_is_asked_again_after_a_day(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(["[[simulate: 429 2592000 x1]]"])
        for hours in (0.0, 1.0, 22.9):
            await world.clock.sleep(hours * 3600)
            await world.live(once=True)
            assert world.states() == {"waiting": 1}
        await world.clock.sleep(0.2 * 3600)
        await world.live(once=True)
        assert world.states() == {"succeeded": 1}

    in_world(tmp_path, story)


ALONE: Any = None
"""No share in anything: nothing enters."""


def test_a_lane_rests_for_a_day_at_most(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        lane = Lane("haiku", Limits(), most=4, clock=world.clock, told=True, share=lambda _: ALONE)
        assert lane.rest(2_592_000.0) == lane.blocked_for() == LONGEST

    in_world(tmp_path, story)


def test_a_spend_cap_stops_everything_wastes_little_and_leaves_the_jobs_queued(tmp_path: Path) -> None:
    plan = Plan(pace=QUICK, money=Money(spend_cap_requests=20))

    async def story(world: World) -> None:
        world.add([f"question {n}" for n in range(200)])
        ended = await world.live()
        assert ended is not None
        assert ended.exit is Exit.MONEY
        assert "spending limit" in ended.message
        wasted = [entry for entry in world.simulator.ledger.entries if entry.status == 429]
        assert len(wasted) <= 8
        states = world.states()
        assert states["succeeded"] + states["queued"] == 200
        assert {row.tries for row in world.rows(t.jobs)} == {0}

    in_world(tmp_path, story, plan)


def test_a_standing_pause_costs_no_call_until_its_probe_is_due_and_the_probe_lifts_it(tmp_path: Path) -> None:
    plan = Plan(pace=QUICK, money=Money(spend_cap_requests=5))

    async def story(world: World) -> None:
        world.add([f"question {n}" for n in range(30)])
        await world.live()
        calls = len(world.simulator.ledger.entries)
        ended = await world.live()
        assert ended is not None
        assert ended.exit is Exit.MONEY
        assert len(world.simulator.ledger.entries) == calls
        await world.clock.sleep(16 * 60)
        ended = await world.live()
        assert ended is not None
        assert ended.exit is Exit.MONEY
        assert len(world.simulator.ledger.entries) == calls + 1
        world.simulator.change(Plan(pace=QUICK))
        await world.clock.sleep(31 * 60)
        ended = await world.live()
        assert ended is not None
        assert ended.exit is Exit.OK
        assert world.states() == {"succeeded": 30}
        assert not world.rows(t.pauses)

    in_world(tmp_path, story, plan)


def test_a_pause_that_a_wrong_clock_put_into_the_future_is_asked_about_after_a_quarter_of_an_hour(
    tmp_path: Path,
) -> None:
    decade = 10 * 365 * 86_400_000

    async def story(world: World) -> None:
        world.add([f"question {n}" for n in range(30)])
        world.clock.step_wall(decade)
        await world.live()
        world.clock.step_wall(-decade)
        world.simulator.change(Plan(pace=QUICK))
        calls = len(world.simulator.ledger.entries)
        ended = await world.live()
        assert ended is not None
        assert ended.exit is Exit.MONEY
        assert len(world.simulator.ledger.entries) == calls
        await world.clock.sleep(16 * 60)
        ended = await world.live()
        assert ended is not None
        assert ended.exit is Exit.OK
        assert world.states() == {"succeeded": 30}

    in_world(tmp_path, story, Plan(pace=QUICK, money=Money(spend_cap_requests=5)))


def test_a_key_that_is_refused_is_found_out_before_any_job_is_claimed(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.secret = "bad-key"
        world.add(["one", "two"])
        ended = await world.live()
        assert ended is not None
        assert ended.exit is Exit.KEY
        assert not world.rows(t.attempts)
        assert len(world.simulator.ledger.entries) == 1

    in_world(tmp_path, story)


def test_a_key_that_is_revoked_in_the_middle_stops_and_another_key_goes_on_at_once(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add([*(f"question {n}" for n in range(10)), "[[simulate: 401 x1]]", *(f"more {n}" for n in range(10))])
        ended = await world.live(most=1)
        assert ended is not None
        assert ended.exit is Exit.KEY
        assert world.states() == {"succeeded": 10, "queued": 11}
        again = await world.live()
        assert again is not None
        assert again.exit is Exit.KEY
        world.secret = "another-key"
        ended = await world.live()
        assert ended is not None
        assert ended.exit is Exit.OK, ended
        assert world.states() == {"succeeded": 21}

    in_world(tmp_path, story)


def test_a_model_that_is_not_there_is_parked_and_the_others_go_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add([f"question {n}" for n in range(20)], name="good")
        world.add([f"question {n}" for n in range(20)], name="typo", model="claude-hiaku-5-5")
        ended = await world.live()
        assert ended is not None
        assert ended.exit is Exit.KEY
        assert "claude-hiaku-5-5" in ended.message
        assert world.states() == {"succeeded": 20, "queued": 20}
        missing = [entry for entry in world.simulator.ledger.entries if entry.status == 404]
        assert 1 <= len(missing) <= 4

    in_world(tmp_path, story)


def test_twenty_minutes_of_overload_fail_no_job(tmp_path: Path) -> None:
    outage = Outage(effect=Effect(Kind.OVERLOADED), start=10.0, end=1210.0)

    async def story(world: World) -> None:
        world.add([f"question {n}" for n in range(300)])
        ended = await world.live()
        assert ended is not None
        assert ended.exit is Exit.OK
        assert world.states() == {"succeeded": 300}
        refused = [entry for entry in world.simulator.ledger.entries if entry.status == 529]
        assert len(refused) < 200

    in_world(tmp_path, story, Plan(pace=QUICK, outages=(outage,)))


@pytest.mark.sweep
def test_twenty_minutes_of_errors_500_fail_few_jobs(tmp_path: Path) -> None:
    outage = Outage(effect=Effect(Kind.FAILED), start=10.0, end=1210.0)

    async def story(world: World) -> None:
        world.add([f"question {n}" for n in range(300)])
        await world.live()
        assert world.states().get("failed", 0) <= 3

    in_world(tmp_path, story, Plan(pace=QUICK, outages=(outage,)))


def test_an_api_that_cannot_be_reached_ends_the_pass_after_two_minutes_and_costs_no_try(tmp_path: Path) -> None:
    outage = Outage(effect=Effect(Kind.REFUSE), start=5.0, end=1e9)

    async def story(world: World) -> None:
        world.add([f"question {n}" for n in range(100)])
        before = world.clock.steady()
        ended = await world.live()
        assert ended is not None
        assert ended.exit is Exit.UNREACHABLE
        assert world.clock.steady() - before < 200
        states = world.states()
        assert set(states) <= {"succeeded", "queued", "waiting"}
        assert {row.tries for row in world.rows(t.jobs)} == {0}
        refused = [entry for entry in world.simulator.ledger.entries if entry.status is None and not entry.accepted]
        assert len(refused) < 50

    in_world(tmp_path, story, Plan(pace=QUICK, outages=(outage,)))


def test_a_short_break_of_the_network_is_ridden_out(tmp_path: Path) -> None:
    outage = Outage(effect=Effect(Kind.REFUSE), start=5.0, end=40.0)

    async def story(world: World) -> None:
        world.add([f"question {n}" for n in range(100)])
        ended = await world.live()
        assert ended is not None
        assert ended.exit is Exit.OK
        assert world.states() == {"succeeded": 100}

    in_world(tmp_path, story, Plan(pace=QUICK, outages=(outage,)))


def test_the_first_wish_to_stop_lets_home_what_is_in_flight(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add([f"question {n}" for n in range(100)])
        life = asyncio.create_task(world.live())
        await world.clock.sleep(8.0)
        world.shutdown.ask()
        ended = await life
        assert ended is not None
        assert ended.exit is Exit.INTERRUPTED
        assert not [row for row in world.rows(t.attempts) if row.outcome == "unknown"]
        states = world.states()
        assert set(states) == {"succeeded", "queued"}
        await world.live()
        assert world.states() == {"succeeded": 100}
        assert not world.simulator.ledger.repeated()

    in_world(tmp_path, story)


def test_the_second_wish_gives_up_what_is_in_flight_and_keeps_it_on_the_books(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add([f"question {n}" for n in range(100)])
        life = asyncio.create_task(world.live())
        await world.clock.sleep(8.0)
        in_flight = world.simulator.ledger.in_flight(world.clock.wall())
        world.shutdown.ask()
        world.shutdown.ask()
        began = world.clock.steady()
        ended = await life
        assert ended is not None
        assert ended.exit is Exit.INTERRUPTED
        assert world.clock.steady() - began < 0.1
        unknown = [row for row in world.rows(t.attempts) if row.outcome == "unknown"]
        assert len(unknown) == in_flight
        assert {row.billed for row in unknown} == {"maybe"}
        await world.live()
        assert world.states() == {"succeeded": 100}
        assert len(world.simulator.ledger.repeated()) <= in_flight

    in_world(tmp_path, story)


def test_a_run_s_cap_is_never_passed_and_the_rest_stays_queued(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add([f"question {n}" for n in range(200)], budget=Nanos(3_000_000))
        ended = await world.live()
        assert ended is not None
        assert ended.exit is Exit.MONEY
        (run,) = world.rows(t.runs)
        assert 2_500_000 < run.spent <= 3_000_000
        assert run.reserved == 0
        assert world.simulator.ledger.spent() <= 3_000_000
        assert world.states()["queued"] > 0

    in_world(tmp_path, story)


def test_a_cap_of_the_call_stops_it_and_the_next_call_goes_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add([f"question {n}" for n in range(60)])
        ended = await world.live(max_cost=Nanos(1_000_000))
        assert ended is not None
        assert ended.exit is Exit.MONEY
        assert 0 < ended.spent <= 1_000_000
        await world.live()
        assert world.states() == {"succeeded": 60}

    in_world(tmp_path, story)


def test_limits_are_learned_from_the_first_answer_and_used_without_a_single_429(tmp_path: Path) -> None:
    plan = Plan(pace=QUICK, limits={"*": Limits(requests=1000, input_tokens=10_000_000, output_tokens=10_000_000)})

    async def story(world: World) -> None:
        world.add([f"question {n}" for n in range(2300)])
        await world.live(most=200)
        ledger = world.simulator.ledger
        assert not [entry for entry in ledger.entries if entry.status == 429]
        begin = Millis(ledger.entries[0].at + 60_000)
        assert ledger.utilisation(Dimension.REQUESTS, 1000, begin, Millis(begin + 60_000)) >= 0.97
        assert ledger.busiest(Dimension.REQUESTS) <= 1000
        (learned,) = world.heard.of(LimitsLearned)
        assert learned.requests == 1000

    in_world(tmp_path, story, plan)


def test_what_was_learned_is_remembered_by_the_next_pass(tmp_path: Path) -> None:
    plan = Plan(pace=QUICK, limits={"*": Limits(requests=600, input_tokens=90_000, output_tokens=80_000)})

    async def story(world: World) -> None:
        world.add(["one"], name="first")
        await world.live()
        world.add(["two"], name="second")
        await world.live()
        assert len(world.heard.of(LimitsLearned)) == 1

    in_world(tmp_path, story, plan)


def test_a_gateway_without_headers_is_served_by_the_window_alone(tmp_path: Path) -> None:
    plan = Plan(pace=QUICK, limits={"*": Limits(requests=300)}, metering=Metering(told=False))

    async def story(world: World) -> None:
        world.add([f"question {n}" for n in range(600)])
        ended = await world.live()
        assert ended is not None
        assert ended.exit is Exit.OK
        assert world.states() == {"succeeded": 600}

    in_world(tmp_path, story, plan)


def test_a_job_larger_than_a_minute_s_limit_fails_with_that_reason_and_blocks_nobody(tmp_path: Path) -> None:
    plan = Plan(pace=QUICK, limits={"*": Limits(requests=1000, input_tokens=30_000, output_tokens=50_000)})

    async def story(world: World) -> None:
        world.add([f"question {n}" for n in range(5)], name="small")
        world.add(["x"], name="large", est_input=80_000)
        ended = await world.live(most=1)
        assert ended is not None
        assert world.states() == {"succeeded": 5, "failed": 1}
        (failed,) = [row for row in world.rows(t.attempts) if row.outcome != "ok"]
        assert failed.error_type == "larger_than_limit"
        assert "30,000 a minute" in failed.message

    in_world(tmp_path, story, plan)


def test_a_run_that_is_refused_in_one_voice_pauses_instead_of_failing_to_the_last_job(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add([f"[[simulate: 400]] {n}" for n in range(500)])
        ended = await world.live()
        assert ended is not None
        assert ended.exit is Exit.FAILED_JOBS
        states = world.states()
        assert 25 <= states["failed"] <= 60
        assert states["queued"] == 500 - states["failed"]

    in_world(tmp_path, story)


def test_a_run_of_another_account_is_left_alone(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add([f"question {n}" for n in range(30)])
        await world.live(max_cost=Nanos(900_000))
        world.simulator.change(Plan(pace=QUICK, organization="00000000-0000-4000-8000-000000000002"))
        world.secret = "key-of-somebody-else"
        before = len(world.rows(t.attempts))
        ended = await world.live()
        assert ended is not None
        assert ended.exit is Exit.KEY
        assert "another account" in ended.message
        assert len(world.rows(t.attempts)) == before

    in_world(tmp_path, story)


def test_a_higher_priority_goes_first_and_equals_share(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add([f"a {n}" for n in range(400)], name="large")
        world.add([f"b {n}" for n in range(40)], name="small")
        world.add([f"c {n}" for n in range(20)], name="urgent", priority=5)
        await world.live(most=4)
        order = [event.key.partition("-")[0] for event in world.heard.of(JobSucceeded)]
        assert set(order[:16]) == {"urgent"}
        assert order[20:100].count("small") >= 35

    in_world(tmp_path, story)


def test_a_pass_with_once_does_not_wait_for_what_is_due_later(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(["[[simulate: 503 60 x1]]", "fine"])
        ended = await world.live(once=True)
        assert ended is not None
        assert ended.exit is Exit.OK
        assert world.states() == {"succeeded": 1, "waiting": 1}
        await world.clock.sleep(61.0)
        await world.live(once=True)
        assert world.states() == {"succeeded": 2}

    in_world(tmp_path, story)


def test_jobs_that_are_submitted_meanwhile_are_done_too(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add([f"question {n}" for n in range(10)])
        life = asyncio.create_task(world.live())
        await world.clock.sleep(1.5)
        world.add(["later"], name="later")
        await life
        assert world.states() == {"succeeded": 11}

    in_world(tmp_path, story)


def test_a_pass_with_nothing_to_do_makes_no_call(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        ended = await world.live()
        assert ended is not None
        assert ended.exit is Exit.OK
        assert not world.simulator.ledger.entries

    in_world(tmp_path, story)


def test_a_night_that_begins_with_a_hiccup_goes_on(tmp_path: Path) -> None:
    outage = Outage(effect=Effect(Kind.OVERLOADED), start=0.0, end=20.0)

    async def story(world: World) -> None:
        world.add(["one"])
        ended = await world.live()
        assert ended is not None
        assert ended.exit is Exit.OK
        assert world.states() == {"succeeded": 1}

    in_world(tmp_path, story, Plan(pace=QUICK, outages=(outage,)))


def test_an_api_that_is_down_from_the_start_ends_the_pass_before_any_job_is_claimed(tmp_path: Path) -> None:
    outage = Outage(effect=Effect(Kind.REFUSE), start=0.0, end=1e9)

    async def story(world: World) -> None:
        world.add(["one"])
        ended = await world.live()
        assert ended is not None
        assert ended.exit is Exit.UNREACHABLE
        assert not world.rows(t.attempts)
        assert len(world.simulator.ledger.entries) == 8

    in_world(tmp_path, story, Plan(pace=QUICK, outages=(outage,)))


def test_nothing_leaves_while_the_lane_rests(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add([*(f"first {n}" for n in range(60)), "[[simulate: 429 30 x1]]", *(f"then {n}" for n in range(60))])
        await world.live()
        entries = world.simulator.ledger.entries
        (refused,) = [entry for entry in entries if entry.status == 429]
        assert refused.ended is not None
        during = [entry for entry in entries if refused.ended < entry.at < refused.ended + 30_000]
        assert not during
        assert world.states() == {"succeeded": 121}

    in_world(tmp_path, story)


@pytest.mark.sweep
def test_a_stop_is_heard_at_once_however_slow_the_disk_and_fast_the_api(tmp_path: Path) -> None:
    plan = Plan(pace=Pace(first=0.05, spread=0.1, per_token=0.0), money=Money(spend_cap_requests=1500))

    async def story(world: World) -> None:
        world.add([f"question {n}" for n in range(3000)])
        ended = await world.live(most=128, slow=0.01, custom={"haiku-5-5": Limits()})
        assert ended is not None
        assert ended.exit is Exit.MONEY
        wasted = [entry for entry in world.simulator.ledger.entries if entry.status == 429]
        assert len(wasted) <= 64  # a claim's worth leaves at once: half a window

    in_world(tmp_path, story, plan)


def test_a_run_that_is_refused_night_after_night_loses_one_job_a_probe_and_the_probes_grow_rare(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add([f"[[simulate: 400]] {n}" for n in range(500)])
        await world.live()
        failed = world.states()["failed"]
        for _ in range(8):
            await world.clock.sleep(16 * 60)
            await world.live()
        assert world.states()["failed"] == failed + 3
        (pause,) = world.rows(t.pauses)
        assert pause.probes == 3

    in_world(tmp_path, story)


def test_a_pass_for_one_run_does_not_wait_for_the_jobs_of_another(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        other = world.add(["[[simulate: 503 9000 x1]]"], name="other")
        await world.live(once=True)
        assert world.states() == {"waiting": 1}
        mine = world.add(["one"], name="mine")
        began = world.clock.steady()
        await world.live(only=mine)
        assert world.clock.steady() - began < 60
        assert other != mine

    in_world(tmp_path, story)


def test_a_job_that_is_cancelled_while_its_lane_rests_is_not_sent(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        run = world.add([*(f"a {n}" for n in range(30)), "[[simulate: 429 1800 x1]]", *(f"b {n}" for n in range(60))])
        life = asyncio.create_task(world.live())
        await world.clock.sleep(60.0)
        sent = len(world.simulator.ledger.entries)
        cancelling.cancel_run(partial(perform_now, world.engine), run, world.clock.wall())
        await life
        assert len(world.simulator.ledger.entries) == sent

    in_world(tmp_path, story)


def test_a_job_that_was_told_to_wait_by_a_clock_that_was_wrong_is_due_now(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(["[[simulate: 500 x1]]"])
        world.clock.step_wall(3 * 365 * 86_400_000)
        await world.live(once=True)
        assert world.states() == {"waiting": 1}
        world.clock.step_wall(-3 * 365 * 86_400_000)
        await world.live()
        assert world.states() == {"succeeded": 1}

    in_world(tmp_path, story)


def test_a_probe_that_is_turned_away_does_not_keep_the_others_from_asking(tmp_path: Path) -> None:
    plan = Plan(pace=QUICK, limits={"*": Limits(requests=1000, input_tokens=30_000, output_tokens=50_000)})

    async def story(world: World) -> None:
        world.add(["learn"], name="first")
        await world.live()
        world.add(["[[simulate: 404 x1]] small"], name="parks")
        await world.live()
        world.add(["x"], name="large", est_input=80_000, priority=9)
        await world.clock.sleep(16 * 60)
        ended = await world.live()
        assert ended is not None
        assert world.states() == {"succeeded": 2, "failed": 1}

    in_world(tmp_path, story, plan)


def test_answers_that_name_the_organisation_alone_do_not_make_another_account(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(["[[simulate: 401 x1]]", *(f"question {n}" for n in range(6))])
        await world.live(most=1)
        with world.engine.begin() as tx:
            tx.execute(t.pauses.delete())
        ended = await world.live()
        assert ended is not None
        assert ended.exit is Exit.OK, ended
        assert world.states() == {"succeeded": 7}
        assert len(world.rows(t.accounts)) == 1

    in_world(tmp_path, story)


def test_stopping_again_and_again_costs_no_job_its_tries(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add(["[[simulate: slow 900]]"])
        for _ in range(7):
            life = asyncio.create_task(world.live(grace=10.0))
            await world.clock.sleep(5.0)
            world.shutdown.ask()
            await life
        (job,) = world.rows(t.jobs)
        assert (job.state, job.tries) == ("queued", 0)
        assert {row.billed for row in world.rows(t.attempts)} == {"maybe"}

    in_world(tmp_path, story)


@pytest.mark.sweep
def test_too_many_connections_narrow_the_lane_once_an_episode_and_it_widens_again(tmp_path: Path) -> None:
    plan = Plan(pace=QUICK, metering=Metering(connections=20), limits={})

    async def story(world: World) -> None:
        world.add([f"question {n}" for n in range(1500)])
        began = world.clock.steady()
        ended = await world.live(most=64, custom={"haiku-5-5": Limits()})
        assert ended is not None
        assert world.states() == {"succeeded": 1500}
        refused = [entry for entry in world.simulator.ledger.entries if entry.status == 429]
        assert len(refused) < 150
        assert world.clock.steady() - began < 1500 * 3.5 / 10

    in_world(tmp_path, story, plan)


def test_a_stop_while_the_api_is_unreachable_is_a_stop(tmp_path: Path) -> None:
    outage = Outage(effect=Effect(Kind.REFUSE), start=0.0, end=1e9)

    async def story(world: World) -> None:
        world.add(["one"])
        life = asyncio.create_task(world.live())
        await world.clock.sleep(5.0)
        world.shutdown.ask()
        ended = await life
        assert ended is not None
        assert ended.exit is Exit.INTERRUPTED

    in_world(tmp_path, story, Plan(pace=QUICK, outages=(outage,)))


def test_the_cap_that_binds_is_the_one_that_is_named(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.add([f"question {n}" for n in range(50)], budget=Nanos(500_000))
        ended = await world.live(max_cost=Nanos(400_000_000))
        assert ended is not None
        assert ended.exit is Exit.MONEY
        assert "its --max-cost" in ended.message

    in_world(tmp_path, story)
