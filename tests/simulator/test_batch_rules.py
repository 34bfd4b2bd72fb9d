"""What is refused when a batch is created, and what comes out as an item that errored when it has ended."""

from __future__ import annotations

import io
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrun.core.limits import BatchLimits
from batchrun.simulator import submission
from batchrun.simulator.api import Simulator
from batchrun.simulator.batchplan import BatchPlan, Broke
from batchrun.simulator.plan import Money
from batchrun.simulator.submission import Refused, slips
from tests.simulator.batching import Desk, asked, planned, some, wants
from tests.simulator.world import asks, instant, post
from tests.virtual import VirtualClock, run

GOOD = wants("good")


def refusal(requests: Any, **headers: str | None) -> tuple[int, str, str]:
    """Status, type and message of what a create answers."""

    async def main(clock: VirtualClock, dice: random.Random) -> tuple[int, str, str]:
        simulator = Simulator(planned(), clock, dice)
        desk = Desk(simulator)
        status, body = await desk.create(requests, **headers)
        assert not simulator.ledger.lots
        assert (await desk.listed())[1]["data"] == []
        return status, body["error"]["type"], body["error"]["message"]

    return run(main)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({**GOOD, "custom_id": "a b"}, "custom_id: String should match pattern '^[a-zA-Z0-9_-]{1,64}$'"),
        ({**GOOD, "custom_id": "ä"}, "custom_id: String should match pattern '^[a-zA-Z0-9_-]{1,64}$'"),
        ({**GOOD, "custom_id": "a\n"}, "custom_id: String should match pattern '^[a-zA-Z0-9_-]{1,64}$'"),
        ({**GOOD, "custom_id": ""}, "custom_id: String should match pattern '^[a-zA-Z0-9_-]{1,64}$'"),
        ({**GOOD, "custom_id": "a" * 65}, "custom_id: String should have at most 64 characters"),
        ({**GOOD, "custom_id": 7}, "custom_id: Input should be a valid string"),
        ({"params": GOOD["params"]}, "custom_id: Field required"),
        ({"custom_id": "b"}, "params: Field required"),
        ({**GOOD, "params": []}, "params: Input should be a valid dictionary"),
        ({**GOOD, "metadata": {}}, "metadata: Extra inputs are not permitted"),
        ({**GOOD, "custom_id": "first"}, "custom_id: 'first' is not unique in this batch"),
    ],
)
def test_one_bad_request_refuses_the_whole_batch(bad: dict[str, Any], message: str) -> None:
    found = refusal([wants("first"), bad, wants("last")])
    assert found == (400, "invalid_request_error", f"requests.1.{message}")


def test_a_request_that_is_no_object_refuses_the_whole_batch() -> None:
    assert refusal([GOOD, 3])[2] == "requests.1: Input should be a valid dictionary"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The request body is not valid JSON"),
        (b'{"requests": [', "The request body is not valid JSON"),
        (b'{"requests": [}', "The request body is not valid JSON"),
        (b'{"requests": [{"custom_id": "a", "params": {"max_tokens": NaN}}]}', "The request body is not valid JSON"),
        (b'{"requests": [{"custom_id": "a", "params": {"x": "\\ud800"}}]}', "The request body is not valid JSON"),
        (b'{"requests": [{"custom_id": "a", "params": {"x": "\xff"}}]}', "The request body is not valid JSON"),
        (b'{"requests": [{"custom_id": "a", "params": {}}]} x', "The request body is not valid JSON"),
        (b'{"requests": [{"custom_id": "a", "params": {}},]}', "The request body is not valid JSON"),
        (b'{"requests": [{"custom_id": "a", "params": {}} {}]}', "The request body is not valid JSON"),
        (b"[]", "The request body is not valid JSON"),
        (b"{}", "requests: Field required"),
        (b'{"requests": {}}', "requests: Input should be a valid list"),
        (b'{"requests": []}', "requests: List should have at least 1 item after validation, not 0"),
        (b'{"name": "mine", "requests": []}', "name: Extra inputs are not permitted"),
    ],
)
def test_a_body_that_is_no_list_of_requests_is_refused(body: bytes, message: str) -> None:
    status, kind, said = refusal(body)
    assert (status, kind) == (400, "invalid_request_error")
    assert said.startswith(message)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"x-api-key": None}, 401),
        ({"x-api-key": "bad"}, 401),
        ({"anthropic-version": None}, 400),
        ({"anthropic-version": "2020-01-01"}, 400),
        ({"content-type": "text/plain"}, 400),
    ],
)
def test_key_version_and_content_type_are_those_of_messages(headers: dict[str, str | None], status: int) -> None:
    assert refusal(some(1), **headers)[0] == status


def test_a_cancel_needs_no_content_type() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        simulator = Simulator(planned(), clock, dice)
        id_ = await Desk(simulator).made(some(1))
        assert (await Desk(simulator).said(asked("POST", f"/{id_}/cancel", {"content-type": ""})))[0] == 200

    run(main)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "", 405),
        ("DELETE", "", 405),
        ("POST", "/x", 405),
        ("GET", "/x/cancel", 405),
        ("DELETE", "/x/results", 405),
        ("GET", "/x/y", 404),
        ("GET", "/x/results/y", 404),
    ],
)
def test_there_are_six_calls_and_no_others(method: str, path: str, status: int) -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> int:
        return (await Desk(Simulator(planned(), clock, dice)).said(asked(method, path)))[0]

    assert run(main) == status


def test_more_requests_than_a_batch_may_have_are_refused() -> None:
    lines = b",".join(b'{"custom_id":"j%d","params":{}}' % nth for nth in range(100_001))
    status, _, message = refusal(b'{"requests":[' + lines + b"]}")
    assert (status, message) == (400, "requests: List should have at most 100000 items after validation")


def test_a_body_may_be_as_large_as_the_api_takes_and_no_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    assert submission.LARGEST == 256_000_000
    body = json.dumps({"requests": some(100)}).encode()

    async def main(clock: VirtualClock, dice: random.Random) -> list[int]:
        statuses = []
        for most in (len(body), len(body) - 1):
            monkeypatch.setattr(submission, "LARGEST", most)
            statuses.append((await Desk(Simulator(planned(), clock, dice)).create(body))[0])
        return statuses

    assert run(main) == [200, 413]


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"max_tokens": None}, "invalid_request_error", "max_tokens: Input should be a valid integer"),
        ({"max_tokens": 0}, "invalid_request_error", "max_tokens: Input should be greater than or equal to 1"),
        ({"stream": True}, "invalid_request_error", "stream: not supported in a batch"),
        ({"speed": "fast"}, "invalid_request_error", "speed: not supported in a batch"),
        ({"model": "claude-none"}, "not_found_error", "model: claude-none"),
        ({"messages": []}, "invalid_request_error", "messages"),
        ({"unheard": 1}, "invalid_request_error", "unheard: Extra inputs are not permitted"),
        ({"temperature": 0.5}, "invalid_request_error", "`temperature` is not supported by claude-opus-5"),
        ({"messages": [{"role": "user", "content": "x " * 2_000_000}]}, "invalid_request_error", "prompt is too long"),
        ({"messages": [{"role": "user", "content": "[[simulate: nonsense]]"}]}, "invalid_request_error", "cannot"),
    ],
)
def test_bad_params_are_found_out_when_the_batch_has_ended(change: dict[str, Any], kind: str, message: str) -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        simulator = Simulator(planned(), clock, dice)
        desk = Desk(simulator)
        id_ = await desk.made([wants("bad", **change), wants("good")])
        await clock.sleep(3600)
        assert (await desk.get(id_))[1]["request_counts"]["errored"] == 1
        results = await desk.results(id_)
        assert results["good"]["type"] == "succeeded"
        error = results["bad"]["error"]
        assert (results["bad"]["type"], error["type"], error["error"]["type"]) == ("errored", "error", kind)
        assert error["error"]["message"].startswith(message)
        assert error["request_id"].startswith("req_")
        assert simulator.ledger.billed() == 1

    run(main)


def test_params_are_checked_by_the_version_of_the_create() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> list[str]:
        desk = Desk(Simulator(planned(), clock, dice))
        old: dict[str, Any] = {"model": "claude-sonnet-4-6", "temperature": 0.5}
        ids = []
        for version in ("2023-06-01", "2026-10-21"):
            status, body = await desk.create([wants("a", **old)], **{"anthropic-version": version})
            assert status == 200
            ids.append(body["id"])
        await clock.sleep(3600)
        return [(await desk.results(id_))["a"]["type"] for id_ in ids]

    assert run(main) == ["succeeded", "errored"]


def test_batches_have_limits_of_their_own() -> None:
    limits = BatchLimits(calls=120, queued=100, size=60)

    async def main(clock: VirtualClock, dice: random.Random) -> None:
        simulator = Simulator(planned(limits=limits), clock, dice)
        desk = Desk(simulator)
        assert (await desk.create(some(61)))[0] == 400
        await clock.sleep(1)
        first = await desk.made(some(60))
        await clock.sleep(1)
        status, body = await desk.create(some(41))
        assert (status, body["error"]["type"]) == (429, "rate_limit_error")
        await clock.sleep(1)
        await desk.made(some(40))
        await clock.sleep(3600)
        assert (await desk.get(first))[0] == 200
        await clock.sleep(1)
        await desk.made(some(60))
        statuses = [(await desk.get(first))[0] for _ in range(10)]
        assert 429 in statuses
        assert simulator.ledger.entries[-1].error == "rate_limit_error"
        await clock.sleep(60)
        assert (await desk.get(first))[0] == 200

    run(main)


def test_calls_of_batches_use_none_of_the_limits_of_messages_nor_the_reverse() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        desk = Desk(Simulator(planned(limits=BatchLimits(calls=60, queued=100, size=60)), clock, dice))
        id_ = await desk.made(some(1))
        assert (await desk.get(id_))[0] == 429
        assert (await desk.said(post(asks("hi"))))[0] == 200

    run(main)


@pytest.mark.parametrize("broke", ["refuse", "errored"])
def test_without_money_a_batch_is_refused_or_comes_out_errored(broke: str) -> None:
    plan = instant(money=Money(spend_cap_requests=10), batches=BatchPlan(minutes=10.0, spread=0.0, broke=Broke(broke)))

    async def main(clock: VirtualClock, dice: random.Random) -> None:
        simulator = Simulator(plan, clock, dice)
        desk = Desk(simulator)
        id_ = await desk.made(some(20))
        await clock.sleep(3600)
        # Nobody has looked at the batch, and yet it has been paid.
        status, body = await desk.create(some(5, "later"))
        if broke == "refuse":
            assert (status, body["error"]["details"]["error_code"]) == (429, "enforced_spend_limit_reached")
            assert (await desk.get(id_))[1]["request_counts"]["succeeded"] == 20, "what was begun goes over the cap"
            return
        assert status == 200
        counts = (await desk.get(id_))[1]["request_counts"]
        assert (counts["succeeded"], counts["errored"]) == (10, 10)
        errors = [result["error"]["error"] for result in (await desk.results(id_)).values() if "error" in result]
        assert {error["details"]["error_code"] for error in errors} == {"enforced_spend_limit_reached"}

    run(main)


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    params=st.lists(st.dictionaries(st.text(), VALUES, max_size=3), min_size=1, max_size=8),
    indent=st.sampled_from([None, 2]),
    ascii_=st.booleans(),
    window=st.integers(1, 40),
)
def test_requests_are_found_wherever_a_window_cuts_them(
    params: list[dict[str, Any]], indent: int | None, ascii_: bool, window: int
) -> None:
    requests = [{"custom_id": f"j{nth}", "params": each} for nth, each in enumerate(params)]
    body = json.dumps({"requests": requests}, indent=indent, ensure_ascii=ascii_).encode(errors="surrogatepass")

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(window)

    try:
        json.dumps(requests, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        with pytest.raises(Refused, match="not valid JSON"):
            list(slips(Slow(body)))
        return
    found = list(slips(Slow(body)))
    assert [json.loads(body[slip.begin : slip.end]) for slip in found] == requests
    assert [slip.custom_id for slip in found] == [request["custom_id"] for request in requests]
