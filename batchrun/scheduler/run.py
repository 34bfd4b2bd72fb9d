"""One pass over everything that is due: recover, claim, serve, heed what the answers mean for the others, end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from batchrun.core.claim import Claim, KnownAccount, LearnedLimit, OpenRun, Taken
from batchrun.core.events import (
    Draining,
    JobsSent,
    LimitsLearned,
    PassEnded,
    PassStarted,
    Paused,
    RunDone,
    Trouble,
)
from batchrun.core.job import Millis, RunId
from batchrun.core.outcome import AccountStopped
from batchrun.core.pause import Pause, PauseScope
from batchrun.core.ports import BatchApi, BatchStore, Clock, Dice, Sink, Store, Transport
from batchrun.errors import Exit, WorkerBusy
from batchrun.scheduler.batching import Batching
from batchrun.scheduler.circuit import Circuit
from batchrun.scheduler.ending import (
    of_account,
    of_first_call,
    of_foreign,
    of_hours,
    of_money,
    of_pause,
    of_rewound,
    of_surroundings,
)
from batchrun.scheduler.feed import Feed, Offer
from batchrun.scheduler.heed import Heed
from batchrun.scheduler.identity import Identity
from batchrun.scheduler.journal import Journal
from batchrun.scheduler.lane import Lane
from batchrun.scheduler.lanes import Lanes
from batchrun.scheduler.purse import Purse
from batchrun.scheduler.realtime import Ending, Realtime
from batchrun.scheduler.shutdown import Shutdown, Stage
from batchrun.scheduler.standing import Standing
from batchrun.scheduler.tending import Tending
from batchrun.scheduler.terms import Ended, Terms

LOOK = 2.0
"""Seconds after which the queue is asked again what there is, though nothing is known to have changed."""

SOON = 0.05
"""Seconds before the queue is asked again when it gave nothing of what it had: never a busy loop."""

IDLE = 30.0
"""Seconds after which the queue is asked again while nothing but batches is out."""

LONG = 1.0
"""Seconds of rest from which on a lane's claims go back to the queue instead of waiting in hand."""

FIRST = asyncio.FIRST_COMPLETED


class Pass:
    """Does whatever is due for one account and ends. One object is one pass; it belongs to one event loop."""

    def __init__(
        self,
        *,
        store: Store,
        batches: BatchStore,
        transport: Transport,
        api: BatchApi,
        clock: Clock,
        dice: Dice,
        sink: Sink,
        terms: Terms,
        shutdown: Shutdown,
    ) -> None:
        self._store = store
        self._batches = batches
        self._api = api
        self._dice = dice
        self._clock = clock
        self._sink = sink
        self._terms = terms
        self._shutdown = shutdown
        self._realtime = Realtime(
            store=store, transport=transport, clock=clock, dice=dice, terms=terms, fresh=lambda: self._tending.fresh
        )
        self._circuit = Circuit()
        self._journal = Journal(store, sink)
        self._identity = Identity(
            store=store,
            transport=transport,
            clock=clock,
            terms=terms,
            circuit=self._circuit,
            shutdown=shutdown,
            tell=self._journal.tell,
        )
        self._purse = Purse(terms.max_cost)
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[Ending | None]] = set()
        self._endings: list[Ending] = []
        self._broken: BaseException | None = None
        self._done: list[tuple[RunId, str]] = []
        self._bound: set[RunId] = set()
        self._looked = float("-inf")
        self._buried = False
        self._tending = Tending(
            store=store,
            clock=clock,
            emit=self._journal.tell,
            changed=self._changed,
            buried=self._was_buried,
        )

    async def run(self) -> Ended:
        """Work until nothing is due, or until something says stop.

        Raises StoreError if the database gives up; what the API says never raises.
        """
        worker = self._tending.worker = await self._store.register(self._terms.card)
        watch = asyncio.create_task(self._watch_shutdown())
        tending = asyncio.create_task(self._tending.keep_on())
        tending.add_done_callback(self._tended)
        try:
            await self._tending.begin(worker)
            ended = await self._identified()
            ended = replace(ended, done=tuple(self._done), spent=self._purse.spent)
            self._journal.tell(PassEnded(at=self._clock.wall(), why=ended.message))
            await self._journal.keep()
            return ended
        finally:
            watch.cancel()
            tending.cancel()
            await asyncio.wait({tending})
            await self._store.leave(self._tending.worker)

    async def _identified(self) -> Ended:
        """Find out who we are, then work: a key that is refused is found out before any job is claimed."""
        known = await self._identity.known()
        if known is None:
            await self._settle()
            if not await self._store.work(self._clock.wall()):
                return Ended(exit=Exit.OK, spent=self._purse.spent)
            told = await self._identity.ask(self._pause)
            if not isinstance(told, KnownAccount):
                stopped = self._shutdown.stage is not Stage.WORKING
                return self._interrupted() if stopped else of_first_call(told)
            known = told
        self._account = known
        self._lanes = Lanes(
            self._terms, self._clock, await self._store.limits(known.id), self._store, lambda: self._account.id
        )
        self._standing = Standing(self._store, known.id, self._terms.fingerprint)
        self._heed = Heed(self._standing, self._circuit, self._clock)
        self._feed = Feed(
            account=known.id,
            lanes=self._lanes,
            standing=self._standing,
            circuit=self._circuit,
            clock=self._clock,
            gathers=not (self._terms.once or self._terms.detach),
        )
        self._feed.sure = known.account.told
        self._batching = Batching(
            store=self._batches,
            api=self._api,
            clock=self._clock,
            dice=self._dice,
            terms=self._terms,
            who=lambda: self._tending.worker,
            buried=self._was_buried,
            purse=self._purse,
            emit=self._journal.tell,
            wake=self._wake.set,
        )
        await self._batching.know(self._account.id)
        runs = await self._look()
        self._journal.tell(PassStarted(at=self._clock.wall(), runs=tuple((run.id, run.name) for run in runs)))
        try:
            await self._work()
        finally:
            await self._drain()
        broken = self._broken or self._batching.broken
        if broken is not None:
            raise broken
        await self._look()
        return self._ended()

    def _changed(self) -> None:
        """Jobs are queued again that were not: the queue is asked at once."""
        self._looked = float("-inf")
        self._wake.set()

    def _was_buried(self) -> None:
        self._buried = True
        self._wake.set()

    def _tended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self._broken = self._broken or task.exception()
            self._wake.set()

    async def _watch_shutdown(self) -> None:
        await self._shutdown.draining()
        self._wake.set()

    # -- the loop ----------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        while not self._over():
            self._wake.clear()
            await self._hear()
            await self._live_on()
            self._feed.closed = self._batching.rewound is not None
            if self._circuit.open:
                self._identity.tell_circuit()
                await self._call_back()  # one at a time asks whether the way is open again
            self._free(await self._realtime.give_back())  # their hours ended while the limiter held them
            for lane in self._lanes:
                if lane.blocked_for() >= LONG:
                    await self._call_back(lane)  # the user may cancel, pause or stop while it rests
            if self._feed.doubtful or self._clock.steady() - self._looked >= LOOK:
                await self._look()
            # Whatever comes home is heard before more goes out: it may be the word to stop.
            while not (self._endings or self._buried or self._over()):
                offer = self._feed.next(len(self._tasks))
                if offer is None:
                    break
                now = self._clock.wall()
                taken = await self._claim(offer, now)
                self._feed.taken(offer, taken)
                offer.lane.pending += len(taken.claims)
                for claim in taken.claims:
                    if offer.probe:
                        self._standing.probe(claim)
                    task = asyncio.create_task(self._realtime.serve(claim, offer.run, offer.lane))
                    self._tasks.add(task)
                    task.add_done_callback(self._came_home)
                if taken.claims:
                    self._sink.emit(JobsSent(at=now, run=offer.run.id, n=len(taken.claims)))
            if self._endings or self._buried:
                continue
            await self._turn_to_batches()
            seconds = await self._until_next()
            if seconds is None:
                return
            await self._pause(seconds)

    async def _live_on(self) -> None:
        """Begin anew under another number if this worker was taken for dead."""
        if self._buried:
            self._buried = False
            await self._call_back()  # others may send what was not sent in the old one's name
            await self._tending.begin_again()

    async def _claim(self, offer: Offer, now: Millis) -> Taken:
        async with self._purse.turn:
            try:
                taken = await self._store.claim(
                    offer.run.id,
                    offer.model,
                    offer.n,
                    self._tending.worker,
                    now,
                    self._purse.left(),
                    realtime_only=offer.realtime_only,
                )
            except WorkerBusy:
                self._was_buried()
                return Taken(claims=())
            for claim in taken.claims:
                self._purse.reserve(claim)
        return taken

    async def _turn_to_batches(self) -> None:
        """Look after the batches that are out, and send what may go in new ones."""
        batching = self._batching
        for way in self._feed.ways():
            self._journal.tell(way)
        for run in self._feed.rescues():
            await batching.rescue(run)
        batching.look(self._account.id, wanted=self._feed.wants_batches, asking=self._circuit.open)
        for to_send, model, n in self._feed.packable():
            if batching.may_send() and to_send.id not in batching.penniless and not batching.is_sending(to_send.id):
                room = batching.room()
                batching.send(to_send, model, n if room is None else min(n, room), self._account.id)
                self._feed.packed(to_send.id, model)

    async def _hear_batches(self) -> None:
        heard, self._batching.heard = self._batching.heard, []
        if self._batching.listed:
            self._feed.sure = True  # the API has listed the workspace's batches for this very key
        if self._batching.answered is not None:
            self._circuit.close(self._batching.answered)
        for each in heard:
            for event in await self._heed.hear_call(each.outcome, each.claim, each.began, hopeless=each.hopeless):
                self._journal.tell(event)

    def _over(self) -> bool:
        return (
            self._shutdown.stage is not Stage.WORKING
            or self._broken is not None
            or self._batching.broken is not None
            or (self._heed.stopped is not None)
            or self._circuit.exhausted
        )

    async def _until_next(self) -> float | None:
        """Seconds to wait for whatever comes next at the latest; None if there is nothing left to do."""
        if self._tasks or self._batching.busy:
            return min(LOOK, self._feed.rest() or LOOK)
        if next(self._feed.open(), None) is not None:
            return min(LOOK, self._feed.rest() or SOON)
        if self._clock.steady() > self._looked:
            await self._look()  # somebody may have submitted more while the last job was out
            if next(self._feed.open(), None) is not None:
                return SOON
        stays = not (self._terms.once or self._terms.detach or self._parts)
        shut = self._feed.shut() if not (self._terms.once or self._terms.detach) else []
        opening = IDLE
        if shut:
            for news in self._feed.shut_news():
                self._journal.tell(news)
            opening = min(IDLE, max(SOON, (shut[0][1] - self._clock.wall()) / 1000.0))
        if self._may_pack() and (stays or not self._batching.full):
            asking = self._circuit.open
            rest = max(self._batching.rest(asking=asking), self._circuit.rest(self._clock.steady()))
            rest = max(rest, min(LOOK, self._feed.gathering() or 0.0))
            return min(opening, max(SOON, rest))
        rewound = self._batching.rewound is not None and self._feed.wants
        if (self._batching.out or rewound) and stays:
            return min(opening, max(SOON, self._batching.rest()))
        if self._terms.once:
            return None
        due = self._feed.next_due(await self._store.next_due())
        if due is None:
            return opening if shut else None
        return min(LOOK, max(0.0, (due - self._clock.wall()) / 1000.0))

    @property
    def _parts(self) -> bool:
        """Whether what is out is left to the worker that attends to it."""
        impatient = self._terms.only is None and not self._terms.patient
        return self._batching.attendant is not None and impatient

    async def _pause(self, seconds: float) -> None:
        """Wait until something came home, a stop is wished, or *seconds* have passed."""
        waiting = asyncio.create_task(self._wake.wait())
        sleeping = asyncio.create_task(self._clock.sleep(seconds))
        try:
            await asyncio.wait({waiting, sleeping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            sleeping.cancel()

    def _came_home(self, task: asyncio.Task[Ending | None]) -> None:
        self._tasks.discard(task)
        self._wake.set()
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._broken = self._broken or error
            return
        ending = task.result()
        if ending is not None:
            self._endings.append(ending)

    async def _hear(self) -> None:
        """Heed what came home since the last time."""
        await self._hear_batches()
        endings, self._endings = self._endings, []
        for ending in endings:
            claim, outcome = ending.claim, ending.outcome
            self._purse.settle(claim, outcome, ending.cost)
            self._feed.money_came_back()
            await self._know(ending)
            for event in await self._heed.hear(ending):
                self._journal.tell(event)
                if isinstance(event, LimitsLearned):
                    await self._store.remember_limit(
                        self._account.id,
                        LearnedLimit(
                            lane=event.lane,
                            requests=event.requests,
                            input_tokens=event.input_tokens,
                            output_tokens=event.output_tokens,
                            source=event.source,
                            at=event.at,
                        ),
                    )

    async def _know(self, ending: Ending) -> None:
        """Bind the run to the account at its first answer, and learn who the account is if nobody had said."""
        told = ending.outcome.reply.told.account
        if told is not None and told.says_more_than(self._account.account):
            self._account = await self._identity.remember(told)
            self._feed.account = self._account.id
            self._standing.account_is(self._account.id)
        # A refused key names no workspace: it says too little of whose the run is.
        answered = ending.outcome.reply.status is not None and not isinstance(ending.outcome, AccountStopped)
        self._feed.sure = self._feed.sure or answered
        run = ending.run.id
        if answered and run not in self._bound:
            self._bound.add(run)
            if not await self._store.bind(run, self._account.id):
                self._feed.foreign[run] = ending.run
                message = f"run {ending.run.name} belongs to another account than this key"
                self._journal.tell(Trouble(at=ending.at, code="foreign_account", message=message, run=run))

    # -- seeing and telling ------------------------------------------------------------------------------------------

    async def _settle(self) -> None:
        now = self._clock.wall()
        for run, name in await self._store.settle(now):
            self._done.append((run, name))
            self._journal.tell(RunDone(at=now, run=run, name=name))

    async def _look(self) -> list[OpenRun]:
        await self._settle()
        runs = [run for run in await self._store.work(self._clock.wall()) if self._terms.only in (None, run.id)]
        await self._stop_to_look(runs)
        await self._standing.read()
        self._feed.show(runs)
        if any(run.in_batch for run in runs):
            await self._batching.notice(self._account.id)
        self._looked = self._clock.steady()
        await self._journal.keep()
        return runs

    async def _stop_to_look(self, runs: Sequence[OpenRun]) -> None:
        """A run whose pilots are home waits for a person, where a person wished it."""
        for run in runs:
            if run.look and not run.pilots:
                now = self._clock.wall()
                message = f"the pilots of {run.name} are home; the rest waits until somebody has looked"
                pause = Pause(scope=PauseScope.RUN, subject=str(run.id), reason="look", message=message, since=now)
                await self._store.stop_to_look(pause, run.id)
                self._journal.tell(
                    Paused(
                        at=now,
                        scope=pause.scope,
                        subject=pause.subject,
                        reason=pause.reason,
                        message=message,
                        until=None,
                        request_id=None,
                    )
                )

    # -- the end -----------------------------------------------------------------------------------------------------

    async def _drain(self) -> None:
        """Call back what has not left, let home what has, give up what takes too long."""
        self._realtime.close()
        await self._call_back()
        if self._realtime.sending:
            self._journal.tell(Draining(at=self._clock.wall(), in_flight=len(self._realtime.sending)))
        given_up = asyncio.create_task(self._shutdown.stopped())
        timeout = asyncio.create_task(self._clock.sleep(self._terms.grace))
        over = asyncio.create_task(asyncio.wait({given_up, timeout}, return_when=FIRST))
        batches = asyncio.create_task(self._batching.drain(over))
        while self._tasks and not (given_up.done() or timeout.done()):
            await asyncio.wait({*self._tasks, given_up, timeout}, return_when=asyncio.FIRST_COMPLETED)
        await batches
        given_up.cancel()
        timeout.cancel()
        for task in list(self._realtime.sending):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._hear()
        await self._call_back()

    async def _call_back(self, lane: Lane | None = None) -> None:
        self._free(await self._realtime.call_back(lane))

    def _free(self, given_back: Sequence[Claim]) -> None:
        for claim in given_back:
            self._purse.free(claim)
            self._standing.free(claim)

    def _may_pack(self) -> bool:
        """Whether more batches can be sent, now or when the way is open."""
        return any(run.id not in self._batching.penniless for run, _model, _n in self._feed.may_pack())

    def _interrupted(self) -> Ended:
        return Ended(exit=Exit.INTERRUPTED, message="stopped; nothing is lost", spent=self._purse.spent)

    def _ended(self) -> Ended:
        spent = self._purse.spent
        if self._heed.stopped is not None:
            return of_account(*self._heed.stopped, spent)
        if self._circuit.exhausted and self._circuit.last is not None:
            return of_surroundings(self._circuit.last, spent)
        if self._shutdown.stage is not Stage.WORKING:
            return self._interrupted()
        if self._batching.rewound is not None and self._feed.wants:
            return of_rewound(self._batching.rewound, spent)
        penniless = {**self._batching.penniless, **self._feed.penniless}
        if penniless:
            return of_money(list(penniless.values()), self._purse.left(), spent)
        pause = self._feed.pause()
        if pause is not None:
            return of_pause(pause, spent)
        if self._feed.foreign:
            return of_foreign(self._feed.foreign, spent)
        shut = self._feed.shut()
        if shut:
            return of_hours(shut, self._clock.wall(), spent)
        if self._batching.attendant is not None and self._batching.out:
            return Ended(exit=Exit.OK, message=f"{self._batching.attendant} looks after the batches", spent=spent)
        return Ended(exit=Exit.OK, spent=spent)
