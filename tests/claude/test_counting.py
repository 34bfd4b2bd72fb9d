"""Counting tokens: what is sent, what comes back, and how fast."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from batchrun import wiring
from batchrun.claude.client import Connection, build
from batchrun.claude.counting import Counting
from batchrun.core.job import Millis
from batchrun.core.outcome import AccountStopped, Dropped, Misrouted, Outcome, Overloaded, RateLimited, Refused
from batchrun.core.ports import TokenCounter
from batchrun.settings import load
from tests.claude.api import API, BASE, KEY, MODEL, NOW, Said, error

REQUEST: dict[str, Any] = {
    "model": MODEL,
    "max_tokens": 100,
    "temperature": 0.5,
    "system": "Be short.",
    "messages": [{"role": "user", "content": "Grüße"}],
}


class Ticking:
    """Time that passes only where somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def wall(self) -> Millis:
        return NOW

    def steady(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def count(
    *said: Said, calls: int = 1, betas: Iterable[str] = (), per_second: float | None = 20.0
) -> tuple[list[int | Outcome], list[httpx2.Request], list[float]]:
    """(the answers to *calls* counts, the requests that left, when each left); the last of *said* is said for ever."""
    clock = Ticking()
    requests: list[httpx2.Request] = []
    times: list[float] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        times.append(clock.now)
        return said[min(len(requests), len(said)) - 1].response()

    async def main() -> list[int | Outcome]:
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(handler))
        client = build(Connection(secret=KEY, base_url=BASE), http)
        counter: TokenCounter = Counting(client, clock, per_second=per_second)
        try:
            return [await counter.count_tokens(REQUEST, betas=tuple(betas)) for _ in range(calls)]
        finally:
            await client.close()

    return asyncio.run(main()), requests, times


def test_only_what_bears_on_the_count_is_sent() -> None:
    answers, requests, _ = count(Said(body={"input_tokens": 14}), betas=["files-api-2025-04-14"])
    assert answers == [14]
    assert requests[0].url.path == "/v1/messages/count_tokens"
    assert json.loads(requests[0].content).keys() == {"model", "system", "messages"}
    assert requests[0].headers["anthropic-beta"] == "files-api-2025-04-14"


def test_a_refusal_is_an_outcome_and_not_asked_again() -> None:
    (answer,), requests, _ = count(Said(status=400, body=error("invalid_request_error", "messages: too short")))
    assert isinstance(answer, Refused)
    assert "too short" in answer.reply.message
    assert len(requests) == 1


def test_a_wrong_key_stops_at_once() -> None:
    (answer,), requests, _ = count(Said(status=401, body=error("authentication_error")))
    assert isinstance(answer, AccountStopped)
    assert len(requests) == 1


def test_calls_are_paced_however_many_ask() -> None:
    _, _, times = count(Said(body={"input_tokens": 1}), calls=41)
    assert times[-1] == pytest.approx(2.0)


def test_a_rate_limit_is_waited_for_and_slows_what_follows() -> None:
    limited = Said(status=429, body=error("rate_limit_error"), headers={**API, "retry-after": "7"})
    answers, _, times = count(limited, Said(body={"input_tokens": 1}), calls=3)
    assert answers == [1, 1, 1]
    assert times == pytest.approx([0.0, 7.0, 7.1, 7.2])


def test_a_limit_for_longer_than_a_minute_is_told_at_once() -> None:
    limited = Said(status=429, body=error("rate_limit_error"), headers={**API, "retry-after": "3600"})
    (answer,), requests, _ = count(limited)
    assert isinstance(answer, RateLimited)
    assert len(requests) == 1


def test_an_overload_is_tried_three_times() -> None:
    (answer,), requests, _ = count(Said(status=529, body=error("overloaded_error")))
    assert isinstance(answer, Overloaded)
    assert len(requests) == 3


@pytest.mark.parametrize("body", [{}, {"input_tokens": "7"}, {"input_tokens": True}, [], "<html>hello</html>", ""])
def test_what_is_no_count_is_never_taken_for_one(body: object) -> None:
    (answer,), _, _ = count(Said(body=body, headers={}))
    assert isinstance(answer, Misrouted)


def test_the_simulated_api_counts(tmp_path: Path) -> None:
    settings = load({"db": str(tmp_path / "b.db")}, environ={}, folder=tmp_path, no_config=True, simulate=True)

    async def question(counter: TokenCounter) -> tuple[int | Outcome, int | Outcome]:
        wrong = {**REQUEST, "messages": [{"role": "user", "content": ""}]}
        return await counter.count_tokens(REQUEST), await counter.count_tokens(wrong)

    right, wrong = wiring.ask_counter(settings, question)
    assert isinstance(right, int)
    assert right > 5
    assert isinstance(wrong, Refused)


def test_an_answer_that_broke_under_the_apis_own_id_is_no_other_place() -> None:
    (answer,), _, _ = count(Said(body="{", headers=API))
    assert isinstance(answer, Dropped)
