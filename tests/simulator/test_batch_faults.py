"""What goes wrong with batches, by plan, by a mark, and by a colleague; seen by the SDK's client."""

from __future__ import annotations

import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import anthropic
import httpx2
import pytest

from batchrun.core.limits import Dimension
from batchrun.simulator import answers
from batchrun.simulator.api import Simulator
from batchrun.simulator.batchplan import Colleague, Verb
from batchrun.simulator.effects import Effect, Kind
from batchrun.simulator.plan import Outage
from tests.simulator.batching import PATH, Desk, asked, planned, script, some, wants
from tests.simulator.world import asks, post, sdk, text_of
from tests.virtual import VirtualClock, run

HOUR = 3600.0


def with_sdk(plan: Any, test: Callable[[Simulator, anthropic.AsyncAnthropic, VirtualClock], Awaitable[None]]) -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        simulator = Simulator(plan, clock, dice)
        async with sdk(simulator, patience=60.0) as client:
            await test(simulator, client, clock)

    run(main)


async def created(client: anthropic.AsyncAnthropic, n: int = 5) -> str:
    """Create a batch, whatever comes back."""
    raw = await client.post(
        PATH, cast_to=httpx2.Response, body={"requests": some(n)}, options={"follow_redirects": False}
    )
    return raw.text


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("drop", anthropic.APIConnectionError),
        ("refuse", anthropic.APIConnectionError),
        ("redirect", anthropic.APIStatusError),
        ("blocked", anthropic.PermissionDeniedError),
        ("502", anthropic.InternalServerError),
        ("413", anthropic.APIStatusError),
        ("500", anthropic.InternalServerError),
        ("529", anthropic.OverloadedError),
        ("429", anthropic.RateLimitError),
        ("hold", anthropic.BadRequestError),
        ("credit", anthropic.BadRequestError),
        ("401", anthropic.AuthenticationError),
    ],
)
def test_what_goes_wrong_before_a_create_leaves_no_batch(what: str, error: type[Exception]) -> None:
    async def test(simulator: Simulator, client: anthropic.AsyncAnthropic, clock: VirtualClock) -> None:
        with pytest.raises(error):
            await created(client)
        assert simulator.ledger.lots == {}
        assert not simulator.ledger.entries[0].accepted
        await created(client)
        assert len(simulator.ledger.lots) == 1, "the script is over"

    with_sdk(planned(script=script(create=f"{what} x1")), test)


def test_a_web_page_is_no_batch() -> None:
    async def test(simulator: Simulator, client: anthropic.AsyncAnthropic, clock: VirtualClock) -> None:
        assert "<html>" in await created(client)
        assert simulator.ledger.lots == {}

    with_sdk(planned(script=script(create="html")), test)


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("lose", anthropic.APIConnectionError),
        ("500-late", anthropic.InternalServerError),
        ("529-late", anthropic.OverloadedError),
        ("slow 61", anthropic.APITimeoutError),
        ("cut", Exception),
        ("stall 61", Exception),
    ],
)
def test_what_goes_wrong_after_a_create_leaves_a_batch_that_nobody_was_told_of(
    what: str, error: type[Exception]
) -> None:
    async def test(simulator: Simulator, client: anthropic.AsyncAnthropic, clock: VirtualClock) -> None:
        with pytest.raises(error):
            await created(client)
        (lot,) = simulator.ledger.lots.values()
        assert lot.ids == [f"job-{nth}" for nth in range(5)]
        await clock.sleep(HOUR)
        (entry,) = simulator.ledger.entries
        assert (entry.accepted, entry.batch, entry.delivered) == (True, lot.batch, False)
        assert (entry.status is None) == (what == "lose")
        (listed,) = (await client.messages.batches.list()).data
        assert listed.id == lot.batch
        assert simulator.ledger.billed() == 5

    with_sdk(planned(script=script(create=f"{what} x1")), test)


def test_half_a_reply_that_looks_whole_is_no_json() -> None:
    async def test(simulator: Simulator, client: anthropic.AsyncAnthropic, clock: VirtualClock) -> None:
        with pytest.raises(ValueError):
            json.loads(await created(client))
        assert len(simulator.ledger.lots) == 1

    with_sdk(planned(script=script(create="short")), test)


def test_a_create_that_is_sent_twice_on_the_way_makes_two_batches_of_the_same_requests() -> None:
    async def test(simulator: Simulator, client: anthropic.AsyncAnthropic, clock: VirtualClock) -> None:
        told = json.loads(await created(client))["id"]
        first, second = simulator.ledger.lots.values()
        assert (first.ids, told) == (second.ids, second.batch)
        await clock.sleep(HOUR)
        await simulator.settle()
        assert set(simulator.ledger.accepted().values()) == {2}
        assert {len(work) for work in simulator.ledger.repeated().values()} == {2}

    with_sdk(planned(script=script(create="twice")), test)


@pytest.mark.parametrize("what", ["list", "get", "cancel", "delete", "results"])
def test_each_call_has_a_script_of_its_own(what: str) -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        desk = Desk(Simulator(planned(script=script(**{what: "500 x1, 529 x1"})), clock, dice))
        id_ = await desk.made(some(1))
        request = {
            "list": asked("GET"),
            "get": asked("GET", f"/{id_}"),
            "cancel": asked("POST", f"/{id_}/cancel"),
            "delete": asked("DELETE", f"/{id_}"),
            "results": asked("GET", f"/{id_}/results"),
        }
        statuses = []
        if what in {"delete", "results"}:
            await clock.sleep(HOUR)
        for _ in range(3):
            response = await desk.simulator.handle(request[what])
            await text_of(response)
            statuses.append(response.status)
        assert statuses == [500, 529, 200]

    run(main)


def test_a_delete_whose_reply_is_lost_has_deleted() -> None:
    async def test(simulator: Simulator, client: anthropic.AsyncAnthropic, clock: VirtualClock) -> None:
        id_ = json.loads(await created(client))["id"]
        await clock.sleep(HOUR)
        with pytest.raises(anthropic.APIConnectionError):
            await client.messages.batches.delete(id_)
        with pytest.raises(anthropic.NotFoundError):
            await client.messages.batches.retrieve(id_)

    with_sdk(planned(script=script(delete="lose")), test)


def test_chances_hit_as_many_calls_as_they_say_and_the_same_ones_each_time() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> list[int]:
        desk = Desk(Simulator(planned(faults={Verb.GET: {Kind.OVERLOADED: 0.3}}), clock, dice))
        id_ = await desk.made(some(1))
        return [(await desk.get(id_))[0] for _ in range(100)]

    statuses = run(main)
    assert 15 < statuses.count(529) < 45
    assert run(main) == statuses


def test_an_outage_hits_batches_too() -> None:
    plan = replace(planned(), outages=(Outage(effect=Effect(Kind.NOT_NOW), start=10, end=20),))

    async def main(clock: VirtualClock, dice: random.Random) -> list[int]:
        desk = Desk(Simulator(plan, clock, dice))
        id_ = await desk.made(some(1))
        statuses = []
        for _ in range(3):
            statuses.append((await desk.get(id_))[0])
            await clock.sleep(10)
        return statuses

    assert run(main) == [200, 503, 200]


def test_a_new_batch_may_be_listed_and_found_late() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        desk = Desk(Simulator(planned(listed_after=60.0, known_after=5.0), clock, dice))
        id_ = await desk.made(some(1))
        assert (await desk.get(id_))[0] == 404
        await clock.sleep(6)
        assert (await desk.get(id_))[0] == 200
        assert (await desk.listed())[1]["data"] == []
        await clock.sleep(55)
        assert [batch["id"] for batch in (await desk.listed())[1]["data"]] == [id_]

    run(main)


@pytest.mark.parametrize(("what", "whole"), [("cut", False), ("stall 5", False), ("short", True)])
def test_a_download_breaks_in_mid_line_or_ends_early_at_the_end_of_one(what: str, whole: bool) -> None:
    async def test(simulator: Simulator, client: anthropic.AsyncAnthropic, clock: VirtualClock) -> None:
        id_ = json.loads(await created(client, 400))["id"]
        await clock.sleep(HOUR)
        raw = b""
        try:
            async with client.messages.batches.with_streaming_response.results(id_) as response:
                async for chunk in response.iter_bytes():
                    raw += chunk
        except httpx2.RemoteProtocolError:
            assert not whole
        else:
            assert whole
        assert raw.endswith(b"\n") is whole
        assert 50 < raw.count(b"\n") < 350
        assert simulator.ledger.collected() == set()
        again = [result async for result in await client.messages.batches.results(id_)]
        assert len(again) == 400
        assert simulator.ledger.collected() == {id_}

    with_sdk(planned(script=script(results=f"{what} x1")), test)


def test_lines_may_be_missing_be_strange_or_belong_to_nobody() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        simulator = Simulator(planned(stray=3, items={Kind.NO_LINE: 0.2, Kind.ODD_TYPE: 0.2}), clock, dice)
        desk = Desk(simulator)
        id_ = await desk.made(some(200))
        await clock.sleep(HOUR)
        assert (await desk.get(id_))[1]["request_counts"]["succeeded"] == 200
        results = await desk.results(id_)
        ours = {name: result for name, result in results.items() if name.startswith("job-")}
        assert len(results) - len(ours) == 3
        assert 20 < 200 - len(ours) < 65
        assert 15 < sum(result == {"type": "deferred"} for result in ours.values()) < 60
        assert (await desk.results(id_)).keys() == results.keys(), "what is missing stays missing"
        assert simulator.ledger.billed() == 200

    run(main)


@pytest.mark.parametrize(
    ("mark", "kind", "expected"),
    [
        ("529", "errored", "overloaded_error"),
        ("500", "errored", "api_error"),
        ("400", "errored", "invalid_request_error"),
        ("402", "errored", "billing_error"),
        ("413", "errored", "request_too_large"),
        ("expired", "expired", None),
        ("refusal", "succeeded", "refusal"),
        ("truncate", "succeeded", "max_tokens"),
        ("context", "succeeded", "model_context_window_exceeded"),
        ("pause", "succeeded", "pause_turn"),
        ("empty", "succeeded", "end_turn"),
        ("drop", "succeeded", "end_turn"),
        ("lose", "succeeded", "end_turn"),
        ("odd-type", "deferred", None),
    ],
)
def test_a_mark_decides_what_becomes_of_its_item(mark: str, kind: str, expected: str | None) -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        simulator = Simulator(planned(), clock, dice)
        desk = Desk(simulator)
        id_ = await desk.made([wants("marked", f"[[simulate: {mark}]]"), wants("plain")])
        await clock.sleep(HOUR)
        results = await desk.results(id_)
        assert results["plain"]["type"] == "succeeded"
        result = results["marked"]
        assert result["type"] == kind
        if kind == "errored":
            assert result["error"]["error"]["type"] == expected
        if kind == "succeeded":
            assert result["message"]["stop_reason"] == expected
        billed = {item.custom_id: item.billed for item in simulator.ledger.items()}
        assert billed == {"marked": kind not in {"errored", "expired"}, "plain": True}

    run(main)


def test_a_mark_that_counts_counts_the_batches_that_a_prompt_was_in() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> list[str]:
        desk = Desk(Simulator(planned(), clock, dice))
        seen = []
        for _ in range(3):
            id_ = await desk.made([wants("a", "[[simulate: 529 x1, no-line x1]]")])
            await clock.sleep(HOUR)
            seen.append((await desk.results(id_)).get("a", {"type": "no line"})["type"])
        return seen

    assert run(main) == ["errored", "no line", "succeeded"]


def test_words_for_batches_do_nothing_to_messages() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> list[int]:
        desk = Desk(Simulator(planned(), clock, dice))
        marks = ("expired", "no-line", "odd-type", "twice")
        return [(await desk.said(post(asks(f"[[simulate: {mark}]]"))))[0] for mark in marks]

    assert run(main) == [200] * 4


def test_a_cancel_may_be_stuck_until_the_batch_expires() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        desk = Desk(Simulator(planned(stuck=1.0), clock, dice))
        id_ = await desk.made(some(10))
        await desk.cancel(id_)
        await clock.sleep(23 * HOUR)
        assert (await desk.get(id_))[1]["processing_status"] == "canceling"
        await clock.sleep(2 * HOUR)
        assert (await desk.get(id_))[1]["processing_status"] == "ended"

    run(main)


def test_a_colleagues_batch_looks_like_ours_until_its_first_line() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        simulator = Simulator(planned(), clock, dice)
        desk = Desk(simulator)
        ours = await desk.made(some(20))
        theirs = simulator.foreign_batch(20, minutes=10.0)
        shown = {batch["id"]: batch for batch in (await desk.listed())[1]["data"]}
        assert {**shown[ours], "id": None} == {**shown[theirs], "id": None}
        await clock.sleep(HOUR)
        lines = await desk.lines(theirs)
        assert len(lines) == 20
        assert all(line["custom_id"].startswith("colleague-") for line in lines)
        await simulator.settle()
        assert sum(simulator.ledger.accepted().values()) == 20
        assert simulator.ledger.lots[theirs].foreign

    run(main)


def test_a_colleague_by_plan_makes_batches_of_like_sizes() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> list[tuple[str, int]]:
        plan = planned(colleague=Colleague(every=600.0, size=7, alike=0.5))
        simulator = Simulator(plan, clock, random.Random(3))
        desk = Desk(simulator)
        ours = await desk.made(some(20))
        await clock.sleep(10 * HOUR)
        rows = (await desk.listed(limit=1000))[1]["data"]
        dates = [row["created_at"] for row in rows]
        assert dates == sorted(dates, reverse=True)
        assert ours in {row["id"] for row in rows}
        return [(row["created_at"], sum(row["request_counts"].values())) for row in rows]

    seen = run(main)
    sizes = [size for _, size in seen]
    assert 35 < len(sizes) < 90
    assert set(sizes) == {7, 20}
    assert 0.2 < sizes.count(20) / len(sizes) < 0.8
    assert run(main) == seen


def test_a_colleague_may_delete_and_archive_what_is_not_his() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        plan = planned(colleague=Colleague(deletes=0.4, archives=0.4, after=100.0))
        desk = Desk(Simulator(plan, clock, dice))
        ids = [await desk.made(some(1)) for _ in range(30)]
        await clock.sleep(690)
        assert all([(await desk.get(id_))[0] == 200 for id_ in ids])
        await clock.sleep(20)
        found = [await desk.get(id_) for id_ in ids]
        assert 4 < sum(status == 404 for status, _ in found) < 20
        assert 4 < sum(status == 200 and body["archived_at"] is not None for status, body in found) < 20
        left = [body["id"] for status, body in found if status == 200 and body["archived_at"] is None]
        await desk.simulator.delete_batch(left[0])
        desk.simulator.archive_batch(left[1])
        assert (await desk.get(left[0]))[0] == 404
        assert (await desk.said(asked("GET", f"/{left[1]}/results")))[0] == 404
        assert desk.simulator.ledger.billed() == 30, "what was bought stays bought"

    run(main)


def test_other_workspaces_see_nothing_of_ours() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        simulator = Simulator(replace(planned(), workspaces={"-other": "wrkspc_other"}), clock, dice)
        here, there = Desk(simulator), Desk(simulator, key="sk-test-other")
        ours, theirs = await here.made(some(1)), await there.made(some(1))
        assert [batch["id"] for batch in (await here.listed())[1]["data"]] == [ours]
        assert [batch["id"] for batch in (await there.listed())[1]["data"]] == [theirs]
        assert (await here.get(theirs))[0] == (await there.cancel(ours))[0] == 404
        assert (await there.listed(after_id=ours))[0] == 400
        response = await simulator.handle(asked("GET", "", {"x-api-key": "sk-test-other"}))
        await text_of(response)
        assert response.headers["anthropic-workspace-id"] == "wrkspc_other"

    run(main)


def test_the_results_may_be_said_to_be_on_another_host() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> str:
        desk = Desk(Simulator(planned(origin="https://elsewhere.example"), clock, dice))
        id_ = await desk.made(some(1))
        await clock.sleep(HOUR)
        return str((await desk.get(id_))[1]["results_url"])

    assert run(main).startswith("https://elsewhere.example/v1/messages/batches/msgbatch_")


def test_the_books_count_what_was_bought_by_either_way() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        simulator = Simulator(planned(), clock, dice)
        desk = Desk(simulator)
        await desk.said(post(asks("both")))
        id_ = await desk.made([wants("a", "both"), wants("b", "once"), wants("c", "[[simulate: 500]]")])
        begin = clock.wall()
        await clock.sleep(HOUR)
        for _ in range(4):
            await desk.get(id_)
        ledger = simulator.ledger
        assert ledger.accepted() == {answers.digest(asks("both")): 2, answers.digest(asks("once")): 1}
        assert ledger.busiest(Dimension.REQUESTS) == 1, "batches use none of the limits of messages"
        assert list(ledger.repeated()) == [answers.digest(asks("both"))]
        assert ledger.calls(begin, clock.wall(), "/batches") == 1
        assert ledger.calls(clock.wall(), clock.wall() + 1, "GET /v1/messages/batches/") == 4  # type: ignore[arg-type]  # a plain int will do

    run(main)
