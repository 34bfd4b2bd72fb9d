"""The real clock, behind the port that the scheduler and the simulator know."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from batchrun.core.job import Millis

# Linux' CLOCK_MONOTONIC stands still while the machine sleeps; macOS has no BOOTTIME, and its MONOTONIC counts sleep.
_STEADY = time.CLOCK_MONOTONIC if sys.platform == "darwin" else time.CLOCK_BOOTTIME


class SystemClock:
    """Is `core.ports.Clock`."""

    def wall(self) -> Millis:
        return Millis(time.time_ns() // 1_000_000)

    def steady(self) -> float:
        return time.clock_gettime(_STEADY)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def boot_id() -> str:
    """A name of this boot of the machine; "" where none is known."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
