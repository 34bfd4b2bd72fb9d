"""Which columns a reader asks for, and what each row of them becomes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from batchrun.core.account import Account
from batchrun.core.job import JobId, Millis, Nanos, RunId
from batchrun.core.pause import Pause, PauseScope
from batchrun.core.states import RunState, State
from batchrun.core.usage import Usage
from batchrun.queue.rows import AttemptRow, EventRow, JobRow, RunSummary

RUN = """r.id, r.name, r.state, r.mode, r.source, r.source_digest, r.account, r.account_name, a.origin, a.organization,
       a.workspace, a.name, r.budget, r.spent, r.reserved, r.created, r.deadline, r.done, r.cancelled"""
"""Of `runs r LEFT JOIN accounts a`."""

JOB = """j.id, j.run, r.name, j.seq, j.key, r.source, j.file, j.line, j.model, j.state, j.attempt, j.tries, j.due,
       j.error, j.finished"""
"""Of `jobs j JOIN runs r`."""

ATTEMPT = """a.n, a.via, b.remote_id, a.claimed, a.sent, a.ended, a.outcome, a.status, a.error_type, a.error_code,
       a.message, a.request_id, a.other_ids, a.input, a.output, a.thinking, a.cache_read, a.cache_write_5m,
       a.cache_write_1h, a.cost, a.worst, a.billed"""
"""Of `attempts a LEFT JOIN batches b`."""

PAUSE = "scope, subject, reason, message, since, until, probes, probed, hint"
EVENT = "id, at, kind, run, job, lane, detail"

JOB_WIDTH = JOB.count(",") + 1
ATTEMPT_WIDTH = ATTEMPT.count(",") + 1


def run_of(row: Sequence[Any], counts: Iterable[tuple[str, int]]) -> RunSummary:
    (id_, name, state, mode, source, digest, account, wanted, origin, organization, workspace, word, *rest) = row
    budget, spent, reserved, created, deadline, done, cancelled = rest
    by_state: dict[State, int] = {}
    for one, n in counts:
        if n:
            by_state[State(one)] = by_state.get(State(one), 0) + n
    return RunSummary(
        id=RunId(id_),
        name=name,
        state=RunState(state),
        mode=mode,
        counts=by_state,
        sources=_files(source),
        digest=digest,
        account=account,
        account_name=wanted,
        account_label=_label(origin, organization, workspace, word),
        budget=budget,
        spent=spent,
        reserved=reserved,
        created=created,
        deadline=deadline,
        done=done,
        cancelled=cancelled,
    )


def _label(origin: str | None, organization: str, workspace: str, name: str) -> str:
    if origin is None:
        return ""
    return Account(
        origin=origin, organization=organization or None, workspace=workspace or None, name=name or ""
    ).label()


def job_of(row: Sequence[Any]) -> JobRow:
    id_, run, run_name, seq, key, source, file, line, model, state, attempts, tries, due, error, finished = row
    names = _files(source)
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


@lru_cache(maxsize=256)
def _files(source: str) -> tuple[str, ...]:
    return tuple(str(name) for name in json.loads(source))


def attempt_of(row: Sequence[Any]) -> AttemptRow | None:
    """None where an outer join found no attempt."""
    (n, via, batch, claimed, sent, ended, outcome, status, kind, code, message, request_id, others, *rest) = row
    input_, output, thinking, cache_read, cache_write_5m, cache_write_1h, cost, worst, billed = rest
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
    )


def pause_of(row: Sequence[Any]) -> Pause:
    scope, subject, reason, message, since, until, probes, probed, hint = row
    return Pause(
        scope=PauseScope(scope),
        subject=subject,
        reason=reason,
        message=message,
        since=Millis(since),
        until=until,
        probes=probes,
        probed=probed,
        hint=hint,
    )


def event_of(row: Sequence[Any]) -> EventRow:
    id_, at, kind, run, job, lane, detail = row
    return EventRow(id=id_, at=at, kind=kind, run=run, job=job, lane=lane, detail=json.loads(detail))
