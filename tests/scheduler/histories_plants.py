"""Mistakes about batches that the histories must find, planted in this process and taken out again."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

import pytest

from batchrun.core import settling
from batchrun.core.batch import Batch, Item, Ticket
from batchrun.core.job import BatchId, JobId, Millis
from batchrun.core.outcome import Outcome
from batchrun.queue.batchstore import QueueBatches
from batchrun.scheduler.attending import Attending
from batchrun.scheduler.collecting import Collecting
from tests.scheduler import world

Plant = Callable[[pytest.MonkeyPatch], None]


def an_unclear_create_is_sent_again(patch: pytest.MonkeyPatch) -> None:
    """The mistake of whoever takes silence for a no: its jobs are queued again at once."""

    async def refused(self: QueueBatches, batch: BatchId, why: str, *, answered: bool) -> bool:
        return await self.reject(batch, Millis(0), why)

    patch.setattr(QueueBatches, "unclear", refused)


def the_client_tries_again_by_itself(patch: pytest.MonkeyPatch) -> None:
    """The mistake of whoever leaves the SDK's retries on."""
    build = vars(world)["build"]

    def stubborn(*args: Any) -> Any:
        client = build(*args)
        client.max_retries = 2
        return client

    patch.setattr(world, "build", stubborn)


def nothing_is_waited_for(patch: pytest.MonkeyPatch) -> None:
    """The mistake of whoever believes the first two listings."""
    patch.setattr(settling, "settle_time", lambda batch: 0)


def the_first_of_its_size_is_taken(patch: pytest.MonkeyPatch) -> None:
    """The mistake of whoever knows a batch by its number of requests alone."""
    watch = Attending._watch

    async def blind(self: Attending, batch: Batch, *rest: Any) -> None:
        async def proven(remote: str, n: int) -> Ticket:
            return Ticket(batch.queue, batch.token, JobId(1), 1)

        prove, self._prove = self._prove, proven
        try:
            await watch(self, batch, *rest)
        finally:
            self._prove = prove

    patch.setattr(Attending, "_watch", blind)


class _Offset:
    """Downloads that begin where the last one is thought to have ended."""

    def __init__(self, api: Any, stored: int) -> None:
        self._api = api
        self._stored = stored

    async def results(self, remote: str) -> AsyncGenerator[Item | Outcome, None]:
        left = self._stored
        async for each in self._api.results(remote):
            left -= 1
            if left < 0 or not isinstance(each, Item):
                yield each


def downloads_go_on_where_they_stopped(patch: pytest.MonkeyPatch) -> None:
    """The mistake of whoever takes the number of lines for a place in the file."""
    read = Collecting._read

    async def resumed(self: Collecting, batch: Batch, remote: str, pending: Any, **rest: Any) -> Any:
        api, self._api = self._api, _Offset(self._api, batch.n - len(pending))  # type: ignore[assignment]  # all it is asked for
        try:
            return await read(self, batch, remote, pending, **rest)
        finally:
            self._api = api

    patch.setattr(Collecting, "_read", resumed)


PLANTS: Sequence[tuple[Plant, str]] = (
    (an_unclear_create_is_sent_again, "was bought|was never found"),
    (the_client_tries_again_by_itself, "left . times|was billed and|was bought"),
    (nothing_is_waited_for, "was bought"),
    (the_first_of_its_size_is_taken, "was left there|was never found|was bought|UNIQUE"),
    (downloads_go_on_where_they_stopped, "was left there|was bought"),
)
"""Each with a word of what finds it."""
