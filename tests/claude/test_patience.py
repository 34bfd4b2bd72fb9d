"""How long an exchange may take, in virtual time: each within the times that are set, and a stream while it speaks."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Iterable

import httpx2
import pytest

from batchrun.claude.client import Connection, build
from batchrun.claude.messages import WHOAMI, Messages
from batchrun.core.account import Account
from batchrun.core.outcome import Billed, Dropped, Outcome, ServerFailed, Succeeded, billed
from tests.claude.api import API, BASE, KEY, claim, error
from tests.claude.test_stream import END, SSE, START, STOP, text, wire
from tests.virtual import VirtualClock, run

TIMES = Connection(secret=KEY, base_url=BASE, pool=10.0, connect=10.0, write=20.0, read=600.0)
LONGEST = 640.0
HOUR = 3_600.0
PING = b'event: ping\ndata: {"type": "ping"}\n\n'


class Dripping(httpx2.AsyncByteStream):
    """A body that comes in pieces, with *pause* seconds before each."""

    def __init__(self, pieces: Iterable[bytes], pause: float) -> None:
        self._pieces = pieces
        self._pause = pause
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            await asyncio.sleep(self._pause)
            yield piece

    async def aclose(self) -> None:
        self.closed = True


def room(
    clock: VirtualClock, *, headers: dict[str, str], body: Dripping, before: float = 0.0, total: float = HOUR
) -> Messages:
    async def handler(request: httpx2.Request) -> httpx2.Response:
        await asyncio.sleep(before)
        return httpx2.Response(200, headers=headers, stream=body)

    client = build(TIMES, httpx2.AsyncClient(transport=httpx2.MockTransport(handler)))
    client._platform = "Linux"  # else the SDK asks for it in a thread, and virtual time has none
    return Messages(client, clock, 10_000, total_timeout=total)


def timed(
    *, headers: dict[str, str], body: Dripping, before: float = 0.0, total: float = HOUR
) -> tuple[Outcome, float]:
    async def main(clock: VirtualClock, dice: random.Random) -> tuple[Outcome, float]:
        outcome = await room(clock, headers=headers, body=body, before=before, total=total).send(claim())
        return outcome, clock.steady()

    return run(main)


def ended(outcome: Outcome, *words: str) -> None:
    assert isinstance(outcome, Dropped)
    assert outcome.timed_out
    assert billed(outcome) is Billed.MAYBE
    for each in ("possibly billed", *words):
        assert each in outcome.reply.message


def test_a_stream_may_take_hours_if_the_total_allows_it() -> None:
    pieces = [wire([each]) for each in [START, *text(0, *["word "] * 100), END, STOP]]
    outcome, seconds = timed(headers=SSE, body=Dripping(pieces, 300.0), total=10 * HOUR)
    assert isinstance(outcome, Succeeded)
    assert seconds > 8 * HOUR


def test_a_stream_that_speaks_for_ever_ends_at_the_total() -> None:
    words = (wire([each]) for each in itertools.chain([START], itertools.cycle(text(0, "word "))))
    outcome, seconds = timed(headers=SSE, body=Dripping(words, 50.0))
    ended(outcome, "3,600 s", "total_timeout")
    assert outcome.reply.request_id == "req_011"
    assert seconds == pytest.approx(HOUR, abs=1.0)


@pytest.mark.parametrize("said", [0, 20], ids=["from the start", "after a while"])
@pytest.mark.parametrize("news", [PING, b": a comment\n\n"], ids=["ping", "comment"])
def test_a_stream_that_only_pings_ends_when_the_read_time_out_is_over(news: bytes, said: int) -> None:
    words = [wire([each]) for each in [START, *text(0, *["word "] * 20)][:said]]
    body = Dripping(itertools.chain(words, itertools.repeat(news)), 15.0)
    outcome, seconds = timed(headers=SSE, body=body)
    ended(outcome, "nothing but pings for 600 s", "read_timeout")
    assert seconds == pytest.approx(said * 15.0 + 600.0, abs=1.0)
    assert body.closed


def test_pings_between_the_events_of_a_slow_stream_do_no_harm() -> None:
    pieces = [part for each in [START, *text(0, "a", "b"), END, STOP] for part in (PING, PING, wire([each]))]
    outcome, _ = timed(headers=SSE, body=Dripping(pieces, 180.0), total=2 * HOUR)
    assert isinstance(outcome, Succeeded)


@pytest.mark.parametrize("headers", [API, SSE], ids=["whole", "streamed"])
@pytest.mark.parametrize("before", [0.0, 10_000.0], ids=["in its body", "before it"])
def test_a_total_shorter_than_the_other_times_bounds_every_exchange(headers: dict[str, str], before: float) -> None:
    outcome, seconds = timed(headers=headers, body=Dripping([b" "] * 10_000, 5.0), before=before, total=100.0)
    ended(outcome, "100 s", "total_timeout")
    assert seconds == pytest.approx(100.0, abs=1.0)


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
    ended(outcome, "640 s", "read_timeout")
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
