"""A large file of JSON lines into a queue: `batchrun submit` against `json.loads` and executemany alone.

python -m benchmarks.submit ours | raw FILE FOLDER
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.canned import MODEL
from benchmarks.measure import MEGABYTE, Scale, Stretch, Took, child, median, times
from benchmarks.program import call
from benchmarks.raw import opened
from benchmarks.table import Row

SIZE = 1_000
CHUNK = 10_000
MOST = 150 * MEGABYTE


def measure(scale: Scale, folder: Path) -> Iterator[Row]:
    half, whole = scale.submitted // 2, scale.submitted
    files = [written(folder / f"{n}.jsonl", n) for n in (half, whole)]
    ours: list[Took] = []
    raw: list[Took] = []
    for _ in range(min(scale.rounds, 3)):
        for who, took in (("raw", raw), ("ours", ours)):
            took.append(_child(who, files[1], folder))
    smaller = _child("ours", files[0], folder)
    cpu = _ratios(ours, raw)
    yield Row(
        what=f"submit of {whole:,} lines of 1 KB: processor time",
        budget="<= 2 × json.loads + raw executemany",
        measured=times(cpu),
        floor=_clock(ours, raw),
        fine=median(cpu) <= 2.0,
    )
    most, before = max(took.peak for took in ours), smaller.peak
    yield Row(
        what=f"submit of {whole:,} lines: memory",
        budget="< 150 MB, <= 1.1 × that of half as many",
        measured=f"{most / MEGABYTE:.0f} MB, {most / before:.2f} × that of {half:,}",
        floor=f"{median([took.peak for took in raw]) / MEGABYTE:.0f} MB raw",
        fine=most < MOST and most <= 1.1 * before,
    )
    unlike = scale.submitted // 10
    other = written(folder / "unlike.jsonl", unlike, alike=False)
    pairs = [(_child("raw", other, folder), _child("ours", other, folder)) for _ in range(scale.rounds)]
    raw, ours = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    yield Row(
        what=f"  submit of {unlike:,} lines, no two alike beside id and text: processor time",
        budget="",
        measured=times(_ratios(ours, raw)),
        floor=_clock(ours, raw),
        fine=None,
    )


def _ratios(ours: Sequence[Took], raw: Sequence[Took]) -> list[float]:
    return [mine.cpu / its.cpu for mine, its in zip(ours, raw, strict=True)]


def _clock(ours: Sequence[Took], raw: Sequence[Took]) -> str:
    walls = [mine.seconds / its.seconds for mine, its in zip(ours, raw, strict=True)]
    return f"{median([its.cpu for its in raw]):.1f} s; by the clock {median(walls):.2f} ×"


def written(path: Path, n: int, *, size: int = SIZE, system: str = "", alike: bool = True) -> Path:
    """A file of *n* lines as the Batches API takes them, each request *size* bytes beside its *system* prompt.

    *alike*: they differ in their ids and messages alone.
    """
    filler = "lorem ipsum "
    text = filler * (size // len(filler))
    with path.open("w", encoding="utf-8") as file:
        for number in range(n):
            params = {"model": MODEL, "max_tokens": 500, "messages": [{"role": "user", "content": f"{number} {text}"}]}
            if system:
                params["system"] = system
            if not alike:
                params["stop_sequences"] = [str(number)]
            file.write(json.dumps({"custom_id": f"doc-{number:08d}", "params": params}) + "\n")
    return path


def _child(who: str, file: Path, folder: Path) -> Took:
    place = folder / "queue"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    return child("submit", who, file, place)


def submitted(file: Path, folder: Path) -> None:
    """Submit *file* to a new queue in *folder*, as the command does."""
    call("--quiet", "--no-config", "--db", str(folder / "batchrun.db"), "submit", str(file), "--no-run", "--yes")


def _raw(file: Path, folder: Path) -> None:
    from batchrun.queue.connect import close_queue, open_queue

    path = folder / "batchrun.db"
    close_queue(open_queue(path))
    database = opened(path)
    database.execute(
        "INSERT INTO runs (id, name, state, mode, source, created) VALUES (1, 'raw', 'open', 'auto', '[]', 1)"
    )
    jobs: list[tuple[object, ...]] = []
    requests: list[tuple[object, ...]] = []

    def flush() -> None:
        database.execute("BEGIN IMMEDIATE")
        database.executemany(
            "INSERT INTO jobs (id, run, seq, line, key, model, state, size, est_input, max_tokens, worst, digest) "
            "VALUES (?, 1, ?, ?, ?, ?, 'queued', ?, 300, ?, 1000, ?)",
            jobs,
        )
        database.executemany("INSERT INTO requests (job, own) VALUES (?, ?)", requests)
        database.execute("COMMIT")
        jobs.clear()
        requests.clear()

    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            value = json.loads(line)
            params = value["params"]
            own = line[line.index('"params": ') + 10 : -2]
            digest = number.to_bytes(16)
            key, model = value["custom_id"], params["model"]
            jobs.append((number, number, number, key, model, len(own), params["max_tokens"], digest))
            requests.append((number, own))
            if len(jobs) == CHUNK:
                flush()
    flush()
    database.execute("INSERT INTO run_counts VALUES (1, ?, 'queued', ?)", (MODEL, number))
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


def _count(folder: Path) -> int:
    database = opened(folder / "batchrun.db")
    n: int = database.execute("SELECT COUNT(*) FROM jobs WHERE state = 'queued'").fetchone()[0]
    database.close()
    return n


if __name__ == "__main__":
    with Stretch() as stretch:
        {"ours": submitted, "raw": _raw}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
    stretch.tell(_count(Path(sys.argv[3])))
