"""The queue as the scheduler asks for it: each verb one operation, durable when it returns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from batchrun.core import hook
from batchrun.core.account import Account
from batchrun.core.claim import (
    Claim,
    Finish,
    Kept,
    KnownAccount,
    LearnedLimit,
    OpenRun,
    Released,
    Taken,
    WorkerCard,
)
from batchrun.core.events import BatchTurned, Event
from batchrun.core.job import Millis, Nanos, RunId, WorkerId
from batchrun.core.pause import Pause
from batchrun.core.sharing import Asked, Granted
from batchrun.queue import accounts, buckets, cancelling, events, finish, hooks, jobs, pauses, recovery, runs, workers
from batchrun.queue.bodies import SharedParts
from batchrun.queue.presence import Presence
from batchrun.queue.transaction import Transaction
from batchrun.queue.writing import Performer


class QueueStore:
    """`core.ports.Store` on a database. Belongs to one event loop; who registers here lives by *presence*.

    *exclusive*: only while nobody else drains the queue.
    """

    def __init__(self, performer: Performer, presence: Presence, *, exclusive: bool = False) -> None:
        self._performer = performer
        self._presence = presence
        self._exclusive = exclusive
        self._parts = SharedParts()
        self._log = events.Log()
        self._cards: dict[WorkerId, WorkerCard] = {}
        self._now = Millis(0)  # the latest moment that anybody told

    @property
    def lease(self) -> float:
        return self._presence.lease

    async def register(self, card: WorkerCard) -> WorkerId:
        """Raises WorkerBusy while another worker is, or this one wants to be, alone."""
        self._presence.hold_run(card, exclusive=self._exclusive)
        try:
            worker = await self._performer.perform(lambda tx: workers.enter(tx, workers.WORKER, card))
            self._presence.hold(worker, card)
            await self._performer.perform(lambda tx: workers.arrive(tx, worker))
        except BaseException:
            self._presence.drop_run()
            raise
        self._cards[worker] = card
        self._tell(card.started)
        return worker

    async def register_again(self, buried: WorkerId) -> WorkerId:
        card = self._cards.pop(buried)
        self._presence.drop(buried)
        return await self.register(card)

    async def renew(self, worker: WorkerId) -> bool:
        return await self._performer.perform(lambda tx: self._presence.renew(tx, worker))

    async def leave(self, worker: WorkerId) -> None:
        """What *worker* still holds is out, and nobody waits for it any more: it is given back as after a crash."""

        def leave(tx: Transaction) -> None:
            recovery.give_back(tx, worker, self._now, orderly=True)
            workers.leave(tx, worker, self._now)

        await self._performer.perform(leave)
        self._presence.drop(worker)
        self._presence.drop_run()

    async def recover(self, worker: WorkerId, now: Millis) -> Released:
        self._tell(now)
        dead = await self._performer.perform(
            lambda tx: workers.dead(tx, workers.WORKER, self._presence, self._cards[worker])
        )
        unsent = unknown = 0
        for one in dead:

            def bury(tx: Transaction, one: WorkerId = one) -> Released | None:
                return recovery.give_back(tx, one, now) if self._presence.bury(tx, one, now) else None

            released = await self._performer.perform(bury)
            if released is not None:  # else another worker has just done it
                unsent, unknown = unsent + released.unsent, unknown + released.unknown
                self._presence.drop(one)
        await self._cancel_leftovers(now)
        return Released(unsent=unsent, unknown=unknown)

    async def _cancel_leftovers(self, now: Millis) -> None:
        """End what a `cancel` began that died on the way."""
        for run in await self._performer.perform(cancelling.leftovers):
            while await self._performer.perform(partial(cancelling.cancel_some, run=run, now=now)):
                pass

    async def work(self, now: Millis) -> Sequence[OpenRun]:
        self._tell(now)

        def work(tx: Transaction) -> Sequence[OpenRun]:
            runs.promote(tx, now)
            pauses.mend(tx, now)
            return runs.work(tx)

        return await self._performer.perform(work)

    async def next_due(self) -> Sequence[tuple[RunId, str, Millis]]:
        return await self._performer.perform(runs.next_due)

    async def claim(
        self,
        run: RunId,
        model: str,
        n: int,
        worker: WorkerId,
        now: Millis,
        left: Nanos | None,
        *,
        realtime_only: bool = False,
    ) -> Taken:
        """Raises WorkerBusy if *worker* was taken for dead."""
        self._tell(now)

        def claim(tx: Transaction) -> Taken:
            workers.refuse_buried(tx, worker)
            terms = runs.terms(tx, run, model, now, left)
            if terms is None:
                return Taken(claims=())
            most = n if terms.most is None else min(n, terms.most)
            claims = jobs.claim(tx, terms, model, most, worker, now, self._parts, realtime_only=realtime_only)
            left_over = terms.money is not None and len(claims) < most
            short = left_over and jobs.any_queued(tx, run, model, realtime_only=realtime_only)
            return Taken(claims=claims, penniless=short)

        return await self._performer.perform(claim)

    async def finish(self, finished: Finish) -> Kept:
        self._tell(finished.ended)
        return await self._performer.perform(lambda tx: finish.store(tx, finished))

    async def release(self, claims: Sequence[Claim], now: Millis) -> None:
        self._tell(now)
        await self._performer.perform(lambda tx: finish.release(tx, claims, now))

    async def known_account(self, fingerprint: str) -> KnownAccount | None:
        return await self._performer.perform(lambda tx: accounts.known(tx, fingerprint))

    async def remember_account(self, account: Account, fingerprint: str, now: Millis) -> KnownAccount:
        return await self._performer.perform(lambda tx: accounts.remember(tx, account, fingerprint, now))

    async def bind(self, run: RunId, account: int) -> bool:
        return await self._performer.perform(lambda tx: runs.bind(tx, run, account))

    async def pauses(self) -> Sequence[Pause]:
        return await self._performer.perform(pauses.standing)

    async def pause(self, pause: Pause) -> bool:
        def note(tx: Transaction) -> bool:
            noted = pauses.note(tx, pause)
            if noted:
                hooks.pend(tx, [hook.paused(pause)])
            return noted

        return await self._performer.perform(note)

    async def stop_to_look(self, pause: Pause, run: RunId) -> None:
        def stop(tx: Transaction) -> None:
            if runs.looked_at(tx, run):
                pauses.write(tx, pause)
                hooks.pend(tx, [hook.paused(pause)])

        await self._performer.perform(stop)

    async def lift(self, pause: Pause) -> bool:
        return await self._performer.perform(lambda tx: pauses.over(tx, pause))

    async def limits(self, account: int) -> Sequence[LearnedLimit]:
        return await self._performer.perform(lambda tx: accounts.limits(tx, account))

    async def remember_limit(self, account: int, limit: LearnedLimit) -> None:
        await self._performer.perform(lambda tx: accounts.remember_limit(tx, account, limit))

    async def take(self, account: int, asked: Asked) -> Granted:
        return await self._performer.perform(lambda tx: buckets.take(tx, account, asked))

    async def block(self, account: int, lane: str, seconds: float, now: float, boot: str) -> None:
        await self._performer.perform(lambda tx: buckets.block(tx, account, lane, seconds, now, boot))

    async def record(self, told: Sequence[Event]) -> None:
        rows = self._log.thinned(told)
        alerts = [hook.alert(each) for each in told if isinstance(each, BatchTurned) and each.turn in hook.ALERTS]

        def record(tx: Transaction) -> None:
            events.record(tx, rows)
            hooks.pend(tx, alerts)

        if rows:
            await self._performer.perform(record)

    async def settle(self, now: Millis) -> Sequence[tuple[RunId, str]]:
        self._tell(now)

        def settle(tx: Transaction) -> Sequence[tuple[RunId, str]]:
            settled = runs.settle(tx, now)
            hooks.pend(tx, [hook.done(run, now) for run, _ in settled])
            return settled

        return await self._performer.perform(settle)

    def _tell(self, now: Millis) -> None:
        self._now = max(self._now, now)
