"""The prompt cache: written once, read by those who come after the first answer began, and gone after its time."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from batchrun.core.limits import Dimension
from batchrun.simulator.api import Simulator
from batchrun.simulator.models import published
from batchrun.simulator.plan import Pace
from tests.simulator.world import MODEL, asks, instant, post, reply
from tests.virtual import VirtualClock, run

LONG = "word " * 1000


def cached(text: str, system: str = LONG, **mark: str) -> dict[str, Any]:
    block = {"type": "text", "text": system, "cache_control": {"type": "ephemeral", **mark}}
    return asks(text, system=[block])


def usages(bodies: list[dict[str, Any]], *, pause: float = 0.0) -> list[dict[str, Any]]:
    async def main(clock: VirtualClock, dice: random.Random) -> list[dict[str, Any]]:
        simulator = Simulator(instant(), clock, dice)
        seen = []
        for body in bodies:
            seen.append((await reply(simulator, post(body)))[1]["usage"])
            await clock.sleep(pause)
        return seen

    return run(main)


def flow(usage: dict[str, Any]) -> tuple[int, int]:
    return usage["cache_creation_input_tokens"], usage["cache_read_input_tokens"]


def test_the_second_request_reads_what_the_first_wrote() -> None:
    first, second = usages([cached("a"), cached("b")])
    written, nothing = flow(first)
    assert nothing == 0
    assert written > 1000
    assert flow(second) == (0, written)
    assert first["input_tokens"] < 20
    assert first["cache_creation"] == {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0}


def test_the_parts_add_up_to_the_whole() -> None:
    plain = usages([asks("a", system=LONG)])[0]["input_tokens"]
    for usage in usages([cached("a"), cached("a")]):
        assert usage["input_tokens"] + sum(flow(usage)) == plain


def test_another_prefix_or_model_reads_nothing() -> None:
    _, other, model = usages([cached("a"), cached("a", "other " * 1000), cached("a") | {"model": "claude-sonnet-5"}])
    assert flow(other)[1] == 0
    assert flow(model)[1] == 0


def test_a_short_prefix_is_not_cached() -> None:
    assert [flow(usage) for usage in usages([cached("a", "short"), cached("b", "short")])] == [(0, 0), (0, 0)]


@pytest.mark.parametrize(
    ("ttl", "pause", "read"), [("5m", 299, True), ("5m", 301, False), ("1h", 3599, True), ("1h", 3601, False)]
)
def test_it_is_kept_for_its_time(ttl: str, pause: float, read: bool) -> None:
    _, second = usages([cached("a", ttl=ttl), cached("b", ttl=ttl)], pause=pause)
    assert (flow(second)[1] > 0) == read


def test_reading_keeps_it_longer() -> None:
    assert all(flow(usage)[1] > 0 for usage in usages([cached(str(nth)) for nth in range(5)], pause=200)[1:])


def test_those_who_come_before_the_first_answer_begins_write_too() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> list[int]:
        simulator = Simulator(instant(pace=Pace(first=5, spread=0, per_token=0.1)), clock, dice)

        async def at(second: float) -> int:
            await clock.sleep(second)
            return flow((await reply(simulator, post(cached(str(second)))))[1]["usage"])[1]

        return [int(read > 0) for read in await asyncio.gather(at(0), at(2), at(6))]

    assert run(main) == [0, 0, 1]


def test_reads_cost_a_tenth_and_no_input_tokens_of_the_limit() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        simulator = Simulator(instant(), clock, dice)
        for text in "ab":
            await reply(simulator, post(cached(text)))
        first, second = simulator.ledger.entries
        prices = published()[MODEL].prices
        written = first.input - second.input
        fresh = second.input
        assert first.cost == fresh * prices.input + written * prices.write_5m + first.output * prices.output
        assert second.cost == fresh * prices.input + written * prices.read + second.output * prices.output
        assert simulator.ledger.busiest(Dimension.INPUT) == first.input + second.input

    run(main)
