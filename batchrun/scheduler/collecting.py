"""A batch's results come home: from the start of the file, in any order, stored as they come, as often as it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from batchrun.core.batch import STOOD, Batch, CancelReason, Item, Ticket, Won, ticket_of
from batchrun.core.claim import Claim, Finish, Kept
from batchrun.core.events import BatchTurned, Event, Turn
from batchrun.core.figures import count
from batchrun.core.job import JobId, Millis, Nanos
from batchrun.core.outcome import AccountStopped, Billed, Canceled, Dropped, Outcome, Reply, Succeeded, billed
from batchrun.core.polling import is_missing
from batchrun.core.ports import BatchApi, BatchStore, Clock, Dice
from batchrun.core.retry import Fail, Wait, decide
from batchrun.scheduler.purse import Purse
from batchrun.scheduler.terms import Terms

CHUNK = 500
"""Answers that are stored at once, and held in memory."""

GLANCE = 20
"""Lines of somebody else's after which a batch is not ours: more than stray among the results of one."""


@dataclass(slots=True, kw_only=True)
class Brought:
    """What one download brought."""

    won: int = 0
    others: Counter[str] = field(default_factory=Counter)  #: errors and the like, by their type
    stray: int = 0  #: lines that are not this batch's
    lines: int = 0  #: that are this batch's
    bounds: int = 0  #: what those of a repetition may have cost at most
    missing: int = 0  #: jobs without a line
    broken: Outcome | None = None  #: how the download failed, if it did
    stop: AccountStopped | None = None  #: an item that concerns the whole account
    spent: int = 0


class Collecting:
    """Stores what batches of one account bring."""

    def __init__(
        self,
        *,
        store: BatchStore,
        api: BatchApi,
        clock: Clock,
        dice: Dice,
        terms: Terms,
        purse: Purse,
        emit: Callable[[Event], None],
    ) -> None:
        self._store = store
        self._api = api
        self._clock = clock
        self._dice = dice
        self._terms = terms
        self._purse = purse
        self._emit = emit

    async def first(self, remote: str, n: int) -> Ticket | Outcome | None:
        """Whose batch *remote*, of *n* requests, is by the first lines of its results: None for somebody else's.

        One line that is not ours may have strayed, and results that end early say nothing at all.
        """
        seen = 0
        async with aclosing(self._api.results(remote)) as items:
            async for item in items:
                if not isinstance(item, Item):
                    return item
                ticket = ticket_of(item.custom_id)
                if ticket is not None:
                    return ticket
                seen += 1
                if seen >= GLANCE:
                    return None
        if seen >= n:
            return None
        return Dropped(reply=Reply(error_type="results_cut", message=f"the results of {remote} ended too early"))

    async def collect(self, batch: Batch, date: Millis) -> Brought:
        """Read and store the results of *batch*, which has ended; *date* is the server's clock."""
        assert batch.remote is not None
        pending = await self._store.collecting(batch.id)
        expected = len(pending)
        brought = await self._read(batch, batch.remote, pending)
        brought.missing = len(pending)
        if not expected and brought.broken is None:  # a late batch holds nothing: it is over when its file is
            brought.missing = max(0, batch.n - brought.lines)
        if brought.missing:
            await self._short(batch, brought, date)
        elif expected or brought.broken is None:
            await self._store.done(batch.id, self._clock.wall())
            self._tell(Turn.COLLECTED, batch, _words(brought), brought.won)
        return brought

    async def repeated(self, batch: Batch, remote: str, date: Millis) -> None:
        """*remote* is the same as *batch*, sent again by something between us and the API.

        *batch* is over: what it brought is its attempts' own. Answers of the repetition go to attempts that ended
        without one. All else that it bought, or may have bought where no line tells, was bought twice.
        """
        assert batch.state in STOOD
        brought = await self._read(batch, remote, {}, twice=True)
        if brought.broken is not None:
            return
        cost = brought.spent
        if brought.lines < batch.n:
            await self._store.short(batch.id, date)
            if not _never_comes(batch, date):
                return
            cost += max(0, batch.reserved - brought.bounds)
        if await self._store.bought_twice(batch, remote, Nanos(cost)):
            words = "something on the way repeated the request: it was bought twice"
            if brought.won:
                words += f", and {count(brought.won, 'job')} had no other answer"
            self._tell(Turn.TWICE, batch, words, batch.n)

    async def _short(self, batch: Batch, brought: Brought, date: Millis) -> None:
        n = brought.missing
        self._tell(Turn.SHORT, batch, f"{count(n, 'result')} of its {batch.n:,} are missing; asked for again", n)
        if brought.broken is not None:
            return  # what did not come whole does not tell what is not there
        await self._store.short(batch.id, date)
        if not _never_comes(batch, date):
            return
        now = self._clock.wall()
        await self._store.missing(batch.id, now, "no line in the results of its batch")
        self._tell(Turn.MISSING, batch, f"{count(n, 'result')} never came, and were possibly billed", n)
        await self._store.done(batch.id, now)

    async def _read(
        self, batch: Batch, remote: str, pending: dict[JobId, tuple[int, int]], *, twice: bool = False
    ) -> Brought:
        brought = Brought()
        won: list[Won] = []
        others: list[tuple[Ticket, Outcome, bool]] = []
        async with aclosing(self._api.results(remote)) as items:
            async for item in items:
                if not isinstance(item, Item):
                    brought.broken = item
                    break
                ticket = ticket_of(item.custom_id)
                if ticket is None or ticket.token != batch.token or ticket.queue != batch.queue:
                    brought.stray += 1
                    continue
                brought.lines += 1
                outcome, held = item.outcome, pending.get(ticket.job)
                plain = isinstance(outcome, Succeeded) and outcome.answer.flag is None
                if isinstance(outcome, Succeeded) and plain and held is not None and held[0] == ticket.attempt:
                    del pending[ticket.job]
                    cost = self._terms.batch_cost(batch.model, outcome.answer.usage)
                    won.append(
                        Won(job=ticket.job, attempt=ticket.attempt, worst=held[1], answer=outcome.answer, cost=cost)
                    )
                    if len(won) >= CHUNK:
                        await self._keep(batch, won, brought)
                        won = []
                    continue
                holds = held is not None and held[0] == ticket.attempt
                if holds:
                    del pending[ticket.job]
                others.append((ticket, outcome, holds))
                if len(others) >= CHUNK:
                    await self._finish(batch, others, brought, twice=twice)
                    others = []
        if won:
            await self._keep(batch, won, brought)
        if others:
            await self._finish(batch, others, brought, twice=twice)
        if brought.stray:
            n = brought.stray
            self._tell(Turn.STRAY, batch, f"{count(n, 'line')} of its results belong to no job of it; left out", n)
        return brought

    async def _keep(self, batch: Batch, won: Sequence[Won], brought: Brought) -> None:
        if await self._store.keep(batch, won, self._clock.wall()):
            brought.won += len(won)
            spent = sum(each.cost if each.cost is not None else each.worst for each in won)
            self._purse.book(batch.id, sum(each.worst for each in won), spent)
            brought.spent += spent
            return
        await self._finish(batch, [(_ticket(batch, each), _answered(each), True) for each in won], brought)

    async def _finish(
        self, batch: Batch, others: Sequence[tuple[Ticket, Outcome, bool]], brought: Brought, *, twice: bool = False
    ) -> None:
        """Store what is no plain answer for a job that is held: errors, and answers that come late or again.

        Of each it is told whether the batch held its job when it was read: else it may have been stored before.
        """
        claims = await self._store.claims(batch.id, [(ticket.job, ticket.attempt) for ticket, _, _ in others])
        finishes, were_held = [], []
        for ticket, outcome, holds in others:
            claim = claims.get(ticket.job)
            if claim is None or claim.attempt != ticket.attempt:
                brought.stray += 1
                continue
            brought.bounds += claim.worst or 0
            finish = self._ending(batch, claim, outcome)
            if not twice or isinstance(outcome, Succeeded):
                finishes.append(finish)
                were_held.append(holds)
            else:  # it tells nothing of the attempt, but may have cost something
                brought.spent += self._spent(finish)
        stored = await self._store.finish(finishes, repetition=twice) if finishes else ()
        for finish, holds, kept in zip(finishes, were_held, stored, strict=True):
            spent = self._spent(finish)
            if twice:
                brought.won += kept is Kept.LATE
                brought.spent += spent if kept in {Kept.REPEATED, Kept.STALE} else 0  # else its attempt is booked
                continue
            if not holds and kept is not Kept.LATE:
                continue
            if isinstance(finish.outcome, AccountStopped):
                brought.stop = finish.outcome
            self._count(finish, kept, brought)
            self._purse.book(batch.id, (finish.claim.worst or 0) if holds else 0, spent)

    def _ending(self, batch: Batch, claim: Claim, outcome: Outcome) -> Finish:
        now = self._clock.wall()
        if isinstance(outcome, Canceled):
            outcome = replace(outcome, by_user=batch.cancel is not CancelReason.RESCUE)
        decision = decide(
            outcome,
            tries=claim.tries,
            limited=0,
            policy=batch.policy,
            jitter=0.0 if isinstance(outcome, Succeeded) else self._dice.random(),
            so_far=claim.so_far(self._terms.largest(claim.model)),
        )
        due = Millis(now + round(decision.seconds * 1000)) if isinstance(decision, Wait) else None
        usage = outcome.answer.usage if isinstance(outcome, Succeeded) else None
        return Finish(
            claim=claim,
            outcome=outcome,
            decision=decision,
            sent=batch.sent,
            ended=now,
            due=due,
            cost=None if usage is None else self._terms.batch_cost(claim.model, usage),
        )

    def _count(self, finish: Finish, kept: Kept, brought: Brought) -> None:
        outcome, decision = finish.outcome, finish.decision
        if not isinstance(outcome, Succeeded):
            brought.others[outcome.reply.error_type or "error"] += 1
        elif kept is Kept.ASIDE or isinstance(decision, Fail):
            brought.others[outcome.answer.stop_reason] += 1
        else:
            brought.won += kept in {Kept.CURRENT, Kept.LATE}

    def _spent(self, finish: Finish) -> int:
        if billed(finish.outcome) is Billed.NO:
            return 0
        return finish.cost if finish.cost is not None else finish.claim.worst or 0

    def _tell(self, turn: Turn, batch: Batch, message: str, n: int) -> None:
        self._emit(
            BatchTurned(
                at=self._clock.wall(),
                turn=turn,
                batch=batch.id,
                run=batch.run,
                n=n,
                message=message,
                remote=batch.remote,
            )
        )


def _never_comes(batch: Batch, date: Millis) -> bool:
    """Whether what this download, at *date*, did not bring will never come."""
    return is_missing(batch.downloads + 1, batch.downloaded if batch.downloaded is not None else date, date)


def _ticket(batch: Batch, won: Won) -> Ticket:
    return Ticket(batch.queue, batch.token, won.job, won.attempt)


def _answered(won: Won) -> Succeeded:
    return Succeeded(reply=Reply(), answer=won.answer)


def _words(brought: Brought) -> str:
    parts = [f"{count(brought.won, 'answer')} stored"]
    parts += [f"{n:,} {kind}" for kind, n in sorted(brought.others.items())]
    return ", ".join(parts)
