"""The simulated API in a process of its own, and what its ledger says; one for all experiments of a session."""

from __future__ import annotations

import asyncio
import http.client
import json
import random
import subprocess
import sys
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from batchrun.clock import SystemClock
from batchrun.core.batch import ticket_of
from batchrun.core.job import Millis
from batchrun.simulator import calls, planfile, server
from batchrun.simulator.api import Simulator
from batchrun.simulator.batch import DAY
from batchrun.simulator.lots import Lot
from batchrun.simulator.plan import Plan
from batchrun.simulator.wire import Request, Response

ROOT = Path(__file__).parents[2]

AT_ONCE = {"pace": {"first": 0.0, "spread": 0.0, "per_token": 0.0}, "length": {"median": 20.0, "spread": 0.3}}
"""A plan whose answers take no time."""

LEAP = 5 * 60 * 1000
"""Milliseconds that pass at the API whenever somebody lists batches: nobody waits for what takes minutes there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """One request for which the API did the work."""

    prompt: str
    answered: bool  #: with the message; else the plan let the work be lost
    cost: int
    request_id: str | None = None  #: of a message …
    item: tuple[int, int] | None = None  #: … or the job and the attempt of a batch's item


class Simulated:
    """Close it at the end."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.simulated"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().decode().strip()
        assert self.url.startswith("http://"), "the simulated API did not come up"
        self.change(AT_ONCE)

    def close(self) -> None:
        self._process.communicate()

    def change(self, plan: dict[str, Any]) -> None:
        """Go by these settings of a plan from now on."""
        self._ask("PUT", "plan", json.dumps(plan).encode())

    def arrived(self) -> int:
        """How many requests have come so far."""
        return len(self._entries(0))

    def accepted(self, since: int, asked: Container[str]) -> Sequence[Accepted]:
        """What was accepted of *asked* (digests), but for the first *since* requests; when nothing is under way."""
        return [*self._messages(since), *(item for item in self._items() if item.prompt in asked)]

    def _items(self) -> Iterator[Accepted]:
        """The items that succeeded, of all batches. Whatever was still in processing has come to its end."""
        for fields in self._ask("GET", "batches")["batches"]:
            for item in Lot(**fields).items():
                ticket = ticket_of(item.custom_id)
                assert ticket is not None, item
                if item.billed and item.prompt is not None:
                    key = int(ticket.job), ticket.attempt
                    yield Accepted(prompt=item.prompt, answered=True, cost=item.cost, item=key)

    def _messages(self, since: int) -> Sequence[Accepted]:
        while True:
            entries = self._entries(since)
            if all(entry["ended"] is not None for entry in entries):
                break
        return [
            Accepted(
                prompt=entry["prompt"],
                request_id=entry["request_id"],
                answered=entry["status"] == 200 and entry["error"] is None,
                cost=entry["cost"],
            )
            for entry in entries
            if entry["accepted"] and entry["prompt"] is not None
        ]

    def _entries(self, since: int) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self._ask("GET", f"ledger?since={since}")["entries"]
        return entries

    def _ask(self, method: str, path: str, body: bytes | None = None) -> Any:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        try:
            connection.request(method, server.PRIVATE + path, body)
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            return json.load(answer)
        finally:
            connection.close()


class Turned(SystemClock):
    """The real clock, some milliseconds on."""

    def __init__(self) -> None:
        self.ahead = 0

    def wall(self) -> Millis:
        return Millis(super().wall() + self.ahead)


class Hasty(Simulator):
    """The API, where time leaps when batches are listed, and a plan that is changed begins its scripts anew."""

    def __init__(self, clock: Turned) -> None:
        self._turned = clock
        super().__init__(planfile.load({}), clock, random.Random(0))

    def change(self, plan: Plan) -> None:
        self._calls.clear()
        super().change(plan)

    async def handle(self, request: Request) -> Response:
        if request.method == "GET" and request.path == calls.PATH:
            self._turned.ahead += LEAP
        return await super().handle(request)

    async def settle(self) -> None:
        self._turned.ahead += DAY
        await super().settle()


async def serve() -> None:
    """Until standard input ends, as it does when whoever started this is gone."""

    served = await server.serve(Hasty(Turned()))
    sys.stdout.write(served.url + "\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await served.close()


if __name__ == "__main__":
    asyncio.run(serve())
