"""A stream put together by the real SDK is the answer that comes in one piece."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import anthropic
import httpx2
import pytest

from batchrun.clock import SystemClock
from batchrun.simulator.api import Simulator
from batchrun.simulator.plan import Pace
from batchrun.simulator.server import serve
from tests.simulator.world import asks, instant, post, reply, sdk, text_of
from tests.virtual import VirtualClock, run

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}},
    "required": ["name", "tags"],
    "additionalProperties": False,
}
TOOL = {"name": "look", "input_schema": SCHEMA}
SHAPES: dict[str, dict[str, Any]] = {
    "plain": asks("hi"),
    "accents": asks("h\u00e9 \u4e16\u754c \U0001f600"),
    "thinking": asks("hi", thinking={"type": "adaptive"}),
    "a tool": asks("hi", tools=[TOOL], tool_choice={"type": "any"}),
    "structured": asks("hi", output_config={"format": {"type": "json_schema", "schema": SCHEMA}}),
    "truncated": asks("hi") | {"max_tokens": 9},
    "nothing": asks("hi") | {"max_tokens": 0},
    "refused": asks("hi [[simulate: refusal]]"),
    "empty": asks("hi [[simulate: empty]]"),
}


def without_ids(message: dict[str, Any]) -> dict[str, Any]:
    """A message without what differs from call to call, and without what the SDK adds to a stream's."""
    content = [
        {name: value for name, value in block.items() if name != "parsed_output"} for block in message["content"]
    ]
    return {**message, "id": "", "content": content}


async def both(client: anthropic.AsyncAnthropic, body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    whole = await client.messages.create(**body)
    async with client.messages.stream(**body) as stream:
        pieces = await stream.get_final_message()
    # The parsed_output of a structured answer is the SDK's addition, and pydantic warns when it is written out.
    return without_ids(whole.model_dump(warnings=False)), without_ids(pieces.model_dump(warnings=False))


@pytest.mark.parametrize("shape", SHAPES)
def test_in_process_a_stream_gives_the_same_message(shape: str) -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
        async with sdk(Simulator(instant(pace=Pace()), clock, dice)) as client:
            return await both(client, SHAPES[shape])

    whole, pieces = run(main)
    assert pieces == whole


@pytest.mark.parametrize("aiohttp", [False, True])
def test_over_loopback_a_stream_gives_the_same_message(aiohttp: bool) -> None:
    async def main() -> None:
        served = await serve(Simulator(instant(), SystemClock(), random.Random(1)))
        http = anthropic.DefaultAioHttpClient() if aiohttp else httpx2.AsyncClient()
        async with anthropic.AsyncAnthropic(
            api_key="k", base_url=served.url, max_retries=0, http_client=http
        ) as client:
            for body in SHAPES.values():
                whole, pieces = await both(client, body)
                assert pieces == whole
        await served.close()

    asyncio.run(main())


def test_pieces_come_over_the_time_that_the_answer_takes() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> tuple[list[float], int]:
        simulator = Simulator(instant(pace=Pace(first=2, spread=0, per_token=0.5)), clock, dice)
        times = []
        async with sdk(simulator) as client, client.messages.stream(**asks("hi")) as stream:
            async for _ in stream.text_stream:
                times.append(clock.steady())  # noqa: PERF401  # the time of each piece
            return times, (await stream.get_final_message()).usage.output_tokens

    times, tokens = run(main)
    assert times[0] >= 2
    assert times[-1] == pytest.approx(2 + tokens * 0.5, abs=0.01)
    assert len(times) == len({round(at, 2) for at in times}) > 10


def test_the_wire_is_server_sent_events_in_the_documented_order() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> tuple[str, str]:
        simulator = Simulator(instant(), clock, dice)
        response = await simulator.handle(post(asks("hi", stream=True)))
        return response.headers["content-type"], (await text_of(response)).decode()

    content_type, text = run(main)
    names = [line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event: ")]
    names = [name for name in names if name != "content_block_delta"]
    data = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")]
    assert data[0]["message"]["usage"]["output_tokens"] == 1
    assert data[-2]["usage"]["output_tokens"] > 1
    assert content_type.startswith("text/event-stream")
    assert names == [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


@pytest.mark.parametrize(
    ("what", "error"),
    [("cut", httpx2.RemoteProtocolError), ("error-event", anthropic.APIStatusError), ("stall 900", httpx2.ReadTimeout)],
)
def test_a_stream_breaks_in_the_middle_as_a_real_one_does(what: str, error: type[Exception]) -> None:
    pieces: list[str] = []

    async def main(clock: VirtualClock, dice: random.Random) -> None:
        async with (
            sdk(Simulator(instant(), clock, dice)) as client,
            client.messages.stream(**asks(f"hi [[simulate: {what}]]")) as stream,
        ):
            async for piece in stream.text_stream:
                pieces.append(piece)  # noqa: PERF401  # what came before the error is looked at

    with pytest.raises(error):
        run(main)
    assert "".join(pieces).startswith("[answer ")


def test_a_short_stream_ends_without_stop_reason() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> Any:
        async with (
            sdk(Simulator(instant(), clock, dice)) as client,
            client.messages.stream(**asks("hi [[simulate: short]]")) as stream,
        ):
            return await stream.get_final_message()

    assert run(main).stop_reason is None


def test_errors_before_the_first_event_are_plain_errors() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> tuple[int, str]:
        simulator = Simulator(instant(), clock, dice)
        status, body, _ = await reply(simulator, post(asks("hi [[simulate: 529]]", stream=True)))
        return status, body["error"]["type"]

    assert run(main) == (529, "overloaded_error")
