"""Where tests of the queue sit: they load jobs, play the scheduler, and look at the rows."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from batchrun.core.claim import Claim, Finish, Kept, WorkerCard
from batchrun.core.job import Job, Millis, Nanos, Request, RunId, Where, WorkerId
from batchrun.core.outcome import Answer, Dropped, Outcome, Refused, Reply, Succeeded, Usage
from batchrun.core.retry import Decision, Fail, Succeed, Wait
from batchrun.core.states import State
from batchrun.queue import connect
from batchrun.queue import tables as t
from batchrun.queue.leases import Leases
from batchrun.queue.loading import Loading
from batchrun.queue.presence import Presence
from batchrun.queue.statement import Statement, lit, param
from batchrun.queue.store import QueueStore
from batchrun.queue.submit import Added, Changed, RunTerms
from batchrun.queue.writing import Inline, Op, perform_now

T = TypeVar("T")

NOW = Millis(1_795_132_800_000)
MODEL = "claude-test-1"
WORST = Nanos(1_000)


def card(pid: int = 1, boot: str = "boot", started: Millis = NOW) -> WorkerCard:
    return WorkerCard(pid=pid, host="here", boot=boot, version="1", command="batchrun run", started=started)


def job(
    key: str,
    text: str = "hello",
    *,
    line: int = 1,
    file: int = 0,
    model: str = MODEL,
    worst: Nanos | None = WORST,
    shared: str | None = None,
    max_tokens: int = 10,
) -> Job:
    own = f'{{"model":"{model}","messages":[{{"role":"user","content":"{text}"}}]}}'
    return Job(
        key=key,
        where=Where("jobs.jsonl", line),
        file=file,
        model=model,
        request=Request(own=own, shared=shared),
        digest=hashlib.blake2b(f"{own}{shared}".encode(), digest_size=16).digest(),
        size=len(own.encode()),
        est_input=5,
        max_tokens=max_tokens,
        worst=worst,
    )


def jobs(keys: Iterable[str], text: str = "hello", **more: Any) -> list[Job]:
    return [job(key, text, line=line, **more) for line, key in enumerate(keys, 1)]


def good(body: str = '{"type":"message"}', request_id: str = "req_1") -> Succeeded:
    usage = Usage(input=5, output=7, thinking=1, cache_read=2, cache_write_5m=3, cache_write_1h=4)
    return Succeeded(
        reply=Reply(status=200, request_id=request_id, other_ids=("ray-1",)),
        answer=Answer(body=body, stop_reason="end_turn", usage=usage),
    )


def refused() -> Refused:
    return Refused(reply=Reply(status=400, error_type="invalid_request_error", message="no", request_id="req_2"))


def dropped() -> Dropped:
    return Dropped(reply=Reply(message="the connection was reset"))


F = TypeVar("F", bound=Callable[..., None])


def on_file(test: F) -> F:
    """It is about a file and its locks: it does not run on a server."""
    test.on_file = True  # type: ignore[attr-defined]  # `conftest` looks for it
    return test


class Mortal(Leases):
    """Whose process dies when it is closed, and nobody has to wait for its lease."""

    def close(self) -> None:
        for worker in self._held:
            perform_now(self.engine, lambda tx, it=worker: tx.run(_RAN_OUT, it=it))  # type: ignore[misc]  # mypy knows no default
        super().close()


_RAN_OUT = Statement(t.workers.update().where(t.workers.c.id == param("it")).values(lease=lit(0)))


def presence_of(engine: sa.Engine) -> Presence:
    return Mortal(engine) if engine.dialect.name == "postgresql" else connect.presence_of(engine)


class Desk:
    """Synchronous: each call is one whole step."""

    def __init__(self, engine: sa.Engine, locks: Presence) -> None:
        self.engine = engine
        self.locks = locks
        self.store = QueueStore(Inline(engine), locks)
        self.now = NOW
        self.beside = 0  # what is on the books beside the attempts: first copies that may have been bought as well

    def do(self, op: Op[T]) -> T:
        return perform_now(self.engine, op)

    def wait(self, verb: Any) -> Any:
        """The result of a coroutine of the store."""
        return asyncio.run(verb)

    # -- what people do --------------------------------------------------------------------------------------------

    def submit(
        self,
        added: Sequence[Job],
        *,
        name: str = "jobs",
        sources: Sequence[str] = ("jobs.jsonl",),
        digest: bytes | None = None,
        terms: RunTerms | None = None,
        again: bool = False,
        changed: Changed | None = None,
    ) -> Added:
        locks = presence_of(self.engine)
        with Loading(
            self.engine, locks, card(pid=2), name=name, sources=sources, terms=terms, again=again, changed=changed
        ) as loading:
            loading.add(added)
            draft = loading.draft()
            if draft.problems:
                return draft
            added_now = loading.accept(self.now, digest)
            assert added_now == draft
        return added_now

    # -- what a worker does ----------------------------------------------------------------------------------------

    def work(self, store: QueueStore | None = None, pid: int = 1) -> WorkerId:
        """A worker that registered and recovered."""
        store = store or self.store
        worker: WorkerId = self.wait(store.register(card(pid)))
        self.wait(store.recover(worker, self.now))
        return worker

    def claim(
        self, worker: WorkerId, n: int = 1, *, run: int = 1, model: str = MODEL, left: Nanos | None = None
    ) -> Sequence[Claim]:
        claims: Sequence[Claim] = self.wait(self.store.claim(RunId(run), model, n, worker, self.now, left)).claims
        return claims

    def finish(self, claim: Claim, outcome: Outcome, decision: Decision | None = None, cost: int | None = 50) -> Kept:
        kept: Kept = self.wait(self.store.finish(ending(claim, outcome, decision, self.now, cost)))
        return kept

    # -- what the rows say -----------------------------------------------------------------------------------------

    def rows(self, select: sa.Select[Any]) -> list[tuple[Any, ...]]:
        with self.engine.begin() as connection:
            return [tuple(row) for row in connection.execute(select)]

    def states(self, run: int | None = None) -> dict[str, str]:
        """Key to state."""
        select = sa.select(t.jobs.c.key, t.jobs.c.state)
        return dict(self.rows(select if run is None else select.where(t.jobs.c.run == run)))

    def attempts(self, key: str) -> list[tuple[Any, ...]]:
        """(outcome, billed, cost, worst) of each attempt of the job, in order."""
        a, j = t.attempts, t.jobs
        return self.rows(
            sa.select(a.c.outcome, a.c.billed, a.c.cost, a.c.worst)
            .join(j, j.c.id == a.c.job)
            .where(j.c.key == key)
            .order_by(a.c.job, a.c.n)
        )

    def results(self, key: str) -> list[tuple[Any, ...]]:
        """(attempt, winning, body) of each answer of the job."""
        r, j = t.results, t.jobs
        return self.rows(
            sa.select(r.c.attempt, r.c.winning, r.c.body)
            .join(j, j.c.id == r.c.job)
            .where(j.c.key == key)
            .order_by(r.c.attempt)
        )

    def money(self, run: int = 1) -> tuple[int, int]:
        """(spent, reserved)."""
        spent, reserved = self.rows(sa.select(t.runs.c.spent, t.runs.c.reserved).where(t.runs.c.id == run))[0]
        return spent, reserved

    def possibly(self, run: int = 1) -> tuple[int, int]:
        """(attempts that may have been billed, what they count for)."""
        columns = (t.runs.c.possibly, t.runs.c.possibly_cost)
        n, cost = self.rows(sa.select(*columns).where(t.runs.c.id == run))[0]
        return n, cost

    def doubted(self, key: str, n: int) -> int:
        """What the attempt *n* of the job is on the books for, though nobody knows whether it was billed."""
        a, j = t.attempts.c, t.jobs.c
        rows = self.rows(
            sa.select(a.worst).join(t.jobs, j.id == a.job).where(j.key == key, a.n == n, a.billed == "maybe")
        )
        return sum(worst or 0 for (worst,) in rows)

    def run_states(self) -> dict[str, str]:
        return dict(self.rows(sa.select(t.runs.c.name, t.runs.c.state)))

    def check(self) -> None:
        """What holds at every moment: counts and money as the rows say them, one winner for each success."""
        j, c, a, r = t.jobs, t.run_counts, t.attempts, t.results
        scanned = self.rows(
            sa.select(j.c.run, j.c.model, j.c.state, sa.func.count()).group_by(j.c.run, j.c.model, j.c.state)
        )
        counted = self.rows(sa.select(c.c.run, c.c.model, c.c.state, c.c.n).where(c.c.n > 0))
        assert sorted(counted) == sorted(scanned)
        won = {job for (job,) in self.rows(sa.select(r.c.job).where(r.c.winning == 1))}
        succeeded = {job for (job,) in self.rows(sa.select(j.c.id).where(j.c.state == State.SUCCEEDED.value))}
        assert won == succeeded
        kept = {State.FAILED.value, State.HELD.value, State.WAITING.value}
        with_error = self.rows(sa.select(j.c.key, j.c.state, j.c.error).where(j.c.error.is_not(None)))
        assert [row for row in with_error if row[1] not in kept] == [], "an error that is over"
        spent: dict[int, int] = {}
        reserved: dict[int, int] = {}
        possibly: dict[int, tuple[int, int]] = {}
        facts = (j.c.run, a.c.outcome, a.c.billed, a.c.cost, a.c.worst)
        for run, outcome, billed, cost, worst in self.rows(sa.select(*facts).join(j, j.c.id == a.c.job)):
            if outcome is None:
                reserved[run] = reserved.get(run, 0) + (worst or 0)
            elif billed == "yes":
                spent[run] = spent.get(run, 0) + (cost if cost is not None else worst or 0)
            elif billed == "maybe":
                doubted = worst if worst is not None else cost or 0
                spent[run] = spent.get(run, 0) + doubted
                n, total = possibly.get(run, (0, 0))
                possibly[run] = (n + 1, total + doubted)
        spent[1] = spent.get(1, 0) + self.beside
        for run, run_spent, run_reserved in self.rows(sa.select(t.runs.c.id, t.runs.c.spent, t.runs.c.reserved)):
            assert (run_spent, run_reserved) == (spent.get(run, 0), reserved.get(run, 0)), f"the money of run {run}"
            assert self.possibly(run) == possibly.get(run, (0, 0)), f"what run {run} was possibly billed for"


def ending(
    claim: Claim, outcome: Outcome, decision: Decision | None = None, now: Millis = NOW, cost: int | None = 50
) -> Finish:
    match outcome:
        case Succeeded():
            usual: Decision = Succeed()
        case Refused():
            usual = Fail("refused")
        case _:
            usual = Wait(1.0, counts=True)
    return Finish(
        claim=claim,
        outcome=outcome,
        decision=decision or usual,
        sent=now,
        ended=now,
        due=None,
        cost=Nanos(cost) if cost is not None and isinstance(outcome, Succeeded) else None,
    )
