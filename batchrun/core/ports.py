"""The seams: what the scheduler asks of the queue, of Claude, of time, of chance and of whoever listens."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Protocol

from batchrun.core.account import Account
from batchrun.core.batch import (
    Batch,
    CancelReason,
    Intended,
    Intent,
    Item,
    Line,
    Packing,
    Page,
    Remote,
    Ticket,
    Verdict,
    Won,
)
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
from batchrun.core.events import Event, HookCalled
from batchrun.core.hook import Pending
from batchrun.core.job import BatchId, JobId, Millis, Nanos, RunId, WorkerId
from batchrun.core.outcome import Outcome
from batchrun.core.pause import Pause
from batchrun.core.rewind import Rewound
from batchrun.core.sharing import Asked, Granted


class Clock(Protocol):
    """Time. The wall clock is for display and for due times across boots; all waiting goes by the steady one."""

    def wall(self) -> Millis: ...

    def steady(self) -> float:
        """Seconds that never go back and count a suspended machine's sleep (CLOCK_BOOTTIME)."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class Dice(Protocol):
    """Chance; `random.Random` is one."""

    def random(self) -> float: ...


class Sink(Protocol):
    """Whoever listens. Must return at once and never raise."""

    def emit(self, event: Event) -> None: ...


class Transport(Protocol):
    """The way to Claude. Whatever comes back, or does not, is an outcome: it raises only for bugs and cancellation."""

    async def send(self, claim: Claim) -> Outcome:
        """One request, sent once: no retries, no redirects."""
        ...

    async def whoami(self) -> Outcome | Account:
        """The account behind the key by a free call, or the outcome that said no. The account may be untold."""
        ...

    async def close(self) -> None: ...


class BatchApi(Protocol):
    """The way to Message Batches. Each call is made once: no retries, no redirects; what goes wrong is an outcome."""

    async def create(self, body: bytes, *, betas: Sequence[str], headers: Mapping[str, str]) -> Remote | Outcome:
        """POST *body*, `{"requests": [...]}`. `core.batch.clarity` says of an outcome whether the batch may stand."""
        ...

    async def page(self, after: str | None = None) -> Page | Outcome:
        """The newest batches of the workspace, or those that are older than *after*: up to 1,000."""
        ...

    async def find(self, remote: str) -> Remote | Outcome: ...

    async def cancel(self, remote: str) -> Remote | Outcome: ...

    async def delete(self, remote: str) -> Outcome | None:
        """None once it is deleted; the API refuses while it has not ended."""
        ...

    def results(self, remote: str) -> AsyncGenerator[Item | Outcome, None]:
        """The results from the start of the file, one line at a time, in any order.

        Whoever stops before the end closes it (`contextlib.aclosing`), or the download stays open.

        An outcome that is no item is the last thing that comes: the download went wrong there. Without one the file
        ended as a whole file does, which it may also do too early.
        """
        ...


class TokenCounter(Protocol):
    """The way to the API's own count of tokens, which is free. Calls are paced; any number may be under way."""

    async def count_tokens(
        self, request: Mapping[str, Any], *, betas: Sequence[str] = (), headers: Mapping[str, str] | None = None
    ) -> int | Outcome:
        """The input tokens of *request*, or the outcome that told none: a `Refused` says what is wrong with it.

        Only what bears on the count is sent: `max_tokens` and sampling parameters are not looked at.
        """
        ...


class Store(Protocol):
    """The persistent queue. Each verb is one transaction, durable when it returns.

    Raises `StoreError` (batchrun.errors) when the database cannot be used at all; a full disk or a busy database is
    waited for instead.
    """

    @property
    def lease(self) -> float:
        """Seconds after a `renew` was asked for from which on this process may count as dead; infinite: never."""
        ...

    async def register(self, card: WorkerCard) -> WorkerId:
        """Raises WorkerBusy (batchrun.errors) while another worker is, or this one wants to be, alone."""
        ...

    async def register_again(self, buried: WorkerId) -> WorkerId:
        """A new number for a worker that was taken for dead: under the old one it can do nothing more."""
        ...

    async def renew(self, worker: WorkerId) -> bool:
        """Go on counting as alive; False if *worker* was taken for dead."""
        ...

    async def leave(self, worker: WorkerId) -> None: ...

    async def recover(self, worker: WorkerId, now: Millis) -> Released:
        """Give back what dead workers held, by each run's `on_crash`; their attempts become *unknown*."""
        ...

    async def work(self, now: Millis) -> Sequence[OpenRun]:
        """Runs that are open, with queued or waiting jobs; promotes what is due (at most 1,000 jobs a call).

        Lets pauses that a wrong clock put into the future begin now.
        """
        ...

    async def next_due(self) -> Sequence[tuple[RunId, str, Millis]]:
        """The waiting jobs of open runs that are due first (at most a thousand): for each run and model its first."""
        ...

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
        """At most *n* queued jobs of *model* become *running*, each with its attempt row and money reserved.

        *left* is what this call to `run` may still spend (None: no cap of its own). *realtime_only* leaves the jobs
        that may go in a batch.
        Raises WorkerBusy (batchrun.errors) if *worker* was taken for dead: it starts nothing more.
        """
        ...

    async def finish(self, finish: Finish) -> Kept: ...

    async def release(self, claims: Sequence[Claim], now: Millis) -> None:
        """Give back claims that were never sent; not a try."""
        ...

    async def known_account(self, fingerprint: str) -> KnownAccount | None: ...

    async def remember_account(self, account: Account, fingerprint: str, now: Millis) -> KnownAccount: ...

    async def bind(self, run: RunId, account: int) -> bool:
        """Bind *run* to *account* at its first answer; False if it is bound to another one."""
        ...

    async def pauses(self) -> Sequence[Pause]: ...

    async def pause(self, pause: Pause) -> bool:
        """Write or renew the pause of its (scope, subject); False if one stands there that waits for a person."""
        ...

    async def stop_to_look(self, pause: Pause, run: RunId) -> None:
        """Write *pause*, of *run*, whose pilots are home; it is not written again once somebody has lifted it."""
        ...

    async def lift(self, pause: Pause) -> bool:
        """*pause* is over; False if it is not there any more, or a person's stands in its place."""
        ...

    async def limits(self, account: int) -> Sequence[LearnedLimit]: ...

    async def remember_limit(self, account: int, limit: LearnedLimit) -> None: ...

    async def take(self, account: int, asked: Asked) -> Granted:
        """When requests may leave, so that all workers of *account* together stay under its limits."""
        ...

    async def block(self, account: int, lane: str, seconds: float, now: float, boot: str) -> None:
        """Let no worker's requests leave in *lane* for *seconds* from the steady time *now* of *boot* on."""
        ...

    async def record(self, events: Sequence[Event]) -> None: ...

    async def settle(self, now: Millis) -> Sequence[tuple[RunId, str]]:
        """Open runs whose jobs are all final become *done*; returns those, with their names."""
        ...


class HookStore(Protocol):
    """What is still to be told to the user's commands. Each verb is one transaction, durable when it returns."""

    async def pending(self) -> Sequence[Pending]: ...

    async def begin(self, pending: Pending) -> bool:
        """Its command is about to be started; False if it was started often enough."""
        ...

    async def end(self, pending: Pending, now: Millis, called: HookCalled | None) -> None:
        """Nothing more is told of it; *called* is kept for the log."""
        ...


class BatchStore(Protocol):
    """The persistent queue, for batches. As with `Store`, each verb is one transaction; `date` is the server's clock.

    A verb that changes a batch does nothing, and says so, if the batch is not where the verb starts.
    """

    async def attend(self, account: int, worker: WorkerId) -> str | None:
        """Look after the batches of *account* from now on; else who does, in words, while that worker lives.

        Raises WorkerBusy (batchrun.errors) if *worker* was taken for dead.
        """
        ...

    async def attended(self, account: int) -> Sequence[Batch]:
        """The batches of *account* that are unresolved, stand at the API, are lost, or may stand twice."""
        ...

    async def by_token(self, token: str) -> Batch | None: ...

    async def intend(
        self, run: RunId, model: str, wish: Packing, worker: WorkerId, now: Millis, left: Nanos | None
    ) -> Intended:
        """The next queued jobs become a batch that was not sent: its row, theirs and the money reserved, at once.

        Raises WorkerBusy (batchrun.errors) if *worker* was taken for dead.
        """
        ...

    async def lines(self, intent: Intent) -> Sequence[Line]: ...

    async def sending(self, intent: Intent, now: Millis, size: int) -> bool:
        """From now on it may have been sent; False if it must not be."""
        ...

    async def submitted(self, batch: BatchId, remote: Remote, now: Millis) -> bool: ...

    async def reject(self, batch: BatchId, now: Millis, why: str, culprit: Finish | None = None) -> bool:
        """It does not stand; its jobs are queued again, but for the one that is to blame."""
        ...

    async def unclear(self, batch: BatchId, why: str, *, answered: bool) -> bool: ...

    async def suspect(self, batch: BatchId, remotes: Sequence[str], now: Millis) -> dict[str, Verdict]:
        """Those of *remotes* that are not known as others may be *batch*; returns all that ever were thought to be."""
        ...

    async def judge(self, batch: BatchId, remote: str, verdict: Verdict) -> None: ...

    async def absent(self, batch: BatchId, date: Millis) -> bool:
        """A complete listing does not have it; only the first is kept."""
        ...

    async def lose(self, batch: BatchId, date: Millis, now: Millis) -> int | None:
        """It did not arrive: how many jobs are queued again; None if it was not unclear."""
        ...

    async def seen(self, batch: BatchId, remote: Remote) -> None: ...

    async def missed(self, batch: BatchId, date: Millis) -> None:
        """The API does not know it; only the first time is kept, until it does."""
        ...

    async def gone(self, batch: BatchId, now: Millis, why: str) -> int | None:
        """It stood and cannot be had: how many jobs are held; None if it did not stand."""
        ...

    async def wish_cancel(self, batch: BatchId, why: CancelReason) -> bool: ...

    async def cancelled(self, batch: BatchId) -> None:
        """The API has taken the wish to cancel it."""
        ...

    async def collecting(self, batch: BatchId) -> dict[JobId, tuple[int, int]]:
        """Its results are being read: the jobs it holds, each with its attempt and what is reserved for it."""
        ...

    async def keep(self, batch: Batch, won: Sequence[Won], now: Millis) -> bool:
        """Answers for jobs that *batch* holds are stored; False, and nothing of it, if it does not hold all of them."""
        ...

    async def claims(self, batch: BatchId, asked: Sequence[tuple[JobId, int]]) -> dict[JobId, Claim]:
        """The claims that *batch* made on jobs at their attempts, whether they hold or not; others are left out."""
        ...

    async def finish(self, finishes: Sequence[Finish], *, repetition: bool = False) -> Sequence[Kept]:
        """*repetition*: they come from a second copy of the batch; what its own copy may have cost stays booked."""
        ...

    async def short(self, batch: BatchId, date: Millis) -> None:
        """A download left something missing: of its results, or, once it is over, of its repetition's."""
        ...

    async def missing(self, batch: BatchId, now: Millis, why: str) -> int:
        """What it still holds will never come, and was possibly bought: how many jobs follow their run's policy."""
        ...

    async def done(self, batch: BatchId, now: Millis) -> bool:
        """False if it still holds a job."""
        ...

    async def bought_twice(self, batch: Batch, remote: str, cost: Nanos) -> bool:
        """*remote* repeats *batch*, and cost so much for answers that were there; False if that was booked before."""
        ...

    async def rewound(self, account: int) -> Rewound | None:
        """How far *account* of a queue is that a backup was restored into; None if it may send."""
        ...

    async def strangers(self, account: int, remotes: Sequence[str]) -> Sequence[str]:
        """Those of *remotes* that no batch here is, and that were not judged before."""
        ...

    async def note_rewound(self, account: int, *, until: Millis, judged: Sequence[str], waiting: int) -> None:
        """A complete listing told that *judged* hold nothing for us, and that nobody can tell yet of *waiting* more."""
        ...

    async def recall(
        self, account: int, remote: Remote, tickets: Sequence[Ticket], worker: WorkerId, now: Millis
    ) -> BatchId | None:
        """*remote* is ours, forgotten, and answers *tickets*: it stands again; None if it answers no job here."""
        ...

    async def rewound_over(self, account: int) -> bool:
        """*account* may send again; False while a batch that was taken back is not collected."""
        ...
