"""What the queue hands to the scheduler, and what it gets back: runs with work, claims, and how a finish went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from batchrun.core.account import Account
from batchrun.core.card import WorkerCard as WorkerCard  # noqa: PLC0414  # also offered here
from batchrun.core.job import BatchId, JobId, Millis, Nanos, RunId, WorkerId
from batchrun.core.outcome import Outcome
from batchrun.core.retry import Decision, RetryPolicy, SoFar

if TYPE_CHECKING:  # time zones are for runs with hours
    from batchrun.core.hours import Hours


class OnCrash(StrEnum):
    """What becomes of a request that was out when its worker died (it may have been billed)."""

    RETRY = "retry"
    HOLD = "hold"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRun:
    """A run with work or with batches out, as the scheduler needs it. `queued` maps a model to its queued jobs."""

    id: RunId
    name: str
    mode: str
    priority: int
    policy: RetryPolicy
    account: int | None  #: id of the account it is bound to; None until its first answer
    queued: Mapping[str, int]
    waiting: int = 0
    in_batch: int = 0
    jobs: int = 0  #: all it ever had
    unfinished: Mapping[str, int] = field(default_factory=dict)  #: jobs that are not final, by model
    held: Mapping[str, int] = field(default_factory=dict)  #: jobs that wait for a person
    realtime: Mapping[str, int] = field(default_factory=dict)  #: queued jobs that go realtime whatever the run's way
    pilots: frozenset[str] = frozenset()  #: models with a pilot that is not final: their other jobs wait for it
    look: bool = False  #: a person looks at the pilots before the rest is sent
    deadline: Millis | None = None
    hours: Hours | None = None  #: when its jobs may be sent; None: always
    budget: Nanos | None = None
    left: Nanos | None = None  #: of the budget, after what is spent and reserved; None without a budget
    betas: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One job in the hands of one worker. (job, attempt) is the fence: with it the outcome is stored, or comes late."""

    job: JobId
    run: RunId
    key: str
    model: str
    attempt: int
    tries: int
    worker: WorkerId
    body: str  #: JSON text of the request as it is sent
    est_input: int
    max_tokens: int
    worst: Nanos | None
    claimed: Millis
    betas: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    pilot: bool = False  #: it goes ahead of a batch of its like
    batch: BatchId | None = None  #: the batch that holds it; None for a realtime claim, which its worker holds
    kept: bool = False  #: an earlier answer of it is kept, and is its result if no better one comes
    extended: int = 0  #: how often it was given more room for its answer
    turns: int = 0  #: how often a pause of the model was gone on from

    def so_far(self, largest: int | None) -> SoFar:
        """For `decide`, where *largest* is the most output that its model gives."""
        return SoFar(
            kept=self.kept, extended=self.extended, turns=self.turns, max_tokens=self.max_tokens, largest=largest
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The end of one attempt, as it is stored: attempt, result and next state in one transaction."""

    claim: Claim
    outcome: Outcome
    decision: Decision
    sent: Millis | None  #: when it left; None if it never did
    ended: Millis
    due: Millis | None  #: for a Wait decision
    cost: Nanos | None


class Kept(StrEnum):
    """How a finish was stored."""

    CURRENT = "current"  #: the claim still held
    ASIDE = "aside"  #: the answer is kept, and the job goes on to a better one
    EARLIER = "earlier"  #: the claim still held and nothing good came: an answer that was kept before is the job's
    LATE = "late"  #: the claim had ended; the answer became the job's result all the same
    TWICE = "twice"  #: the claim had ended and the job already has a result: bought twice, kept, marked
    STALE = "stale"  #: the claim had ended and there was no answer to keep
    REPEATED = "repeated"  #: the attempt has another answer: something on the way sent one request twice; not kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a claim call gave. `penniless`: there was work, and the run's or this call's money left none for it."""

    claims: tuple[Claim, ...]
    penniless: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """What recovery gave back of dead workers' jobs."""

    unsent: int
    unknown: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAccount:
    id: int
    account: Account


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedLimit:
    """A limit remembered for one lane of an account."""

    lane: str
    requests: int | None
    input_tokens: int | None
    output_tokens: int | None
    source: str  #: "headers" or "table"
    at: Millis
