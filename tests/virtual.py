"""An event loop in virtual time: hours pass in milliseconds, and one seed is one whole history.

    async def night(clock: VirtualClock, dice: random.Random) -> int:
        await clock.sleep(8 * 3600)
        return clock.wall()

    run(night, seed=7)

Nothing ever blocks: when no callback is ready, time jumps to the next timer. When there is no timer either, nothing could
ever happen again, and the run ends with `Deadlock`, which names what each task waits for. Real sockets and threads have
no place here; a call for an executor is made inline, so that its result comes in the same order each time.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from batchrun.core.job import Millis

EPOCH = Millis(1_795_132_800_000)
"""2026-11-20 00:00:00 UTC: the wall clock's time when a virtual loop is new."""

TICK = 1e-7
"""Seconds that each round of the loop takes: a limiter that waits for a rounding error must not wait for ever."""

T = TypeVar("T")


class Deadlock(RuntimeError):
    """No callback is ready, no timer is set, and the main task is not done."""


class TooLong(RuntimeError):
    """Virtual time passed the horizon: something waits for what never happens, and timers keep it alive."""


class _JumpingSelector(selectors.SelectSelector):
    """Never waits: it tells the loop how far it would have waited instead."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: Callable[[float | None], None] = lambda timeout: None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and (timeout is None or timeout > 0):
            self.waited(timeout)
        else:
            self.waited(TICK)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` starts at 0, moves by a tick each round, and jumps when nothing is ready, or by `advance`."""

    def __init__(self, *, horizon: float = 366 * 86_400.0) -> None:
        selector = _JumpingSelector()
        super().__init__(selector)
        self._now = 0.0
        self._horizon = horizon
        self._clock_resolution = 1e-9
        selector.waited = self._jump

    def time(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass at once, as a suspended machine does: timers that fell due in between fire together."""
        self._now += seconds

    def _jump(self, timeout: float | None) -> None:
        if timeout is None:
            raise Deadlock("nothing can happen any more; " + (self._waiting() or "no task is left"))
        self._now += timeout
        if self._now > self._horizon:
            self._horizon = float("inf")  # what is left may still be cancelled in peace
            raise TooLong(f"{self._now:.0f} virtual seconds have passed; {self._waiting()}")

    def _waiting(self) -> str:
        places = []
        for task in asyncio.all_tasks(self):
            stack = task.get_stack()
            place = f"{stack[-1].f_code.co_qualname}:{stack[-1].f_lineno}" if stack else "its end"
            places.append(f"{task.get_name()} waits at {place}")
        return "; ".join(sorted(places))

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]  # the base is typed with a TypeVarTuple
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001  # an executor hands every exception to whoever awaits it
            future.set_exception(error)
        return future


class VirtualClock:
    """The `Clock` of a virtual loop. The wall clock can be set apart from the steady one, as a user or NTP does."""

    def __init__(self, loop: asyncio.AbstractEventLoop, epoch: Millis = EPOCH) -> None:
        self._loop = loop
        self._epoch: int = epoch

    def wall(self) -> Millis:
        return Millis(self._epoch + round(self._loop.time() * 1000))

    def steady(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def step_wall(self, millis: int) -> None:
        """Move the wall clock by *millis*, which may be negative; nothing else notices."""
        self._epoch += millis


Main = Callable[[VirtualClock, random.Random], Coroutine[Any, Any, T]]


def run(main: Main[T], seed: int = 0, *, epoch: Millis = EPOCH, horizon: float = 366 * 86_400.0) -> T:
    """The result of `main(clock, dice)` on a loop of its own. Raises what it raises, `Deadlock` or `TooLong`.

    The current event loop of the thread is left as it was.
    """
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(horizon=horizon)) as runner:
        clock = VirtualClock(runner.get_loop(), epoch)
        return runner.run(main(clock, random.Random(seed)))
