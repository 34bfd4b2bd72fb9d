"""The seams: what the scheduler asks of the queue, of Claude, of time, of chance and of whoever listens."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Protocol

from batchrun.core.account import Account
from batchrun.core.batch import Item, Page, Remote
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
from batchrun.core.events import Event
from batchrun.core.job import Millis, Nanos, RunId, WorkerId
from batchrun.core.outcome import Outcome
from batchrun.core.pause import Pause, PauseScope


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


class Store(Protocol):
    """The persistent queue. Each verb is one transaction, durable when it returns.

    Raises `StoreError` (batchrun.errors) when the database cannot be used at all; a full disk or a busy database is
    waited for instead.
    """

    async def register(self, card: WorkerCard) -> WorkerId: ...

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

    async def claim(self, run: RunId, model: str, n: int, worker: WorkerId, now: Millis, left: Nanos | None) -> Taken:
        """At most *n* queued jobs of *model* become *running*, each with its attempt row and money reserved.

        *left* is what this call to `run` may still spend (None: no cap of its own).
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

    async def pause(self, pause: Pause) -> None:
        """Write or renew the pause of its (scope, subject)."""
        ...

    async def lift(self, scope: PauseScope, subject: str) -> None: ...

    async def limits(self, account: int) -> Sequence[LearnedLimit]: ...

    async def remember_limit(self, account: int, limit: LearnedLimit) -> None: ...

    async def record(self, events: Sequence[Event]) -> None: ...

    async def settle(self, now: Millis) -> Sequence[tuple[RunId, str]]:
        """Open runs whose jobs are all final become *done*; returns those, with their names."""
        ...
