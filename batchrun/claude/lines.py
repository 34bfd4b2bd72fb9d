"""Lines of a download, cut out of its pieces as they come."""

from __future__ import annotations

LONGEST = 64 * 1024 * 1024
"""Bytes a line may have: many times the longest answer, and a bound for what is kept of a download without lines."""


class Lines:
    """Splits pieces of bytes at line feeds alone: a lone carriage return is data."""

    def __init__(self) -> None:
        self._begun: list[bytes] = []
        self._size = 0

    def take(self, piece: bytes) -> list[bytes]:
        """The lines that *piece* completes, without their ends. Raises ValueError for a line that is too long."""
        first, *others = piece.split(b"\n")
        self._begun.append(first)
        self._size += len(first)
        if self._size > LONGEST:
            raise ValueError(f"a line is longer than {LONGEST:,} bytes")
        if not others:
            return []
        whole = [b"".join(self._begun), *others[:-1]]
        self._begun = [others[-1]]
        self._size = len(others[-1])
        return whole

    def rest(self) -> bytes:
        """What came after the last line end."""
        return b"".join(self._begun)
