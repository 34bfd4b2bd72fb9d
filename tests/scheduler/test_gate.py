"""The gate: no minute over its limit, first come first served, and a limit that is really used."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_left
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrun.core.limits import Limits
from batchrun.scheduler.gate import Gate
from tests.examples import examples
from tests.virtual import VirtualClock, run

Passed = list[tuple[float, float, float]]  # when, input tokens, output tokens


def flow(limits: Limits, sizes: Sequence[tuple[float, float]], *, workers: int = 50) -> Passed:
    """Let requests of these sizes through as fast as the gate allows."""

    async def main(clock: VirtualClock, dice: random.Random) -> Passed:
        gate = Gate(limits)
        passed: Passed = []
        todo = iter(sizes)

        async def worker() -> None:
            for tokens in todo:
                await gate.enter(input_tokens=tokens[0], output_tokens=tokens[1])
                passed.append((clock.steady(), *tokens))

        await asyncio.gather(*(worker() for _ in range(workers)))
        return passed

    return run(main)


def most_in_a_minute(passed: Passed, column: int | None) -> float:
    """The fullest 60-second window: requests (None) or the tokens of a column."""
    times = [entry[0] for entry in passed]
    weights = [1.0 if column is None else entry[column] for entry in passed]
    before = [0.0]
    for weight in weights:
        before.append(before[-1] + weight)
    return max(before[i + 1] - before[bisect_left(times, times[i] - 60.0 + 1e-6)] for i in range(len(times)))


@settings(max_examples=examples(40), deadline=None)
@given(limit=st.integers(1, 6000))
def test_no_minute_has_more_requests_than_the_limit(limit: int) -> None:
    passed = flow(Limits(requests=limit), [(1.0, 1.0)] * min(3 * limit, 4000))
    assert most_in_a_minute(passed, None) <= limit


@settings(max_examples=examples(40), deadline=None)
@given(
    limit=st.integers(1000, 400_000),
    sizes=st.lists(st.floats(1.0, 900.0), min_size=50, max_size=400),
)
def test_a_minute_is_over_its_token_limit_by_one_large_request_at_most(limit: int, sizes: list[float]) -> None:
    # A request larger than a second's worth is counted by the server all at once, and paid for after it left.
    passed = flow(Limits(input_tokens=limit), [(size, 1.0) for size in sizes])
    large = max((size for size in sizes if size > limit / 61.0), default=0.0)
    assert most_in_a_minute(passed, 1) <= (limit + large) * (1 + 1e-6)


@pytest.mark.parametrize("limit", [50, 1000, 10_000])
def test_ninety_seven_percent_of_the_limit_is_used(limit: int) -> None:
    passed = flow(Limits(requests=limit), [(1.0, 1.0)] * (limit * 5), workers=5)
    minutes = (passed[-1][0] - passed[0][0]) / 60.0
    assert len(passed) / minutes >= 0.97 * limit


@settings(max_examples=examples(40), deadline=None)
@given(
    limit=st.integers(1000, 400_000),
    sizes=st.lists(st.one_of(st.floats(1.0, 30.0), st.floats(30.0, 20_000.0)), min_size=20, max_size=200),
)
@pytest.mark.sweep
def test_a_bucket_of_a_second_s_worth_that_charges_all_at_once_never_refuses(limit: int, sizes: list[float]) -> None:
    rate = limit / 60.0
    level = last = 0.0
    for at, tokens, _ in flow(Limits(input_tokens=limit), [(size, 1.0) for size in sizes]):
        level = min(rate, level + (at - last) * rate)
        last = at
        assert level >= min(tokens, rate) - 1e-3
        level -= tokens


@settings(max_examples=examples(40), deadline=None)
@given(
    limit=st.integers(60_000, 400_000),
    requests=st.lists(st.tuples(st.floats(0.01, 0.2), st.floats(0.9, 1.1)), min_size=20, max_size=200),
)
def test_estimates_that_are_a_tenth_too_low_are_not_refused_by_such_a_bucket(
    limit: int, requests: list[tuple[float, float]]
) -> None:
    rate = limit / 60.0

    async def main(clock: VirtualClock, dice: random.Random) -> None:
        gate = Gate(Limits(input_tokens=limit))
        await gate.enter(input_tokens=1.0, output_tokens=1.0)
        await clock.sleep(10.0)  # both are full now
        level, last = rate, clock.steady()

        async def ask(share: float, error: float) -> None:
            nonlocal level, last
            estimate, truth = share * rate, share * rate * error
            await gate.enter(input_tokens=estimate, output_tokens=1.0)
            level = min(rate, level + (clock.steady() - last) * rate)
            last = clock.steady()
            assert level >= truth
            level -= truth
            await clock.sleep(2.0)  # the answer comes, and with it the truth
            gate.settle(input_tokens=truth - estimate, output_tokens=0.0)

        await asyncio.gather(*(ask(share, error) for share, error in requests))

    run(main)


def test_a_large_request_is_not_starved_by_small_ones_that_came_later() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> list[str]:
        gate = Gate(Limits(input_tokens=6100))
        order: list[str] = []

        async def go(name: str, tokens: float) -> None:
            await gate.enter(input_tokens=tokens, output_tokens=0.0)
            order.append(name)

        await asyncio.gather(go("first", 10.0), go("large", 2000.0), *(go(f"small {n}", 10.0) for n in range(40)))
        return order

    assert run(main)[:3] == ["first", "large", "small 0"]


def test_a_new_gate_grants_no_burst() -> None:
    passed = flow(Limits(requests=600), [(1.0, 1.0)] * 5)
    assert passed[1][0] - passed[0][0] == pytest.approx(0.1, rel=0.1)
    assert passed[0][0] > 0.0


def test_what_was_charged_too_low_is_paid_by_the_next_one() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> float:
        gate = Gate(Limits(output_tokens=6100))
        await gate.enter(input_tokens=0.0, output_tokens=100.0)
        before = clock.steady()
        gate.settle(input_tokens=0.0, output_tokens=900.0)
        await gate.enter(input_tokens=0.0, output_tokens=100.0)
        return clock.steady() - before

    assert run(main) == pytest.approx(10.0, rel=0.02)


def test_what_was_charged_too_high_is_given_to_the_next_one() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> float:
        gate = Gate(Limits(output_tokens=6100))
        await gate.enter(input_tokens=0.0, output_tokens=1000.0)
        before = clock.steady()
        gate.settle(input_tokens=0.0, output_tokens=-1000.0)
        await gate.enter(input_tokens=0.0, output_tokens=100.0)
        return clock.steady() - before

    assert run(main) == pytest.approx(0.0, abs=0.01)


def test_a_large_request_leaves_at_once_and_the_next_one_waits_for_its_rest() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> tuple[float, float]:
        gate = Gate(Limits(input_tokens=6100))
        await gate.enter(input_tokens=5000.0, output_tokens=0.0)
        first = clock.steady()
        await gate.enter(input_tokens=1.0, output_tokens=0.0)
        return first, clock.steady() - first

    first, then = run(main)
    assert first == pytest.approx(1.0, abs=0.01)
    assert then == pytest.approx(49.0, abs=0.1)


def test_a_caller_that_goes_away_while_waiting_takes_nothing() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> float:
        gate = Gate(Limits(input_tokens=6100))
        await gate.enter(input_tokens=2000.0, output_tokens=0.0)
        before = clock.steady()
        quitter = asyncio.create_task(gate.enter(input_tokens=50.0, output_tokens=0.0))
        await clock.sleep(10.0)
        quitter.cancel()
        await asyncio.gather(quitter, return_exceptions=True)
        await gate.enter(input_tokens=100.0, output_tokens=0.0)
        return clock.steady() - before

    assert run(main) == pytest.approx(20.0, abs=0.1)


def test_new_limits_hold_from_the_next_request_on() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> float:
        gate = Gate(Limits(requests=60))
        await gate.enter(input_tokens=0.0, output_tokens=0.0)
        gate.set(Limits(requests=6000))
        await gate.enter(input_tokens=0.0, output_tokens=0.0)
        before = clock.steady()
        for _ in range(100):
            await gate.enter(input_tokens=0.0, output_tokens=0.0)
        return clock.steady() - before

    assert run(main) == pytest.approx(1.0, rel=0.05)
