"""Many answers as a file: `batchrun export` and `results` against one SELECT whose rows are written as they come.

python -m benchmarks.export anthropic | jsonl | csv | results | raw | raw-jsonl DATABASE FILE
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import MEGABYTE, Scale, Stretch, Took, child, median, times
from benchmarks.program import call
from benchmarks.raw import opened
from benchmarks.stock import Layer, stocked
from benchmarks.table import Row

SIZE = 1_000
FLOORS = {"anthropic": "raw", "jsonl": "raw-jsonl", "csv": "raw-jsonl", "results": "raw-jsonl"}

_ANSWERS = """
SELECT j.key, s.body, s.stop_reason, a.input, a.output, a.cost, a.sent, a.ended, a.request_id
FROM jobs j JOIN results s ON s.job = j.id AND s.winning = 1 JOIN attempts a ON a.job = j.id AND a.n = s.attempt
WHERE j.run = 1 ORDER BY j.seq
"""


def measure(scale: Scale, folder: Path) -> Iterator[Row]:
    half, whole = (
        stocked(folder / f"{n}.db", [Layer(n=n, state="succeeded", size=SIZE)])
        for n in (scale.answers // 2, scale.answers)
    )
    target = folder / "answers.part"
    takes: dict[str, list[Took]] = {who: [] for who in (*dict.fromkeys(FLOORS.values()), *FLOORS)}
    for _ in range(scale.rounds):
        for who, took in takes.items():
            took.append(child("export", who, whole, target))
            target.unlink()
    for who, floor in FLOORS.items():
        before = child("export", who, half, target).peak
        target.unlink()
        ours, raw = takes[who], takes[floor]
        most = max(took.peak for took in ours)
        ratios = [mine.cpu / its.cpu for mine, its in zip(ours, raw, strict=True)]
        parsed = "" if floor == "raw" else ", read and written as JSON"
        yield Row(
            what=f"{'results' if who == 'results' else f'export as {who}'}, {scale.answers:,} answers",
            budget="memory <= 1.1 × that of half as many",
            measured=f"{most / MEGABYTE:.0f} MB, {most / before:.2f} ×; processor time {times(ratios)} raw{parsed}",
            floor=f"{median([its.rate for its in raw]):,.0f}/s raw, {median([mine.rate for mine in ours]):,.0f}/s ours",
            fine=most <= 1.1 * before,
        )


def _raw(database: Path, file: Path, *, parsed: bool) -> None:
    """What there is no way round: the rows, the file, its digest."""
    digest = hashlib.sha256()
    names = ("id", "text", "stop_reason", "input_tokens", "output_tokens", "cost", "sent", "ended", "request_id")
    with file.open("w", encoding="utf-8") as out:
        for key, body, *facts in opened(database).execute(_ANSWERS):
            if parsed:
                text = "".join(block["text"] for block in json.loads(body)["content"])
                line = json.dumps(dict(zip(names, (key, text, *facts), strict=True)), ensure_ascii=False) + "\n"
            else:
                line = f'{{"custom_id":"{key}","result":{{"type":"succeeded","message":{body}}}}}\n'
            digest.update(line.encode())
            out.write(line)
        out.flush()
        os.fsync(out.fileno())


def _ours(who: str, database: Path, file: Path) -> None:
    if who != "results":
        call("--quiet", "--db", str(database), "export", "run-1", "-o", str(file), "--format", who)
        return
    with file.open("w", encoding="utf-8") as out:
        sys.stdout = out
        try:
            call("--quiet", "--db", str(database), "results", "run-1", "--format", "jsonl")
        finally:
            sys.stdout = sys.__stdout__


if __name__ == "__main__":
    who, database, target = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    with Stretch() as stretch:
        if who in FLOORS:
            _ours(who, database, target)
        else:
            _raw(database, target, parsed=who == "raw-jsonl")
    with target.open(encoding="utf-8") as lines:
        stretch.tell(sum(1 for _ in lines))
