"""The Models API, as the SDK reads it."""

from __future__ import annotations

import random
from dataclasses import replace

import anthropic
import pytest

from batchrun.simulator.api import Simulator
from batchrun.simulator.models import published
from tests.simulator.world import asks, instant, post, reply, sdk
from tests.virtual import VirtualClock, run


@pytest.mark.parametrize("page", [1, 4, 1000])
def test_all_pages_together_are_all_models(page: int) -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> list[str]:
        async with sdk(Simulator(instant(), clock, dice)) as client:
            return [model.id async for model in client.models.list(limit=page)]

    assert run(main) == list(published())


def test_pages_go_backwards_too() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> list[str]:
        async with sdk(Simulator(instant(), clock, dice)) as client:
            last = list(published())[-1]
            return [model.id for model in (await client.models.list(limit=3, before_id=last)).data]

    assert run(main) == list(published())[-4:-1]


def test_a_model_tells_what_it_can() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        async with sdk(Simulator(instant(), clock, dice)) as client:
            haiku = await client.models.retrieve("claude-haiku-4-5")
            assert haiku.id == "claude-haiku-4-5-20251001"
            assert (haiku.max_tokens, haiku.max_input_tokens, haiku.line) == (64_000, 200_000, "haiku")
            assert haiku.capabilities is not None
            assert not haiku.capabilities.effort.supported
            assert haiku.capabilities.thinking.types.enabled.supported
            with pytest.raises(anthropic.NotFoundError):
                await client.models.retrieve("claude-nobody")
            with pytest.raises(anthropic.BadRequestError):
                await client.models.list(limit=2000)

    run(main)


def test_a_retired_model_answers_nobody_and_is_listed_on_request_only() -> None:
    models = {name: replace(model, lifecycle="retired") for name, model in published().items()}

    async def main(clock: VirtualClock, dice: random.Random) -> tuple[int, int, int]:
        simulator = Simulator(instant(), clock, dice, models=models)
        async with sdk(simulator) as client:
            listed = await client.models.list()
            retired = await client.models.list(lifecycle=["retired"], limit=1000)
        status, _, _ = await reply(simulator, post(asks("hi")))
        return len(listed.data), len(retired.data), status

    assert run(main) == (0, len(models), 404)


def test_the_free_list_names_the_account_and_needs_a_key() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> tuple[str | None, str | None]:
        simulator = Simulator(instant(organization="o", workspace="w"), clock, dice)
        async with sdk(simulator) as client:
            headers = (await client.models.with_raw_response.list(limit=1)).headers
            with pytest.raises(anthropic.AuthenticationError):
                await client.with_options(api_key="bad").models.list()
        assert not any(entry.accepted or entry.billed for entry in simulator.ledger.entries)
        return headers.get("anthropic-organization-id"), headers.get("anthropic-workspace-id")

    assert run(main) == ("o", "w")
