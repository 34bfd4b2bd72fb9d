"""A batch's results come home: download, parse and store, against the same statements in raw sqlite3, 500 at a time.

python -m benchmarks.collect ours | raw DATABASE RESULTS N
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2

from batchrun.core.account import Account
from batchrun.core.batch import Ticket
from batchrun.core.job import JobId, Millis
from benchmarks.canned import MODEL, message
from benchmarks.measure import MEGABYTE, Scale, Stretch, child, median, times
from benchmarks.raw import opened
from benchmarks.stock import Layer, stocked
from benchmarks.table import Row

GROUP = 500
SIZE = 1_000
COST, WORST = 750_000, 1_000_000
NOW = Millis(1_795_176_000_000)
TOKEN, REMOTE = "token000", "msgbatch_1"
GROWTH = 20 * MEGABYTE
"""That ten times as many results may take more memory by."""


def measure(scale: Scale, folder: Path) -> Iterator[Row]:
    small = _original(folder, scale.answers // 10)
    few = [child("collect", "ours", _copied(small), small.with_suffix(".jsonl"), scale.answers // 10)]
    large = _original(folder, scale.answers)
    ours, raw = [], []
    for _ in range(scale.rounds):
        raw.append(child("collect", "raw", _copied(large), large.with_suffix(".jsonl"), scale.answers))
        ours.append(child("collect", "ours", _copied(large), large.with_suffix(".jsonl"), scale.answers))
    ratios = [mine.seconds / its.seconds for mine, its in zip(ours, raw, strict=True)]
    costs = [mine.cpu / its.cpu for mine, its in zip(ours, raw, strict=True)]
    yield Row(
        what=f"collecting a batch of {scale.answers:,} results of {SIZE:,} B",
        budget="<= 1.5 × raw sqlite3, the same three statements a line",
        measured=f"{times(ratios)}; processor time {times(costs)}",
        floor=f"{median([took.rate for took in raw]):,.0f}/s raw, {median([took.rate for took in ours]):,.0f}/s ours",
        fine=median(ratios) <= 1.5,
    )
    grown = max(took.peak for took in ours) - few[0].peak
    yield Row(
        what=f"memory while it is collected, against {scale.answers // 10:,} results",
        budget="+ 20 MB",
        measured=f"{grown / MEGABYTE:+.0f} MB",
        floor=f"{few[0].peak / MEGABYTE:.0f} MB",
        fine=grown <= GROWTH,
    )


def _original(folder: Path, n: int) -> Path:
    """A queue whose *n* jobs are in one batch that has ended, and beside it the file of its results, in no order."""
    path = stocked(folder / f"original-{n}.db", [Layer(n=n, size=SIZE)])
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA synchronous = OFF")
    database.execute("BEGIN")
    database.execute("INSERT INTO accounts (id, origin, created) VALUES (1, 'http://127.0.0.1', 1)")
    database.execute(
        "INSERT INTO batches (id, token, run, account, state, n, bytes, remote_id, intended, sent, model, processing) "
        "VALUES (1, ?, 1, 1, 'submitted', ?, 1, ?, 1, 1, ?, 'ended')",
        (TOKEN, n, REMOTE, MODEL),
    )
    database.execute("UPDATE jobs SET state = 'in_batch', batch = 1, attempt = 1")
    database.execute(
        "INSERT INTO attempts (job, n, via, worker, batch, claimed, worst) SELECT id, 1, 'batch', 1, 1, 1, ? FROM jobs",
        (WORST,),
    )
    database.execute("UPDATE run_counts SET state = 'in_batch'")
    database.execute("UPDATE runs SET reserved = ? * ?, account = 1", (WORST, n))
    queue = str(database.execute("SELECT value FROM meta WHERE key = 'queue'").fetchone()[0])
    database.execute("COMMIT")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    numbers = list(range(1, n + 1))
    random.Random(1).shuffle(numbers)
    answer = message(SIZE).decode()
    with path.with_suffix(".jsonl").open("w", encoding="utf-8") as lines:
        for job in numbers:
            custom_id = Ticket(queue, TOKEN, JobId(job), 1)
            result = f'{{"type":"succeeded","message":{answer}}}'
            lines.write(f'{{"custom_id":"{custom_id}","result":{result}}}\n')
    return path


def _copied(original: Path) -> Path:
    copy = original.with_name("copy.db")
    shutil.copyfile(original, copy)
    copy.chmod(0o600)
    return copy


class _Served(httpx2.AsyncBaseTransport):
    """Answers whatever is asked with the file, in pieces as they come from a network."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        headers = {"content-type": "application/x-jsonl", "request-id": "req_1"}
        return httpx2.Response(200, headers=headers, stream=_Pieces(self._path), request=request)


class _Pieces(httpx2.AsyncByteStream):
    def __init__(self, path: Path) -> None:
        self._path = path

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with self._path.open("rb") as file:
            while piece := file.read(65_536):
                yield piece


async def _ours(path: Path, results: Path, n: int) -> None:
    from batchrun.claude.batches import Batches
    from batchrun.claude.client import Connection, build
    from batchrun.clock import SystemClock
    from batchrun.core.claim import WorkerCard
    from batchrun.queue.batchstore import QueueBatches
    from batchrun.queue.connect import open_queue
    from batchrun.queue.writing import Writer
    from batchrun.scheduler.collecting import Collecting
    from batchrun.scheduler.purse import Purse
    from batchrun.scheduler.terms import Terms
    from batchrun.settings import load

    clock = SystemClock()
    writer = Writer(open_queue(path))
    store = QueueBatches(writer)
    http = httpx2.AsyncClient(transport=_Served(results))
    client = build(Connection(secret="a-key-of-nobody", base_url="http://127.0.0.1"), http)
    tables = load(environ={}, no_config=True).tables()
    card = WorkerCard(pid=1, host="", boot="", version="", command="", started=NOW)
    collecting = Collecting(
        store=store,
        api=Batches(client, clock),
        clock=clock,
        dice=random.Random(1),
        terms=Terms(
            card=card,
            fingerprint="",
            stand_in=Account(origin="http://127.0.0.1"),
            limits=tables.limits,
            tier="auto",
            cost=lambda model, usage: tables.prices.cost(model, usage, batch=False),
            batch_cost=lambda model, usage: tables.prices.cost(model, usage, batch=True),
        ),
        purse=Purse(None),
        emit=lambda _: None,
    )
    batch = await store.by_token(TOKEN)
    assert batch is not None
    with Stretch() as stretch:
        brought = await collecting.collect(batch, NOW)
    assert brought.won == n, brought
    await client.close()
    await writer.close()
    stretch.tell(n)


def _raw(path: Path, results: Path, n: int) -> None:
    database = opened(path)
    execute = database.execute
    with Stretch() as stretch, results.open("rb") as lines:
        group: list[tuple[int, int, str, str, dict[str, Any]]] = []

        def store() -> None:
            execute("BEGIN IMMEDIATE")
            for job, attempt, body, reason, usage in group:
                execute(
                    "UPDATE jobs SET state = 'succeeded', owner = NULL, batch = NULL, finished = ?, error = NULL "
                    "WHERE id = ? AND state = 'in_batch' AND batch = 1 AND attempt = ?",
                    (NOW, job, attempt),
                )
                execute(
                    "UPDATE attempts SET sent = 1, ended = ?, outcome = 'ok', billed = 'yes', input = ?, output = ?, "
                    "thinking = 0, cache_read = ?, cache_write_5m = 0, cache_write_1h = 0, cost = ? "
                    "WHERE job = ? AND n = ?",
                    (
                        NOW,
                        usage["input_tokens"],
                        usage["output_tokens"],
                        usage["cache_read_input_tokens"],
                        COST,
                        job,
                        attempt,
                    ),
                )
                execute(
                    "INSERT INTO results (job, attempt, winning, body, stop_reason, received) "
                    "VALUES (?, ?, 1, ?, ?, ?)",
                    (job, attempt, body, reason, NOW),
                )
            execute("UPDATE run_counts SET n = n - ? WHERE run = 1 AND state = 'in_batch'", (len(group),))
            execute(
                "INSERT INTO run_counts VALUES (1, ?, 'succeeded', ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
                (MODEL, len(group)),
            )
            execute(
                "UPDATE runs SET spent = spent + ? * ?, reserved = reserved - ? * ?",
                (COST, len(group), WORST, len(group)),
            )
            execute("COMMIT")
            group.clear()

        for line in lines:
            text = line.decode()
            value = json.loads(text)
            parts = value["custom_id"].split("-")
            answer = value["result"]["message"]
            body = text[text.index('"message":') + 10 : -3]
            group.append((int(parts[3], 36), int(parts[4], 36), body, answer["stop_reason"], answer["usage"]))
            if len(group) == GROUP:
                store()
        store()
    assert database.execute("SELECT COUNT(*) FROM results").fetchone() == (n,)
    database.close()
    stretch.tell(n)


if __name__ == "__main__":
    who, database, file, lines = sys.argv[1:]
    if who == "ours":
        asyncio.run(_ours(Path(database), Path(file), int(lines)))
    else:
        _raw(Path(database), Path(file), int(lines))
