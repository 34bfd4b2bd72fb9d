"""A batch: many requests sent as one, what the API shows of it, and the ids by which its results are known as ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from batchrun.core.job import BatchId, JobId, Millis, Nanos, RunId, WorkerId
from batchrun.core.outcome import Outcome

MOST_REQUESTS = 100_000
MOST_BYTES = 256_000_000
"""What one batch may hold (batch guide, 2026-09-26)."""

LIFE = 24 * 60 * 60 * 1000
"""Milliseconds from a batch's creation until what is not processed expires (batch guide, 2026-09-26)."""

KEPT = 29 * 24 * 60 * 60 * 1000
"""Milliseconds from a batch's creation until its results vanish (batch guide, 2026-09-26)."""

ID_LENGTH = 64
"""Characters that a custom_id may have; its letters are `[a-zA-Z0-9_-]` (the API refuses the whole batch otherwise)."""


class BatchState(StrEnum):
    """Where a batch stands on our books."""

    INTENT = "intent"  #: written down with its jobs; nothing was sent
    SENDING = "sending"  #: its request may be on the way
    UNCLEAR = "unclear"  #: its sender is finished, and nobody knows whether it arrived
    SUBMITTED = "submitted"  #: it stands at the API under its remote id
    COLLECTING = "collecting"  #: it has ended; its results are being stored
    DONE = "done"  #: all that will ever come is stored
    REJECTED = "rejected"  #: it never stood; its jobs are queued again
    LOST = "lost"  #: proven not to have arrived; watched for two days all the same
    GONE = "gone"  #: it stood, and the API knows it no more; its jobs are held


UNRESOLVED = frozenset({BatchState.INTENT, BatchState.SENDING, BatchState.UNCLEAR})
STANDING = frozenset({BatchState.SUBMITTED, BatchState.COLLECTING})


class CancelReason(StrEnum):
    """Why a batch is cancelled at the API."""

    USER = "user"
    RESCUE = "rescue"  #: the deadline is near: what it did not do is sent realtime


class Verdict(StrEnum):
    """What is known of a batch in the listing that may be one of ours."""

    OPEN = "open"
    OURS = "ours"
    FOREIGN = "foreign"


class Processing(StrEnum):
    """The API's own word for how far a batch is."""

    IN_PROGRESS = "in_progress"
    CANCELING = "canceling"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A batch as the API shows it. All counts but `processing` are 0 until it has ended."""

    id: str
    processing: Processing
    counts: Mapping[str, int]  #: processing, succeeded, errored, canceled, expired
    created: Millis
    expires: Millis | None = None
    ended: Millis | None = None
    archived: bool = False  #: its results are gone

    @property
    def n(self) -> int:
        """Its requests: known from the first moment on."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of the listing, newest first. `date` is the server's clock; None where no `Date` header came."""

    batches: tuple[Remote, ...]
    more: bool  #: whether older ones follow
    date: Millis | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One line of a batch's results."""

    custom_id: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a custom_id of ours says: of which queue and batch it is, for which job, at which attempt."""

    queue: str
    token: str
    job: JobId
    attempt: int

    def __str__(self) -> str:
        return f"br-{self.queue}-{self.token}-{_base36(self.job)}-{_base36(self.attempt)}"


_TICKET = re.compile(r"br-([0-9a-z]+)-([0-9a-z]+)-([0-9a-z]+)-([0-9a-z]+)")


def ticket_of(custom_id: str) -> Ticket | None:
    """The ticket that *custom_id* is; None for an id that no batchrun made."""
    found = _TICKET.fullmatch(custom_id)
    if found is None or len(custom_id) > ID_LENGTH:
        return None
    queue, token, job, attempt = found.groups()
    return Ticket(queue, token, JobId(int(job, 36)), int(attempt, 36))


_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def _base36(number: int) -> str:
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
        if number == 0:
            return digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A batch that was written down and may now be sent, once, by the worker that wrote it."""

    id: BatchId
    queue: str
    token: str
    run: RunId
    model: str
    n: int
    worker: WorkerId
    worst: Nanos  #: what it may cost at most, as far as bounds are known
    betas: tuple[str, ...]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One request of a batch as it goes out."""

    job: JobId
    attempt: int
    body: str  #: JSON text of its `params`


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch on our books, as far as a worker that attends to it needs it. Dates are the server's clock."""

    id: BatchId
    queue: str
    token: str
    run: RunId
    run_name: str
    model: str
    account: int
    state: BatchState
    n: int
    intended: Millis
    sent: Millis | None = None
    remote: str | None = None  #: its id at the API, once proven
    processing: Processing | None = None  #: as last seen
    created: Millis | None = None  #: at the API (`Remote.created`)
    expires: Millis | None = None
    watermark: str | None = None  #: an id that was listed before this batch was sent
    watermark_date: Millis | None = None  #: the server's clock at that listing or later, before this batch was sent
    answered: bool = False  #: the create was answered with a 5xx, so that its end is known
    first_absent: Millis | None = None  #: the first complete listing without it
    lost: Millis | None = None  #: when it was given up
    absent: Millis | None = None  #: since when the API answers 404 for its remote id
    downloads: int = 0  #: of its results, that left something missing
    downloaded: Millis | None = None  #: the first of them
    cancel: CancelReason | None = None
    cancelled: bool = False  #: the API has taken the wish to cancel
    unclear_policy: str = "wait"  #: its run's `on_unclear`
