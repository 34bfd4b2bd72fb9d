"""Whether a batch whose create went unanswered stands: what a listing of the workspace tells, by the server's clock.

A batch has no name, so it is known by its number of requests until its results name it. What is listed and not known
to be another's may be ours; what is not listed may still appear, for as long as the API can be working on a request
that was sent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from batchrun.core.batch import Batch, BatchState, Remote
from batchrun.core.job import Millis

MINUTE = 60 * 1000

SETTLE = 15 * MINUTE
"""Between the two listings that prove an unanswered request did not arrive: longer than a request may be alive (10
minutes, the SDK's time-out) and than listings lag."""

SETTLE_ANSWERED = 2 * MINUTE
"""The same where the API answered 5xx: it has finished with the request, and only listings lag."""

WATCH = 48 * 60 * MINUTE
"""How long a lost batch is still looked for: what it bought becomes somebody's answer."""

DRIFT = 5 * MINUTE
"""How far the servers' clocks may be apart."""

REPEATED = 15 * MINUTE
"""A gateway that repeats a request does so within this time."""


class Settled(StrEnum):
    """What one complete listing says about an unclear batch."""

    POSSIBLE = "possible"  #: something listed may be it
    ABSENT = "absent"  #: nothing is: the first such listing
    WAIT = "wait"  #: still nothing, and not long enough
    LOST = "lost"  #: nothing for a settle time: it did not arrive


@dataclass(frozen=True, slots=True)
class Reach:
    """How far back a listing must go: to the id, or to what was created before the moment."""

    watermarks: frozenset[str]
    since: Millis

    def covers(self, listed: Iterable[Remote]) -> bool:
        """Whether *listed* (newest first) goes back that far."""
        return any(each.id in self.watermarks or each.created < self.since for each in listed)


def settle_time(batch: Batch) -> int:
    """Milliseconds between the two listings."""
    return SETTLE_ANSWERED if batch.answered else SETTLE


def is_watched(batch: Batch, date: Millis | None) -> bool:
    """Whether listings are searched for *batch*: nobody knows its remote id, and it may still turn up."""
    if batch.state is BatchState.UNCLEAR:
        return True
    return batch.state is BatchState.LOST and (date is None or batch.lost is None or date - batch.lost <= WATCH)


def earliest(batch: Batch) -> Millis:
    """*batch* cannot have been created before this moment, by the server's clock."""
    known = batch.created if batch.created is not None else batch.watermark_date
    return Millis((known if known is not None else 0) - DRIFT)


def matching(batch: Batch, listed: Iterable[Remote], known: Collection[str]) -> list[Remote]:
    """What of *listed* may be *batch*, or its repetition where its own id is known; *known* are ids that are not it."""
    begin = earliest(batch)
    end = None if batch.created is None else batch.created + REPEATED
    return [
        each
        for each in listed
        if each.n == batch.n and each.id not in known and each.created >= begin and (end is None or each.created <= end)
    ]


def settled(batch: Batch, date: Millis, *, possible: bool) -> Settled:
    """What a complete listing of *date*, made while *batch* was unclear, says; *possible*: something may be it."""
    if possible:
        return Settled.POSSIBLE
    if batch.first_absent is None:
        return Settled.ABSENT
    return Settled.LOST if date - batch.first_absent >= settle_time(batch) else Settled.WAIT


def decided_by(batch: Batch) -> Millis | None:
    """When an unclear batch is decided at the earliest, by the server's clock; None before the first listing."""
    return None if batch.first_absent is None else Millis(batch.first_absent + settle_time(batch))
