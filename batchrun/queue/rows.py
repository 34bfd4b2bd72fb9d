"""Runs, workers and pauses as people read them, and the columns that they are made of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from batchrun.core.account import Account
from batchrun.core.job import Millis, Nanos, RunId, WorkerId
from batchrun.core.pause import Pause, PauseScope
from batchrun.core.states import FINAL, OUT, RunState, State
from batchrun.queue.batchrows import BatchRow

NOTHING = Nanos(0)

Counts = Mapping[State, int]
"""How many jobs are in each state; a state without jobs may be missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One run and how far it is, read without looking at a single job."""

    id: RunId
    name: str
    state: RunState
    mode: str
    loader: WorkerId | None  #: who adds jobs to it, if it lives
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
    possibly: int = 0  #: attempts that may have been billed, though their answers never came
    possibly_cost: Nanos = NOTHING  #: what they count for in `spent`: each its worst case, where one is known
    hours: str | None = None  #: when its jobs may be sent, as `core.hours` reads it; None: always
    next_worst: Nanos | None = None  #: at most, of the cheapest job that may be next; None without a cap, or unknown

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
    role: str  #: "worker" drains the queue, "loader" adds jobs
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
    workers: tuple[WorkerRow, ...]  #: those that live and drain the queue
    loaders: frozenset[WorkerId]  #: those that live and add jobs
    next_due: Millis | None  #: when the earliest waiting job of any run is due
    older: int  #: how many done runs were left out
    batches: tuple[BatchRow, ...] = ()  #: the oldest that are being sent, unclear or out


RUN = """r.id, r.name, r.state, r.mode, r.loader, r.source, r.source_digest, r.account, r.account_name, a.origin,
       a.organization, a.workspace, a.name, r.budget, r.spent, r.reserved, r.created, r.deadline, r.done, r.cancelled,
       r.possibly, r.possibly_cost, r.hours"""
"""Of `runs r LEFT JOIN accounts a`."""

PAUSE = "scope, subject, reason, message, since, until, probes, probed, hint"


def run_of(row: Sequence[Any], counts: Iterable[tuple[str, int]], next_worst: Nanos | None) -> RunSummary:
    (id_, name, state, mode, loader, source, digest, account, wanted, origin, organization, workspace, word, *rest) = (
        row
    )
    budget, spent, reserved, created, deadline, done, cancelled, possibly, possibly_cost, hours = rest
    by_state: dict[State, int] = {}
    for one, n in counts:
        if n:
            by_state[State(one)] = by_state.get(State(one), 0) + n
    return RunSummary(
        id=RunId(id_),
        name=name,
        state=RunState(state),
        mode=mode,
        loader=loader,
        counts=by_state,
        sources=files_of(source),
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
        next_worst=next_worst,
        possibly=possibly,
        possibly_cost=possibly_cost,
        hours=hours,
    )


def _label(origin: str | None, organization: str, workspace: str, name: str) -> str:
    if origin is None:
        return ""
    return Account(
        origin=origin, organization=organization or None, workspace=workspace or None, name=name or ""
    ).label()


@lru_cache(maxsize=256)
def files_of(source: str) -> tuple[str, ...]:
    return tuple(str(name) for name in json.loads(source))


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
