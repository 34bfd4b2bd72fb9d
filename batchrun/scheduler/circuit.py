"""The way to the API as a whole: when nothing gets through, one request at a time asks whether it is open again."""

from __future__ import annotations

from batchrun.core.outcome import Reply

LONGEST = 30.0
"""Seconds between two tries at most, doubling from 1."""

GIVE_UP = 8
"""Tries in a row after which the pass ends: about two minutes."""


class Circuit:
    """Open after the first failure of the surroundings, closed by the first answer of the API."""

    def __init__(self) -> None:
        self.failures = 0
        self.last: Reply | None = None
        self.told = False  #: whether somebody was told of this opening
        self._until = 0.0
        self._failed = 0.0

    @property
    def open(self) -> bool:
        return self.failures > 0

    @property
    def exhausted(self) -> bool:
        return self.failures >= GIVE_UP

    def rest(self, now: float) -> float:
        """Seconds until the next try may leave."""
        return max(0.0, self._until - now)

    def fail(self, reply: Reply, now: float) -> bool:
        """Note one failure at steady time *now*; True if it counts: all that were out together count once."""
        if now < self._until:
            return False
        self.failures += 1
        self.last = reply
        self._failed = now
        self._until = now + min(2.0 ** (self.failures - 1), LONGEST)
        return True

    def close(self, began: float) -> None:
        """The API answered a request that left at steady time *began*: only one that left since tells anything."""
        if began < self._failed:
            return
        self.failures = 0
        self.told = False
        self._until = 0.0
