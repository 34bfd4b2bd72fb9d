"""How an answer goes wrong on its way back, once the work is done."""

from __future__ import annotations

from collections.abc import AsyncIterator

from batchrun.core.ports import Clock
from batchrun.simulator.effects import Effect, Kind
from batchrun.simulator.failures import FAILURES, Failure
from batchrun.simulator.wire import Broken, How

SLOW = 30.0
STALL = 900.0
"""Seconds, where an effect names none."""


def told_late(after: Effect) -> Failure | None:
    """The error that is answered although the work was done; None if *after* breaks the connection instead."""
    match after.kind:
        case Kind.FAILED_LATE | Kind.ERROR_EVENT:
            return FAILURES[Kind.FAILED]
        case Kind.OVERLOADED_LATE:
            return FAILURES[Kind.OVERLOADED]
        case _:
            return None


async def broken(half: bytes, after: Effect, clock: Clock) -> AsyncIterator[bytes]:
    """*half* a body, and then the end of the connection."""
    yield half
    await break_off(after, clock)


async def break_off(after: Effect, clock: Clock) -> None:
    """End the connection in the middle of an answer, at once or after a silence. Always raises `Broken`."""
    if after.kind is Kind.STALL:
        await clock.sleep(STALL if after.seconds is None else after.seconds)
    raise Broken(How.CUT, after.kind)
