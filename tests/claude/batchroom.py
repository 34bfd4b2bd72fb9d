"""What the tests of batches share: a batch as the API writes it, and the room over a server that answers so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Any, TypeVar

import httpx2

from batchrun.claude.batches import Batches
from batchrun.claude.client import Connection, build
from batchrun.core.batch import Clarity, Item, Remote, clarity
from batchrun.core.outcome import Outcome
from batchrun.core.ports import BatchApi, Clock
from tests.claude.api import BASE, KEY, MESSAGE, Handler, Said, StillClock

T = TypeVar("T")

COUNTS = {"processing": 2, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}

BATCH: dict[str, Any] = {
    "id": "msgbatch_01",
    "type": "message_batch",
    "processing_status": "in_progress",
    "request_counts": COUNTS,
    "created_at": "2026-11-20T12:00:00.250000Z",
    "expires_at": "2026-11-21T12:00:00.250000Z",
    "ended_at": None,
    "cancel_initiated_at": None,
    "archived_at": None,
    "results_url": None,
}

BODY = b'{"requests": [{"custom_id": "br-q-b-1-1", "params": {}}]}'

Ask = Callable[[BatchApi], Awaitable[T]]


def over(client: httpx2.AsyncClient | None, clock: Clock | None = None, **connection: Any) -> Batches:
    """The room over *client*, or over its own transport; virtual time goes on in it."""
    sdk = build(Connection(**{"secret": KEY, "base_url": BASE, **connection}), client)
    sdk._platform = "Linux"  # else the SDK asks for it in a thread, and virtual time has none
    return Batches(sdk, StillClock() if clock is None else clock)


def asking(answer: Said | Handler, ask: Ask[T], **connection: Any) -> T:
    """What *ask* gets of a server that answers so."""
    handler = (lambda request: answer.response()) if isinstance(answer, Said) else answer

    async def main() -> T:
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(handler)) as client:
            return await ask(over(client, **connection))

    return asyncio.run(main())


async def creating(room: BatchApi, body: bytes = BODY) -> Remote | Outcome:
    return await room.create(body, betas=(), headers={})


def created(answer: Said | Handler, **connection: Any) -> Remote | Outcome:
    return asking(answer, creating, **connection)


def stands(outcome: Remote | Outcome) -> Clarity:
    """Whether the batch stands whose create ended so."""
    assert not isinstance(outcome, Remote)
    return clarity(outcome)


async def read(room: BatchApi, most: int | None = None) -> list[Item | Outcome]:
    """The first *most* results, or all of them."""
    found: list[Item | Outcome] = []
    async with aclosing(room.results("msgbatch_01")) as results:
        async for each in results:
            found.append(each)
            if len(found) == most:
                break
    return found


def line(custom_id: str = "br-q-b-1-1", message: str | None = None) -> bytes:
    """A line of the results as the API writes it, with the JSON text of a message."""
    text = json.dumps(MESSAGE, ensure_ascii=False) if message is None else message
    return f'{{"custom_id":"{custom_id}","result":{{"type":"succeeded","message":{text}}}}}'.encode()


class Pieces(httpx2.AsyncByteStream):
    """A body that comes in pieces; an exception among them is raised in its place. `read` counts those taken."""

    def __init__(self, pieces: Iterable[bytes | Exception], pause: float = 0.0) -> None:
        self.read = 0
        self.closed = False
        self._pieces = pieces
        self._pause = pause

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            if self._pause:
                await asyncio.sleep(self._pause)
            if isinstance(piece, Exception):
                raise piece
            self.read += 1
            yield piece

    async def aclose(self) -> None:
        self.closed = True
