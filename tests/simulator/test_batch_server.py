"""Batches over loopback: bodies that go to the disk as they come, and a server that is started again."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest

from batchrun.clock import SystemClock
from batchrun.core.job import Millis
from batchrun.simulator import submission
from batchrun.simulator.api import Simulator
from batchrun.simulator.plan import Plan
from batchrun.simulator.server import Served, serve
from batchrun.simulator.shelf import Shelf
from tests.simulator.batching import PATH, planned, script, some
from tests.simulator.world import HEADERS


class TurnedClock(SystemClock):
    """The real clock, some hours on."""

    def __init__(self) -> None:
        self.hours = 0.0

    def wall(self) -> Millis:
        return Millis(super().wall() + round(self.hours * 3_600_000))


Test = Callable[[Simulator, Served, httpx2.AsyncClient, TurnedClock], Awaitable[None]]


def over_loopback(test: Test, plan: Plan | None = None, path: Path | None = None) -> None:
    async def main() -> None:
        clock = TurnedClock()
        simulator = Simulator(planned() if plan is None else plan, clock, random.Random(1), shelf=Shelf(path))
        served = await serve(simulator)
        try:
            async with httpx2.AsyncClient(base_url=served.url, headers=HEADERS, timeout=60) as client:
                await test(simulator, served, client, clock)
        finally:
            await served.close()

    asyncio.run(main())


def test_the_sdk_goes_all_the_way_over_loopback() -> None:
    async def test(simulator: Simulator, served: Served, _: httpx2.AsyncClient, clock: TurnedClock) -> None:
        async with anthropic.AsyncAnthropic(api_key="k", base_url=served.url, max_retries=0) as client:
            batch = await client.messages.batches.create(requests=some(300))  # type: ignore[arg-type]  # plain dictionaries
            clock.hours = 1
            ended = await client.messages.batches.retrieve(batch.id)
            assert ended.results_url == f"{served.url}{PATH}/{batch.id}/results"
            results = [result async for result in await client.messages.batches.results(batch.id)]
        assert {result.custom_id for result in results} == {f"job-{nth}" for nth in range(300)}

    over_loopback(test)


@pytest.mark.parametrize("over", [0, 1])
def test_a_body_is_taken_up_to_the_largest_size_and_leaves_nothing_behind(
    over: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps({"requests": some(2000)}).encode()
    monkeypatch.setattr(submission, "LARGEST", len(body) - over)

    async def test(simulator: Simulator, _: Served, client: httpx2.AsyncClient, clock: TurnedClock) -> None:
        response = await client.post(PATH, content=body)
        assert response.status_code == (413 if over else 200)
        assert len(simulator.ledger.lots) == 1 - over
        assert list((tmp_path / "api").glob("*.upload")) == []

    over_loopback(test, path=tmp_path / "api")


def test_an_upload_that_breaks_off_leaves_nothing_behind(tmp_path: Path) -> None:
    async def test(simulator: Simulator, served: Served, client: httpx2.AsyncClient, clock: TurnedClock) -> None:
        begun = asyncio.Event()

        async def half() -> Any:
            yield b'{"requests": ['
            begun.set()
            await asyncio.Event().wait()

        sending = asyncio.create_task(client.post(PATH, content=half()))
        await begun.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        for _ in range(20):  # the server learns of it when it has served others
            await client.get(PATH)
        assert simulator.ledger.lots == {}
        assert list((tmp_path / "api").glob("*.upload")) == []

    over_loopback(test, path=tmp_path / "api")


def test_a_server_that_is_started_again_goes_on(tmp_path: Path) -> None:
    ids = []

    async def first(simulator: Simulator, _: Served, client: httpx2.AsyncClient, clock: TurnedClock) -> None:
        ids.append((await client.post(PATH, json={"requests": some(50)})).json()["id"])

    async def second(simulator: Simulator, _: Served, client: httpx2.AsyncClient, clock: TurnedClock) -> None:
        clock.hours = 1
        assert [batch["id"] for batch in (await client.get(PATH)).json()["data"]] == ids
        assert (await client.get(f"{PATH}/{ids[0]}/results")).text.count("\n") == 50

    over_loopback(first, path=tmp_path / "api")
    over_loopback(second, path=tmp_path / "api")


@pytest.mark.parametrize(("what", "stands"), [("drop", False), ("lose", True), ("cut", True)])
def test_connections_really_break(what: str, stands: bool) -> None:
    async def test(simulator: Simulator, _: Served, client: httpx2.AsyncClient, clock: TurnedClock) -> None:
        with pytest.raises((httpx2.ReadError, httpx2.RemoteProtocolError)):
            await client.post(PATH, json={"requests": some(3)})
        assert len((await client.get(PATH)).json()["data"]) == stands

    over_loopback(test, planned(script=script(create=f"{what} x1")))


@pytest.mark.parametrize("what", ["cut", "short"])
def test_a_download_really_breaks_or_ends_early(what: str) -> None:
    async def test(simulator: Simulator, _: Served, client: httpx2.AsyncClient, clock: TurnedClock) -> None:
        id_ = (await client.post(PATH, json={"requests": some(500)})).json()["id"]
        clock.hours = 1
        if what == "cut":
            with pytest.raises(httpx2.RemoteProtocolError):
                await client.get(f"{PATH}/{id_}/results")
        else:
            assert 50 < (await client.get(f"{PATH}/{id_}/results")).text.count("\n") < 450
        assert (await client.get(f"{PATH}/{id_}/results")).text.count("\n") == 500

    over_loopback(test, planned(script=script(results=f"{what} x1")))


def test_batches_can_be_seen_and_made_from_outside() -> None:
    async def test(simulator: Simulator, _: Served, client: httpx2.AsyncClient, clock: TurnedClock) -> None:
        await client.post(PATH, json={"requests": some(3)})
        made = await client.post("/_simulator/batches", json={"size": 4, "minutes": 2})
        assert (await client.post("/_simulator/batches", json={"size": "x"})).status_code == 400
        clock.hours = 1
        ours, theirs = (await client.get("/_simulator/batches")).json()["batches"]
        assert (ours["outcomes"], ours["custom_ids"]) == ("sss", "job-0\njob-1\njob-2")
        assert (theirs["batch"], theirs["foreign"], theirs["outcomes"]) == (made.json()["id"], True, "ssss")
        entry = (await client.get("/_simulator/ledger")).json()["entries"][0]
        assert (entry["batch"], entry["accepted"], entry["delivered"]) == (ours["batch"], True, True)

    over_loopback(test)
