"""What people read, as values: runs, jobs, attempts, results, errors and events as the database holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from batchrun.core.job import JobId, Millis, Nanos, RunId, WorkerId
from batchrun.core.pause import Pause
from batchrun.core.states import FINAL, OUT, RunState, State
from batchrun.core.usage import Usage

Counts = Mapping[State, int]
"""How many jobs are in each state; a state without jobs may be missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One run and how far it is, read without looking at a single job."""

    id: RunId
    name: str
    state: RunState
    mode: str
    counts: Counts
    sources: tuple[str, ...]  #: its files as the user named them
    digest: bytes | None  #: of all inputs of its last submit
    account: int | None  #: None until its first answer
    account_name: str
    account_label: str  #: as the API or the user names it; "" where it is not known
    budget: Nanos | None
    spent: Nanos
    reserved: Nanos
    created: Millis
    deadline: Millis | None = None
    done: Millis | None = None
    cancelled: Millis | None = None

    @property
    def ref(self) -> str:
        return f"r-{self.id}"

    def n(self, *states: State) -> int:
        return sum(self.counts.get(state, 0) for state in states)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def sent(self) -> int:
        return self.n(*OUT)

    @property
    def finished(self) -> int:
        return self.n(*FINAL)

    @property
    def left(self) -> int:
        """Jobs that are not in a final state."""
        return self.total - self.finished


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    """A process that works on this database."""

    id: WorkerId
    pid: int
    host: str
    command: str
    started: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """All that a status shows, of one moment."""

    simulated: bool
    runs: tuple[RunSummary, ...]
    pauses: tuple[Pause, ...]
    workers: tuple[WorkerRow, ...]  #: those that live
    next_due: Millis | None  #: when the earliest waiting job of any run is due
    older: int  #: how many done runs were left out


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """One job without its request and its answer."""

    id: JobId
    run: RunId
    run_name: str
    seq: int
    key: str
    file: str  #: as the user named it
    line: int
    model: str
    state: State
    attempts: int
    tries: int
    due: Millis | None
    error: str | None
    finished: Millis | None

    @property
    def place(self) -> str:
        """`jobs.jsonl:417`"""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """One try at the API. `outcome` is None while it is out."""

    n: int
    via: str
    batch: str | None  #: the batch's id at Anthropic
    claimed: Millis
    sent: Millis | None
    ended: Millis | None
    outcome: str | None
    status: int | None
    error_type: str | None
    error_code: str | None
    message: str
    request_id: str | None
    other_ids: tuple[str, ...]
    usage: Usage | None  #: None where no answer told it
    cost: Nanos | None
    worst: Nanos | None
    billed: str | None

    @property
    def seconds(self) -> float | None:
        """From sending to the end; None for one that never left, is out, or went in a batch."""
        if self.sent is None or self.ended is None or self.via != "realtime":
            return None
        return (self.ended - self.sent) / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A job's result: the attempt that won and the message exactly as received, as JSON text."""

    body: str
    stop_reason: str
    received: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRow:
    """One job with its last or winning attempt, its answer if it has one, and the metadata of its file."""

    job: JobRow
    attempt: AttemptRow | None  #: None for a job that never was claimed
    answer: Answered | None
    metadata: str | None  #: JSON text


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failed or held job with its last attempt."""

    job: JobRow
    attempt: AttemptRow | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorGroup:
    """Jobs that failed alike. `n` is exact unless `at_least`: then only the first of its class were looked at."""

    error: str
    state: State  #: failed, or held
    status: int | None
    code: str | None
    message: str  #: the newest one's, exactly
    n: int
    at_least: bool
    samples: tuple[Failure, ...]  #: the first ones in the order of the file
    last: Millis | None  #: when the newest of them failed
    most_tries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One thing the scheduler did. `detail` is a JSON object; it holds no prompt, no answer and no key."""

    id: int
    at: Millis
    kind: str
    run: RunId | None
    job: JobId | None
    lane: str | None
    detail: Mapping[str, object]
