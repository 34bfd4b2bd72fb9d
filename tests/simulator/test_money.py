"""Caps and empty balances stop everything, and lift when they are raised."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from batchrun.simulator.api import Simulator
from batchrun.simulator.ledger import Ledger
from batchrun.simulator.plan import Money
from tests.simulator.world import asks, instant, post, reply
from tests.virtual import VirtualClock, run

COUNT = {key: value for key, value in asks("hi").items() if key != "max_tokens"}


def test_the_spend_cap_is_a_429_without_retry_after_until_it_is_raised() -> None:
    plan = instant(money=Money(spend_cap_requests=3))

    async def main(clock: VirtualClock, dice: random.Random) -> list[tuple[int, Any, Any]]:
        simulator = Simulator(plan, clock, dice)
        seen = [await reply(simulator, post(asks(f"hi {nth}"))) for nth in range(5)]
        simulator.change(replace(plan, money=Money()))
        return [*seen, await reply(simulator, post(asks("later")))]

    answers = run(main)
    assert [status for status, _, _ in answers] == [200, 200, 200, 429, 429, 200]
    _, body, headers = answers[4]
    assert body["error"]["details"]["error_code"] == "enforced_spend_limit_reached"
    assert "retry-after" not in headers


def test_dollars_are_counted_by_price() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> tuple[int, float]:
        simulator = Simulator(instant(money=Money(spend_cap=0.01)), clock, dice)
        statuses = [(await reply(simulator, post(asks(f"hi {nth}"))))[0] for nth in range(40)]
        assert statuses == sorted(statuses)
        return statuses.count(200), simulator.ledger.spent() / 10**9

    served, spent = run(main)
    assert 2 < served < 40
    assert 0.01 <= spent < 0.015


def test_without_credit_nothing_is_answered_and_nothing_counted() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> list[tuple[int, str]]:
        simulator = Simulator(instant(money=Money(credit=0)), clock, dice)
        seen = [
            await reply(simulator, post(asks("hi"))),
            await reply(simulator, post(COUNT, path="/v1/messages/count_tokens")),
        ]
        return [(status, body["error"]["message"]) for status, body, _ in seen]

    for status, message in run(main):
        assert status == 400
        assert message.startswith("Your credit balance is too low")


def test_what_was_spent_is_remembered_by_the_ledger() -> None:
    plan = instant(money=Money(spend_cap_requests=2))

    async def main(clock: VirtualClock, dice: random.Random) -> list[int]:
        ledger = Ledger()
        statuses = [(await reply(Simulator(plan, clock, dice, ledger), post(asks(f"hi {nth}"))))[0] for nth in range(4)]
        assert sum(entry.billed for entry in ledger.entries) == 2
        return statuses

    assert run(main) == [200, 200, 429, 429]
