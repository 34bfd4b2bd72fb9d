"""A queue that went back in time: a backup was put in place, and forgets what was bought since it was made.

Whatever the workspace made since then may be ours. A batch names itself in the first line of its results, so each one
that is not known is looked at once it has ended; until all are, nothing is sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from batchrun.core.batch import Remote
from batchrun.core.job import Millis
from batchrun.core.settling import SETTLE

BEFORE = 25 * 60 * 60 * 1000
"""Milliseconds that are looked at before the last moment that the backup knows: a batch's life, and an hour."""

PATIENCE = 60 * 60 * 1000
"""Milliseconds after which results that end early are taken as they are: what is missing in them does not come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewound:
    """How far one account of a rewound queue is. All but `at` are the server's clock."""

    queue: str  #: the token of the queue, which its custom_ids name
    at: Millis  #: when the backup was put in place
    since: Millis  #: what was made before is in the backup
    until: Millis | None = None  #: the first complete listing since then: what is made later is not forgotten
    waiting: int = 0  #: batches that may be ours, and are not known yet

    @property
    def opens(self) -> Millis | None:
        """The earliest moment at which jobs are sent again: a request that was under way is listed by then."""
        return None if self.until is None else Millis(self.until + SETTLE)

    def suspects(self, listed: Iterable[Remote]) -> list[Remote]:
        """What may have been made since the backup, by whomever."""
        last = self.opens
        return [each for each in listed if each.created >= self.since and (last is None or each.created <= last)]


def beginning(last: Millis) -> Millis:
    """From when on listings are looked through, where *last* is the latest moment that the backup knows."""
    return Millis(last - BEFORE)
