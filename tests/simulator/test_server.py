"""The door over loopback: real sockets, real resets, and the handles for tests."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anthropic
import httpx2
import pytest

from batchrun.clock import SystemClock
from batchrun.errors import UsageError
from batchrun.simulator import answers
from batchrun.simulator.api import LARGEST_BODY, Simulator
from batchrun.simulator.ledger import Entry, Ledger
from batchrun.simulator.plan import Pace, Plan
from batchrun.simulator.server import Served, run, serve
from tests.simulator.world import HEADERS, asks, instant


class HeldClock(SystemClock):
    """A clock whose sleepers wait until they are let go."""

    def __init__(self) -> None:
        self.sleeping = asyncio.Event()
        self.go = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.sleeping.set()
        await self.go.wait()


class WatchedLedger(Ledger):
    """Says when a request has ended."""

    def __init__(self) -> None:
        super().__init__()
        self.over = asyncio.Event()

    def note(self, entry: Entry, **changes: Any) -> None:
        super().note(entry, **changes)
        if "ended" in changes:
            self.over.set()


@asynccontextmanager
async def serving(plan: Plan) -> AsyncIterator[tuple[Simulator, Served]]:
    simulator = Simulator(plan, SystemClock(), random.Random(1))
    served = await serve(simulator)
    try:
        yield simulator, served
    finally:
        await served.close()


def over_loopback(
    test: Callable[[Simulator, Served, httpx2.AsyncClient], Awaitable[None]], plan: Plan | None = None
) -> None:
    async def main() -> None:
        async with (
            serving(instant() if plan is None else plan) as (simulator, served),
            httpx2.AsyncClient(base_url=served.url, headers=HEADERS) as client,
        ):
            await test(simulator, served, client)

    asyncio.run(main())


def test_the_same_request_gets_the_same_answer_through_either_door() -> None:
    async def test(simulator: Simulator, served: Served, client: httpx2.AsyncClient) -> None:
        response = await client.post("/v1/messages", json=asks("hi"))
        assert response.status_code == 200
        assert answers.digest(asks("hi")) in response.json()["content"][0]["text"]
        assert response.headers["request-id"] == simulator.ledger.entries[0].request_id
        assert response.headers["date"].endswith("GMT")
        assert simulator.ledger.entries[0].delivered

    over_loopback(test)


@pytest.mark.parametrize("what", ["drop", "lose", "cut", "refuse"])
def test_connections_really_break(what: str) -> None:
    async def test(simulator: Simulator, served: Served, client: httpx2.AsyncClient) -> None:
        with pytest.raises((httpx2.ReadError, httpx2.RemoteProtocolError)):
            await client.post("/v1/messages", json=asks(f"[[simulate: {what}]]"))
        assert (await client.post("/v1/messages", json=asks("next"))).status_code == 200
        first = simulator.ledger.entries[0]
        assert (first.billed, first.delivered) == (what in {"lose", "cut"}, False)
        assert first.ended is not None

    over_loopback(test)


def test_over_aiohttp_a_reset_after_sending_looks_as_the_door_in_process_says() -> None:
    async def main() -> None:
        async with (
            serving(instant()) as (_, served),
            anthropic.AsyncAnthropic(
                api_key="k", base_url=served.url, max_retries=0, http_client=anthropic.DefaultAioHttpClient()
            ) as client,
        ):
            for what, expected in (("drop", aiohttp.ClientOSError), ("lose", aiohttp.ServerDisconnectedError)):
                with pytest.raises(anthropic.APIConnectionError) as caught:
                    await client.messages.create(**asks(f"[[simulate: {what}]]"))
                cause = caught.value.__cause__
                assert type(cause) is httpx2.ConnectError
                assert type(cause.__cause__) is expected

    asyncio.run(main())


def test_a_client_that_leaves_is_billed_for_the_answer_it_did_not_wait_for() -> None:
    async def main() -> None:
        clock, ledger = HeldClock(), WatchedLedger()
        simulator = Simulator(instant(pace=Pace(first=1, spread=0, per_token=0)), clock, random.Random(1), ledger)
        served = await serve(simulator)
        async with httpx2.AsyncClient(base_url=served.url, headers=HEADERS) as client:
            asked = asyncio.create_task(client.post("/v1/messages", json=asks("hi")))
            await clock.sleeping.wait()
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            (entry,) = ledger.entries
            assert (entry.accepted, entry.billed) == (True, False)
            # The server learns that the client has gone when it has served somebody else after it.
            assert (await client.get("/_simulator/ledger")).status_code == 200
            clock.go.set()
            await ledger.over.wait()
        assert (entry.billed, entry.delivered) == (True, False)
        await served.close()

    asyncio.run(main())


def test_a_body_that_is_too_large_gets_the_answer_of_the_edge() -> None:
    async def test(simulator: Simulator, served: Served, client: httpx2.AsyncClient) -> None:
        response = await client.post("/v1/messages", content=b" " * (LARGEST_BODY + 1))
        assert response.status_code == 413
        assert "request-id" not in response.headers
        assert (await client.post("/v1/messages", json=asks("next"))).status_code == 200

    over_loopback(test)


def test_the_ledger_can_be_read_from_outside() -> None:
    async def test(simulator: Simulator, served: Served, client: httpx2.AsyncClient) -> None:
        for text in "abc":
            await client.post("/v1/messages", json=asks(text))
        entries = (await client.get("/_simulator/ledger")).json()["entries"]
        assert [entry["prompt"] for entry in entries] == [answers.digest(asks(text)) for text in "abc"]
        assert len((await client.get("/_simulator/ledger?since=2")).json()["entries"]) == 1
        assert (await client.get("/_simulator/ledger?since=x")).status_code == 400

    over_loopback(test)


def test_the_plan_can_be_changed_from_outside() -> None:
    async def test(simulator: Simulator, served: Served, client: httpx2.AsyncClient) -> None:
        changed = await client.put("/_simulator/plan", json={"faults": {"529": 1}, "organization": "org-2"})
        assert changed.status_code == 200
        response = await client.post("/v1/messages", json=asks("hi"))
        assert (response.status_code, response.headers["anthropic-organization-id"]) == (529, "org-2")
        wrong = await client.put("/_simulator/plan", json={"fault": {}})
        assert (wrong.status_code, wrong.json()["hint"]) == (400, "did you mean `faults`?")
        assert (await client.put("/_simulator/plan", content=b"{")).status_code == 400
        told = (await client.get("/_simulator/plan")).json()
        assert told["faults"] == {"529": 1.0}
        assert (await client.get("/_simulator/other")).status_code == 404

    over_loopback(test)


def test_other_machines_are_kept_out_unless_asked_in() -> None:
    async def main() -> None:
        simulator = Simulator(instant(), SystemClock(), random.Random(1))
        with pytest.raises(UsageError, match="other machines"):
            await serve(simulator, "0.0.0.0")
        served = await serve(simulator, "0.0.0.0", remote=True)
        await served.close()

    asyncio.run(main())


def test_a_port_that_is_taken_is_a_clear_error() -> None:
    async def main() -> None:
        async with serving(instant()) as (simulator, served):
            with pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{served.port}"):
                await serve(simulator, port=served.port)

    asyncio.run(main())


def test_a_run_says_where_it_is_and_ends_when_cancelled(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "ledger.jsonl"
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        server = asyncio.create_task(run(instant(), ready=ready.set_result, ledger=Ledger(path)))
        async with httpx2.AsyncClient(base_url=await ready, headers=HEADERS) as client:
            assert (await client.post("/v1/messages", json=asks("hi"))).status_code == 200
            server.cancel()
            with pytest.raises(asyncio.CancelledError):
                await server
            with pytest.raises(httpx2.TransportError):
                await client.post("/v1/messages", json=asks("hi"))
        (entry,) = Ledger(path).entries
        assert entry.delivered

    asyncio.run(main())


def test_models_are_listed_through_the_sdk() -> None:
    async def main() -> list[Any]:
        async with (
            serving(instant()) as (_, served),
            anthropic.AsyncAnthropic(api_key="k", base_url=served.url, max_retries=0) as client,
        ):
            return [model.id async for model in client.models.list(limit=4)]

    ids = asyncio.run(main())
    assert len(ids) == len(set(ids)) > 10
