"""Batches in a pass: when the next is sent, when somebody looks after those that are out, and when there is no more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from batchrun.core.batch import STANDING, STOOD, UNRESOLVED, Batch, BatchState, CancelReason, Processing
from batchrun.core.claim import Claim, OpenRun
from batchrun.core.events import Event, Throttled
from batchrun.core.job import BatchId, Millis, RunId, WorkerId
from batchrun.core.outcome import AccountStopped, Misrouted, Outcome, RateLimited, Unreachable
from batchrun.core.polling import rest
from batchrun.core.ports import BatchApi, BatchStore, Clock, Dice
from batchrun.core.rewind import Rewound
from batchrun.errors import WorkerBusy
from batchrun.scheduler.attending import Attending, Looked
from batchrun.scheduler.collecting import Collecting
from batchrun.scheduler.creating import Created, Creating, Mark
from batchrun.scheduler.listing import listing
from batchrun.scheduler.purse import Purse
from batchrun.scheduler.rewinding import Rewinding
from batchrun.scheduler.terms import Terms

SENDERS = 2
"""Batches that are sent at once: each is in memory as a whole."""

COLLECTORS = 2

FIRST_REST = 5.0
LONGEST_REST = 300.0
"""Seconds until the next batch after one whose arrival is unclear, or that a full queue refused, and until the next
download after one that broke; doubling."""

LOOK = 5.0
"""Seconds after which a worker looks again whether another one still attends, and at what that one has done."""

LANE = "batches"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What the API said to a call about batches, beyond the batch itself; `claim` is one job on whose behalf."""

    outcome: Outcome
    began: float
    claim: Claim | None = None
    hopeless: bool = False  #: the run of *claim* needs a person


class Batching:
    """All that a pass does with batches of one account. Belongs to one event loop."""

    def __init__(
        self,
        *,
        store: BatchStore,
        api: BatchApi,
        clock: Clock,
        dice: Dice,
        terms: Terms,
        who: Callable[[], WorkerId],
        buried: Callable[[], None],
        purse: Purse,
        emit: Callable[[Event], None],
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._api = api
        self._who = who
        self._clock = clock
        self._dice = dice
        self._terms = terms
        self._purse = purse
        self._emit = emit
        self._wake = wake
        self._buried = buried
        self._closed = False
        self._creating = Creating(
            store=store,
            api=api,
            clock=clock,
            dice=dice,
            terms=terms,
            who=who,
            purse=purse,
            may_send=lambda: not self._closed,
            emit=emit,
        )
        self._collecting = Collecting(store=store, api=api, clock=clock, dice=dice, terms=terms, purse=purse, emit=emit)
        prove = self._collecting.first
        rewinding = Rewinding(store=store, api=api, clock=clock, who=who, prove=prove, emit=emit)
        self._attending = Attending(store=store, api=api, clock=clock, prove=prove, emit=emit, rewinding=rewinding)
        self._mark: Mark | None = None
        self._attended: Sequence[Batch] = ()
        self._sending: dict[asyncio.Task[None], RunId] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._looking: asyncio.Task[None] | None = None
        self._collected: set[int] = set()  # batches whose results are being read
        self._breaks: dict[int, tuple[int, float]] = {}  # downloads that broke in a row, and when the next is worth it
        self._repetitions: dict[BatchId, set[str]] = {}  # batches that stand more than once, and under which other ids
        self._repeating: set[str] = set()  # ids of those that are being read
        self._slots = asyncio.Semaphore(COLLECTORS)
        self._next_look = float("-inf")
        self._resting_until = float("-inf")
        self._rests = 0
        self._failures = 0  # looks that failed in a row
        self._crowded = False
        self.attendant: str | None = None  #: who else looks after the batches that are out; None: this worker may
        self.heard: list[Heard] = []
        self.answered: float | None = None  #: steady time at which a call left that the API answered as asked
        self.penniless: dict[RunId, OpenRun] = {}
        self.rewound: Rewound | None = None  #: a backup was restored, and nothing is sent until what it forgot is known
        self.broken: BaseException | None = None

    # -- what a pass asks --------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether a call or a download is under way."""
        return bool(self._tasks)

    @property
    def sending(self) -> int:
        return len(self._sending)

    @property
    def out(self) -> bool:
        """Whether batches are out, or unclear, that this pass could wait for."""
        mine = (each for each in self._attended if self._terms.only in (None, each.run))
        return any(batch.state in UNRESOLVED | STANDING for batch in mine)

    @property
    def listed(self) -> bool:
        """Whether the API listed the workspace's batches in this pass."""
        return self._mark is not None

    def rest(self, *, asking: bool = False) -> float:
        """Seconds until something is due here. *asking*: a look is to tell whether the way to the API is open."""
        now = self._clock.steady()
        looks = self._attended or self._mark is None or asking or self.rewound is not None
        moments = [self._next_look] if looks else []
        if self._resting_until > now:
            moments.append(self._resting_until)
        return max(0.0, min(moments, default=now) - now)

    @property
    def full(self) -> bool:
        """Whether no batch can be sent until one that is out is at its end, or is resolved."""
        room = self.room()
        return self._crowded or (room is not None and room <= 0)

    def may_send(self) -> bool:
        """Whether another batch may be sent now."""
        ready = self._mark is not None and not self._closed and not self.full
        return ready and len(self._sending) < SENDERS and self._clock.steady() >= self._resting_until

    def room(self) -> int | None:
        """Requests that the account's batch queue still takes; None where no limit is known."""
        limit = self._terms.batch_queue
        if limit is None:
            return None
        waiting = (each for each in self._attended if each.state in UNRESOLVED | STANDING)
        return limit - sum(each.n for each in waiting if each.processing is not Processing.ENDED)

    def is_sending(self, run: RunId) -> bool:
        return run in self._sending.values()

    # -- what a pass orders ------------------------------------------------------------------------------------------

    async def know(self, account: int) -> None:
        """Find out what is out before anything is asked of the API."""
        self._attended = await self._store.attended(account)
        self.rewound = await self._store.rewound(account)

    async def notice(self, account: int) -> None:
        """Batches are out; where this worker knows of none, another one sent them."""
        if not self._attended:
            self._attended = await self._store.attended(account)

    def look(self, account: int, *, wanted: bool, asking: bool = False) -> None:
        """Look after what is out, if it is time; *wanted*: there is something to send, too. One look at a time.

        *asking*: the way to the API is closed, and nothing but a look may tell that it is open again.
        """
        if self._closed or self._looking is not None or self._clock.steady() < self._next_look:
            return
        if self._attended or self.rewound is not None or (wanted and (asking or self._mark is None)):
            self._looking = self._start(self._look(account, ask=asking or (wanted and self._mark is None)))

    def send(self, run: OpenRun, model: str, queued: int, account: int) -> None:
        assert self._mark is not None
        task = self._start(self._send(run, model, queued, account, self._mark))
        self._sending[task] = run.id
        task.add_done_callback(lambda task: self._sending.pop(task, None))

    async def rescue(self, run: RunId) -> None:
        """The deadline of *run* is near: what its batches have not done is wanted back."""
        for batch in self._attended:
            if batch.run != run:
                continue
            runs_on = batch.state is BatchState.SUBMITTED and batch.processing is not Processing.ENDED
            if runs_on and batch.cancel is None:
                await self._store.wish_cancel(batch.id, CancelReason.RESCUE)
                self._next_look = float("-inf")
            elif batch.state is BatchState.UNCLEAR and batch.resend and self._mark is not None:
                await self._store.lose(batch.id, self._mark.date, self._clock.wall())

    def close(self) -> None:
        """Nothing more is begun; what was not sent is not sent any more."""
        self._closed = True

    async def drain(self, given_up: Awaitable[object]) -> None:
        """Wait for what is under way, but not once *given_up* is: what is being sent then stays unclear."""
        self.close()
        for task in self._tasks - self._sending.keys():
            task.cancel()
        waiter = asyncio.ensure_future(given_up)
        while self._tasks and not waiter.done():
            await asyncio.wait({*self._tasks, waiter}, return_when=asyncio.FIRST_COMPLETED)
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        waiter.cancel()

    # -- tasks -------------------------------------------------------------------------------------------------------

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)
        return task

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task is self._looking:
            self._looking = None
        if not task.cancelled() and task.exception() is not None:
            self.broken = self.broken or task.exception()
        self._wake()

    async def _look(self, account: int, *, ask: bool) -> None:
        try:
            self.attendant = await self._store.attend(account, self._who())
        except WorkerBusy:
            self._buried()
            return
        if self.attendant is None:
            await self._attend(account)
        else:
            await self._look_on(account, ask=ask)

    async def _look_on(self, account: int, *, ask: bool) -> None:
        """See what another worker has done. *ask*: the API has to say something before this one can send."""
        if ask:
            began = self._clock.steady()
            listed = await listing(self._api, None)
            if listed.outcome is not None:
                self.heard.append(Heard(outcome=listed.outcome, began=began))
            if listed.date is not None:
                self._mark, self.answered = Mark(newest=listed.newest, date=listed.date), began
            self._failures = self._failures + 1 if listed.date is None else 0
        self._attended = await self._store.attended(account)
        self.rewound = await self._store.rewound(account)
        self._crowded = False
        self._next_look = self._clock.steady() + LOOK * 2.0 ** min(self._failures, 5)

    async def _attend(self, account: int) -> None:
        began = self._clock.steady()
        looked = await self._attending.look(account)
        self._crowded = False
        if looked.outcome is not None:
            self.heard.append(Heard(outcome=looked.outcome, began=began))
        if looked.mark is not None:
            self._mark = looked.mark
            self.answered = began
        self._attended = await self._store.attended(account)
        if self.rewound is not None:
            self.rewound = await self._store.rewound(account)
        standing = {batch.id for batch in self._attended if batch.state in STANDING}
        for batch in looked.ended:
            if batch.id in standing:  # else it was collected while the look took its time
                self._collect(batch, looked)
        for repeated, remote in looked.repeated:
            self._repetitions.setdefault(repeated, set()).add(remote)
        if looked.date is not None:
            self._read_repetitions(looked.date)
        for batch in self._attended:
            if batch.state is BatchState.LOST:
                self._purse.drop(batch.id)  # its jobs are queued again, and may cost once more
        self._failures = self._failures + 1 if looked.mark is None else 0
        seconds = rest(self._age(), self._dice.random())
        if self._failures:
            seconds = min(seconds, FIRST_REST * 2.0**self._failures)
        self._next_look = self._clock.steady() + seconds

    def _age(self) -> float:
        """Seconds since the youngest batch that is out was sent, as far as the clocks tell."""
        wall = self._clock.wall()
        sent = [each.sent for each in self._attended if each.sent is not None and each.state in UNRESOLVED | STANDING]
        return max(0.0, (wall - max(sent, default=0)) / 1000)

    def _collect(self, batch: Batch, looked: Looked) -> None:
        _n, not_before = self._breaks.get(batch.id, (0, 0.0))
        waits = self._clock.steady() < not_before
        if batch.id not in self._collected and looked.date is not None and not waits:
            self._collected.add(batch.id)
            self._start(self._bring(batch, looked.date))

    def _read_repetitions(self, date: Millis) -> None:
        """Those of batches that are over are read: only then it is known which attempts ended without an answer."""
        for batch in self._attended:
            if batch.state in STOOD:
                for remote in self._repetitions.pop(batch.id, ()):
                    if remote not in self._repeating:
                        self._repeating.add(remote)
                        self._start(self._bring_repetition(batch, remote, date))

    async def _bring_repetition(self, batch: Batch, remote: str, date: Millis) -> None:
        try:
            async with self._slots:
                await self._collecting.repeated(batch, remote, date)
        finally:
            self._repeating.discard(remote)
        self._attended = await self._store.attended(batch.account)

    async def _bring(self, batch: Batch, date: Millis) -> None:
        began = self._clock.steady()
        try:
            async with self._slots:
                brought = await self._collecting.collect(batch, date)
        finally:
            self._collected.discard(batch.id)
            self.penniless.clear()
        if brought.broken is None:
            self._breaks.pop(batch.id, None)
        else:
            n = self._breaks.get(batch.id, (0, 0.0))[0] + 1
            self._breaks[batch.id] = n, self._clock.steady() + min(FIRST_REST * 2.0 ** min(n - 1, 30), LONGEST_REST)
        outcome = brought.stop or brought.broken
        if outcome is not None:
            self.heard.append(Heard(outcome=outcome, began=began))
        self._attended = await self._store.attended(batch.account)
        if not self._closed:
            self._read_repetitions(date)

    async def _send(self, run: OpenRun, model: str, queued: int, account: int, mark: Mark) -> None:
        try:
            created = await self._creating.send(run, model, queued, account, mark)
        except WorkerBusy:
            self._buried()
            return
        if created.penniless:
            self.penniless[run.id] = run
        self._crowded = self._crowded or created.crowded
        if created.remote is not None:
            self._rests = 0
            self._mark = Mark(newest=created.remote.id, date=max(mark.date, created.remote.created))
        elif created.outcome is not None:
            self.heard.append(
                Heard(outcome=created.outcome, began=created.began, claim=created.claim, hopeless=created.hopeless)
            )
            self._back_off(created)
        if created.n:
            self._attended = await self._store.attended(account)
            self._next_look = min(self._next_look, self._clock.steady() + rest(0.0, self._dice.random()))

    def _back_off(self, created: Created) -> None:
        outcome = created.outcome
        if isinstance(outcome, AccountStopped | Unreachable | Misrouted) and not created.n:
            return  # the account's pause, or the circuit, has the word
        after = outcome.retry_after if isinstance(outcome, RateLimited) else None
        if created.n or isinstance(outcome, RateLimited):
            seconds = max(after or 0.0, min(FIRST_REST * 2.0**self._rests, LONGEST_REST))
            self._rests += 1
            self._resting_until = self._clock.steady() + seconds
            why = "full" if isinstance(outcome, RateLimited) else "unclear"
            self._emit(Throttled(at=self._clock.wall(), lane=LANE, why=why, seconds=seconds))
