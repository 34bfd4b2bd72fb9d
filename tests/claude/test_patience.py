"""How long an exchange may take, in virtual time: a stream as long as it speaks, everything else within its times."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence

import httpx2
import pytest

from batchrun.claude.client import Connection, build
from batchrun.claude.messages import WHOAMI, Messages
from batchrun.core.account import Account
from batchrun.core.outcome import Dropped, Outcome, ServerFailed, Succeeded
from tests.claude.api import API, BASE, KEY, claim, error
from tests.claude.test_stream import END, SSE, START, STOP, text, wire
from tests.virtual import VirtualClock, run

TIMES = Connection(secret=KEY, base_url=BASE, pool=10.0, connect=10.0, write=20.0, read=600.0)
LONGEST = 640.0


class Dripping(httpx2.AsyncByteStream):
    """A body that comes in pieces, with *pause* seconds before each."""

    def __init__(self, pieces: Sequence[bytes], pause: float) -> None:
        self._pieces = pieces
        self._pause = pause
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            await asyncio.sleep(self._pause)
            yield piece

    async def aclose(self) -> None:
        self.closed = True


def room(clock: VirtualClock, *, headers: dict[str, str], body: Dripping, before: float = 0.0) -> Messages:
    async def handler(request: httpx2.Request) -> httpx2.Response:
        await asyncio.sleep(before)
        return httpx2.Response(200, headers=headers, stream=body)

    client = build(TIMES, httpx2.AsyncClient(transport=httpx2.MockTransport(handler)))
    client._platform = "Linux"  # else the SDK asks for it in a thread, and virtual time has none
    return Messages(client, clock, 10_000)


def timed(*, headers: dict[str, str], body: Dripping, before: float = 0.0) -> tuple[Outcome, float]:
    async def main(clock: VirtualClock, dice: random.Random) -> tuple[Outcome, float]:
        outcome = await room(clock, headers=headers, body=body, before=before).send(claim())
        return outcome, clock.steady()

    return run(main)


def test_a_stream_may_take_hours() -> None:
    pieces = [wire([each]) for each in [START, *text(0, *["word "] * 100), END, STOP]]
    outcome, seconds = timed(headers=SSE, body=Dripping(pieces, 300.0))
    assert isinstance(outcome, Succeeded)
    assert seconds > 8 * 3600


@pytest.mark.parametrize("whole", [True, False])
def test_a_stream_gives_its_connection_back_as_soon_as_its_message_is_over(whole: bool) -> None:
    pieces = [wire([START]), wire([END, STOP]) if whole else wire([error("api_error")]), b"never read"]
    body = Dripping(pieces, 1.0)
    outcome, seconds = timed(headers=SSE, body=body)
    assert isinstance(outcome, Succeeded if whole else ServerFailed)
    assert body.closed
    assert seconds == pytest.approx(2.0, abs=0.5)


def test_an_answer_that_is_not_streamed_ends_in_its_time_even_if_it_drips() -> None:
    outcome, seconds = timed(headers=API, body=Dripping([b" "] * 10_000, 5.0))
    assert isinstance(outcome, Dropped)
    assert outcome.timed_out
    assert outcome.reply.request_id == "req_011"
    assert seconds == pytest.approx(LONGEST, abs=1.0)


def test_a_request_that_gets_no_answer_at_all_ends_in_its_time() -> None:
    outcome, seconds = timed(headers=API, body=Dripping([], 0.0), before=10_000.0)
    assert isinstance(outcome, Dropped)
    assert outcome.timed_out
    assert seconds == pytest.approx(LONGEST, abs=1.0)


def test_the_question_for_the_account_is_asked_for_half_a_minute() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> tuple[Outcome | Account, float]:
        outcome = await room(clock, headers=API, body=Dripping([], 0.0), before=10_000.0).whoami()
        return outcome, clock.steady()

    outcome, seconds = run(main)
    assert isinstance(outcome, Dropped)
    assert seconds == pytest.approx(WHOAMI, abs=1.0)
