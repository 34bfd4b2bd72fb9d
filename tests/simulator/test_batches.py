"""The life of a batch: accepted, processed, ended, collected, and at last forgotten."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from batchrun.simulator import answers
from batchrun.simulator.api import Simulator
from batchrun.simulator.effects import Kind
from batchrun.simulator.ledger import Ledger
from batchrun.simulator.models import published
from batchrun.simulator.shelf import Shelf
from tests.simulator.batching import Desk, asked, planned, some, wants
from tests.simulator.world import MODEL, asks, post, reply, sdk, text_of
from tests.virtual import VirtualClock, run

MINUTES = 60.0
HOURS = 3600.0
DAYS = 24 * HOURS


def test_a_batch_is_processed_and_its_results_can_be_had() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        desk = Desk(Simulator(planned(), clock, dice))
        status, batch = await desk.create(some(50))
        assert status == 200
        assert batch == {
            "id": batch["id"],
            "type": "message_batch",
            "processing_status": "in_progress",
            "request_counts": {"processing": 50, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0},
            "created_at": "2026-11-20T00:00:00.000000Z",
            "expires_at": "2026-11-21T00:00:00.000000Z",
            "ended_at": None,
            "cancel_initiated_at": None,
            "archived_at": None,
            "results_url": None,
        }
        assert batch["id"].startswith("msgbatch_")
        await clock.sleep(9.9 * MINUTES)
        assert (await desk.get(batch["id"]))[1] == batch
        await clock.sleep(0.2 * MINUTES)
        _, ended = await desk.get(batch["id"])
        assert ended["processing_status"] == "ended"
        assert ended["request_counts"] == {"processing": 0, "succeeded": 50, "errored": 0, "canceled": 0, "expired": 0}
        assert ended["ended_at"] == "2026-11-20T00:10:00.000000Z"
        assert ended["results_url"] == f"https://api.anthropic.com/v1/messages/batches/{batch['id']}/results"
        lines = await desk.lines(batch["id"])
        assert sorted(line["custom_id"] for line in lines) == sorted(f"job-{nth}" for nth in range(50))

    run(main)


def test_an_item_gets_the_answer_that_messages_would_give_at_half_the_price() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        simulator = Simulator(planned(), clock, dice)
        desk = Desk(simulator)
        _, message, _ = await reply(simulator, post(asks("hello")))
        id_ = await desk.made([wants("a", "hello")])
        await clock.sleep(HOURS)
        result = (await desk.results(id_))["a"]
        assert result["type"] == "succeeded"
        assert result["message"]["content"] == message["content"]
        assert answers.digest(asks("hello")) in message["content"][0]["text"]
        assert result["message"]["usage"] == {**message["usage"], "service_tier": "batch"}
        (item,) = simulator.ledger.items()
        whole = simulator.ledger.entries[0]
        assert (item.prompt, item.cost, item.output) == (whole.prompt, whole.cost // 2, whole.output)
        assert simulator.ledger.spent() == whole.cost + item.cost

    run(main)


def test_the_results_come_in_an_order_of_their_own_each_time() -> None:
    async def orders(clock: VirtualClock, plan: Any) -> list[list[str]]:
        desk = Desk(Simulator(plan, clock, random.Random(1)))
        id_ = await desk.made(some(40))
        await clock.sleep(HOURS)
        return [[line["custom_id"] for line in await desk.lines(id_)] for _ in range(2)]

    async def main(clock: VirtualClock, dice: random.Random) -> None:
        asked_for = [f"job-{nth}" for nth in range(40)]
        first, second = await orders(clock, planned())
        assert asked_for not in (first, second)
        assert first != second
        assert await orders(clock, planned()) == [first, second]
        same, again = await orders(clock, planned(reshuffled=False))
        assert same == again != asked_for

    run(main)


def test_no_results_before_the_end() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        desk = Desk(Simulator(planned(), clock, dice))
        id_ = await desk.made(some(1))
        status, body = await desk.said(asked("GET", f"/{id_}/results"))
        assert (status, body["error"]["type"]) == (404, "not_found_error")

    run(main)


def test_the_list_has_the_newest_first_and_pages_in_both_directions() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        desk = Desk(Simulator(planned(), clock, dice))
        made: list[str] = []
        for _ in range(7):
            made.insert(0, await desk.made(some(1)))
            await clock.sleep(1)

        async def page(**query: Any) -> tuple[list[str], bool]:
            _, body = await desk.listed(**query)
            ids = [batch["id"] for batch in body["data"]]
            assert (body["first_id"], body["last_id"]) == ((ids[0], ids[-1]) if ids else (None, None))
            return ids, body["has_more"]

        assert await page() == (made, False)
        assert await page(limit=3) == (made[:3], True)
        assert await page(limit=3, after_id=made[2]) == (made[3:6], True)
        assert await page(limit=3, after_id=made[5]) == (made[6:], False)
        assert await page(limit=3, after_id=made[6]) == ([], False)
        assert await page(limit=3, before_id=made[5]) == (made[2:5], True)
        assert await page(limit=3, before_id=made[2]) == (made[:2], False)
        for wrong in ({"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"after_id": "msgbatch_none"}):
            assert (await desk.listed(**wrong))[0] == 400

    run(main)


def test_a_cancel_takes_its_time_and_keeps_what_was_finished() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        simulator = Simulator(planned(canceling=60.0), clock, dice)
        desk = Desk(simulator)
        id_ = await desk.made(some(200))
        await clock.sleep(4 * MINUTES)
        status, batch = await desk.cancel(id_)
        assert (status, batch["processing_status"]) == (200, "canceling")
        assert batch["cancel_initiated_at"] == "2026-11-20T00:04:00.000000Z"
        assert batch["request_counts"]["processing"] == 200
        await clock.sleep(59)
        assert (await desk.cancel(id_))[1] == batch, "a second cancel changes nothing"
        await clock.sleep(2)
        _, ended = await desk.get(id_)
        counts = ended["request_counts"]
        assert ended["processing_status"] == "ended"
        assert counts["succeeded"] + counts["canceled"] == 200
        assert 70 <= counts["succeeded"] <= 130, "half of the ten minutes had passed"
        results = await desk.results(id_)
        assert sum(result["type"] == "canceled" for result in results.values()) == counts["canceled"]
        assert simulator.ledger.billed() == counts["succeeded"]
        assert (await desk.cancel(id_))[0] == 409

    run(main)


def test_what_is_not_done_in_a_day_expires() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        desk = Desk(Simulator(planned(minutes=48 * 60.0), clock, dice))
        id_ = await desk.made(some(200))
        await clock.sleep(DAYS - 1)
        assert (await desk.get(id_))[1]["processing_status"] == "in_progress"
        await clock.sleep(2)
        _, ended = await desk.get(id_)
        assert ended["ended_at"] == ended["expires_at"]
        assert 70 <= ended["request_counts"]["expired"] <= 130
        assert sum(result["type"] == "expired" for result in (await desk.results(id_)).values()) > 0

    run(main)


def test_results_go_after_29_days_and_the_batch_stays_listed() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        desk = Desk(Simulator(planned(), clock, dice))
        id_ = await desk.made(some(3))
        await clock.sleep(29 * DAYS - 1)
        assert len(await desk.lines(id_)) == 3
        await clock.sleep(2)
        assert (await desk.said(asked("GET", f"/{id_}/results")))[0] == 404
        (listed,) = (await desk.listed())[1]["data"]
        assert listed["archived_at"] == "2026-12-19T00:00:00.000000Z"
        assert (listed["processing_status"], listed["results_url"]) == ("ended", None)

    run(main)


def test_only_an_ended_batch_can_be_deleted() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        desk = Desk(Simulator(planned(), clock, dice))
        id_ = await desk.made(some(3))
        status, body = await desk.delete(id_)
        assert (status, body["error"]["type"]) == (409, "conflict_error")
        await clock.sleep(HOURS)
        assert await desk.delete(id_) == (200, {"id": id_, "type": "message_batch_deleted"})
        assert (await desk.get(id_))[0] == 404
        assert (await desk.listed())[1]["data"] == []
        assert (await desk.delete(id_))[0] == 404

    run(main)


def test_every_answer_has_the_time_of_the_server_and_says_whose_it_is() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        simulator = Simulator(planned(), clock, dice)
        id_ = await Desk(simulator).made(some(2))
        await clock.sleep(HOURS)
        for request in (
            post({"requests": some(1)}, path="/v1/messages/batches"),
            asked("GET"),
            asked("GET", f"/{id_}"),
            asked("GET", f"/{id_}/results"),
            asked("GET", "/msgbatch_none"),
            asked("DELETE", f"/{id_}"),
        ):
            response = await simulator.handle(request)
            await text_of(response)
            assert response.headers["date"] == "Fri, 20 Nov 2026 01:00:00 GMT"
            assert response.headers["request-id"].startswith("req_")
            assert response.headers["anthropic-organization-id"] == simulator.plan.organization
            assert response.headers["anthropic-workspace-id"] == simulator.plan.workspace

    run(main)


def test_the_sdk_goes_all_the_way() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        simulator = Simulator(planned(), clock, dice)
        async with sdk(simulator) as client:
            batch = await client.messages.batches.create(requests=some(5))  # type: ignore[arg-type]  # plain dictionaries
            assert (await client.messages.batches.retrieve(batch.id)).processing_status == "in_progress"
            await clock.sleep(HOURS)
            assert [each.id async for each in client.messages.batches.list(limit=1)] == [batch.id]
            results = [result async for result in await client.messages.batches.results(batch.id)]
            assert {result.custom_id for result in results} == {f"job-{nth}" for nth in range(5)}
            assert all(result.result.type == "succeeded" for result in results)
            raw = await client.messages.batches.with_raw_response.results(batch.id)
            assert raw.headers["content-type"] == "application/x-jsonl"
            assert (await client.messages.batches.delete(batch.id)).type == "message_batch_deleted"
        assert simulator.ledger.collected() == {batch.id}

    run(main)


def test_a_batch_outlives_the_process_that_took_it(tmp_path: Path) -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        def life() -> Desk:
            ledger, shelf = Ledger(tmp_path / "ledger"), Shelf(tmp_path / "api")
            return Desk(Simulator(planned(), clock, random.Random(1), ledger, shelf=shelf))

        first = await life().made(some(30))
        second = await life().made(some(20, "other"))
        assert first != second
        await clock.sleep(4 * MINUTES)
        await life().cancel(second)
        await clock.sleep(6 * MINUTES)
        _, ended = await life().get(first)
        assert ended["request_counts"]["succeeded"] == 30
        lines = await life().results(first)
        assert await life().results(first) == lines
        _, cancelled = await life().get(second)
        assert cancelled["request_counts"]["canceled"] > 0
        books = life().simulator.ledger
        assert len([item for item in books.items() if item.batch == first and item.billed]) == 30
        assert books.lots[first].ids == [f"job-{nth}" for nth in range(30)]
        await life().delete(first)
        third = await life().made(some(1))
        assert third not in {first, second}
        assert [batch["id"] for batch in (await life().listed())[1]["data"]] == [third, second]
        assert {path.stat().st_mode & 0o777 for path in (tmp_path / "api").iterdir()} == {0o600}
        assert (tmp_path / "api").stat().st_mode & 0o777 == 0o700

    run(main)


def test_the_books_know_a_batch_whose_process_died_before_it_wrote_them(tmp_path: Path) -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        desk = Desk(Simulator(planned(), clock, random.Random(1), shelf=Shelf(tmp_path / "api")))
        id_ = await desk.made(some(3))
        empty = Simulator(planned(), clock, random.Random(1), Ledger(tmp_path / "a"), shelf=Shelf(tmp_path / "api"))
        assert empty.ledger.lots[id_].ids == ["job-0", "job-1", "job-2"]
        await clock.sleep(HOURS)
        await desk.get(id_)
        later = Simulator(planned(), clock, random.Random(1), Ledger(tmp_path / "a"), shelf=Shelf(tmp_path / "api"))
        assert later.ledger.billed() == 3
        assert Ledger(tmp_path / "a").billed() == 3

    run(main)


def test_the_same_plan_and_seed_is_the_same_history_whenever_somebody_looks() -> None:
    async def history(clock: VirtualClock, waits: list[float]) -> tuple[Any, Any]:
        simulator = Simulator(
            planned(spread=0.5, items={Kind.OVERLOADED: 0.3, Kind.EXPIRED: 0.1}), clock, random.Random(5)
        )
        desk = Desk(simulator)
        id_ = await desk.made(some(60))
        for wait in waits:
            await clock.sleep(wait)
            await desk.get(id_)
        _, batch = await desk.get(id_)
        return batch["request_counts"], await desk.results(id_)

    async def main(clock: VirtualClock, dice: random.Random) -> None:
        counts, results = await history(clock, [5 * HOURS])
        assert 5 < counts["errored"] < 40
        assert await history(clock, [60.0] * 300) == (counts, results)

    run(main)


@pytest.mark.parametrize("cached", [0.0, 1.0])
def test_a_shared_prefix_is_written_once_and_read_as_often_as_the_plan_says(cached: float) -> None:
    system = [{"type": "text", "text": "Rules. " * 2000, "cache_control": {"type": "ephemeral"}}]

    async def main(clock: VirtualClock, dice: random.Random) -> list[dict[str, int]]:
        desk = Desk(Simulator(planned(cache_hits=cached), clock, dice))
        id_ = await desk.made([wants(f"job-{nth}", system=system) for nth in range(10)])
        await clock.sleep(HOURS)
        return [result["message"]["usage"] for result in (await desk.results(id_)).values()]

    usages = run(main)
    reads = sum(usage["cache_read_input_tokens"] > 0 for usage in usages)
    writes = sum(usage["cache_creation_input_tokens"] > 0 for usage in usages)
    assert (reads, writes) == ((9, 1) if cached else (0, 10))
    assert published()[MODEL].prices.read < published()[MODEL].prices.input


def test_a_line_is_one_line_of_json() -> None:
    async def main(clock: VirtualClock, dice: random.Random) -> None:
        simulator = Simulator(planned(), clock, dice)
        desk = Desk(simulator)
        id_ = await desk.made(some(5))
        await clock.sleep(HOURS)
        response = await simulator.handle(asked("GET", f"/{id_}/results"))
        raw = await text_of(response)
        assert raw.endswith(b"\n")
        assert all(set(json.loads(line)) == {"custom_id", "result"} for line in raw[:-1].split(b"\n"))

    run(main)
