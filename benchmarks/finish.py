"""Ends of attempts: through the writer's group commit, against the same statements in raw sqlite3, 500 at a time.

python -m benchmarks.finish ours | raw | paced DATABASE N
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from batchrun.core.job import JobId, Millis, Nanos, RunId, WorkerId
from benchmarks.canned import MODEL, message
from benchmarks.measure import Scale, Stretch, child, median, times, told
from benchmarks.raw import opened
from benchmarks.stock import Layer, stocked
from benchmarks.table import Row

if TYPE_CHECKING:
    from batchrun.core.claim import Finish

GROUP = 500
JOBS = 20_000
SIZE = 1_000
AT_ONCE = 1_000
"""Ends that wait to be kept together: as many as requests can be in flight."""

OFFERED = 5_000
"""Ends a second, in the paced round."""

NOW = Millis(1_795_176_000_000)


def measure(scale: Scale, folder: Path) -> Iterator[Row]:
    original = stocked(folder / "original.db", [Layer(n=JOBS, state="running", size=SIZE)])
    ours, raw = [], []
    for _ in range(scale.rounds):
        raw.append(child("finish", "raw", _copied(original), JOBS))
        ours.append(child("finish", "ours", _copied(original), JOBS))
    costs = [mine.cpu_each / its.cpu_each for mine, its in zip(ours, raw, strict=True)]
    yield Row(
        what="finishes through group commit: processor time each",
        budget="",
        measured=f"{times(costs)} raw sqlite3, same statements",
        floor=f"{median([took.rate for took in raw]):,.0f}/s raw, {median([took.rate for took in ours]):,.0f}/s ours",
        fine=None,
    )
    paced = told("finish", "paced", _copied(original), JOBS)
    yield Row(
        what=f"{OFFERED:,} finishes a second offered",
        budget="all are kept, none falls behind",
        measured=f"{paced['kept']:,} of {JOBS:,} kept, the last {paced['behind'] * 1e3:.0f} ms after its offer",
        floor=f"half in {paced['half'] * 1e3:.1f} ms, 99 % in {paced['most'] * 1e3:.0f} ms",
        fine=paced["kept"] == JOBS and paced["behind"] < 1.0,
    )


def _copied(original: Path) -> Path:
    copy = original.with_name("copy.db")
    shutil.copyfile(original, copy)
    copy.chmod(0o600)
    return copy


def _finishes(n: int) -> list[Finish]:
    """The ends of the attempts that `stock` says are out."""
    from batchrun.core.claim import Claim, Finish
    from batchrun.core.outcome import Answer, Reply, Succeeded, Usage
    from batchrun.core.retry import Succeed

    body = message(SIZE).decode()
    found = []
    for job in range(1, n + 1):
        claim = Claim(
            job=JobId(job),
            run=RunId(1),
            key=f"run-1-{job - 1:08d}",
            model=MODEL,
            attempt=1,
            tries=0,
            worker=WorkerId(1),
            body="",
            est_input=250,
            max_tokens=500,
            worst=Nanos(2_000_000),
            claimed=Millis(1),
        )
        answer = Answer(body=body, stop_reason="end_turn", usage=Usage(input=300, output=250), model=MODEL)
        reply = Reply(status=200, request_id=f"req_{job:024d}")
        found.append(
            Finish(
                claim=claim,
                outcome=Succeeded(reply=reply, answer=answer),
                decision=Succeed(),
                sent=Millis(2),
                ended=NOW,
                due=None,
                cost=Nanos(1_500_000),
            )
        )
    return found


async def _ours(path: Path, n: int) -> None:
    from batchrun.core.claim import Kept
    from batchrun.queue.connect import open_queue
    from batchrun.queue.living import Living
    from batchrun.queue.store import QueueStore
    from batchrun.queue.writing import Writer

    writer = Writer(open_queue(path))
    store = QueueStore(writer, Living(path))
    finishes = iter(_finishes(n))

    async def finish() -> set[Kept]:
        return {await store.finish(one) for one in finishes}

    with Stretch() as stretch:
        kept = await asyncio.gather(*(finish() for _ in range(AT_ONCE)))
    assert set().union(*kept) == {Kept.CURRENT}, kept
    await writer.close()
    stretch.tell(n)


async def _paced(path: Path, n: int) -> None:
    from batchrun.queue.connect import open_queue
    from batchrun.queue.living import Living
    from batchrun.queue.store import QueueStore
    from batchrun.queue.writing import Writer

    writer = Writer(open_queue(path))
    store = QueueStore(writer, Living(path))
    waits = []

    async def finish(finish: Finish, due: float) -> None:
        await store.finish(finish)
        waits.append(time.perf_counter() - due)

    finishes = _finishes(n)
    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number, one in enumerate(finishes):
            due = began + number / OFFERED
            if (ahead := due - time.perf_counter()) > 0.001:
                await asyncio.sleep(ahead)
            tasks.create_task(finish(one, due))
    behind = time.perf_counter() - began - n / OFFERED
    await writer.close()
    kept = opened(path).execute("SELECT COUNT(*) FROM results WHERE winning = 1").fetchone()[0]
    waits.sort()
    half, most = waits[len(waits) // 2], waits[len(waits) * 99 // 100]
    print(json.dumps({"kept": kept, "behind": behind, "half": half, "most": most}))


def _raw(path: Path, n: int) -> None:
    from batchrun.core.outcome import Succeeded

    finishes = _finishes(n)
    database = opened(path)
    execute = database.execute
    with Stretch() as stretch:
        for at in range(0, n, GROUP):
            group = finishes[at : at + GROUP]
            execute("BEGIN IMMEDIATE")
            for finish in group:
                assert isinstance(finish.outcome, Succeeded)
                claim, reply, answer = finish.claim, finish.outcome.reply, finish.outcome.answer
                execute(
                    "UPDATE jobs SET state = 'succeeded', owner = NULL, finished = ?, error = NULL "
                    "WHERE id = ? AND state = 'running' AND owner = ? AND attempt = ?",
                    (finish.ended, claim.job, claim.worker, claim.attempt),
                )
                execute(
                    "UPDATE attempts SET sent = ?, ended = ?, outcome = 'ok', status = ?, error_type = NULL, "
                    "error_code = NULL, message = NULL, request_id = ?, other_ids = NULL, input = ?, output = ?, "
                    "thinking = ?, cache_read = ?, cache_write_5m = ?, cache_write_1h = ?, cost = ?, billed = 'yes' "
                    "WHERE job = ? AND n = ?",
                    (
                        finish.sent,
                        finish.ended,
                        reply.status,
                        reply.request_id,
                        answer.usage.input,
                        answer.usage.output,
                        answer.usage.thinking,
                        answer.usage.cache_read,
                        answer.usage.cache_write_5m,
                        answer.usage.cache_write_1h,
                        finish.cost,
                        claim.job,
                        claim.attempt,
                    ),
                )
                execute(
                    "INSERT INTO results (job, attempt, winning, body, stop_reason, received) "
                    "VALUES (?, ?, 1, ?, ?, ?)",
                    (claim.job, claim.attempt, answer.body, answer.stop_reason, finish.ended),
                )
            execute("UPDATE run_counts SET n = n - ? WHERE run = 1 AND state = 'running'", (len(group),))
            execute(
                "INSERT INTO run_counts VALUES (1, ?, 'succeeded', ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
                (MODEL, len(group)),
            )
            execute("UPDATE runs SET spent = spent + 1500000 * ?, reserved = reserved - 2000000 * ?", [len(group)] * 2)
            execute("COMMIT")
    database.close()
    stretch.tell(n)


if __name__ == "__main__":
    who, database, jobs = sys.argv[1:]
    match who:
        case "ours":
            asyncio.run(_ours(Path(database), int(jobs)))
        case "paced":
            asyncio.run(_paced(Path(database), int(jobs)))
        case _:
            _raw(Path(database), int(jobs))
