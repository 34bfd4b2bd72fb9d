"""Workers on one PostgreSQL server: kills, a worker that stands still longer than its lease, a server that crashes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from batchrun.simulator.plan import Length, Pace, Plan
from tests.acceptance.conftest import Served
from tests.postgres import Server

LEASE = 3.0
AT_ONCE = 8
PATIENCE = 100.0

PROGRAM = f"""
from dataclasses import replace
from batchrun import wiring
from batchrun.cli import main
from batchrun.queue import leases
leases.LEASE = {LEASE}
real = wiring.run_pass
wiring.run_pass = lambda settings, wish, *a, **k: real(settings, replace(wish, exclusive=False), *a, **k)
main.main()
"""


class Field:
    """Some jobs on a server, and workers that drain them."""

    def __init__(self, folder: Path, server: Server, served: Served, jobs: int) -> None:
        self.server = server
        self.served = served
        self.jobs = jobs
        self.workers: list[subprocess.Popen[bytes]] = []
        self._folder = folder
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        self._environment = kept | {
            "HOME": str(folder),
            "ANTHROPIC_API_KEY": "sk-ant-test-0000000000000000000000000000",
            "ANTHROPIC_BASE_URL": served.url,
            "BATCHRUN_TIER": "scale",
            "BATCHRUN_DB": server.url,
        }
        job = {"model": "claude-haiku-4-5", "max_tokens": 64}
        lines = (json.dumps({"id": f"job-{n}", "prompt": f"Say {n}.", **job}) for n in range(jobs))
        (folder / "jobs.jsonl").write_text("\n".join(lines))
        assert self("submit", "jobs.jsonl", "--mode", "realtime", "--no-run", "--yes") == 0

    def __call__(self, *args: str) -> int:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *args],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            check=False,
            timeout=PATIENCE,
        )
        return done.returncode

    def start(self) -> subprocess.Popen[bytes]:
        worker = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "run", "--concurrency", str(AT_ONCE)],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.workers.append(worker)
        return worker

    def ask(self, sql: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.server.url) as connection:
            return connection.execute(sql.encode()).fetchall()

    def until(self, done: int) -> None:
        end = time.monotonic() + PATIENCE
        while self.ask(f"SELECT count(*) >= {done} FROM jobs WHERE finished IS NOT NULL") == [(False,)]:
            assert time.monotonic() < end, "nothing gets done"
            time.sleep(0.1)

    def ended(self) -> list[int]:
        return [worker.wait(PATIENCE) for worker in self.workers]

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()

    def bought_again(self) -> int:
        """How many requests were bought beyond one for each job; every job has its answer, and the books are right."""
        assert self.ask("SELECT state, count(*) FROM jobs GROUP BY 1") == [("succeeded", self.jobs)]
        assert self.ask("SELECT count(*) FROM results WHERE winning = 1") == [(self.jobs,)]
        assert self("db", "check") == 0
        accepted = self.served.simulator.ledger.accepted()
        assert len(accepted) == self.jobs
        return sum(accepted.values()) - self.jobs


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served()
    served.change(Plan(pace=Pace(first=0.6, spread=0.2, per_token=0.0), length=Length(median=20.0)))
    yield served
    served.close()


@pytest.fixture
def server() -> Iterator[Server]:
    with Server.started() as server:
        yield server


@pytest.mark.sweep
def test_another_worker_finishes_what_a_killed_one_had_and_buys_only_that_again(
    tmp_path: Path, server: Server, served: Served
) -> None:
    field = Field(tmp_path, server, served, jobs=40)
    try:
        first = field.start()
        field.until(5)
        field.start()
        first.kill()
        assert field.ended() == [-signal.SIGKILL, 0]
        assert 0 < field.bought_again() <= AT_ONCE
    finally:
        field.close()


@pytest.mark.sweep
@pytest.mark.timeout(400)
def test_kills_stops_and_a_crash_of_the_server_lose_nothing_and_buy_again_only_what_was_out(
    tmp_path: Path, server: Server, served: Served
) -> None:
    field = Field(tmp_path, server, served, jobs=400)
    try:
        killed, stopped, _ = field.start(), field.start(), field.start()
        field.until(50)
        killed.kill()
        field.start()
        field.until(100)
        stopped.send_signal(signal.SIGSTOP)
        since = time.monotonic()
        field.until(150)
        server.restart()
        while time.monotonic() < since + LEASE + 3:
            time.sleep(0.1)
        stopped.send_signal(signal.SIGCONT)
        *first, last = field.ended()
        assert first == [-signal.SIGKILL, 0, 0]
        assert last in {0, 3}  # it may have come just when the server was away
        assert field.bought_again() <= 2 * AT_ONCE
        assert field.ask("SELECT count(*) FROM attempts WHERE outcome IS NULL") == [(0,)]
    finally:
        field.close()
