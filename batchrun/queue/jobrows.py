"""Jobs, attempts, answers and events as people read them, and the columns that they are made of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchrun.core.batch import BatchState
from batchrun.core.job import BatchId, JobId, Millis, Nanos, RunId
from batchrun.core.states import State
from batchrun.core.usage import Usage
from batchrun.queue.rows import files_of


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
    batch_id: BatchId | None = None
    batch_state: BatchState | None = None

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
    tags: tuple[str, ...] = ()  #: the job's own, then those of its run
    schema: str | None = None  #: JSON text of the JSON Schema that it asked its answer to fit
    request: str | None = None  #: JSON text of what is sent; only where it was asked for
    tried: tuple[AttemptRow, ...] | None = None  #: all attempts; only where they were asked for


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


JOB = """j.id, j.run, r.name, j.seq, j.key, r.source, j.file, j.line, j.model, j.state, j.attempt, j.tries, j.due,
       j.error, j.finished"""
"""Of `jobs j JOIN runs r`."""

ATTEMPT = """a.n, a.via, b.remote_id, a.claimed, a.sent, a.ended, a.outcome, a.status, a.error_type, a.error_code,
       a.message, a.request_id, a.other_ids, a.input, a.output, a.thinking, a.cache_read, a.cache_write_5m,
       a.cache_write_1h, a.cost, a.worst, a.billed, b.id, b.state"""
"""Of `attempts a LEFT JOIN batches b`."""


SCHEMA = """CASE
       WHEN q.overrides IS NOT NULL AND json_type(q.overrides, '$.output_config') IS NOT NULL
           THEN json_extract(q.overrides, '$.output_config.format.schema')
       WHEN instr(q.own, '"output_config"') AND json_type(q.own, '$.output_config') IS NOT NULL
           THEN json_extract(q.own, '$.output_config.format.schema')
       WHEN q.shared IS NOT NULL
           THEN (SELECT CASE WHEN instr(h.body, '"output_config"')
                             THEN json_extract(h.body, '$.output_config.format.schema') END
                 FROM shared h WHERE h.id = q.shared)
       END"""
"""Of `requests q`: the JSON Schema that its answer shall fit; a request is read as JSON only if it may have one."""

EVENT = "id, at, kind, run, job, lane, detail"
JOB_WIDTH = JOB.count(",") + 1
ATTEMPT_WIDTH = ATTEMPT.count(",") + 1


def tags_of(own: str | None, of_run: str | None) -> tuple[str, ...]:
    """Both lists of JSON as one, each word once."""
    words = [*json.loads(own or "[]"), *json.loads(of_run or "[]")]
    return tuple(dict.fromkeys(str(word) for word in words))


def job_of(row: Sequence[Any]) -> JobRow:
    id_, run, run_name, seq, key, source, file, line, model, state, attempts, tries, due, error, finished = row
    names = files_of(source)
    return JobRow(
        id=JobId(id_),
        run=RunId(run),
        run_name=run_name,
        seq=seq,
        key=key,
        file=names[file] if file < len(names) else "",
        line=line,
        model=model,
        state=State(state),
        attempts=attempts,
        tries=tries,
        due=due,
        error=error,
        finished=finished,
    )


def attempt_of(row: Sequence[Any]) -> AttemptRow | None:
    """None where an outer join found no attempt."""
    (n, via, batch, claimed, sent, ended, outcome, status, kind, code, message, request_id, others, *rest) = row
    input_, output, thinking, cache_read, cache_write_5m, cache_write_1h, cost, worst, billed, batch_id, stands = rest
    if n is None:
        return None
    usage = None
    if input_ is not None or output is not None:
        usage = Usage(
            input=input_ or 0,
            output=output or 0,
            thinking=thinking or 0,
            cache_read=cache_read or 0,
            cache_write_5m=cache_write_5m or 0,
            cache_write_1h=cache_write_1h or 0,
        )
    return AttemptRow(
        n=n,
        via=via,
        batch=batch,
        claimed=claimed,
        sent=sent,
        ended=ended,
        outcome=outcome,
        status=status,
        error_type=kind,
        error_code=code,
        message=message or "",
        request_id=request_id,
        other_ids=tuple(json.loads(others)) if others else (),
        usage=usage,
        cost=None if cost is None else Nanos(cost),
        worst=None if worst is None else Nanos(worst),
        billed=billed,
        batch_id=batch_id,
        batch_state=None if stands is None else BatchState(stands),
    )


def event_of(row: Sequence[Any]) -> EventRow:
    id_, at, kind, run, job, lane, detail = row
    return EventRow(id=id_, at=at, kind=kind, run=run, job=job, lane=lane, detail=json.loads(detail))
