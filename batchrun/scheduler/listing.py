"""The workspace's batches as the API lists them: as far back as somebody has to look, in as few calls as it takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from batchrun.core.batch import STANDING, Batch, Remote
from batchrun.core.job import Millis
from batchrun.core.outcome import Outcome
from batchrun.core.ports import BatchApi
from batchrun.core.settling import Reach, earliest, is_watched

MOST_PAGES = 100
"""Of 1,000 batches each. More cannot have been made since any batch that is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What was listed. It tells what is not there only if it is `complete` and the server told the time."""

    batches: Sequence[Remote]  #: newest first
    date: Millis | None  #: the server's clock before the first page
    complete: bool
    outcome: Outcome | None = None  #: what went wrong, if anything did
    by_id: dict[str, Remote] = field(init=False)
    by_size: dict[int, list[Remote]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_id", {each.id: each for each in self.batches})
        by_size: dict[int, list[Remote]] = defaultdict(list)
        for each in self.batches:
            by_size[each.n].append(each)
        object.__setattr__(self, "by_size", by_size)

    @property
    def newest(self) -> str | None:
        return self.batches[0].id if self.batches else None


def reach_of(attended: Iterable[Batch], now: Millis, since: Millis | None = None) -> Reach | None:
    """How far back a listing must go for all of *attended*, and to *since*; None if the newest page tells enough."""
    watched = [batch for batch in attended if is_watched(batch, now)]
    standing = [batch for batch in attended if batch.state in STANDING and batch.created is not None]
    moments = [earliest(batch) for batch in [*watched, *standing]] + ([] if since is None else [since])
    if not moments:
        return None
    marks = {batch.watermark for batch in watched if batch.watermark is not None}
    # One watermark bounds the search for its own batch alone.
    alone = len(watched) == 1 and not standing and since is None
    return Reach(frozenset(marks) if alone else frozenset(), min(moments))


async def listing(api: BatchApi, reach: Reach | None) -> Listing:
    """List the newest batches, and older ones as far as *reach* goes."""
    batches: list[Remote] = []
    date: Millis | None = None
    after: str | None = None
    for nth in range(MOST_PAGES):
        page = await api.page(after)
        if isinstance(page, Outcome):
            return Listing(batches=batches, date=date, complete=False, outcome=page)
        if nth == 0:
            date = page.date
        batches += page.batches
        if not page.more or reach is None or reach.covers(page.batches):
            return Listing(batches=batches, date=date, complete=True)
        after = page.batches[-1].id
    return Listing(batches=batches, date=date, complete=False)
