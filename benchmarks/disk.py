"""What a queue takes on disk when many jobs share one long prompt.

python -m benchmarks.disk FILE FOLDER
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import MEGABYTE, Scale, told
from benchmarks.submit import submitted, written
from benchmarks.table import Row

JOBS = 100_000
OWN = 300
SYSTEM = 4_000
MOST = 70 * MEGABYTE


def measure(scale: Scale, folder: Path) -> Iterator[Row]:
    n = JOBS if scale.whole else JOBS // 10
    file = written(folder / "jobs.jsonl", n, size=OWN - 90, system="Be brief. " * (SYSTEM // 10))
    place = folder / "queue"
    place.mkdir()
    size: int = told("disk", file, place)
    each = size / n
    yield Row(
        what=f"disk, {n:,} jobs of {OWN} B with a system prompt of {SYSTEM:,} B in common",
        budget=f"<= 70 MB for {JOBS:,}",
        measured=f"{size / MEGABYTE:.1f} MB, {each:,.0f} B a job",
        floor=f"the file has {file.stat().st_size / MEGABYTE:,.0f} MB",
        fine=each * JOBS <= MOST,
    )


if __name__ == "__main__":
    submitted(Path(sys.argv[1]), Path(sys.argv[2]))
    print(sum(file.stat().st_size for file in Path(sys.argv[2]).rglob("*") if file.is_file()))
