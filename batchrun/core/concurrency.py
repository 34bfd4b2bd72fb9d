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
    window holds. Only a window that is used grows, for an idle one proves nothing: `peak` is the most that were in
    flight in this round, because answers that come together find ever fewer. Until the steady time `held` it does not
    grow, and until `rested` it does not shrink again, so that the answers of one episode count once.
    """

    size: float = 4.0
    most: float = 64.0
    least: float = 1.0
    slow_start: bool = True
    held: float = 0.0
    rested: float = 0.0
    peak: int = 0
    answers: int = 0  #: fine ones in this round


CUT = {Signal.LIMITED: 0.8, Signal.OVERLOADED: 0.5}
REST = 5.0
"""Seconds in which all bad answers count as one episode."""


def step(window: Window, signal: Signal, *, in_flight: int, now: float, cut: bool = True) -> Window:
    """The window after one answer; *in_flight* counts the requests out when it came, itself included.

    `cut=False` keeps a 429 from shrinking the window: where limits per minute are known, a 429 speaks of them and
    not of the number of connections.
    """
    if signal is Signal.FINE:
        return _grown(window, max(window.peak, in_flight), in_flight, now)
    held = max(window.held, now + REST)
    if signal is Signal.FAILED or (signal is Signal.LIMITED and not cut) or now < window.rested:
        return replace(window, slow_start=False, held=held)
    size = max(window.size * CUT[signal], window.least)
    return replace(window, size=size, slow_start=False, held=held, rested=now + REST, peak=0, answers=0)


def _grown(window: Window, peak: int, in_flight: int, now: float) -> Window:
    size, answers = window.size, window.answers + 1
    if size >= window.most:
        return window
    over = answers >= int(size)
    used = size < 2 * peak if window.slow_start else over and peak >= int(size)
    if used and now >= window.held:
        size = min(size + 1.0, window.most)
    if over:
        peak, answers = in_flight, 0
    return replace(window, size=size, peak=peak, answers=answers)
