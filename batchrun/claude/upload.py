"""A large body on its way up: in pieces, so that a slow line is told from a dead one, and a part from the whole."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2

from batchrun.claude.patience import Patience, Timeout
from batchrun.core.ports import Clock

PIECE = 64 * 1024
"""Bytes that are handed over at a time, each in the time to write."""

PROMPT = 60.0
"""Seconds within which a body begins to leave. Whoever stood still for longer may have been taken for dead, and what
it was to send been sent by another."""


class Upload:
    """*body* on its way. Handed over as one, the transport would copy it, and tell nobody how far it is.

    `whole` once its last piece was asked for. Until then the API cannot have seen it as a whole.
    """

    def __init__(self, body: bytes, times: Timeout, clock: Clock) -> None:
        self.whole = False
        self._clock = clock
        self._begun = clock.steady()
        self._body = body
        self._times = times
        self._sent = 0

    async def pieces(self, limits: Patience) -> AsyncIterator[bytes]:
        """The body, however long all of it takes; then the answer has its own time."""
        times = self._times
        write, read = (times.write, times.read) if isinstance(times, httpx2.Timeout) else (times, times)
        if self._clock.steady() - self._begun > PROMPT:
            raise TimeoutError("the program stood still before it was sent")
        for start in range(0, len(self._body), PIECE):
            self._sent = start
            self.whole = start + PIECE >= len(self._body)
            limits.within(write, f"nothing more could be sent for {write or 0:,.0f} s")
            yield self._body[start : start + PIECE]
        limits.within(read, f"the answer was not whole {read or 0:,.0f} s after all was sent (read_timeout)")

    def __str__(self) -> str:
        size = f"{len(self._body):,} bytes"
        if self.whole:
            return f"all {size} were sent, and no whole answer came; possibly billed"
        return f"about {self._sent:,} of {size} were sent, so nothing was done"
