"""A rewound queue looks through what its workspace made since: what is ours is taken back, before anything is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing

from batchrun.core.batch import Item, Processing, Remote, Ticket, ticket_of
from batchrun.core.events import Event, Trouble
from batchrun.core.figures import count, moment
from batchrun.core.job import BatchId, WorkerId
from batchrun.core.outcome import Dropped, Outcome, Refused, Reply, Succeeded
from batchrun.core.ports import BatchApi, BatchStore, Clock
from batchrun.core.rewind import PATIENCE, Rewound
from batchrun.scheduler.listing import Listing

UNKNOWN = 404


class Rewinding:
    """Looks for one account. *prove* reads the first lines of a batch's results, of so many."""

    def __init__(
        self,
        *,
        store: BatchStore,
        api: BatchApi,
        clock: Clock,
        who: Callable[[], WorkerId],
        prove: Callable[[str, int], Awaitable[Ticket | Outcome | None]],
        emit: Callable[[Event], None],
    ) -> None:
        self._store = store
        self._api = api
        self._clock = clock
        self._who = who
        self._prove = prove
        self._emit = emit

    async def look(self, account: int, rewound: Rewound, listed: Listing) -> tuple[set[BatchId], Outcome | None]:
        """What a listing tells: the batches that were taken back, and what went wrong with the way to the API."""
        if listed.date is None or not listed.complete:
            return set(), None
        date = listed.date
        if rewound.until is None:
            self._tell(
                f"restored at {moment(rewound.at)}: nothing is sent until it is known what this queue bought since"
            )
        until = date if rewound.until is None else rewound.until
        suspects = {each.id: each for each in rewound.suspects(listed.batches)}
        judged: list[str] = []
        taken: set[BatchId] = set()
        waiting, trouble = 0, None
        for remote in await self._store.strangers(account, list(suspects)):
            found = await self._judge(account, suspects[remote], late=date - until >= PATIENCE)
            if isinstance(found, Outcome):
                trouble = found
            if found is None or isinstance(found, Outcome):
                waiting += 1
            elif isinstance(found, Remote):
                judged.append(remote)
            else:
                taken.add(found)
        await self._store.note_rewound(account, until=until, judged=judged, waiting=waiting)
        opens = rewound.opens
        if (
            not waiting
            and not taken
            and opens is not None
            and date >= opens
            and await self._store.rewound_over(account)
        ):
            self._tell("all that this queue bought since its backup is known: jobs are sent again")
        return taken, trouble

    async def _judge(self, account: int, remote: Remote, *, late: bool) -> BatchId | Remote | Outcome | None:
        """Its number here if it was taken back, itself if there is nothing in it for us, None while nobody can tell."""
        if remote.archived:
            return remote  # its results are gone, whosever they were
        if remote.processing is not Processing.ENDED:
            return None
        whose = await self._prove(remote.id, remote.n)
        if isinstance(whose, Outcome):
            return remote if _unknown(whose) else whose
        rewound = await self._store.rewound(account)
        if whose is None or rewound is None or whose.queue != rewound.queue:
            return remote
        answered = await self._answered(remote, whose, late=late)
        if isinstance(answered, Outcome):
            return answered
        batch = await self._store.recall(account, remote, answered, self._who(), self._clock.wall())
        if batch is not None:
            self._tell(f"{remote.id} was bought after this queue's backup: it is taken back, not sent again")
            return batch
        if answered:
            n = count(len(answered), "answer")
            self._tell(f"{n} to jobs that this queue does not know are in {remote.id}: its backup is older than they")
        return remote

    async def _answered(self, remote: Remote, whose: Ticket, *, late: bool) -> Sequence[Ticket] | Outcome:
        """The tickets of its answers; an outcome if it did not come whole. *late*: what is missing never comes."""
        tickets: list[Ticket] = []
        lines = 0
        async with aclosing(self._api.results(remote.id)) as items:
            async for item in items:
                if not isinstance(item, Item):
                    return item
                lines += 1
                ticket = ticket_of(item.custom_id)
                ours = ticket is not None and (ticket.queue, ticket.token) == (whose.queue, whose.token)
                if ticket is not None and ours and isinstance(item.outcome, Succeeded):
                    tickets.append(ticket)
        if lines < remote.n and not late:
            return Dropped(reply=Reply(error_type="results_cut", message=f"the results of {remote.id} ended too early"))
        return tickets

    def _tell(self, message: str) -> None:
        self._emit(Trouble(at=self._clock.wall(), code="rewound", message=message))


def _unknown(outcome: Outcome) -> bool:
    return isinstance(outcome, Refused) and outcome.reply.status == UNKNOWN
