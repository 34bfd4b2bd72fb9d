"""How many requests may be in flight in one lane: slow start, additive growth, multiplicative cuts; a pure reducer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class Signal(StrEnum):
    """What one answer says about the window."""

    FINE = "fine"
    LIMITED = "limited"  #: a 429 of any kind: the window was too wide
    OVERLOADED = "overloaded"  #: 529: everybody should halve
    FAILED = "failed"  #: 5xx, time-out, reset: stop growing, do not shrink


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The window of one lane. `size` is a float; at most `int(size)` requests are in flight.

    It doubles a round while `slow_start` holds and grows by one a round afterwards; a round is as many answers as the
    window holds. Only a window that was full grows: an idle one proves nothing. `rested` is the steady time until
    which it neither shrinks again nor grows, so that the answers of one episode count once.
    """

    size: float = 4.0
    most: float = 64.0
    least: float = 1.0
    slow_start: bool = True
    rested: float = 0.0


CUT = {Signal.LIMITED: 0.8, Signal.OVERLOADED: 0.5}
REST = 5.0
"""Seconds in which all bad answers count as one episode."""


def step(window: Window, signal: Signal, *, in_flight: int, now: float, cut: bool = True) -> Window:
    """The window after one answer; *in_flight* counts the requests out when it came, itself included.

    `cut=False` keeps a 429 from shrinking the window: where limits per minute are known, a 429 speaks of them and
    not of the number of connections.
    """
    if signal is Signal.FINE:
        if now < window.rested or in_flight < int(window.size) or window.size >= window.most:
            return window
        grown = window.size + (1.0 if window.slow_start else 1.0 / window.size)
        return replace(window, size=min(grown, window.most))
    if signal is Signal.FAILED or (signal is Signal.LIMITED and not cut):
        return replace(window, slow_start=False, rested=max(window.rested, now + REST))
    if now < window.rested:
        return window
    return replace(window, size=max(window.size * CUT[signal], window.least), slow_start=False, rested=now + REST)
