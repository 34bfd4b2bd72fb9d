"""What can be made to go wrong goes wrong, in the prompt's order, and in the way that a client of either library sees."""

from __future__ import annotations

import json
import random
from typing import Any

import aiohttp
import anthropic
import httpx2
import pytest

from batchrun.errors import UsageError
from batchrun.simulator.api import Simulator
from batchrun.simulator.breakage import Manner
from batchrun.simulator.effects import Effect, Kind, Stage, at, parse
from batchrun.simulator.plan import Outage, Pace
from tests.simulator.world import asks, instant, post, reply, sdk
from tests.virtual import VirtualClock, run

ERRORS: dict[str, tuple[int, str, str | None, str | None]] = {
    "400": (400, "invalid_request_error", None, None),
    "401": (401, "authentication_error", None, None),
    "402": (402, "billing_error", None, None),
    "403": (403, "permission_error", None, None),
    "404": (404, "not_found_error", None, None),
    "408": (408, "timeout_error", None, None),
    "409": (409, "conflict_error", None, None),
    "429": (429, "rate_limit_error", None, "5"),
    "429 17": (429, "rate_limit_error", None, "17"),
    "429-bare": (429, "rate_limit_error", None, None),
    "ramp": (429, "rate_limit_error", "ramp_limit_exceeded", "10"),
    "connections": (429, "rate_limit_error", None, "5"),
    "spend-cap": (429, "rate_limit_error", "enforced_spend_limit_reached", None),
    "contract-cap": (429, "rate_limit_error", "contract_spend_limit_reached", None),
    "credit": (400, "invalid_request_error", None, None),
    "usage-limit": (400, "invalid_request_error", None, None),
    "hold": (400, "invalid_request_error", "organization_on_hold", None),
    "disabled": (400, "invalid_request_error", None, None),
    "500": (500, "api_error", None, None),
    "500-late": (500, "api_error", None, None),
    "503": (503, "api_error", None, None),
    "504": (504, "timeout_error", None, None),
    "529": (529, "overloaded_error", None, None),
    "529 30": (529, "overloaded_error", None, "30"),
}


def statuses(texts: list[str]) -> list[int]:
    """The statuses of requests with these prompts, one after the other."""

    async def main(clock: VirtualClock, dice: random.Random) -> list[int]:
        simulator = Simulator(instant(), clock, dice)
        return [(await reply(simulator, post(asks(text))))[0] for text in texts]

    return run(main)


@pytest.mark.parametrize("what", ERRORS)
def test_an_error_has_the_shape_of_the_real_one(what: str) -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> tuple[int, Any, Any]:
        return await reply(Simulator(instant(), clock, dice), post(asks(f"[[simulate: {what}]]")))

    status, body, headers = run(main)
    error = body["error"]
    code = error.get("details", {}).get("error_code")
    assert (status, error["type"], code, headers.get("retry-after")) == ERRORS[what]
    assert body["request_id"] == headers["request-id"]


def test_every_error_of_the_api_is_tested_above() -> None:
    named = {what.split()[0] for what in ERRORS}
    assert {kind.value for kind in Kind if kind.stage is Stage.API} <= named


@pytest.mark.parametrize(
    ("what", "status"), [("502", 502), ("blocked", 403), ("html", 200), ("redirect", 307), ("413", 413)]
)
def test_the_edge_answers_without_request_id(what: str, status: int) -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> tuple[int, Any]:
        response = await Simulator(instant(), clock, dice).handle(post(asks(f"[[simulate: {what}]]")))
        return response.status, response.headers

    got, headers = run(main)
    assert got == status
    assert "request-id" not in headers
    assert "cf-ray" in headers


BROKEN = ("refuse", "drop", "lose", "cut", "slow 700", "stall")
SEEN: dict[Manner, list[tuple[type[Exception], type[Exception] | None]]] = {
    Manner.HTTPX2: [
        (httpx2.ConnectError, None),
        (httpx2.ReadError, None),
        (httpx2.RemoteProtocolError, None),
        (httpx2.RemoteProtocolError, None),
        (httpx2.ReadTimeout, None),
        (httpx2.ReadTimeout, None),
    ],
    Manner.AIOHTTP: [
        (httpx2.ConnectError, aiohttp.ClientConnectorError),
        (httpx2.ConnectError, aiohttp.ClientOSError),
        (httpx2.ConnectError, aiohttp.ServerDisconnectedError),
        (httpx2.ReadError, aiohttp.ClientPayloadError),
        (httpx2.ReadTimeout, aiohttp.SocketTimeoutError),
        (httpx2.ReadTimeout, aiohttp.SocketTimeoutError),
    ],
}


@pytest.mark.parametrize("manner", Manner)
def test_a_broken_connection_looks_as_it_does_in_either_library(manner: Manner) -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> list[tuple[type[Any], type[Any] | None]]:
        seen: list[tuple[type[Any], type[Any] | None]] = []
        async with sdk(Simulator(instant(), clock, dice), manner=manner) as client:
            for what in BROKEN:
                with pytest.raises(anthropic.APIConnectionError) as caught:
                    await client.messages.create(**asks(f"[[simulate: {what}]]"))
                cause = caught.value.__cause__
                assert cause is not None
                seen.append((type(cause), type(cause.__cause__) if cause.__cause__ else None))
        return seen

    assert run(main) == SEEN[manner]


ENDS = {
    "refusal": "refusal",
    "truncate": "max_tokens",
    "context": "model_context_window_exceeded",
    "pause": "pause_turn",
    "empty": "end_turn",
}


@pytest.mark.parametrize("what", ENDS)
def test_an_answer_can_end_in_other_ways(what: str) -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> tuple[int, Any]:
        status, body, _ = await reply(Simulator(instant(), clock, dice), post(asks(f"[[simulate: {what}]]")))
        return status, body

    status, body = run(main)
    assert (status, body["stop_reason"]) == (200, ENDS[what])
    assert (body["content"] == []) == (what in {"refusal", "empty"})
    assert (body["stop_details"] is not None) == (what == "refusal")


@pytest.mark.parametrize("more", [{"max_tokens": 9}, {"max_tokens": 1}, {"stop_sequences": ["a"]}])
def test_an_empty_answer_ended_by_itself_whatever_would_have_ended_it(more: dict[str, Any]) -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> Any:
        asked = post(asks("[[simulate: empty]]", **more))
        _status, body, _ = await reply(Simulator(instant(), clock, dice), asked)
        return body

    body = run(main)
    assert (body["content"], body["stop_reason"], body["stop_sequence"]) == ([], "end_turn", None)
    assert 0 < body["usage"]["output_tokens"] <= 2


def test_a_mark_with_a_number_of_times_ends() -> None:
    assert statuses(["[[simulate: 529 x2]]"] * 4) == [529, 529, 200, 200]


def test_marks_come_one_after_the_other() -> None:
    assert statuses(["[[simulate: 529 x2, 500 x1, 404]]"] * 5) == [529, 529, 500, 404, 404]


def test_each_prompt_counts_for_itself() -> None:
    assert statuses(["a [[simulate: 529 x1]]", "b [[simulate: 529 x1]]", "a [[simulate: 529 x1]]"]) == [529, 529, 200]


def test_marks_come_together() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> tuple[float, str]:
        simulator = Simulator(instant(), clock, dice)
        _, body, _ = await reply(simulator, post(asks("[[simulate: slow 45 + refusal]]")))
        return clock.steady(), body["stop_reason"]

    seconds, reason = run(main)
    assert seconds == pytest.approx(45)
    assert reason == "refusal"


def test_a_mark_in_the_system_prompt_or_in_blocks_counts_too() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> list[int]:
        simulator = Simulator(instant(), clock, dice)
        bodies = [
            asks("hi", system="[[simulate: 500]]"),
            asks("hi", system=[{"type": "text", "text": "[[simulate: 503]]"}]),
        ]
        return [(await reply(simulator, post(body)))[0] for body in bodies]

    assert run(main) == [500, 503]


@pytest.mark.parametrize("text", ["", "599", "529 x", "529 -1", "529 soon", "refusal 3", "400 + ", "a, 500"])
def test_words_that_mean_nothing_are_told(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)


def test_a_script_says_what_happens_to_the_nth_request() -> None:
    script = parse("529 30 x2, slow 2.5 + refusal x1, 404")
    assert [at(script, nth) for nth in range(5)] == [
        (Effect(Kind.OVERLOADED, 30),),
        (Effect(Kind.OVERLOADED, 30),),
        (Effect(Kind.SLOW, 2.5), Effect(Kind.REFUSAL)),
        (Effect(Kind.MISSING),),
        (Effect(Kind.MISSING),),
    ]
    assert at(parse("529 x1"), 1) == ()


def test_faults_come_as_often_as_planned() -> None:
    plan = instant(faults={Kind.FAILED: 0.2, Kind.OVERLOADED: 0.1})

    async def main(clock: VirtualClock, dice: random.Random) -> dict[int, int]:
        simulator = Simulator(plan, clock, dice)
        for nth in range(2000):
            await reply(simulator, post(asks(f"hi {nth}")))
        return {status: count for status, count in simulator.ledger.statuses().items() if status is not None}

    counts = run(main)
    assert counts[500] == pytest.approx(400, rel=0.2)
    assert counts[529] == pytest.approx(160, rel=0.3)
    assert sum(counts.values()) == 2000


def test_a_streak_ends() -> None:
    plan = instant(faults={Kind.FAILED: 1.0}, streaks=3)

    async def main(clock: VirtualClock, dice: random.Random) -> list[int]:
        simulator = Simulator(plan, clock, dice)
        return [(await reply(simulator, post(asks("hi"))))[0] for _ in range(5)]

    assert run(main) == [500, 500, 500, 200, 200]


def test_which_requests_are_hit_does_not_depend_on_their_order() -> None:
    plan = instant(faults={Kind.FAILED: 0.5})

    async def hit(clock: VirtualClock, dice: random.Random, order: list[int]) -> dict[int, int]:
        simulator = Simulator(plan, clock, dice)
        return {nth: (await reply(simulator, post(asks(f"hi {nth}"))))[0] for nth in order}

    forwards = run(lambda clock, dice: hit(clock, dice, list(range(50))), 3)
    backwards = run(lambda clock, dice: hit(clock, dice, list(range(49, -1, -1))), 3)
    assert forwards == backwards
    assert set(forwards.values()) == {200, 500}
    assert forwards != run(lambda clock, dice: hit(clock, dice, list(range(50))), 4)


def test_an_outage_hits_everything_for_its_time() -> None:
    plan = instant(outages=(Outage(effect=Effect(Kind.OVERLOADED), start=10, end=20),))

    async def main(clock: VirtualClock, dice: random.Random) -> list[int]:
        simulator = Simulator(plan, clock, dice)
        seen = []
        for nth in range(6):
            seen.append((await reply(simulator, post(asks(f"hi {nth}"))))[0])
            await clock.sleep(5)
        return seen

    assert run(main) == [200, 200, 529, 529, 200, 200]


def test_pace_follows_the_plan() -> None:
    plan = instant(pace=Pace(first=3, spread=0, per_token=0.25))

    async def main(clock: VirtualClock, dice: random.Random) -> tuple[float, int]:
        _, body, _ = await reply(Simulator(plan, clock, dice), post(asks("hi")))
        return clock.steady(), body["usage"]["output_tokens"]

    seconds, tokens = run(main)
    assert seconds == pytest.approx(3 + tokens * 0.25)


def test_a_broken_answer_is_half_of_the_whole_one() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> tuple[bytes, int | None]:
        simulator = Simulator(instant(), clock, dice)
        response = await simulator.handle(post(asks("[[simulate: short]]")))
        assert isinstance(response.body, bytes)
        return response.body, response.length

    half, _ = run(main)
    with pytest.raises(json.JSONDecodeError):
        json.loads(half)
