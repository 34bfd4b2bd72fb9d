"""The virtual loop itself: what every simulated history stands on."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from tests.virtual import EPOCH, Deadlock, TooLong, VirtualClock, VirtualLoop, run


def test_hours_pass_without_waiting() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> tuple[float, int]:
        await clock.sleep(100 * 3600)
        return clock.steady(), clock.wall() - EPOCH

    began = time.monotonic()
    steady, wall = run(main)
    assert steady == pytest.approx(360_000)
    assert wall == pytest.approx(360_000_000)
    assert time.monotonic() - began < 60


def test_timers_fire_in_the_order_of_their_times() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> list[tuple[str, float]]:
        seen: list[tuple[str, float]] = []

        async def note(name: str, after: float) -> None:
            await clock.sleep(after)
            seen.append((name, clock.steady()))

        await asyncio.gather(note("late", 30), note("early", 0.001), note("middle", 29.5))
        return seen

    seen = run(main)
    assert [name for name, _ in seen] == ["early", "middle", "late"]
    assert [at for _, at in seen] == pytest.approx([0.001, 29.5, 30], abs=1e-5)


def test_waiting_for_what_can_never_happen_is_a_deadlock_that_says_where() -> None:
    async def forever() -> None:
        await asyncio.Event().wait()

    async def main(clock: VirtualClock, dice: random.Random) -> None:
        await asyncio.create_task(forever(), name="stuck")

    with pytest.raises(Deadlock, match=r"stuck waits at .*forever"):
        run(main)


def test_a_ticking_timer_does_not_hide_a_hang() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        while True:
            await clock.sleep(60)

    with pytest.raises(TooLong):
        run(main, horizon=86_400)


def test_timeouts_are_virtual_too() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(600):
                await clock.sleep(601)
        return clock.steady()

    assert run(main) == pytest.approx(600)


def test_executor_calls_are_made_inline() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> tuple[int, float]:
        with pytest.raises(ValueError, match="no"):
            await asyncio.to_thread(_refuse)
        return await asyncio.to_thread(max, 3, 4), clock.steady()

    value, passed = run(main)
    assert value == 4
    assert passed < 0.001


def _refuse() -> None:
    raise ValueError("no")


def test_one_seed_is_one_history() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> list[tuple[int, float]]:
        seen: list[tuple[int, float]] = []

        async def wander(who: int) -> None:
            for _ in range(20):
                await clock.sleep(dice.random())
                seen.append((who, clock.steady()))

        await asyncio.gather(*(wander(who) for who in range(10)))
        return seen

    assert run(main, 5) == run(main, 5)
    assert run(main, 5) != run(main, 6)


def test_the_wall_clock_can_be_set_and_a_machine_can_sleep() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> tuple[int, float]:
        clock.step_wall(-3_600_000)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.advance(10)
        return clock.wall() - EPOCH, clock.steady()

    wall, steady = run(main)
    assert wall == -3_590_000
    assert steady == pytest.approx(10)
