"""A batch API of which each answer is written down before, for tests of whoever asks it; and the parts that ask."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from batchrun.core.batch import Batch, Item, Page, Processing, Remote, ticket_of
from batchrun.core.claim import OpenRun
from batchrun.core.events import BatchTurned, Turn
from batchrun.core.job import Millis, Nanos, WorkerId
from batchrun.core.outcome import Answer, Outcome, Refused, Reply, ServerFailed, Succeeded, Usage
from batchrun.queue import tables as t
from batchrun.queue.batchstore import QueueBatches
from batchrun.queue.living import Living
from batchrun.queue.store import QueueStore
from batchrun.queue.writing import Inline
from batchrun.scheduler.attending import Attending, Looked
from batchrun.scheduler.collecting import Brought, Collecting
from batchrun.scheduler.creating import Created, Creating, Mark
from batchrun.scheduler.purse import Purse
from batchrun.scheduler.rewinding import Rewinding
from tests.scheduler.world import MODEL, World

USAGE = Usage(input=5, output=7)

Judge = Callable[[list[dict[str, Any]]], Outcome | None]
"""What the API says to a create of these requests instead of a batch; None: it takes them."""


def refused(message: str, status: int = 400, kind: str = "invalid_request_error") -> Refused:
    return Refused(reply=Reply(status=status, error_type=kind, message=message, genuine=True))


def failed(status: int = 500) -> ServerFailed:
    return ServerFailed(reply=Reply(status=status, error_type="api_error", message="no", genuine=True))


def good(text: str = "{}") -> Succeeded:
    return Succeeded(reply=Reply(), answer=Answer(body=text, stop_reason="end_turn", usage=USAGE, model=MODEL))


class Post:
    """`core.ports.BatchApi`. Remembers every call; the listing has what was created, newest first."""

    def __init__(self, clock: Any, judge: Judge = lambda requests: None) -> None:
        self.clock = clock
        self.judge = judge
        self.creates: list[list[dict[str, Any]]] = []
        self.calls: list[str] = []
        self.listed: list[Remote] = []
        self.files: dict[str, list[Item | Outcome]] = {}
        self.pages: list[Page | Outcome] = []  #: instead of the listing, one after the other
        self.dated = True
        self.page_size = 1_000

    async def create(self, body: bytes, *, betas: Sequence[str], headers: Mapping[str, str]) -> Remote | Outcome:
        requests = json.loads(body)["requests"]
        self.creates.append(requests)
        refusal = self.judge(requests)
        if refusal is not None:
            return refusal
        return self.stands(len(requests))

    def stands(self, n: int, *, ended: bool = False, created: Millis | None = None) -> Remote:
        """A new batch in the workspace."""
        remote = Remote(
            id=f"msgbatch_{len(self.listed) + 1:04d}",
            processing=Processing.ENDED if ended else Processing.IN_PROGRESS,
            counts={"succeeded" if ended else "processing": n},
            created=self.clock.wall() if created is None else created,
        )
        self.listed.insert(0, remote)
        return remote

    async def page(self, after: str | None = None) -> Page | Outcome:
        self.calls.append(f"page {after}")
        if self.pages:
            return self.pages.pop(0)
        ids = [each.id for each in self.listed]
        begin = 0 if after is None else ids.index(after) + 1
        shown = tuple(self.listed[begin : begin + self.page_size])
        more = begin + self.page_size < len(self.listed)
        return Page(batches=shown, more=more, date=self.clock.wall() if self.dated else None)

    async def find(self, remote: str) -> Remote | Outcome:
        self.calls.append(f"find {remote}")
        found = next((each for each in self.listed if each.id == remote), None)
        return found or refused("no such batch", 404, "not_found_error")

    async def cancel(self, remote: str) -> Remote | Outcome:
        self.calls.append(f"cancel {remote}")
        return await self.find(remote)

    async def delete(self, remote: str) -> Outcome | None:
        raise AssertionError("nobody deletes anything by himself")

    async def results(self, remote: str) -> AsyncGenerator[Item | Outcome, None]:
        self.calls.append(f"results {remote}")
        for each in list(self.files[remote]):
            yield each


class Office:
    """Creating, collecting and attending of one world, over a `Post`."""

    def __init__(self, world: World, judge: Judge = lambda requests: None, *, max_cost: Nanos | None = None) -> None:
        self.world = world
        self.api = Post(world.clock, judge)
        self.store: Any = QueueBatches(Inline(world.engine))
        self.queue = QueueStore(Inline(world.engine), Living(world.path))
        self.purse = Purse(max_cost)
        self.closed = False

    async def open(self, before: Office | None = None) -> None:
        """*before*: whoever sat here till now, and has left; the API is the same."""
        terms = self.world.terms()
        if before is not None:
            await before.queue.leave(before.worker)
            self.queue, self.api = before.queue, before.api
        self.worker: WorkerId = await self.queue.register(terms.card)
        known = await self.queue.remember_account(terms.stand_in, terms.fingerprint, self.world.clock.wall())
        self.account: int = known.id
        shared: dict[str, Any] = {
            "store": self.store,
            "api": self.api,
            "clock": self.world.clock,
            "emit": self.world.heard.emit,
        }
        bought: dict[str, Any] = {"dice": self.world.dice, "terms": terms, "purse": self.purse}
        self.creating = Creating(**shared, **bought, who=lambda: self.worker, may_send=lambda: not self.closed)
        self.collecting = Collecting(**shared, **bought)
        prove = self.collecting.first
        rewinding = Rewinding(**shared, who=lambda: self.worker, prove=prove)
        self.attending = Attending(**shared, prove=prove, rewinding=rewinding)

    async def runs(self) -> Sequence[OpenRun]:
        return await self.queue.work(self.world.clock.wall())

    async def send(self, run: int = 1) -> Created:
        """The next batch of the run, if it has one."""
        found = next(each for each in await self.runs() if each.id == run)
        mark = Mark(newest=None, date=self.world.clock.wall())
        return await self.creating.send(found, MODEL, found.queued.get(MODEL, 0), self.account, mark)

    async def send_all(self, run: int = 1) -> int:
        """Batches until nothing of the run is queued; how many tries it took."""
        for tries in range(10_000):
            found = [each for each in await self.runs() if each.id == run]
            if not found or not found[0].queued.get(MODEL, 0):
                return tries
            await self.send(run)
        raise AssertionError("it never ends")

    async def batch(self, nth: int = 0) -> Batch:
        _id, token = sorted(self.world.rows(t.batches, t.batches.c.id, t.batches.c.token))[nth]
        batch: Batch | None = await self.store.by_token(token)
        assert batch is not None
        return batch

    async def look(self) -> Looked:
        return await self.attending.look(self.account)

    async def collect(self, nth: int = 0) -> Brought:
        return await self.collecting.collect(await self.batch(nth), self.world.clock.wall())

    def answers(self, nth: int = 0, change: Callable[[int, Outcome], Outcome | None] | None = None) -> str:
        """Put a file of answers to the *nth* create in its place; *change* may give another outcome, or no line."""
        remote = [each.id for each in reversed(self.api.listed)][nth]
        accepted = [requests for requests in self.api.creates if self.api.judge(requests) is None]
        items: list[Item | Outcome] = []
        for at, request in enumerate(accepted[nth]):
            outcome = good(json.dumps({"at": at}))
            changed = outcome if change is None else change(at, outcome)
            if changed is not None:
                items.append(Item(custom_id=request["custom_id"], outcome=changed))
        self.api.files[remote] = items
        return remote

    def turns(self) -> list[Turn]:
        return [event.turn for event in self.world.heard.of(BatchTurned)]

    def errors(self) -> dict[str, str | None]:
        return dict(self.world.rows(t.jobs, t.jobs.c.key, t.jobs.c.error))

    def tries(self) -> set[int]:
        return {n for (n,) in self.world.rows(t.jobs, t.jobs.c.tries)}

    def state_of(self, key: str) -> str:
        with self.world.engine.begin() as tx:
            return str(tx.execute(sa.select(t.jobs.c.state).where(t.jobs.c.key == key)).scalar())


def jobs_of(requests: Sequence[dict[str, Any]]) -> list[int]:
    """The jobs that were asked for in one create."""
    tickets = [ticket_of(each["custom_id"]) for each in requests]
    return [ticket.job for ticket in tickets if ticket is not None]
