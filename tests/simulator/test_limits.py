"""The limits a minute: both models against an oracle that counts by hand, and what a client sees of them."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batchrun.core.limits import Dimension, Limits, gate
from batchrun.simulator.api import Simulator
from batchrun.simulator.ledger import Ledger
from batchrun.simulator.meters import Bucket, Window
from batchrun.simulator.plan import Metering, Pace, Ramp
from tests.simulator.world import asks, instant, post, reply
from tests.virtual import VirtualClock, run

STEPS = st.lists(st.tuples(st.integers(0, 400), st.integers(1, 60)), min_size=1, max_size=60)
"""Quarters of a second since the step before, and what it costs."""

ONLY_BUCKETS = Metering(windows=())
ONLY_WINDOWS = Metering(buckets=())


def bucket_allows(past: list[tuple[int, int]], now: int, cost: int, capacity: int, rate: Fraction) -> bool:
    """By hand: the level is what filled since each charge, never over the capacity."""
    level, at = Fraction(capacity), 0
    for when, amount in past:
        level = min(Fraction(capacity), level + rate * (when - at) / 4) - amount
        at = when
    return min(Fraction(capacity), level + rate * (now - at) / 4) >= min(cost, capacity)


def window_allows(past: list[tuple[int, int]], now: int, cost: int, limit: int) -> bool:
    """By hand: what passed in the 240 quarters of a second before now, now included."""
    return sum(amount for when, amount in past if when > now - 240) + cost <= limit


@given(steps=STEPS, capacity=st.integers(1, 50), per_minute=st.sampled_from([15, 60, 240, 960]))
def test_a_bucket_lets_through_what_an_exact_count_lets_through(
    steps: list[tuple[int, int]], capacity: int, per_minute: int
) -> None:
    bucket = Bucket(capacity, per_minute / 60, 0.0)
    past: list[tuple[int, int]] = []
    now = 0
    for pause, cost in steps:
        now += pause
        allowed = bucket_allows(past, now, cost, capacity, Fraction(per_minute, 60))
        assert (bucket.wait(cost, now / 4) == 0) == allowed
        if allowed:
            bucket.take(cost, now / 4)
            past.append((now, cost))


@given(steps=STEPS, limit=st.integers(1, 200))
@example(steps=[(0, 1), (239, 1), (1, 1)], limit=1)
def test_a_window_lets_through_what_a_count_by_hand_lets_through(steps: list[tuple[int, int]], limit: int) -> None:
    window = Window(limit)
    past: list[tuple[int, int]] = []
    now = 0
    for pause, cost in steps:
        now += pause
        allowed = window_allows(past, now, cost, limit)
        assert (window.wait(cost, now / 4) == 0) == allowed
        if allowed:
            window.take(cost, now / 4)
            past.append((now, cost))


@given(steps=STEPS, limit=st.integers(1, 200), cost=st.integers(1, 250))
def test_a_wait_is_exactly_as_long_as_needed(steps: list[tuple[int, int]], limit: int, cost: int) -> None:
    for meter in (Window(limit), Bucket(limit, limit / 60, 0.0)):
        now = 0.0
        for pause, amount in steps:
            now += pause / 4
            meter.take(amount, now)
        wait = meter.wait(cost, now)
        if math.isinf(wait):
            assert cost > limit
            assert isinstance(meter, Window)
        else:
            assert wait == 0 or meter.wait(cost, now + wait * 0.99) > 0
            assert meter.wait(cost, now + wait + 1e-6) == 0


@given(steps=STEPS)
@example(steps=[(0, 1), (240, 1)])
def test_the_ledger_finds_the_busiest_minute(steps: list[tuple[int, int]]) -> None:
    ledger = Ledger()
    now = 0
    times = []
    for pause, cost in steps:
        now += pause * 250
        entry = ledger.arrive(request_id="r", endpoint="e", at=now, prompt="p", mark=None)  # type: ignore[arg-type]  # a plain int will do
        ledger.note(entry, accepted=True, input=cost, ended=now)
        times.append((now, cost))
    assert ledger.busiest(Dimension.REQUESTS) == max(
        sum(1 for at, _ in times if begin <= at < begin + 60_000) for begin, _ in times
    )
    assert ledger.busiest(Dimension.INPUT) == max(
        sum(cost for at, cost in times if begin <= at < begin + 60_000) for begin, _ in times
    )


def burst(limits: Limits, metering: Metering, n: int, text: str = "hi") -> list[tuple[int, Any, Mapping[str, str]]]:
    """What *n* requests at one moment get."""

    async def main(clock: VirtualClock, dice: random.Random) -> list[tuple[int, Any, Mapping[str, str]]]:
        simulator = Simulator(instant(limits={"*": limits}, metering=metering), clock, dice)
        return [await reply(simulator, post(asks(f"{text} {nth}"))) for nth in range(n)]

    return run(main)


def test_a_bucket_refuses_a_burst_and_says_how_long_to_wait() -> None:
    answers = burst(Limits(requests=120), ONLY_BUCKETS, 5)
    assert [status for status, _, _ in answers] == [200, 200, 429, 429, 429]
    _, body, headers = answers[-1]
    assert body["error"]["type"] == "rate_limit_error"
    assert "120 requests per minute" in body["error"]["message"]
    assert headers["retry-after"] == "1"


def test_a_window_takes_a_burst_of_a_minute_and_then_nothing_for_a_minute() -> None:
    answers = burst(Limits(requests=5), ONLY_WINDOWS, 7)
    assert [status for status, _, _ in answers] == [200] * 5 + [429] * 2
    assert answers[-1][2]["retry-after"] == "60"


def test_waiting_as_long_as_told_is_enough() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> list[int]:
        simulator = Simulator(instant(limits={"*": Limits(requests=5)}), clock, dice)
        statuses = []
        for nth in range(40):
            status, _, headers = await reply(simulator, post(asks(f"hi {nth}")))
            statuses.append(status)
            if status == 429:
                await clock.sleep(float(headers["retry-after"]))
        return statuses

    statuses = run(main)
    assert statuses.count(200) >= 19
    assert (429, 429) not in list(itertools.pairwise(statuses))


def test_each_lane_has_its_own_limit_and_a_pool_shares_one() -> None:
    plan = instant(limits={"*": Limits(requests=1)}, pools={"claude-opus-4": "opus-4"}, metering=ONLY_WINDOWS)

    async def main(clock: VirtualClock, dice: random.Random) -> list[int]:
        simulator = Simulator(plan, clock, dice)
        models = ["claude-opus-4-8", "claude-opus-4-7", "claude-sonnet-5", "claude-sonnet-5"]
        return [(await reply(simulator, post(asks("hi", model=model))))[0] for model in models]

    assert run(main) == [200, 429, 200, 429]


def test_input_tokens_are_metered_as_they_really_are() -> None:
    statuses = [status for status, _, _ in burst(Limits(input_tokens=1000), ONLY_WINDOWS, 4, "word " * 250)]
    assert statuses == [200, 200, 429, 429]


def test_a_request_larger_than_a_minute_never_passes_a_window() -> None:
    status, _, headers = burst(Limits(input_tokens=100), ONLY_WINDOWS, 1, "word " * 250)[0]
    assert status == 429
    assert headers["retry-after"] == "60"


def test_output_tokens_are_metered_as_they_are_made_and_not_as_they_are_asked_for() -> None:
    plan = instant(limits={"*": Limits(output_tokens=100)}, pace=Pace(first=0, per_token=0.1), metering=ONLY_WINDOWS)

    async def main(clock: VirtualClock, dice: random.Random) -> list[int]:
        simulator = Simulator(plan, clock, dice)
        bodies = [asks(f"hi {nth}") | {"max_tokens": 100_000} for nth in range(6)]
        statuses = [(await reply(simulator, post(body)))[0] for body in bodies]
        made = simulator.ledger.busiest(Dimension.OUTPUT)
        assert 100 <= made < 250
        return statuses

    statuses = run(main)
    assert statuses[:2] == [200, 200]
    assert 429 in statuses


def test_headers_tell_limits_and_what_is_left() -> None:
    limits = Limits(requests=50, input_tokens=40_000, output_tokens=8_000)
    headers = burst(limits, ONLY_WINDOWS, 3)[-1][2]
    assert headers["anthropic-ratelimit-requests-limit"] == "50"
    assert headers["anthropic-ratelimit-requests-remaining"] == "47"
    assert headers["anthropic-ratelimit-requests-reset"] == "2026-11-20T00:00:04Z"
    assert headers["anthropic-ratelimit-input-tokens-limit"] == "40000"
    assert headers["anthropic-ratelimit-input-tokens-remaining"] == "40000"
    assert headers["anthropic-ratelimit-output-tokens-remaining"] == "8000"
    assert headers["anthropic-ratelimit-tokens-limit"] == "8000"


def test_a_gateway_tells_nothing_and_limits_all_the_same() -> None:
    answers = burst(Limits(requests=1), Metering(told=False, buckets=()), 2)
    assert [status for status, _, _ in answers] == [200, 429]
    assert not any(name.startswith("anthropic-ratelimit") for _, _, headers in answers for name in headers)


def test_what_another_program_uses_is_gone() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> tuple[int, str]:
        simulator = Simulator(instant(limits={"*": Limits(requests=10)}, metering=ONLY_WINDOWS), clock, dice)
        simulator.use("claude-opus-5", requests=9)
        status, _, headers = await reply(simulator, post(asks("hi")))
        assert (await reply(simulator, post(asks("ho"))))[0] == 429
        return status, headers["anthropic-ratelimit-requests-remaining"]

    assert run(main) == (200, "0")


def test_too_many_connections_at_once_are_refused() -> None:
    plan = instant(pace=Pace(first=1, spread=0, per_token=0), metering=Metering(connections=3))

    async def main(clock: VirtualClock, dice: random.Random) -> list[int]:
        simulator = Simulator(plan, clock, dice)
        answers = await asyncio.gather(*(reply(simulator, post(asks(f"hi {nth}"))) for nth in range(5)))
        again = await reply(simulator, post(asks("later")))
        assert simulator.ledger.most_in_flight() <= 5
        return [*(status for status, _, _ in answers), again[0]]

    assert run(main) == [200, 200, 200, 429, 429, 200]


def test_a_sharp_rise_is_refused_and_a_gentle_one_is_not() -> None:
    plan = instant(metering=Metering(ramp=Ramp(free=20, factor=2.0)))

    async def at_rate(clock: VirtualClock, dice: random.Random, seconds: Sequence[float]) -> list[tuple[int, Any]]:
        simulator = Simulator(plan, clock, dice)
        answers = []
        for nth, pause in enumerate(seconds):
            await clock.sleep(pause)
            status, body, _ = await reply(simulator, post(asks(f"hi {nth}")))
            answers.append((status, body))
        return answers

    steep = run(lambda clock, dice: at_rate(clock, dice, [0.1] * 30))
    assert [status for status, _ in steep] == [200] * 20 + [429] * 10
    assert steep[-1][1]["error"]["details"] == {"error_code": "ramp_limit_exceeded"}
    gentle = [1.0]
    while gentle[-1] > 0.05:
        gentle.append(math.exp(-sum(gentle) / 100))
    assert {status for status, _ in run(lambda clock, dice: at_rate(clock, dice, gentle))} == {200}


def test_the_gate_of_the_product_passes_both_models_without_a_429() -> None:
    limit = 600
    capacity, rate = gate(limit)

    async def main(clock: VirtualClock, dice: random.Random) -> tuple[set[int], float]:
        simulator = Simulator(instant(limits={"*": Limits(requests=limit)}), clock, dice)
        begin = clock.wall()
        bucket = Bucket(capacity, rate, clock.steady())
        statuses = set()
        for nth in range(limit * 5):
            await clock.sleep(bucket.wait(1, clock.steady()))
            bucket.take(1, clock.steady())
            statuses.add((await reply(simulator, post(asks(f"hi {nth}"))))[0])
        assert simulator.ledger.busiest(Dimension.REQUESTS) <= limit
        return statuses, simulator.ledger.utilisation(Dimension.REQUESTS, limit, begin, clock.wall())

    statuses, used = run(main)
    assert statuses == {200}
    assert used == pytest.approx(60 / 61, abs=0.01)


def test_a_new_simulator_over_the_old_ledger_gives_no_new_minute() -> None:
    plan = instant(limits={"*": Limits(requests=5)}, metering=ONLY_WINDOWS)

    async def main(clock: VirtualClock, dice: random.Random) -> list[int]:
        ledger = Ledger()
        first = Simulator(plan, clock, dice, ledger)
        statuses = [(await reply(first, post(asks(f"hi {nth}"))))[0] for nth in range(4)]
        await clock.sleep(1)
        second = Simulator(plan, clock, dice, ledger)
        statuses += [(await reply(second, post(asks(f"ho {nth}"))))[0] for nth in range(2)]
        await clock.sleep(60)
        return [*statuses, (await reply(second, post(asks("later"))))[0]]

    assert run(main) == [200] * 5 + [429, 200]


@given(sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=200))
def test_a_client_that_pays_for_large_requests_afterwards_is_never_refused(sizes: list[int]) -> None:
    limit = 60_000
    burst, rate = gate(limit)
    client, server = Bucket(burst, rate, 0.0), Bucket(limit / 60, limit / 60, 0.0)
    now = 0.0
    for size in sizes:
        now += client.wait(size, now)
        client.take(size, now)
        assert server.wait(size, now) == 0
        server.take(size, now)
