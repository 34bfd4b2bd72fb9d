"""The queue's model once more, with batches: any history of both ways leaves the rows and the model alike."""

from __future__ import annotations

from dataclasses import dataclass, field

import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from batchrun.core.account import Account
from batchrun.core.batch import BatchState, Intent, Won
from batchrun.core.claim import Kept, OnCrash
from batchrun.core.job import JobId, Nanos, RunId, WorkerId
from batchrun.core.outcome import Answer
from batchrun.core.states import State
from batchrun.queue import cancelling
from batchrun.queue import tables as t
from batchrun.queue.batchstore import QueueBatches
from batchrun.queue.store import QueueStore
from batchrun.queue.writing import Inline
from tests.examples import examples
from tests.queue.batchdesk import HALF, USAGE, packing, remote
from tests.queue.desk import MODEL, ending, good
from tests.queue.test_machine import BOUND, SEQUELS, Model, Queue, body_of

UNRESOLVED = (BatchState.INTENT, BatchState.SENDING, BatchState.UNCLEAR)
PICK = st.integers(0, 5)


@dataclass
class Sent:
    """What a batch must be, and at which attempts it took its jobs."""

    intent: Intent
    worker: WorkerId
    keys: dict[str, int] = field(default_factory=dict)
    state: BatchState = BatchState.INTENT


class QueueWithBatches(Queue):
    def _of(self, pick: int, *states: BatchState) -> Sent | None:
        found = [each for each in getattr(self, "sent", []) if each.state in states]
        return found[pick % len(found)] if found else None

    def _held(self, batch: Sent) -> dict[str, Model]:
        return {
            key: self.jobs[key]
            for key, attempt in batch.keys.items()
            if self.jobs[key].state is State.IN_BATCH and self.jobs[key].attempt == attempt
        }

    def _back(self, batch: Sent, how: str) -> None:
        for one in self._held(batch).values():
            one.ended[one.attempt] = how
            one.back(State.QUEUED)

    @precondition(lambda self: self._any(State.QUEUED))
    @rule(n=st.integers(1, 3))
    def intend(self, n: int) -> None:
        if not hasattr(self, "sent"):
            self.sent: list[Sent] = []
            self.copied: set[tuple[str, int]] = set()  # attempts whose answer a second copy brought
            self.batches = QueueBatches(Inline(self.engine))
            self.account = self.desk.wait(
                self.desk.store.remember_account(Account(origin="https://api.invalid"), "print", self.now)
            ).id
        wish = packing(f"token{len(self.sent)}", n, account=self.account)
        intended = self.desk.wait(self.batches.intend(RunId(1), MODEL, wish, self.worker, self.now, None))
        queued = sum(one.state is State.QUEUED for one in self.jobs.values())
        taken = {each.intent.n for each in self.sent if each.state in UNRESOLVED}
        room = [size for size in range(min(n, queued), 0, -1) if size not in taken]
        if not room or self._run_state() != "open":
            assert intended.intent is None
            return
        intent = intended.intent
        assert intent is not None
        assert intent.n == room[0]
        batch = Sent(intent, self.worker)
        j = t.jobs.c
        for key, attempt in self.desk.rows(sa.select(j.key, j.attempt).where(j.batch == intent.id)):
            one = self.jobs[key]
            assert one.state is State.QUEUED
            one.attempt += 1
            assert attempt == one.attempt
            one.state, batch.keys[key] = State.IN_BATCH, attempt
        assert len(batch.keys) == intent.n
        self.sent.append(batch)

    @rule(pick=PICK)
    def send(self, pick: int) -> None:
        batch = self._of(pick, *BatchState)
        if batch is not None:
            may = batch.state is BatchState.INTENT and batch.worker == self.worker and self._run_state() == "open"
            assert self.desk.wait(self.batches.sending(batch.intent, self.now, 9)) == may
            batch.state = BatchState.SENDING if may else batch.state

    @rule(pick=PICK)
    def reject(self, pick: int) -> None:
        batch = self._of(pick, *BatchState)
        if batch is not None:
            may = batch.state in {BatchState.INTENT, BatchState.SENDING}
            assert self.desk.wait(self.batches.reject(batch.intent.id, self.now, "no")) == may
            if may:
                batch.state = BatchState.REJECTED
                self._back(batch, "released")

    @rule(pick=PICK, lost=st.booleans())
    def hear_nothing(self, pick: int, lost: bool) -> None:
        """The create goes unanswered; what becomes of it is found out later, or at once."""
        batch = self._of(pick, BatchState.SENDING, BatchState.UNCLEAR, BatchState.DONE)
        if batch is None:
            return
        may = batch.state is BatchState.SENDING
        assert self.desk.wait(self.batches.unclear(batch.intent.id, "lost", answered=False)) == may
        if may:
            batch.state = BatchState.UNCLEAR
        held = len(self._held(batch))
        told = self.desk.wait(self.batches.lose(batch.intent.id, self.now, self.now)) if lost else None
        assert told == (held if lost and batch.state is BatchState.UNCLEAR else None)
        if told is not None:
            batch.state = BatchState.LOST
            self._back(batch, "unknown")

    @rule(pick=PICK)
    def stand(self, pick: int) -> None:
        batch = self._of(pick, *BatchState)
        if batch is not None:
            may = batch.state in {BatchState.SENDING, BatchState.UNCLEAR, BatchState.LOST}
            shown = remote(f"msgbatch_{batch.intent.id}", batch.intent.n)
            assert self.desk.wait(self.batches.submitted(batch.intent.id, shown, self.now)) == may
            batch.state = BatchState.SUBMITTED if may else batch.state

    @rule(pick=PICK, answered=st.lists(st.booleans(), min_size=3, max_size=3))
    def repeat(self, pick: int, answered: list[bool]) -> None:
        """A second copy of a batch that is over brings some answers: to attempts that have none; it is read twice."""
        batch = self._of(pick, BatchState.DONE)
        if batch is None:
            return
        numbers = dict(self.desk.rows(sa.select(t.jobs.c.key, t.jobs.c.id)))
        brought = [key for key, comes in zip(batch.keys, answered, strict=False) if comes]
        for _ in range(2):
            for key in brought:
                self._repeat(batch, key, numbers[key])

    def _repeat(self, batch: Sent, key: str, number: JobId) -> None:
        one, attempt = self.jobs[key], batch.keys[key]
        claim = self.desk.wait(self.batches.claims(batch.intent.id, [(number, attempt)]))[number]
        spent, beside = self.desk.money()[0], self.desk.doubted(key, attempt)
        finish = ending(claim, good(f"copy of {key}/{attempt}"), None, self.now)
        (kept,) = self.desk.wait(self.batches.finish([finish], repetition=True))
        if one.may_end(attempt, "ok"):
            self._answered(one, claim, kept, current=False, fresh=True)
            one.ended[attempt] = "ok"
            self.copied.add((key, attempt))
            self.desk.beside += beside
            assert self.desk.money()[0] == spent + 50
        elif (key, attempt) in self.copied:
            self._answered(one, claim, kept, current=False, fresh=False)
        else:
            assert kept is Kept.REPEATED
            assert self.desk.money()[0] == spent

    @rule(pick=PICK, answered=st.integers(0, 3), aside=st.sampled_from([None, "cut", "paused", "declined"]))
    def collect(self, pick: int, answered: int, aside: str | None) -> None:
        """Some answers come, one perhaps is not the end of it; the others never do."""
        batch = self._of(pick, BatchState.SUBMITTED)
        if batch is None:
            return
        it, held = batch.intent.id, self._held(batch)
        pending = self.desk.wait(self.batches.collecting(it))
        assert len(pending) == len(held)
        whole = self.desk.wait(self.batches.by_token(batch.intent.token))
        answer = Answer(body="{}", stop_reason="end_turn", usage=USAGE)
        won = [
            Won(job=job, attempt=attempt, worst=HALF, answer=answer, cost=Nanos(5))
            for job, (attempt, _) in list(pending.items())[:answered]
        ]
        assert self.desk.wait(self.batches.keep(whole, won, self.now))
        if won:
            assert not self.desk.wait(self.batches.keep(whole, won, self.now)), "stored twice"
        keys = dict(self.desk.rows(sa.select(t.jobs.c.id, t.jobs.c.key)))
        for each in won:
            one = held.pop(keys[each.job])
            one.win(each.attempt)
            one.ended[each.attempt] = "ok"
        if aside is not None and held:
            key = min(held)
            self._aside(batch, next(job for job, known in keys.items() if known == key), held.pop(key), aside)
        assert self.desk.wait(self.batches.missing(it, self.now, "no line")) == len(held)
        for one in held.values():
            one.ended[one.attempt] = "unknown"
            self._policy(one, counts=self.on_crash is not OnCrash.HOLD)
        assert self.desk.wait(self.batches.done(it, self.now))
        batch.state = BatchState.DONE

    def _aside(self, batch: Sent, job: int, one: Model, how: str) -> None:
        asked = [(JobId(job), one.attempt)]
        claim = self.desk.wait(self.batches.claims(batch.intent.id, asked))[job]
        assert (claim.kept, claim.tries) == (one.kept is not None, one.tries)
        if how == "cut" and one.tries + 1 >= BOUND:
            how = "paused"
        end = ending(claim, good(body_of(claim)), SEQUELS[how], self.now)
        (kept,) = self.desk.wait(self.batches.finish([end]))
        self._not_the_end(one, claim, how, kept, current=True, fresh=True)

    def _policy(self, one: Model, *, counts: bool) -> None:
        ends = {OnCrash.HOLD: State.HELD, OnCrash.FAIL: State.FAILED}
        worn_out = State.FAILED if one.tries + 1 >= BOUND else State.QUEUED
        one.back(ends.get(self.on_crash, worn_out), counts=counts and not one.wished)

    @precondition(lambda self: self._any(State.RUNNING, State.IN_BATCH))
    @rule()
    def cancel_run(self) -> None:
        cancelling.cancel_run(self.desk.do, RunId(1), self.now)
        self.cancelled = True
        for one in self.jobs.values():
            self._cancel(one)

    @precondition(lambda self: self._any(State.RUNNING, State.IN_BATCH))
    @rule()
    def crash(self) -> None:
        """The worker dies: what it only meant to send goes back, what it was sending is unclear."""
        self.locks.close()
        self.desk.store = QueueStore(Inline(self.engine), self.locks)
        self.worker = self.desk.work()
        for batch in getattr(self, "sent", []):
            if batch.state is BatchState.INTENT:
                batch.state = BatchState.REJECTED
                self._back(batch, "released")
            elif batch.state is BatchState.SENDING:
                batch.state = BatchState.UNCLEAR
        for one in self.jobs.values():
            if one.state is not State.IN_BATCH:
                for attempt in range(1, one.attempt + 1):
                    one.ended.setdefault(attempt, "unknown")
            if one.state is State.RUNNING:
                self._policy(one, counts=True)


QueueWithBatches.TestCase.settings = settings(
    max_examples=examples(60), stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestQueueWithBatches = QueueWithBatches.TestCase
