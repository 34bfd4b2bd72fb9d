"""What an answer used, as it is billed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one answer as billed. `input` is the uncached part only; `output` includes `thinking`."""

    input: int = 0
    output: int = 0
    thinking: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    web_searches: int = 0
    speed: str | None = None
    geo: str | None = None

    @property
    def charged_input(self) -> int:
        """What counts against the input-tokens-per-minute limit: cache reads are free of it (limits page, 2026-09)."""
        return self.input + self.cache_write_5m + self.cache_write_1h
