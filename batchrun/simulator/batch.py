"""One Message Batch and its life, which follows from the clock: nothing has to happen for it to end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from batchrun.core.job import Millis

DAY = 86_400_000
"""Milliseconds after which what is not done expires."""

KEPT = 29 * DAY
"""Milliseconds from its creation during which a batch's results can be had."""

OUTCOMES = ("succeeded", "errored", "canceled", "expired")


@dataclass(slots=True, kw_only=True)
class Batch:
    """What is known of a batch at once. `counts` are there when its items have been looked at after its end."""

    id: str
    number: int  #: its place in the order of creation
    workspace: str
    size: int  #: how many requests
    created: Millis
    lasts: int  #: milliseconds of processing, if nothing ends it before
    version: str  #: the API version that its items are checked by
    beta: bool
    foreign: bool = False  #: a colleague's
    cancelled: Millis | None = None
    stops: Millis | None = None  #: when its cancelling is over
    stuck: bool = False  #: stays where it is until it expires
    archived: Millis | None = None  #: before its time
    deleted: bool = False
    counts: Mapping[str, int] | None = None

    @property
    def ends(self) -> Millis:
        expires = Millis(self.created + DAY)
        if self.stuck:
            return expires
        return min(Millis(self.created + self.lasts), expires, expires if self.stops is None else self.stops)

    def ended(self, now: Millis) -> bool:
        return self.counts is not None or now >= self.ends

    def gone(self, now: Millis) -> Millis | None:
        """When its results went, if they did."""
        if self.archived is not None:
            return self.archived
        return Millis(self.created + KEPT) if now >= self.created + KEPT else None

    def shown(self, now: Millis, origin: str) -> Mapping[str, Any]:
        """The MessageBatch object. One that has ended must have been counted."""
        ended = self.ended(now)
        counts = self.counts if ended and self.counts is not None else dict.fromkeys(OUTCOMES, 0)
        gone = self.gone(now)
        return {
            "id": self.id,
            "type": "message_batch",
            "processing_status": "ended" if ended else "in_progress" if self.cancelled is None else "canceling",
            "request_counts": {"processing": 0 if ended else self.size, **counts},
            "created_at": moment(self.created),
            "expires_at": moment(self.created + DAY),
            "ended_at": moment(self.ends) if ended else None,
            "cancel_initiated_at": None if self.cancelled is None else moment(self.cancelled),
            "archived_at": None if gone is None else moment(gone),
            "results_url": f"{origin}/v1/messages/batches/{self.id}/results" if ended and gone is None else None,
        }


def moment(millis: int) -> str:
    """A time as batches show it."""
    return datetime.fromtimestamp(millis / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
