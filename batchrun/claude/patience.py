"""How long one exchange may take: the limits over it, and the words for the one that ended it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2

Timeout = float | httpx2.Timeout | None
"""As the SDK's client has it; seconds."""


class Patience:
    """The limits of one exchange that runs; made by `patience`."""

    def __init__(self, limit: asyncio.Timeout, times: Timeout, total: float) -> None:
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._end = self._loop.time() + total
        self._total = f"the answer was not whole after {total:,.0f} s, the longest a request may take (total_timeout)"
        self._read = times.read if isinstance(times, httpx2.Timeout) else times
        self._news = 0.0
        self._look: asyncio.TimerHandle | None = None
        self._over = False
        whole = _whole(times)
        if whole is not None and whole < total:
            self.words = f"the answer was not whole after {whole:,.0f} s (read_timeout, and the times to send)"
            limit.reschedule(self._loop.time() + whole)
        else:
            self.words = self._total
            limit.reschedule(self._end)

    def within(self, seconds: float | None, words: str) -> None:
        """From here on the next step may take *seconds*, whatever went before; *words* tell what was not in time."""
        if self._over:  # a refusal may come while its request is still being sent
            return
        self.words = words
        self._limit.reschedule(None if seconds is None else self._loop.time() + seconds)

    def streams(self) -> None:
        """From here on the answer comes in events: it may take its whole time, but not without any news."""
        self.words = self._total
        self._limit.reschedule(self._end)
        self.news()
        self._watch()

    def news(self) -> None:
        """An event came that says something; a ping does not."""
        self._news = self._loop.time()

    def over(self) -> None:
        """The exchange has ended."""
        self._over = True
        if self._look is not None:
            self._look.cancel()

    def _watch(self) -> None:
        """Look whether the silence is over its limit. One timer that is late is cheaper than a new one each event."""
        if self._read is None:
            return
        due = self._news + self._read
        if due > self._loop.time():
            self._look = self._loop.call_at(due, self._watch)
        else:
            self.words = f"the stream said nothing but pings for {self._read:,.0f} s (read_timeout)"
            self._limit.reschedule(self._loop.time())


@asynccontextmanager
async def patience(times: Timeout, total: float) -> AsyncIterator[Patience]:
    """Bound what happens inside by *total* seconds, and an answer that is not streamed by the parts of *times* too.

    Raises TimeoutError, which names the limit and its setting.
    """
    try:
        async with asyncio.timeout(None) as limit:
            running = Patience(limit, times, total)
            try:
                yield running
            finally:
                running.over()
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise TimeoutError(running.words) from error


def _whole(times: Timeout) -> float | None:
    """Seconds an answer that is not streamed may take. The transport watches reading only: an upload could stall."""
    if not isinstance(times, httpx2.Timeout):
        return times
    parts = (times.pool, times.connect, times.write, times.read)
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None
