"""What the scheduler did and why, as values: progress, log, JSON lines and tests all listen to the same ones."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from batchrun.core.job import BatchId, JobId, Millis, Nanos, RunId
from batchrun.core.outcome import Flag, Usage

NOTHING = Nanos(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PassStarted:
    at: Millis
    runs: tuple[tuple[RunId, str], ...]  #: id and name of each run with work


@dataclass(frozen=True, slots=True, kw_only=True)
class WayChosen:
    """Which way what is left of a run goes from now on, and why; `rescue`: when batches are wanted back."""

    at: Millis
    run: RunId
    name: str
    batch: bool
    why: str
    rescue: Millis | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoursShut:
    """Nothing of a run is sent until its hours open again."""

    at: Millis
    run: RunId
    name: str
    until: Millis
    hours: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What dead workers held was given back: `released` never left, `unknown` are possibly billed."""

    at: Millis
    released: int
    unknown: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsSent:
    at: Millis
    run: RunId
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSucceeded:
    at: Millis
    run: RunId
    job: JobId
    key: str
    attempt: int
    usage: Usage
    cost: Nanos | None
    seconds: float
    flag: Flag | None
    late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFailed:
    at: Millis
    run: RunId
    job: JobId
    key: str
    attempt: int
    status: int | None
    error: str
    message: str
    request_id: str | None
    cost: Nanos | None = NOTHING  #: of a refusal to answer; errors cost nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class JobWaits:
    """A try came to nothing and there will be another; `counts` says whether it was one of the job's tries."""

    at: Millis
    run: RunId
    job: JobId
    key: str
    attempt: int
    status: int | None
    error: str
    seconds: float
    counts: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAsksOn:
    """The answer was not the end of it: it is kept, and the job is asked again at once."""

    at: Millis
    run: RunId
    job: JobId
    key: str
    attempt: int
    flag: Flag
    max_tokens: int | None  #: the room that the next answer has, where it has more
    usage: Usage
    cost: Nanos | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttled:
    """A lane is closed for some seconds."""

    at: Millis
    lane: str
    why: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsLearned:
    at: Millis
    lane: str
    requests: int | None
    input_tokens: int | None
    output_tokens: int | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    at: Millis
    scope: str
    subject: str
    reason: str
    message: str
    until: Millis | None
    request_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """One job was sent to ask whether a pause is over; `lifted` says so."""

    at: Millis
    scope: str
    subject: str
    lifted: bool


class Turn(StrEnum):
    """What happened to a batch."""

    SUBMITTED = "submitted"
    REJECTED = "rejected"
    UNCLEAR = "unclear"
    ADOPTED = "adopted"  #: found in the listing and proven by its first line
    FOREIGN = "foreign"  #: what might have been one of ours is not
    LOST = "lost"
    LATE = "late"  #: a lost one turned up after all
    COLLECTED = "collected"
    SHORT = "short"  #: lines are missing; they are asked for again
    MISSING = "missing"  #: they never came
    STRAY = "stray"  #: lines that are not ours
    TWICE = "twice"  #: a repetition was bought
    GONE = "gone"
    CANCELLING = "cancelling"
    RESCUED = "rescued"
    VANISHING = "vanishing"  #: its results will not be kept for long


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTurned:
    """What happened to a batch, and to *n* of its jobs."""

    at: Millis
    turn: Turn
    batch: BatchId
    run: RunId
    n: int
    message: str
    remote: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something the user should know that stops nothing by itself: a full disk, a foreign account, a spent budget."""

    at: Millis
    code: str
    message: str
    run: RunId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HookCalled:
    """A command of the user's was told of something; `code` is None if it did not run to its end."""

    at: Millis
    hook: str
    run: RunId | None
    code: int | None
    seconds: float
    output: str  #: the beginning of what it said, or why it did not end


@dataclass(frozen=True, slots=True, kw_only=True)
class Draining:
    at: Millis
    in_flight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDone:
    at: Millis
    run: RunId
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PassEnded:
    at: Millis
    why: str


Event = (
    PassStarted
    | WayChosen
    | HoursShut
    | Recovered
    | JobsSent
    | JobSucceeded
    | JobFailed
    | JobWaits
    | JobAsksOn
    | Throttled
    | LimitsLearned
    | Paused
    | Probed
    | BatchTurned
    | Trouble
    | HookCalled
    | Draining
    | RunDone
    | PassEnded
)
