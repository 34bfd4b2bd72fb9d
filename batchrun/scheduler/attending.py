"""Whoever looks after the batches that are out: one listing tells of all, and each gets what it needs next."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never

from batchrun.core.batch import (
    KEPT,
    STANDING,
    STOOD,
    Batch,
    BatchState,
    CancelReason,
    Processing,
    Remote,
    Ticket,
    Verdict,
)
from batchrun.core.events import BatchTurned, Event, Turn
from batchrun.core.figures import count
from batchrun.core.job import BatchId, Millis
from batchrun.core.outcome import AccountStopped, Misrouted, Outcome, Refused, Unreachable
from batchrun.core.polling import download_due, is_gone
from batchrun.core.ports import BatchApi, BatchStore, Clock
from batchrun.core.settling import Settled, is_watched, matching, settled
from batchrun.scheduler.creating import Mark
from batchrun.scheduler.listing import Listing, listing, reach_of
from batchrun.scheduler.rewinding import Rewinding

UNKNOWN = 404

WARNED = 5 * 24 * 60 * 60 * 1000
"""Milliseconds before results vanish from which on each pass says so once."""


@dataclass(slots=True, kw_only=True)
class Looked:
    """What one look came to."""

    mark: Mark | None = None  #: None if the listing failed
    attended: Sequence[Batch] = ()  #: as they were before
    ended: list[Batch] = field(default_factory=list)  #: whose results may be collected now
    repeated: list[tuple[BatchId, str]] = field(default_factory=list)  #: the same batch once more, under another id
    date: Millis | None = None
    outcome: Outcome | None = None  #: what went wrong with the way to the API or the account


class Attending:
    """Looks at all batches of one account. *prove* reads the first lines of a batch's results, of so many."""

    def __init__(
        self,
        *,
        store: BatchStore,
        api: BatchApi,
        clock: Clock,
        prove: Callable[[str, int], Awaitable[Ticket | Outcome | None]],
        emit: Callable[[Event], None],
        rewinding: Rewinding,
    ) -> None:
        self._store = store
        self._api = api
        self._clock = clock
        self._prove = prove
        self._emit = emit
        self._rewinding = rewinding
        self._adopted: set[BatchId] = set()
        self._warned: set[BatchId] = set()
        self._repeated: set[str] = set()  # remote ids of what is one of ours once more

    async def look(self, account: int) -> Looked:
        """One listing, and what follows from it for each batch."""
        attended = await self._store.attended(account)
        rewound = await self._store.rewound(account)
        since = None if rewound is None else rewound.since
        listed = await listing(self._api, reach_of(attended, self._clock.wall(), since))
        looked = Looked(attended=attended, outcome=listed.outcome, date=listed.date)
        if listed.date is None:
            return looked
        looked.mark = Mark(newest=listed.newest, date=listed.date)
        self._adopted.clear()
        for batch in attended:
            if batch.state in STANDING:
                await self._stands(batch, listed, listed.date, looked)
                await self._repetitions(batch, listed, looked)
            elif batch.state in STOOD:
                if download_due(batch.downloads, batch.downloaded, listed.date):
                    await self._repetitions(batch, listed, looked)
            elif is_watched(batch, listed.date) and batch.id not in self._adopted:
                await self._watch(batch, listed, listed.date, looked)
        if rewound is not None:
            taken, trouble = await self._rewinding.look(account, rewound, listed)
            looked.outcome = looked.outcome if trouble is None else _worse(looked.outcome, trouble)
            looked.ended += [each for each in await self._store.attended(account) if each.id in taken]
        return looked

    # -- batches that stand ------------------------------------------------------------------------------------------

    async def _stands(self, batch: Batch, listed: Listing, date: Millis, looked: Looked) -> None:
        assert batch.remote is not None
        remote = listed.by_id.get(batch.remote)
        if remote is None:
            found = await self._api.find(batch.remote)
            if isinstance(found, Remote):
                remote = found
            elif _unknown(found):
                await self._missed(batch, date)
                return
            else:
                looked.outcome = _worse(looked.outcome, found)
                return
        if remote.processing != batch.processing or batch.absent is not None:
            await self._store.seen(batch.id, remote)
        batch = replace(batch, processing=remote.processing, created=remote.created, absent=None)
        if remote.archived:
            await self._gone(batch, "its results were not kept any longer")
        elif remote.processing is Processing.ENDED:
            if download_due(batch.downloads, batch.downloaded, date):
                looked.ended.append(batch)
            self._warn(batch, remote, date)
        elif batch.cancel is not None and not batch.cancelled:
            await self._cancel(batch, looked)

    async def _cancel(self, batch: Batch, looked: Looked) -> None:
        assert batch.remote is not None
        answer = await self._api.cancel(batch.remote)
        if isinstance(answer, Remote):
            await self._store.cancelled(batch.id)
            await self._store.seen(batch.id, answer)
            turn = Turn.RESCUED if batch.cancel is CancelReason.RESCUE else Turn.CANCELLING
            self._tell(turn, batch, f"{batch.remote} is being cancelled; what it has done is kept")
        elif not isinstance(answer, Refused):  # it ended meanwhile: the next look collects it
            looked.outcome = _worse(looked.outcome, answer)

    async def _missed(self, batch: Batch, date: Millis) -> None:
        await self._store.missed(batch.id, date)
        if is_gone(batch.absent, date):
            await self._gone(batch, "the API does not know it any more")

    async def _gone(self, batch: Batch, why: str) -> None:
        held = await self._store.gone(batch.id, self._clock.wall(), why)
        if held is not None:
            self._tell(Turn.GONE, batch, f"{batch.remote} is gone: {why}; {count(held, 'job')} held", held)

    def _warn(self, batch: Batch, remote: Remote, date: Millis) -> None:
        left = remote.created + KEPT - date
        if left < WARNED and batch.id not in self._warned:
            self._warned.add(batch.id)
            days = max(0, left // (24 * 60 * 60 * 1000))
            self._tell(Turn.VANISHING, batch, f"the results of {batch.remote} vanish in {count(days, 'day')}")

    async def _repetitions(self, batch: Batch, listed: Listing, looked: Looked) -> None:
        """Something on the way may have sent the request twice: the same batch stands once more."""
        alike = matching(batch, listed.by_size.get(batch.n, ()), {batch.remote or ""})
        if not alike:
            return
        verdicts = await self._store.suspect(batch.id, [each.id for each in alike], self._clock.wall())
        for each in alike:
            if verdicts.get(each.id) is not Verdict.OPEN:
                continue
            if each.id in self._repeated:
                looked.repeated.append((batch.id, each.id))
            elif each.processing is Processing.ENDED and not each.archived:
                ticket = await self._prove(each.id, each.n)
                if isinstance(ticket, Ticket) and ticket.token == batch.token:
                    self._repeated.add(each.id)
                    looked.repeated.append((batch.id, each.id))
                elif ticket is None or isinstance(ticket, Ticket):
                    await self._foreign(batch, each.id, ticket)

    # -- batches that nobody knows to stand --------------------------------------------------------------------------

    async def _watch(self, batch: Batch, listed: Listing, date: Millis, looked: Looked) -> None:
        alike = matching(batch, listed.by_size.get(batch.n, ()), ())
        verdicts = await self._store.suspect(batch.id, [each.id for each in alike], self._clock.wall())
        possible = False
        for remote, verdict in verdicts.items():
            if verdict is not Verdict.OPEN:
                continue
            shown = listed.by_id.get(remote)
            if shown is None or shown.processing is not Processing.ENDED or shown.archived:
                possible = True  # what runs is waited for; what is hidden stays suspect
                continue
            ticket = await self._prove(remote, shown.n)
            if isinstance(ticket, Ticket) and ticket.token == batch.token:
                await self._adopt(batch, shown, looked)
                return
            if ticket is None or isinstance(ticket, Ticket):
                await self._foreign(batch, remote, ticket)
            else:
                possible = True
                looked.outcome = _worse(looked.outcome, ticket)
        if batch.state is BatchState.UNCLEAR and listed.complete:
            await self._settle(batch, date, possible=possible)

    async def _settle(self, batch: Batch, date: Millis, *, possible: bool) -> None:
        match settled(batch, date, possible=possible):
            case Settled.POSSIBLE | Settled.WAIT:
                pass
            case Settled.ABSENT:
                await self._store.absent(batch.id, date)
            case Settled.LOST:
                n = await self._store.lose(batch.id, date, self._clock.wall())
                if n is not None:
                    self._tell(
                        Turn.LOST, batch, f"{count(n, 'job')} in a batch never arrived; they are queued again", n
                    )
            case never:
                assert_never(never)

    async def _adopt(self, batch: Batch, remote: Remote, looked: Looked) -> None:
        if not await self._store.submitted(batch.id, remote, self._clock.wall()):
            return
        self._adopted.add(batch.id)
        late = batch.state is BatchState.LOST
        turn, words = (Turn.LATE, "turned up after all") if late else (Turn.ADOPTED, "was found again, not sent again")
        batch = replace(
            batch,
            state=BatchState.SUBMITTED,
            remote=remote.id,
            processing=remote.processing,
            created=remote.created,
            expires=remote.expires,
        )
        self._tell(turn, batch, f"a batch of {count(batch.n, 'job')} {words}: {remote.id}", batch.n)
        looked.ended.append(batch)

    async def _foreign(self, batch: Batch, remote: str, ticket: Ticket | None) -> None:
        """*remote* is not *batch*; it may be another one of ours that is looked for."""
        await self._store.judge(batch.id, remote, Verdict.FOREIGN)
        self._tell(Turn.FOREIGN, batch, f"{remote}, of as many requests, is not it")
        if ticket is not None and ticket.queue == batch.queue:
            other = await self._store.by_token(ticket.token)
            if other is not None and is_watched(other, None):
                await self._store.suspect(other.id, [remote], self._clock.wall())

    def _tell(self, turn: Turn, batch: Batch, message: str, n: int = 0) -> None:
        at = self._clock.wall()
        self._emit(
            BatchTurned(at=at, turn=turn, batch=batch.id, run=batch.run, n=n, message=message, remote=batch.remote)
        )


def _unknown(outcome: Outcome) -> bool:
    return isinstance(outcome, Refused) and outcome.reply.status == UNKNOWN


def _worse(was: Outcome | None, now: Outcome) -> Outcome:
    """The one that concerns more."""
    return was if isinstance(was, AccountStopped) else now if was is None or isinstance(now, AccountStopped) else was


def stops(outcome: Outcome | None) -> bool:
    """Whether *outcome* of a look concerns the account or the way to the API, not a batch."""
    return isinstance(outcome, AccountStopped | Unreachable | Misrouted)
