"""One seed is one whole history, whatever goes wrong in it."""

from __future__ import annotations

import asyncio
import random
from dataclasses import asdict
from typing import Any

import anthropic
import pytest

from batchrun.core.limits import Limits
from batchrun.simulator.api import Simulator
from batchrun.simulator.effects import Kind
from batchrun.simulator.plan import Metering, Pace, Plan
from tests.simulator.world import asks, sdk
from tests.virtual import VirtualClock, run

STORMY = Plan(
    pace=Pace(first=1.0, spread=0.5, per_token=0.01),
    limits={"*": Limits(requests=200, input_tokens=100_000, output_tokens=50_000)},
    metering=Metering(connections=12),
    faults={kind: 0.03 for kind in Kind if kind is not Kind.REDIRECT},
)


async def night(clock: VirtualClock, dice: random.Random) -> tuple[list[dict[str, Any]], list[str], float]:
    """Twelve clients with forty requests each, some streamed, each tried up to five times."""
    simulator = Simulator(STORMY, clock, random.Random(dice.random()))
    heard: list[str] = []

    async def one(client: anthropic.AsyncAnthropic, text: str, stream: bool) -> None:
        for _ in range(5):
            try:
                if stream:
                    async with client.messages.stream(**asks(text)) as events:
                        heard.append(f"{clock.steady():.6f} {(await events.get_final_message()).stop_reason}")
                else:
                    heard.append(
                        f"{clock.steady():.6f} {getattr(await client.messages.create(**asks(text)), 'id', '?')}"
                    )
            except Exception as error:  # noqa: BLE001  # all that goes wrong is part of the history
                heard.append(f"{clock.steady():.6f} {type(error).__name__}")
                await clock.sleep(dice.random() * 20)
            else:
                return

    async def worker(client: anthropic.AsyncAnthropic, who: int) -> None:
        for nth in range(40):
            await one(client, f"{who} asks {nth}", stream=nth % 3 == 0)

    async with sdk(simulator, patience=30) as client:
        await asyncio.gather(*(worker(client, who) for who in range(12)))
    return [asdict(entry) for entry in simulator.ledger.entries], heard, clock.steady()


@pytest.mark.sweep
def test_the_same_seed_is_the_same_history_to_the_microsecond() -> None:
    first, second = run(night, 11), run(night, 11)
    assert first == second
    entries, heard, seconds = first
    assert len(entries) > 480
    assert len({line.split()[1] for line in heard if "msg_" not in line}) > 8
    assert seconds > 100


@pytest.mark.sweep
def test_another_seed_is_another_history() -> None:
    assert run(night, 11)[1] != run(night, 12)[1]
