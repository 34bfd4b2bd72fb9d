"""How many jobs go into one batch, and the body that carries them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from batchrun.core.batch import ID_LENGTH, Intent, Line, Ticket

LEAST = 200
MOST = 10_000
STEPS = 25
"""A run shows about `STEPS` steps: its batches have a 25th of its jobs each, within these bounds."""

BYTES = 32 * 1024 * 1024
"""Of one batch's body, by default: what is lost, sent again or found missing stays small."""

SPREAD = 10
"""The size is drawn from the upper tenth, so that batches in one listing can be told apart by their number."""

_HEAD, _TAIL, _BETWEEN = b'{"requests":[', b"]}", b","
_OPEN, _MIDDLE, _CLOSE = '{"custom_id":"', '","params":', "}"
ENVELOPE = len(_HEAD) + len(_TAIL)
LINE = len(_OPEN) + ID_LENGTH + len(_MIDDLE) + len(_CLOSE) + len(_BETWEEN)
"""Bytes round all requests, and round each of them at most."""


def draw(jobs: int, queued: int, chance: float, most: int = MOST) -> int:
    """How many of the *queued* jobs of a run of *jobs* go into its next batch; *chance* in [0, 1).

    What fits goes at once: a run never leaves a few jobs behind for a batch of their own.
    """
    size = min(max(jobs // STEPS, LEAST), MOST, most)
    if queued <= size:
        return queued
    low = size - size // SPREAD
    return low + int(chance * (size - low + 1))


def fitting(sizes: Iterable[int], most: int = BYTES) -> int:
    """How many of the first requests, of *sizes* bytes each, one body of *most* bytes holds; at least one."""
    total, n = ENVELOPE, 0
    for size in sizes:
        total += size + LINE
        if total > most and n > 0:
            break
        n += 1
    return n


def body(intent: Intent, lines: Sequence[Line]) -> bytes:
    """The JSON of a batch, with the requests' texts as they stand."""
    parts = [
        f"{_OPEN}{Ticket(intent.queue, intent.token, line.job, line.attempt)}{_MIDDLE}{line.body}{_CLOSE}".encode()
        for line in lines
    ]
    return _HEAD + _BETWEEN.join(parts) + _TAIL
