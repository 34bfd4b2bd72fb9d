"""The database as a dead process left it, read from a copy: whoever looks must not do the recovery's work."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from batchrun.core.batch import STANDING, UNRESOLVED, BatchState
from batchrun.core.states import FINAL, State
from batchrun.queue.bodies import pieces_of, whole
from batchrun.simulator.answers import digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    job: int
    n: int
    via: str  #: realtime or batch
    outcome: str | None
    billed: str | None
    cost: int | None
    worst: int | None
    request_id: str | None

    @property
    def charge(self) -> int:
        """What it counts for in its run: nothing, its cost, or its worst case while nobody knows."""
        match self.outcome, self.billed:
            case (None, _) | (_, "no"):
                return 0
            case _, "yes":
                assert self.cost is not None
                return self.cost
            case _:
                assert self.worst is not None
                return self.worst


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A batch: the worth of its row, and how many jobs it holds."""

    id: int
    account: int
    state: BatchState
    n: int
    remote: str | None
    holds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    job: int
    n: int
    winning: bool
    body: str


class Books:
    """One look at a queue. Close it."""

    def __init__(self, database: Path, copy: Path) -> None:
        for ending in ("", "-wal"):
            source = database.with_name(database.name + ending)
            if source.exists():
                shutil.copyfile(source, copy.with_name(copy.name + ending))
        self._sql = sqlite3.connect(copy)
        self.furnished = bool(self._rows("SELECT 1 FROM sqlite_master WHERE name = 'jobs'"))

    def close(self) -> None:
        self._sql.close()

    def _rows(self, statement: str) -> list[tuple[Any, ...]]:
        return self._sql.execute(statement).fetchall()

    def problems(self) -> list[str]:
        """What must never be so, at no moment."""
        found = [f"integrity: {row[0]}" for row in self._rows("PRAGMA integrity_check") if row[0] != "ok"]
        found += [f"foreign key: {row}" for row in self._rows("PRAGMA foreign_key_check")]
        if not self.furnished:
            return found
        scanned = {
            row[:3]: row[3] for row in self._rows("SELECT run, model, state, COUNT(*) FROM jobs GROUP BY 1, 2, 3")
        }
        counted = {row[:3]: row[3] for row in self._rows("SELECT run, model, state, n FROM run_counts WHERE n <> 0")}
        if scanned != counted:
            found.append(f"counts say {counted}, the jobs are {scanned}")
        winners = Counter(job for (job,) in self._rows("SELECT job FROM results WHERE winning = 1"))
        found += [f"job {job} has {n} winning results" for job, n in winners.items() if n > 1]
        succeeded = {job for job, state in self.states.items() if state is State.SUCCEEDED}
        if succeeded != set(winners):
            found.append(f"succeeded are {succeeded}, results have {set(winners)}")
        found += self._lost_answers()
        found += self._wrong_money()
        found += self._unloaded()
        found += self._wrong_batches()
        return found

    def _lost_answers(self) -> list[str]:
        """Answers that came and are not there, or that nobody would ever get."""
        there = {(answer.job, answer.n) for answer in self.answers}
        came = {(attempt.job, attempt.n) for attempt in self.attempts if attempt.outcome == "ok"}
        found = [f"answered are {came}, results are of {there}"] if came != there else []
        for job, n, state in self._rows("SELECT id, kept, state FROM jobs WHERE kept IS NOT NULL"):
            if (job, n) not in there:
                found.append(f"job {job} would fall back on its attempt {n}, which has no answer")
            if State(state) in FINAL:
                found.append(f"job {job} is {state} and did not take the answer that was kept for this")
        return found

    def _wrong_money(self) -> list[str]:
        by_run: dict[int, list[int]] = {run: [0, 0, 0, 0] for (run,) in self._rows("SELECT id FROM runs")}
        runs = dict(self._rows("SELECT id, run FROM jobs"))
        for attempt in self.attempts:
            money = by_run[runs[attempt.job]]
            money[0] += attempt.charge
            money[1] += (attempt.worst or 0) if attempt.outcome is None else 0
            if attempt.billed == "maybe":
                money[2] += 1
                money[3] += attempt.charge
        names = "spent, reserved, possibly, possibly_cost"
        written = {run: list(money) for run, *money in self._rows(f"SELECT id, {names} FROM runs")}
        return [] if written == by_run else [f"runs have ({names}) {written}, their attempts {by_run}"]

    def _wrong_batches(self) -> list[str]:
        """Jobs in batches that do not hold them, and batches that no listing could tell apart."""
        found = []
        sizes = Counter((batch.account, batch.n) for batch in self.batches.values() if batch.state in UNRESOLVED)
        found += [f"{n} unresolved batches have {size[1]} jobs" for size, n in sizes.items() if n > 1]
        for batch in self.batches.values():
            if batch.holds and batch.state not in UNRESOLVED | STANDING:
                found.append(f"{batch} still holds jobs")
            if batch.state in UNRESOLVED and batch.holds != batch.n:
                found.append(f"{batch} is not resolved and has not all of its jobs")
        remotes = Counter(batch.remote for batch in self.batches.values() if batch.remote is not None)
        found += [f"{n} batches are {remote}" for remote, n in remotes.items() if n > 1]
        bound = self._rows("SELECT COUNT(*) FROM jobs WHERE (state = 'in_batch') <> (batch IS NOT NULL)")[0][0]
        return [*found, *([f"{bound} jobs are in a batch and not in it"] if bound else [])]

    def _unloaded(self) -> list[str]:
        """Attempts of runs that are still being loaded."""
        rows = self._rows(
            "SELECT COUNT(*) FROM attempts JOIN jobs ON jobs.id = job JOIN runs ON runs.id = run"
            " WHERE runs.state = 'loading'"
        )
        return [f"{rows[0][0]} attempts of a run that is being loaded"] if rows[0][0] else []

    @cached_property
    def states(self) -> Mapping[int, State]:
        if not self.furnished:
            return {}
        return {job: State(state) for job, state in self._rows("SELECT id, state FROM jobs")}

    @cached_property
    def keys(self) -> Mapping[int, str]:
        if not self.furnished:
            return {}
        return dict(self._rows("SELECT id, key FROM jobs"))

    @cached_property
    def prompts(self) -> Mapping[int, str]:
        """The digest of what each job asks, by job; as the simulator and the ledger know it."""
        if not self.furnished:
            return {}
        shared = {part: pieces_of(body) for part, body in self._rows("SELECT id, body FROM shared")}
        return {
            job: digest(json.loads(whole(own, shared.get(part), order, overrides)))
            for job, own, part, order, overrides in self._rows(
                'SELECT job, own, shared, "order", overrides FROM requests'
            )
        }

    @cached_property
    def visible(self) -> Mapping[str, str]:
        """What each job asks that is not still being loaded, by key."""
        if not self.furnished:
            return {}
        rows = self._rows("SELECT jobs.id FROM jobs JOIN runs ON runs.id = run WHERE runs.state <> 'loading'")
        return {self.keys[job]: self.prompts[job] for (job,) in rows}

    @cached_property
    def attempts(self) -> Sequence[Attempt]:
        if not self.furnished:
            return ()
        names = ("job", "n", "via", "outcome", "billed", "cost", "worst", "request_id")
        rows = self._rows(f"SELECT {', '.join(names)} FROM attempts ORDER BY job, n")
        return [Attempt(**dict(zip(names, row, strict=True))) for row in rows]

    @cached_property
    def batches(self) -> Mapping[int, Sent]:
        if not self.furnished:
            return {}
        rows = self._rows(
            "SELECT id, account, state, n, remote_id, (SELECT COUNT(*) FROM jobs WHERE batch = batches.id) FROM batches"
        )
        return {
            row[0]: Sent(id=row[0], account=row[1], state=BatchState(row[2]), n=row[3], remote=row[4], holds=row[5])
            for row in rows
        }

    @cached_property
    def answers(self) -> Sequence[Answer]:
        if not self.furnished:
            return ()
        rows = self._rows("SELECT job, attempt, winning, body FROM results ORDER BY 1, 2")
        return [Answer(job=job, n=n, winning=bool(winning), body=body) for job, n, winning, body in rows]

    @cached_property
    def runs(self) -> Mapping[str, str]:
        """The state of each run, by name."""
        if not self.furnished:
            return {}
        return dict(self._rows("SELECT name, state FROM runs"))

    @property
    def unfinished(self) -> list[int]:
        return [job for job, state in self.states.items() if state not in FINAL]
