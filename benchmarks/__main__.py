"""`python -m benchmarks [--quick | --full] [--only NAME]... [--record FILE]`: measure, and print one table."""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks import (
    claim,
    collect,
    disk,
    export,
    finish,
    limits,
    memory,
    realtime,
    recovery,
    spendcap,
    startup,
    submit,
    whole,
)
from benchmarks.measure import Scale
from benchmarks.table import Row, drawn, page

BENCHMARKS = {
    "startup": startup.measure,
    "submit": submit.measure,
    "disk": disk.measure,
    "realtime": realtime.measure,
    "claim": claim.measure,
    "limits": limits.measure,
    "spendcap": spendcap.measure,
    "memory": memory.measure,
    "recovery": recovery.measure,
    "finish": finish.measure,
    "collect": collect.measure,
    "export": export.measure,
    "whole": whole.measure,
}

QUICK = Scale(large=100_000, submitted=100_000, answers=10_000, rounds=2)
FULL = Scale(huge=10_000_000)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_const", const=QUICK, dest="scale", help="small sizes, two minutes")
    size.add_argument("--full", action="store_const", const=FULL, dest="scale", help="ten million jobs too")
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="may be given several times")
    parser.add_argument("--folder", type=Path, help="where the scratch databases go; default: the system's")
    parser.add_argument("--record", type=Path, help="write the table as a page of the documents, too")
    parser.set_defaults(scale=Scale())
    said = parser.parse_args()
    rows: list[Row] = []
    for name in said.only or BENCHMARKS:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="batchrun-benchmark-", dir=said.folder) as folder:
            try:
                rows += BENCHMARKS[name](said.scale, Path(folder))
            except subprocess.CalledProcessError:
                rows.append(Row(what=name, budget="", measured="broke off", floor="see above", fine=False))
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
    print()
    print(drawn(rows))
    if said.record is not None:
        said.record.write_text(page(rows), encoding="utf-8")
    return int(any(row.fine is False for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
