"""The Message Batches API: six calls, each checked, metered, and spoiled as the plan wants it."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

from batchrun.core.job import Millis
from batchrun.core.ports import Clock
from batchrun.simulator import download, effects, failures, mishaps, paging, submission
from batchrun.simulator.account import Account
from batchrun.simulator.batch import Batch
from batchrun.simulator.batchplan import Broke, Verb
from batchrun.simulator.calls import Asked
from batchrun.simulator.effects import Effect, Kind
from batchrun.simulator.envelope import Envelope
from batchrun.simulator.failures import Failure, not_found
from batchrun.simulator.ledger import Ledger
from batchrun.simulator.plan import Plan
from batchrun.simulator.register import Register
from batchrun.simulator.shelf import Shelf
from batchrun.simulator.wire import Broken, How, Response

SLICE = 1000
"""Requests of a create that are read before others get their turn."""


@dataclass(slots=True, kw_only=True)
class Batches:
    """Answers calls under one plan. Raises `Broken` where the connection is to fail without an answer."""

    plan: Plan
    clock: Clock
    account: Account
    ledger: Ledger
    shelf: Shelf
    envelope: Envelope
    register: Register
    calls: Counter[Verb]

    def wished(self, which: Verb) -> tuple[int, Sequence[Effect]]:
        """Which of its kind the next call is, and what is to go wrong with it."""
        nth = self.calls[which]
        self.calls[which] += 1
        plan, dice = self.plan.batches, self.register.dice(which, nth)
        chances = plan.faults.get(which, {})
        drawn = tuple(Effect(kind) for kind, chance in chances.items() if dice.random() < chance)
        return nth, (*effects.at(plan.script.get(which, ()), nth), *drawn)

    async def answer(self, asked: Asked) -> Response:
        """The answer to a call whose key and headers are good."""
        await self.register.meet_colleague()
        refused = self.account.call()
        if refused is not None:
            return self.envelope.fail(asked.entry, refused)
        match asked.verb:
            case Verb.CREATE:
                return await self._create(asked)
            case Verb.LIST:
                return await self._list(asked)
            case Verb.GET | Verb.CANCEL | Verb.DELETE | Verb.RESULTS:
                batch = await self._found(asked)
                if batch is None:
                    return self.envelope.fail(asked.entry, not_found(f"Message Batch {asked.id} not found"))
            case _:
                assert_never(asked.verb)
        self.ledger.note(asked.entry, batch=batch.id)
        match asked.verb:
            case Verb.GET:
                return await self._told(asked, self._shown(asked, batch))
            case Verb.CANCEL:
                return await self._cancel(asked, batch)
            case Verb.DELETE:
                return await self._delete(asked, batch)
            case Verb.RESULTS:
                return await self._results(asked, batch)
            case _:
                assert_never(asked.verb)

    # The calls.

    async def _create(self, asked: Asked) -> Response:
        body = asked.request.upload or self.shelf.spool(asked.request.body)
        try:
            if self.plan.batches.broke is Broke.REFUSE and (broke := self.account.broke()) is not None:
                return self.envelope.fail(asked.entry, broke)
            taken = await self._taken(asked, body)
        except submission.Refused as refused:
            return self.envelope.fail(asked.entry, refused.failure)
        finally:
            body.unlink(missing_ok=True)
        if isinstance(taken, Failure):
            return self.envelope.fail(asked.entry, taken)
        self.ledger.note(asked.entry, accepted=True, batch=taken.id)
        return await self._told(asked, self._shown(asked, taken))

    async def _taken(self, asked: Asked, body: Path) -> Batch | Failure:
        """The batch that *body* asks for, accepted. Raises `Refused`."""
        limits = self.plan.batches.limits
        ids = []
        with body.open("rb") as file:
            for slip in submission.slips(file, submission.MOST if limits is None else limits.size):
                ids.append(slip.custom_id)
                if len(ids) % SLICE == 0:
                    await asyncio.sleep(0)
        copies = 1 if asked.effect(Kind.TWICE) is None else 2
        now = self.clock.wall()
        if limits is not None and self.register.queued(now) + copies * len(ids) > limits.queued:
            return failures.queue_full(limits.queued)
        for _ in range(copies):
            batch = self.register.accept(
                body,
                "\n".join(ids),
                workspace=asked.workspace,
                version=asked.request.headers["anthropic-version"],
                beta="anthropic-beta" in asked.request.headers,
                created=now,
            )
        return batch

    async def _list(self, asked: Asked) -> Response:
        now = self.clock.wall()
        rows = [
            batch
            for batch in self.shelf.batches.values()
            if batch.workspace == asked.workspace
            and not batch.deleted
            and now >= batch.created + self.plan.batches.listed_after * 1000
        ]
        rows.sort(key=lambda batch: (batch.created, batch.number), reverse=True)
        page = paging.page(rows, _id, asked.request.query)
        if isinstance(page, Failure):
            return self.envelope.fail(asked.entry, page)
        for batch in page.rows:
            if batch.ended(now):
                await self.register.processing.settle(batch)
        return await self._told(asked, page.shown(_id, lambda batch: self._shown(asked, batch)))

    async def _cancel(self, asked: Asked, batch: Batch) -> Response:
        now = self.clock.wall()
        if batch.ended(now):
            return self.envelope.fail(asked.entry, _conflict(f"Message Batch {batch.id} has already ended."))
        if batch.cancelled is None:
            plan = self.plan.batches
            batch.cancelled = now
            batch.stops = Millis(now + round(plan.canceling * 1000))
            batch.stuck = self.register.is_stuck(batch)
            self.shelf.keep(batch)
        return await self._told(asked, self._shown(asked, batch))

    async def _delete(self, asked: Asked, batch: Batch) -> Response:
        if not batch.ended(self.clock.wall()):
            return self.envelope.fail(asked.entry, _conflict(f"Message Batch {batch.id} has not ended."))
        await self.register.remove(batch)
        return await self._told(asked, {"id": batch.id, "type": "message_batch_deleted"})

    async def _results(self, asked: Asked, batch: Batch) -> Response:
        now = self.clock.wall()
        if not batch.ended(now):
            return self.envelope.fail(asked.entry, not_found(f"Message Batch {batch.id} has no results yet."))
        if batch.gone(now) is not None:
            return self.envelope.fail(asked.entry, not_found(f"Message Batch {batch.id} is archived."))
        plan, after = self.plan.batches, asked.after
        if (late := await self._late(asked)) is not None:
            return late
        order = random.Random(f"{batch.id} {asked.nth if plan.reshuffled else 0}")  # noqa: S311  # no secret
        path, ends = self.shelf.results(batch.id)
        return self.envelope.respond(
            asked.entry,
            download.chunks(path, ends, order, self.clock, stray=plan.stray, after=after),
            content_type="application/x-jsonl",
            ended=lambda delivered: self.ledger.note(asked.entry, delivered=delivered and after is None),
        )

    # What they share.

    async def _found(self, asked: Asked) -> Batch | None:
        now = self.clock.wall()
        batch = self.shelf.batches.get(asked.id)
        if batch is None or batch.deleted or batch.workspace != asked.workspace:
            return None
        if now < batch.created + self.plan.batches.known_after * 1000:
            return None
        if batch.ended(now):
            await self.register.processing.settle(batch)
        return batch

    async def _told(self, asked: Asked, value: Any) -> Response:
        """200 with *value*, or what the plan makes of it."""
        if (late := await self._late(asked)) is not None:
            return late
        body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
        after = asked.after
        if after is None:
            whole: bytes | AsyncIterator[bytes] = body
        else:
            half = body[: len(body) // 2]
            whole = half if after.kind is Kind.SHORT else mishaps.broken(half, after, self.clock)
        return self.envelope.respond(
            asked.entry,
            whole,
            ended=lambda delivered: self.ledger.note(asked.entry, delivered=delivered and after is None),
            length=None if isinstance(whole, bytes) else len(body),
        )

    async def _late(self, asked: Asked) -> Response | None:
        """What comes instead of the answer once the work is done. Raises `Broken` if it is nothing at all."""
        slow, after = asked.effect(Kind.SLOW), asked.after
        if slow is not None:
            await self.clock.sleep(mishaps.SLOW if slow.seconds is None else slow.seconds)
        if after is None:
            return None
        if after.kind is Kind.LOSE:
            raise Broken(How.CLOSED, after.kind)
        failure = mishaps.told_late(after)
        return None if failure is None else self.envelope.fail(asked.entry, failure)

    def _shown(self, asked: Asked, batch: Batch) -> Mapping[str, Any]:
        return batch.shown(self.clock.wall(), self.plan.batches.origin or asked.request.origin)


def _id(batch: Batch) -> str:
    return batch.id


def _conflict(message: str) -> Failure:
    return Failure(status=409, type="conflict_error", message=message)
