"""When somebody last worked on a queue: for who watches over it from outside."""

from __future__ import annotations

from batchrun.core.job import Millis
from batchrun.queue.reading import Reading

_LAST = """SELECT COALESCE("left", started) FROM workers WHERE role = 'worker' ORDER BY id DESC LIMIT 1"""


def last_worked(reading: Reading) -> Millis | None:
    """When the newest worker left, or came if it died without a word; None if there never was one."""
    found = reading.rows(_LAST)
    return Millis(found[0][0]) if found else None
