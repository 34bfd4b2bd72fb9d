"""How long a create may take, in virtual time: its body as long as it moves, its answer at least ten minutes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterable
from typing import Any, cast

import httpx2
import pytest

from batchrun.claude.batches import ANSWER
from batchrun.claude.upload import PIECE, PROMPT
from batchrun.core.batch import Clarity, Remote
from batchrun.core.outcome import Dropped, Outcome, Unreachable
from tests.claude.api import API, Said
from tests.claude.batchroom import BATCH, creating, over, stands
from tests.virtual import VirtualClock, run

HOUR = 3_600.0
BODY = b"x" * (100 * PIECE + 1)


class SlowLine(httpx2.AsyncBaseTransport):
    """Takes a piece of the body each *pause* seconds, stops for ever *after* some, and answers *late*.

    It begins *first* seconds after it was asked to.
    """

    def __init__(self, pause: float, late: float = 0.0, after: int | None = None, first: float = 0.0) -> None:
        self.taken: list[bytes] = []
        self._pause, self._late, self._after, self._first = pause, late, after, first

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        await asyncio.sleep(self._first)
        async for piece in cast("AsyncIterable[bytes]", request.stream):
            if len(self.taken) == self._after:
                await asyncio.sleep(1000 * HOUR)
            await asyncio.sleep(self._pause)
            self.taken.append(piece)
        await asyncio.sleep(self._late)
        return Said(body=BATCH, headers=API).response()


def timed(line: SlowLine, body: bytes = BODY, **connection: Any) -> tuple[Remote | Outcome, float]:
    async def main(clock: VirtualClock, dice: random.Random) -> tuple[Remote | Outcome, float]:
        room = over(httpx2.AsyncClient(transport=line), clock, **connection)
        return await creating(room, body), clock.steady()

    return run(main)


def test_a_slow_upload_may_take_hours_as_long_as_it_moves() -> None:
    line = SlowLine(pause=100.0)
    outcome, seconds = timed(line, write=120.0, read=60.0)
    assert isinstance(outcome, Remote)
    assert b"".join(line.taken) == BODY
    assert seconds > 2 * HOUR


@pytest.mark.parametrize(("first", "leaves"), [(PROMPT - 1.0, True), (PROMPT + 1.0, False)])
def test_what_could_not_begin_to_leave_soon_does_not_leave(first: float, *, leaves: bool) -> None:
    line = SlowLine(pause=0.0, first=first)
    outcome, _seconds = timed(line)
    assert isinstance(outcome, Remote if leaves else Unreachable)
    assert bool(line.taken) is leaves


def test_its_pieces_are_small() -> None:
    line = SlowLine(pause=0.0)
    timed(line)
    assert max(len(piece) for piece in line.taken) == PIECE


@pytest.mark.parametrize("after", [10, 99])
def test_an_upload_that_no_longer_moves_ends_in_the_time_to_write_and_made_no_batch(after: int) -> None:
    outcome, seconds = timed(SlowLine(pause=1.0, after=after), write=120.0)
    assert isinstance(outcome, Unreachable)
    assert "nothing more could be sent for 120 s" in outcome.reply.message
    assert f"about {after * PIECE:,} of 6,553,601 bytes" in outcome.reply.message
    assert seconds == pytest.approx(120.0 + after, abs=1.0)


def test_a_last_piece_that_does_not_move_may_have_arrived() -> None:
    outcome, _ = timed(SlowLine(pause=1.0, after=100), write=120.0)
    assert isinstance(outcome, Dropped)
    assert stands(outcome) is Clarity.UNCLEAR
    assert "possibly billed" in outcome.reply.message


@pytest.mark.parametrize("read", [1.0, 60.0, ANSWER])
def test_the_answer_has_ten_minutes_even_where_others_have_less(read: float) -> None:
    outcome, _ = timed(SlowLine(pause=0.0, late=ANSWER - 1.0), read=read)
    assert isinstance(outcome, Remote)


@pytest.mark.parametrize(("read", "limit"), [(60.0, ANSWER), (900.0, 900.0)])
def test_an_answer_that_does_not_come_leaves_it_open(read: float, limit: float) -> None:
    outcome, seconds = timed(SlowLine(pause=1.0, late=10 * HOUR), read=read)
    assert isinstance(outcome, Dropped)
    assert outcome.timed_out
    assert f"{limit:,.0f} s after all was sent (read_timeout)" in outcome.reply.message
    assert stands(outcome) is Clarity.UNCLEAR
    assert seconds == pytest.approx(101.0 + limit, abs=1.0)
