"""The simulated API in a process of its own, and what its ledger says; one for all experiments of a session."""

from __future__ import annotations

import asyncio
import http.client
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from batchrun.simulator import planfile, server

ROOT = Path(__file__).parents[2]

AT_ONCE = {"pace": {"first": 0.0, "spread": 0.0, "per_token": 0.0}, "length": {"median": 20.0, "spread": 0.3}}
"""A plan whose answers take no time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """One request for which the API did the work."""

    prompt: str
    request_id: str
    answered: bool  #: with the message; else the plan let the work be lost
    cost: int


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

    def accepted(self, since: int) -> Sequence[Accepted]:
        """What was accepted, but for the first *since* requests; asked again until nothing is under way."""
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
            if entry["accepted"]
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


async def serve() -> None:
    """Until standard input ends, as it does when whoever started this is gone."""

    def ready(url: str) -> None:
        sys.stdout.write(url + "\n")
        sys.stdout.flush()

    serving = asyncio.ensure_future(server.run(planfile.load({}), ready=ready))
    gone = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))
    await asyncio.wait({serving, gone}, return_when=asyncio.FIRST_COMPLETED)
    serving.cancel()
    await asyncio.wait({serving})


if __name__ == "__main__":
    asyncio.run(serve())
