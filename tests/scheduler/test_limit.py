"""A pass that is to end at a time, or with an event."""

from __future__ import annotations

import random

import pytest

from batchrun.scheduler.shutdown import Limit, Shutdown, Stage
from tests.virtual import VirtualClock, run


def test_when_the_time_given_is_over_it_wishes_for_a_stop() -> None:
    async def wait(clock: VirtualClock, _: random.Random) -> tuple[float, Stage, bool, str]:
        shutdown = Shutdown()
        limit = Limit(clock, shutdown, seconds=90.5, until=lambda: False)
        await limit.watch()
        return clock.steady(), shutdown.stage, limit.reached, limit.message

    seconds, stage, reached, message = run(wait)
    assert seconds == pytest.approx(90.5, abs=0.01)
    assert (stage, reached, message) == (Stage.DRAINING, False, "the time given is over")


def test_once_what_was_waited_for_has_come_about_it_wishes_for_a_stop_without_a_word() -> None:
    async def wait(clock: VirtualClock, _: random.Random) -> tuple[float, Stage, bool, str]:
        shutdown = Shutdown()
        limit = Limit(clock, shutdown, until=lambda: clock.steady() > 7.5)
        await limit.watch()
        return clock.steady(), shutdown.stage, limit.reached, limit.message

    seconds, stage, reached, message = run(wait)
    assert seconds == pytest.approx(8, abs=0.01)
    assert (stage, reached, message) == (Stage.DRAINING, True, "")


def test_it_gives_up_nothing_that_a_stop_lets_come_home() -> None:
    async def wait(clock: VirtualClock, _: random.Random) -> Stage:
        shutdown = Shutdown()
        shutdown.ask()
        await Limit(clock, shutdown, seconds=1).watch()
        return shutdown.stage

    assert run(wait) is Stage.DRAINING
