"""The queue as whoever attends to batches asks for it: each verb one operation, durable when it returns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from batchrun.core.batch import (
    Batch,
    CancelReason,
    Intended,
    Intent,
    Line,
    Packing,
    Remote,
    Ticket,
    Verdict,
    Won,
)
from batchrun.core.claim import Claim, Finish, Kept
from batchrun.core.job import BatchId, JobId, Millis, Nanos, RunId, WorkerId
from batchrun.core.rewind import Rewound
from batchrun.core.states import State
from batchrun.queue import accounts, attempts, batches, batchjobs, finish, jobs, packing, rewinding, runs, workers
from batchrun.queue.bodies import SharedParts
from batchrun.queue.transaction import Transaction
from batchrun.queue.writing import Performer

LINES = 500
"""Requests that are read in one operation."""


class Mixed(Exception):
    """Not all of the answers belong to jobs that their batch still holds."""


class QueueBatches:
    """`core.ports.BatchStore` on a database. Belongs to one event loop."""

    def __init__(self, performer: Performer) -> None:
        self._performer = performer
        self._parts = SharedParts()

    async def attend(self, account: int, worker: WorkerId) -> str | None:
        """Raises WorkerBusy if *worker* was taken for dead."""
        return await self._performer.perform(lambda tx: accounts.attend(tx, account, worker))

    async def attended(self, account: int) -> Sequence[Batch]:
        return await self._performer.perform(lambda tx: batches.attended(tx, account))

    async def by_token(self, token: str) -> Batch | None:
        return await self._performer.perform(lambda tx: batches.by_token(tx, token))

    async def intend(
        self, run: RunId, model: str, wish: Packing, worker: WorkerId, now: Millis, left: Nanos | None
    ) -> Intended:
        """Raises WorkerBusy if *worker* was taken for dead."""

        def intend(tx: Transaction) -> Intended:
            workers.refuse_buried(tx, worker)
            terms = runs.terms(tx, run, model, now, left)
            return Intended() if terms is None else packing.pack(tx, terms, model, wish, worker, now)

        return await self._performer.perform(intend)

    async def lines(self, intent: Intent) -> Sequence[Line]:
        found: list[Line] = []
        while True:
            after = found[-1].job if found else 0
            more = await self._performer.perform(
                partial(batchjobs.lines, batch=intent.id, after=after, n=LINES, parts=self._parts)
            )
            found += more
            if len(more) < LINES:
                return found

    async def sending(self, intent: Intent, now: Millis, size: int) -> bool:
        return await self._performer.perform(lambda tx: batches.sending(tx, intent.id, intent.worker, now, size))

    async def submitted(self, batch: BatchId, remote: Remote, now: Millis) -> bool:
        def submitted(tx: Transaction) -> bool:
            was_lost = batches.is_lost(tx, batch)
            if not batches.submitted(tx, batch, remote, now):
                return False
            if was_lost is not None:
                batchjobs.turn_up(tx, batch, was_lost)
            batches.judge(tx, batch, remote.id, Verdict.OURS)
            return True

        return await self._performer.perform(submitted)

    async def reject(self, batch: BatchId, now: Millis, why: str, culprit: Finish | None = None) -> bool:
        def reject(tx: Transaction) -> bool:
            if not batches.rejected(tx, batch, now, why):
                return False
            if culprit is not None:
                finish.store(tx, culprit)
            batchjobs.release(tx, batch, now, why=why)
            return True

        return await self._performer.perform(reject)

    async def unclear(self, batch: BatchId, why: str, *, answered: bool) -> bool:
        return await self._performer.perform(lambda tx: batches.unclear(tx, batch, why, answered=answered))

    async def suspect(self, batch: BatchId, remotes: Sequence[str], now: Millis) -> dict[str, Verdict]:
        def suspect(tx: Transaction) -> dict[str, Verdict]:
            for remote in remotes:
                if not batches.is_known(tx, remote):
                    batches.suspect(tx, batch, remote, now)
            return batches.suspects(tx, batch)

        return await self._performer.perform(suspect)

    async def judge(self, batch: BatchId, remote: str, verdict: Verdict) -> None:
        await self._performer.perform(lambda tx: batches.judge(tx, batch, remote, verdict))

    async def absent(self, batch: BatchId, date: Millis) -> bool:
        return await self._performer.perform(lambda tx: batches.absent(tx, batch, date))

    async def lose(self, batch: BatchId, date: Millis, now: Millis) -> int | None:
        def lose(tx: Transaction) -> int | None:
            if not batches.lost(tx, batch, date, now):
                return None
            return batchjobs.release(tx, batch, now, why="its batch never arrived at the API", sent=True)

        return await self._performer.perform(lose)

    async def seen(self, batch: BatchId, remote: Remote) -> None:
        await self._performer.perform(lambda tx: batches.seen(tx, batch, remote))

    async def missed(self, batch: BatchId, date: Millis) -> None:
        await self._performer.perform(lambda tx: batches.missed(tx, batch, date))

    async def gone(self, batch: BatchId, now: Millis, why: str) -> int | None:
        def gone(tx: Transaction) -> int | None:
            if not batches.gone(tx, batch, now, why):
                return None
            return batchjobs.hold(tx, batch, now, why)

        return await self._performer.perform(gone)

    async def wish_cancel(self, batch: BatchId, why: CancelReason) -> bool:
        return await self._performer.perform(lambda tx: batches.wish(tx, batch, why))

    async def cancelled(self, batch: BatchId) -> None:
        await self._performer.perform(lambda tx: batches.cancelled(tx, batch))

    async def collecting(self, batch: BatchId) -> dict[JobId, tuple[int, int]]:
        def collecting(tx: Transaction) -> dict[JobId, tuple[int, int]]:
            batches.collecting(tx, batch)
            return batchjobs.pending(tx, batch)

        return await self._performer.perform(collecting)

    async def keep(self, batch: Batch, won: Sequence[Won], now: Millis) -> bool:
        def keep(tx: Transaction) -> None:
            rows = [(each.job, batch.id, each.attempt, now) for each in won]
            if tx.run_many(jobs.SUCCEED[State.IN_BATCH], ("job", "holder", "n", "now"), rows) != len(won):
                raise Mixed
            attempts.end_won(tx, won, batch.sent, now)
            tx.moved(batch.run, batch.model, State.IN_BATCH, State.SUCCEEDED, len(won))
            tx.pay(
                batch.run,
                spent=sum(attempts.charge("yes", each.cost, each.worst) for each in won),
                reserved=-sum(each.worst for each in won),
            )

        try:
            await self._performer.perform(keep)
        except Mixed:
            return False
        return True

    async def claims(self, batch: BatchId, asked: Sequence[tuple[JobId, int]]) -> dict[JobId, Claim]:
        return await self._performer.perform(lambda tx: batchjobs.claims(tx, batch, asked))

    async def finish(self, finishes: Sequence[Finish], *, repetition: bool = False) -> Sequence[Kept]:
        return await self._performer.perform(
            lambda tx: [finish.store(tx, each, repetition=repetition) for each in finishes]
        )

    async def short(self, batch: BatchId, date: Millis) -> None:
        await self._performer.perform(lambda tx: batches.short(tx, batch, date))

    async def missing(self, batch: BatchId, now: Millis, why: str) -> int:
        return await self._performer.perform(lambda tx: batchjobs.miss(tx, batch, now, why))

    async def done(self, batch: BatchId, now: Millis) -> bool:
        return await self._performer.perform(lambda tx: batches.done(tx, batch, now))

    async def bought_twice(self, batch: Batch, remote: str, cost: Nanos) -> bool:
        """Book once what a repetition of *batch* cost beyond the answers that are on the books by themselves."""

        def book(tx: Transaction) -> bool:
            if batches.suspects(tx, batch.id).get(remote) is not Verdict.OPEN:
                return False
            batches.judge(tx, batch.id, remote, Verdict.OURS)
            tx.pay(batch.run, spent=cost)
            return True

        return await self._performer.perform(book)

    async def rewound(self, account: int) -> Rewound | None:
        return await self._performer.perform(lambda tx: rewinding.standing(tx, account))

    async def strangers(self, account: int, remotes: Sequence[str]) -> Sequence[str]:
        return await self._performer.perform(lambda tx: rewinding.strangers(tx, account, remotes))

    async def note_rewound(self, account: int, *, until: Millis, judged: Sequence[str], waiting: int) -> None:
        await self._performer.perform(
            lambda tx: rewinding.note(tx, account, until=until, judged=judged, waiting=waiting)
        )

    async def recall(
        self, account: int, remote: Remote, tickets: Sequence[Ticket], worker: WorkerId, now: Millis
    ) -> BatchId | None:
        return await self._performer.perform(lambda tx: rewinding.recall(tx, account, remote, tickets, worker, now))

    async def rewound_over(self, account: int) -> bool:
        return await self._performer.perform(lambda tx: rewinding.over(tx, account))
