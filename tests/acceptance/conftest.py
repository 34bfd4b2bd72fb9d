"""The whole program in an empty folder and an empty home, against a simulated API on a loopback port."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from batchrun.clock import SystemClock
from batchrun.simulator.api import Simulator
from batchrun.simulator.plan import Length, Pace, Plan
from batchrun.simulator.server import serve

INSTANT = Plan(pace=Pace(first=0.0, spread=0.0, per_token=0.0), length=Length(median=20.0))

ENVIRONMENT = ("PATH", "LANG", "SYSTEMROOT", "TMPDIR")


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


class Home:
    """An empty folder to work in, and the program."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.variables: dict[str, str] = {}

    def key(self, key: str = "sk-ant-test-0000000000000000000000000000") -> None:
        """From now on there is a key, and the API is the simulated one."""
        self.variables |= {"ANTHROPIC_API_KEY": key, "ANTHROPIC_BASE_URL": self.url, "BATCHRUN_TIER": "scale"}

    def file(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        return {**kept, "HOME": str(self.folder), "COLUMNS": "100", "LANG": "C.UTF-8", **self.variables, **(more or {})}

    def __call__(self, *args: str, stdin: str | bytes = b"", **more: str) -> Said:
        done = subprocess.run(
            [sys.executable, "-m", "batchrun", *args],
            cwd=self.folder,
            env=self.environment(more),
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            check=False,
            timeout=100,
        )
        return Said(done.returncode, done.stdout.decode(), done.stderr.decode())


class Served:
    """A simulated API in a thread of its own. Change its plan with `change`."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        self._ready.wait()

    async def _serve(self) -> None:
        self.simulator = Simulator(INSTANT, SystemClock(), random.Random(1))
        served = await serve(self.simulator)
        self.url = served.url
        self._ready.set()
        await self._stop.wait()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()  # answers that are still under way have nobody to go to
        await served.close()

    def _work(self) -> None:
        self._loop.run_until_complete(self._serve())

    def change(self, plan: Plan) -> None:
        self._loop.call_soon_threadsafe(self.simulator.change, plan)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def served() -> Iterator[Served]:
    server = Served()
    yield server
    server.close()


@pytest.fixture
def home(tmp_path: Path, served: Served) -> Home:
    return Home(tmp_path, served.url)


def line(key: str, prompt: str = "Say hello.", model: str = "claude-haiku-5-5", max_tokens: int = 64) -> str:
    """A line of a job file."""
    return f'{{"id": "{key}", "model": "{model}", "max_tokens": {max_tokens}, "prompt": "{prompt}"}}\n'


@pytest.fixture
def good(home: Home) -> Path:
    """A job file without fault."""
    return home.file("jobs.jsonl", "".join(line(f"job-{n}", f"Say {n}.") for n in range(5)))
