"""What is changed in a process before it lives: waits made short, another boot, and mistakes that must be found."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from batchrun import wiring
from batchrun.clock import SystemClock
from batchrun.core import packing, settling
from batchrun.core.batch import Intended, Intent, Line, Remote
from batchrun.core.claim import Finish, Kept
from batchrun.core.job import BatchId, Millis, WorkerId
from batchrun.core.states import State
from batchrun.queue import attempts, batchjobs, batchstore, jobs, loading, runs, workers
from batchrun.queue import finish as ends
from batchrun.queue import tables as t
from batchrun.queue.batchstore import QueueBatches
from batchrun.queue.bodies import SharedParts
from batchrun.queue.loading import Loading
from batchrun.queue.packing import pack
from batchrun.queue.statement import Row, Statement, lit, param
from batchrun.queue.store import QueueStore
from batchrun.queue.transaction import Transaction
from batchrun.scheduler import batching, collecting, creating

SHORT = 0.01


def short_waits() -> None:
    """Let every throw of the scheduler's dice be a low one: back-off waits a hundredth of what it may."""
    random.SystemRandom.random = lambda self: SHORT  # type: ignore[method-assign]  # only in the process to die
    creating._token = lambda dice: secrets.token_hex(4)  # which no two batches may have in common
    batching.rest = lambda age, chance: SHORT  # type: ignore[attr-defined]  # the name that batching calls
    batching.FIRST_REST = SHORT


def small_chunks() -> None:
    """Let a few jobs take several transactions and batches, as many thousands do."""
    loading.CHUNK = 3
    packing.LEAST = 4
    batchstore.LINES = 3
    collecting.CHUNK = 2


def later(seconds: float) -> None:
    """Let this process live so much later."""
    wall = SystemClock.wall
    SystemClock.wall = lambda self: Millis(wall(self) + round(seconds * 1000))  # type: ignore[method-assign]


def another_boot() -> None:
    """Whatever another process wrote down of itself says nothing here about who lives."""
    wiring.boot_id = lambda: "another boot"  # type: ignore[attr-defined]  # the name that wiring calls


def an_hour_passes(stood: Path) -> None:
    """Let an hour have passed once the file *stood* is there."""
    steady, wall = SystemClock.steady, SystemClock.wall
    SystemClock.steady = lambda self: steady(self) + 3600.0 * stood.exists()  # type: ignore[method-assign]
    SystemClock.wall = lambda self: Millis(wall(self) + 3_600_000 * stood.exists())  # type: ignore[method-assign]


def attempts_are_booked_after_the_send() -> None:
    """The mistake of whoever writes down a request when its answer is there."""
    unbooked: dict[tuple[int, int], tuple[Sequence[str], Row]] = {}
    run_many, store = Transaction.run_many, ends.store

    def without_attempts(self: Transaction, statement: Statement, names: Sequence[str], rows: Iterable[Row]) -> int:
        if statement is not jobs._BEGIN_ATTEMPT:
            return run_many(self, statement, names, rows)
        unbooked.update({(row[0], row[1]): (names, row) for row in rows})
        return 0

    def with_attempt(tx: Transaction, finish: Finish, *, repetition: bool = False) -> Kept:
        names, row = unbooked[finish.claim.job, finish.claim.attempt]
        run_many(tx, jobs._BEGIN_ATTEMPT, names, [row])
        return store(tx, finish, repetition=repetition)

    Transaction.run_many = without_attempts  # type: ignore[method-assign]  # only in the process to die
    ends.store = with_attempt


def no_fence() -> None:
    """The mistake of whoever writes an end by the job's number alone."""

    def unfenced(name: str, **columns: sa.ColumnElement[Any]) -> Statement:
        target = lit(jobs.arrow(name, State.RUNNING))
        return Statement(
            t.jobs.update()
            .where(t.jobs.c.id == param("job"))
            .values(state=target, owner=sa.null(), batch=sa.null(), **columns)
        )

    tried, now, why = t.jobs.c.tries + lit(1), param("now"), param("why")
    jobs.SUCCEED[State.RUNNING] = unfenced("succeed", finished=now, error=sa.null(), due=sa.null())
    jobs._FAIL[State.RUNNING] = unfenced("fail", finished=now, error=why, tries=tried, due=sa.null())
    jobs._WAIT[State.RUNNING] = unfenced(
        "wait", due=param("at"), error=why, tries=t.jobs.c.tries + param("counts"), finished=sa.null()
    )
    jobs._RELEASE[State.RUNNING] = unfenced("release", due=sa.null(), finished=sa.null())
    jobs._STOP[State.RUNNING] = unfenced("stop", finished=now, error=sa.null(), due=sa.null())
    jobs._WISH[State.RUNNING] = Statement(sa.select(t.jobs.c.cancel_requested).where(t.jobs.c.id == param("job")))


def answers_are_acknowledged_before_the_commit() -> None:
    """The mistake of whoever collects answers in memory and writes them a little later."""
    kept_back: list[Finish] = []
    store, leave = QueueStore.finish, QueueStore.leave

    async def written(self: QueueStore) -> None:
        while kept_back:
            await store(self, kept_back.pop(0))

    async def too_early(self: QueueStore, finished: Finish) -> Kept:
        kept_back.append(finished)
        if len(kept_back) >= 4:
            await written(self)
        return Kept.CURRENT

    async def leaves(self: QueueStore, worker: WorkerId) -> None:
        await written(self)
        await leave(self, worker)

    QueueStore.finish = too_early  # type: ignore[method-assign]  # only in the process to die
    QueueStore.leave = leaves  # type: ignore[method-assign]  # only in the process to die


def a_run_is_open_while_it_is_loaded() -> None:
    """The mistake of whoever shows jobs before all of them are there."""
    begin = Loading._begin

    def opened(self: Loading, tx: Transaction) -> None:
        begin(self, tx)
        tx.connection.execute(
            t.runs.update().where(t.runs.c.id == self._run).values(state="open", loader=None, name=self._name)
        )

    Loading._begin = opened  # type: ignore[method-assign]  # only in the process to die
    Loading._check = lambda self, tx: None  # type: ignore[method-assign]  # only in the process to die


def the_buried_go_on_claiming() -> None:
    """The mistake of whoever looks only once whether it lives."""
    workers.refuse_buried = lambda tx, worker: None


class Unwritten(Exception):
    """Takes back what a transaction has done, and tells what it was."""

    def __init__(self, intended: Intended, lines: Sequence[Line]) -> None:
        super().__init__()
        self.intended = intended
        self.lines = lines


def batches_are_booked_after_the_send() -> None:
    """The mistake of whoever writes down a batch when its id is there."""
    unbooked: dict[BatchId, tuple[tuple[Any, ...], Intent, Sequence[Line]]] = {}
    intend, sending, submitted = QueueBatches.intend, QueueBatches.sending, QueueBatches.submitted

    async def chosen(self: QueueBatches, *wish: Any) -> Intended:
        run, model, packing, worker, now, left = wish

        def choose(tx: Transaction) -> Intended:
            terms = runs.terms(tx, run, model, now, left)
            intended = Intended() if terms is None else pack(tx, terms, model, packing, worker, now)
            if intended.intent is None:
                return intended
            raise Unwritten(intended, batchjobs.lines(tx, intended.intent.id, 0, intended.intent.n, SharedParts()))

        try:
            return await self._performer.perform(choose)
        except Unwritten as found:
            intent = found.intended.intent
            assert intent is not None
            unbooked[intent.id] = (wish, intent, found.lines)
            return found.intended

    async def remembered(_self: QueueBatches, intent: Intent) -> Sequence[Line]:
        return unbooked[intent.id][2]

    async def allowed(_self: QueueBatches, _intent: Intent, _now: Millis, _size: int) -> bool:
        return True

    async def booked(self: QueueBatches, batch: BatchId, remote: Remote, now: Millis) -> bool:
        if batch in unbooked:
            wish, intent, _lines = unbooked.pop(batch)
            await intend(self, *wish)
            await sending(self, intent, now, 0)
        return await submitted(self, batch, remote, now)

    QueueBatches.intend = chosen  # type: ignore[method-assign, assignment]  # only in the process to die
    QueueBatches.lines = remembered  # type: ignore[method-assign, assignment]  # only in the process to die
    QueueBatches.sending = allowed  # type: ignore[method-assign, assignment]  # only in the process to die
    QueueBatches.submitted = booked  # type: ignore[method-assign]  # only in the process to die


def batches_are_given_up_at_once() -> None:
    """The mistake of whoever believes a listing that lags."""
    settling.SETTLE = settling.SETTLE_ANSWERED = 0


def no_fence_before_a_batch() -> None:
    """The mistake of whoever does not look once more whether a batch is still his before he sends it."""
    sending = QueueBatches.sending

    async def allowed(self: QueueBatches, intent: Intent, now: Millis, size: int) -> bool:
        await sending(self, intent, now, size)
        return True

    QueueBatches.sending = allowed  # type: ignore[method-assign]  # only in the process to die
    creating.PROMPT = float("inf")


def kept_answers_are_forgotten() -> None:
    """The mistake of whoever lets a job fail or be cancelled and thinks of its earlier answer no more."""
    Transaction._fall_back = lambda self: None  # type: ignore[method-assign]  # only in the process to die


def only_results_are_kept() -> None:
    """The mistake of whoever throws away an answer that is not the end."""
    keep = attempts.keep_answer

    def only_winning(tx: Transaction, finish: Finish, *, winning: bool) -> None:
        if winning:
            keep(tx, finish, winning=winning)

    attempts.keep_answer = only_winning


PLANTS: Mapping[str, Callable[[], None]] = {
    plant.__name__: plant
    for plant in (
        attempts_are_booked_after_the_send,
        no_fence,
        answers_are_acknowledged_before_the_commit,
        a_run_is_open_while_it_is_loaded,
        the_buried_go_on_claiming,
        batches_are_booked_after_the_send,
        batches_are_given_up_at_once,
        no_fence_before_a_batch,
        kept_answers_are_forgotten,
        only_results_are_kept,
    )
}
