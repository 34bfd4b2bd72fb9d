"""Where tests of a queue's batches sit: batches on their way, by the verbs of `QueueBatches`, and what the rows say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from batchrun.core.account import Account
from batchrun.core.batch import Batch, Intended, Intent, Packing, Processing, Remote, Won
from batchrun.core.claim import Finish
from batchrun.core.job import JobId, Millis, Nanos, RunId, WorkerId
from batchrun.core.outcome import Answer, Outcome, Usage
from batchrun.core.retry import Decision
from batchrun.queue import tables as t
from batchrun.queue.batchstore import QueueBatches
from batchrun.queue.submit import RunTerms
from batchrun.queue.writing import Inline
from tests.queue.desk import MODEL, Desk, ending, jobs

HALF = 500
"""What a job of the desk may cost at most in a batch."""

USAGE = Usage(input=5, output=7)


def packing(token: str = "token001", n: int = 10, *, account: int = 1, **more: Any) -> Packing:
    return Packing(account=account, token=token, n=n, bytes=10**6, watermark="old", date=Millis(5), **more)


def remote(name: str = "msgbatch_1", n: int = 3, *, ended: bool = False) -> Remote:
    processing = Processing.ENDED if ended else Processing.IN_PROGRESS
    counts = {"succeeded" if ended else "processing": n}
    return Remote(id=name, processing=processing, counts=counts, created=Millis(6), expires=Millis(7))


class BatchDesk:
    """On top of a desk: one account, one worker. Synchronous, as the desk is."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.batches = QueueBatches(Inline(desk.engine))
        known = desk.wait(desk.store.remember_account(Account(origin="https://api.invalid"), "print", desk.now))
        self.account: int = known.id
        self.worker: WorkerId = desk.work()

    def __getattr__(self, verb: str) -> Any:
        """A verb of the store, waited for."""
        return lambda *args, **more: self.desk.wait(getattr(self.batches, verb)(*args, **more))

    # -- on the way ------------------------------------------------------------------------------------------------

    def submit(self, *keys: str, name: str = "jobs", terms: RunTerms | None = None, **more: Any) -> None:
        self.desk.submit(jobs(keys or ("a", "b", "c"), **more), name=name, terms=terms)

    def intend(self, wish: Packing | None = None, *, run: int = 1, left: int | None = None) -> Intended:
        wish = replace(wish or packing(), account=self.account)
        intended: Intended = self.desk.wait(
            self.batches.intend(
                RunId(run), MODEL, wish, self.worker, self.desk.now, None if left is None else Nanos(left)
            )
        )
        return intended

    def intent(self, token: str = "token001", n: int = 10, *, run: int = 1) -> Intent:
        intent = self.intend(packing(token, n), run=run).intent
        assert intent is not None
        return intent

    def sent(self, token: str = "token001", n: int = 10) -> Intent:
        """A batch that may be on its way."""
        intent = self.intent(token, n)
        assert self.sending(intent, self.desk.now, 100)
        return intent

    def standing(self, token: str = "token001", n: int = 10) -> Batch:
        intent = self.sent(token, n)
        assert self.submitted(intent.id, remote(f"msgbatch_{token}", intent.n), self.desk.now)
        return self.batch(token)

    def collected(self, token: str = "token001", n: int = 10) -> Batch:
        """A batch whose results are being read."""
        batch = self.standing(token, n)
        self.collecting(batch.id)
        return self.batch(token)

    def unresolved(self, token: str = "token001", n: int = 10) -> Batch:
        """A batch of which nobody knows whether it stands."""
        intent = self.sent(token, n)
        assert self.unclear(intent.id, "the connection was lost", answered=False)
        return self.batch(token)

    def end_of(self, batch: Batch, key: str, outcome: Outcome, decision: Decision | None = None) -> Finish:
        """What a line of *batch* for the job *key* comes to."""
        job, attempt = self.held()[key]
        claim = self.desk.wait(self.batches.claims(batch.id, [(job, attempt)]))[job]
        return ending(claim, outcome, decision, self.desk.now)

    def won(self, *keys: str, cost: int | None = 50) -> list[Won]:
        """Answers for jobs that a batch holds."""
        held = self.held()
        return [
            Won(
                job=held[key][0],
                attempt=held[key][1],
                worst=HALF,
                answer=Answer(body=f'{{"for":"{key}"}}', stop_reason="end_turn", usage=USAGE),
                cost=None if cost is None else Nanos(cost),
            )
            for key in keys
        ]

    # -- what the rows say -------------------------------------------------------------------------------------------

    def batch(self, token: str = "token001") -> Batch:
        batch: Batch | None = self.desk.wait(self.batches.by_token(token))
        assert batch is not None
        return batch

    def held(self) -> dict[str, tuple[JobId, int]]:
        """(job, attempt) of each job by its key."""
        j = t.jobs.c
        return {key: (JobId(job), attempt) for key, job, attempt in self.desk.rows(sa.select(j.key, j.id, j.attempt))}

    def tries(self) -> dict[str, int]:
        return dict(self.desk.rows(sa.select(t.jobs.c.key, t.jobs.c.tries)))

    def errors(self) -> dict[str, str | None]:
        return dict(self.desk.rows(sa.select(t.jobs.c.key, t.jobs.c.error)))

    def check(self) -> None:
        """What the desk checks; and that a batch has jobs only while it may bring them an answer."""
        self.desk.check()
        j, b, a = t.jobs.c, t.batches.c, t.attempts.c
        holding = self.desk.rows(
            sa.select(b.state, j.run, b.run, j.model, b.model, a.outcome, a.batch, b.id).select_from(
                t.jobs.join(t.batches, j.batch == b.id).join(t.attempts, (a.job == j.id) & (a.n == j.attempt))
            )
        )
        for state, run, its_run, model, its_model, outcome, its, batch in holding:
            assert state in {"intent", "sending", "unclear", "submitted", "collecting"}, f"{state} holds a job"
            assert (run, model, its, outcome) == (its_run, its_model, batch, None)
        at_once: dict[tuple[int, int], int] = {}
        for account, n, state in self.desk.rows(sa.select(b.account, b.n, b.state)):
            if state in {"intent", "sending", "unclear"}:
                at_once[account, n] = at_once.get((account, n), 0) + 1
        assert set(at_once.values()) <= {1}, "two unresolved batches of one size"
