"""Which share of the boundaries a sweep takes: all, or every nth, as SWEEP_SHARE=K/N says (K from 0).

Each round of the checks takes one share, the next commit another one; `make crash` takes all of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import count

OFFSET, SHARES = (int(part) for part in os.environ.get("SWEEP_SHARE", "0/1").split("/"))
assert 0 <= OFFSET < SHARES, "SWEEP_SHARE is K/N with K from 0 to N - 1"


def every(step: int, first: int) -> Iterable[int]:
    """What this share takes of *first*, *first* + *step* and so on."""
    return count(first + step * OFFSET, step * SHARES)


def some(points: Sequence[int], step: int, first: int) -> Sequence[int]:
    """What this share takes of every *step*-th of *points*, from the one at *first* on."""
    return points[first + step * OFFSET :: step * SHARES]
