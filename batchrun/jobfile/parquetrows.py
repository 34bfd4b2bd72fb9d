"""Rows of a Parquet file, read with pyarrow, which only who has such files needs: `pip install 'batchrun[parquet]'`."""

from __future__ import annotations

import datetime as dt
import importlib
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from batchrun.core.problem import Problem
from batchrun.jobfile.codes import Code
from batchrun.jobfile.excerpt import shown
from batchrun.jobfile.faults import Fault
from batchrun.jobfile.row import Row

SIGN = b"PAR1"
AHEAD = 1_000
"""Rows that are in memory at a time."""


def parquet_rows(path: str) -> Iterator[Row | Problem]:
    """The rows of the file at *path*, their lines being their numbers. Dates and decimals come as texts."""
    try:
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        yield Fault(
            code=Code.UNREADABLE,
            message="a Parquet file is read with pyarrow, which is not installed",
            hint="`pip install 'batchrun[parquet]'`",
        ).at(path, 1)
        return
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=AHEAD):
                for values in batch.to_pylist():
                    number += 1
                    try:
                        yield Row(number, {str(name): _json(value) for name, value in values.items()})
                    except _NoJson as error:
                        yield Fault(code=Code.NOT_A_ROW, message=f"row {number:,}: {error}").at(path, number)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001  # pyarrow has errors of its own, below Exception
        message = f"this Parquet file cannot be read: {shown(str(error).splitlines()[0] if str(error) else '')}"
        yield Fault(code=Code.UNREADABLE, message=message).at(path, max(1, number))
        return
    if not number:
        yield Fault(code=Code.EMPTY, message="this file holds no rows").at(path, 1)


class _NoJson(Exception):
    """A value for which JSON has no word."""


def _json(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None  # data frames write what is missing as NaN
    if isinstance(value, list):
        return [_json(each) for each in value]
    if isinstance(value, dict):
        return {str(name): _json(each) for name, each in value.items()}
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise _NoJson(f"a value of the type `{type(value).__name__}` is no text, number or list")
