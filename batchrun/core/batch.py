"""A batch: many requests sent as one, what the API shows of it, and the ids by which its results are known as ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from batchrun.core.job import BatchId, JobId, Millis, Nanos, RunId, WorkerId
from batchrun.core.outcome import Answer, Billed, Outcome, Refused, Unreachable, billed
from batchrun.core.retry import RetryPolicy

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
STOOD = frozenset({BatchState.DONE, BatchState.GONE})
"""Over, after it stood: what turns up beside it is its repetition."""


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


class Clarity(StrEnum):
    """What the outcome of a create says about whether the batch stands."""

    REFUSED = "refused"  #: it surely does not
    ANSWERED = "answered"  #: it may, and whoever made it has finished: the API itself answered that it failed
    UNCLEAR = "unclear"  #: it may, and may still be on its way


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


_NOT_REFUSALS = frozenset({408, 409})
"""Statuses from 400 to 499 that do not say that nothing was done."""

_WAITED = frozenset({504, 524})
"""Statuses by which somebody says that he no longer waits for those who do the work: they may still be at it."""


def clarity(outcome: Outcome) -> Clarity:
    """Whether a batch stands whose create ended with *outcome* instead of a batch.

    A redirect and a 4xx say that it does not, whoever answers: what refuses a request does not pass it on. A 5xx says
    nothing, for a batch may have been stored before what then failed; but from the API itself it says that no more
    will come.
    """
    reply = outcome.reply
    if isinstance(outcome, Unreachable) or (isinstance(outcome, Refused) and reply.status is None):
        return Clarity.REFUSED
    if reply.status is None or reply.status < 300 or billed(outcome) is not Billed.NO:
        return Clarity.UNCLEAR
    if reply.status < 500 and reply.status not in _NOT_REFUSALS:
        return Clarity.REFUSED
    return Clarity.ANSWERED if reply.genuine and reply.status not in _WAITED else Clarity.UNCLEAR


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
class Packing:
    """What a batch shall be: of at most so many requests and bytes, known by its token, sent after its watermark."""

    account: int
    token: str
    n: int
    bytes: int
    watermark: str | None  #: the newest id known to have been listed, if any was
    date: Millis  #: the server's clock, not later than now
    percent: int = 50  #: of the realtime price that it costs


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
class Intended:
    """What an attempt to pack came to. Without an intent nothing changed."""

    intent: Intent | None = None
    penniless: bool = False  #: there was work, and the run's or this call's money left none for it
    crowded: bool = False  #: every size that it could have is that of a batch which is not resolved


@dataclass(frozen=True, slots=True, kw_only=True)
class Won:
    """An answer that a batch brought for a job that it holds, ready to be stored with thousands like it."""

    job: JobId
    attempt: int
    worst: int  #: what is reserved for it
    answer: Answer
    cost: Nanos | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One request of a batch as it goes out."""

    job: JobId
    attempt: int
    body: str  #: JSON text of its `params`
    worst: Nanos | None = None  #: what is reserved for it


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
    downloads: int = 0  #: that left something missing: of its results, or of its repetition's once it is over
    downloaded: Millis | None = None  #: the first of them
    reserved: int = 0  #: what it may cost at most, as far as bounds are known
    cancel: CancelReason | None = None
    cancelled: bool = False  #: the API has taken the wish to cancel
    resend: bool = False  #: its run rather pays twice than waits for an unclear batch (`on_unclear`)
    deadline: Millis | None = None  #: its run's
    policy: RetryPolicy = field(default_factory=RetryPolicy)  #: its run's
