"""Rows as a Parquet file: by row groups, so that memory stays flat. Needs the extra `parquet`."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, BinaryIO

from batchrun.errors import UsageError
from batchrun.report.flat import Kind
from batchrun.report.layout import Layout, Newcomer

GROUP = 10_000
GROUP_SIZE = 32_000_000
"""Rows of a row group at most, and characters of text after which it is written before."""


class Hashed(io.RawIOBase):
    """A file that is written to, and the digest of what went into it. Closing it leaves the file open."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._at = 0
        self.digest = hashlib.sha256()

    def write(self, data: Any, /) -> int:
        self.digest.update(data)
        self._at += len(data)
        return self._file.write(data)

    def tell(self) -> int:
        return self._at

    def writable(self) -> bool:
        return True


def check_extra() -> None:
    """Raises UsageError where pyarrow is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401, PLC0415  # only for this format
    except ImportError as error:
        raise UsageError(
            "Parquet needs pyarrow, which is not installed",
            hint="pip install 'batchrun[parquet]'; or take another format",
        ) from error


def write_parquet(file: BinaryIO, rows: Iterable[Mapping[str, Any]], layout: Layout) -> str:
    """Write the flat *rows* to *file* and return the SHA-256 of it. Raises Newcomer where the layout does not fit."""
    import pyarrow as pa  # noqa: PLC0415  # only for this format
    import pyarrow.parquet as pq  # noqa: PLC0415

    types: dict[Kind, pa.DataType] = {
        Kind.TEXT: pa.string(),
        Kind.INTEGER: pa.int64(),
        Kind.NUMBER: pa.float64(),
        Kind.FLAG: pa.bool_(),
        Kind.DOLLARS: pa.decimal128(20, 9),
        Kind.TEXTS: pa.list_(pa.string()),
        Kind.MOMENT: pa.timestamp("s", tz="UTC"),
        Kind.JSON: pa.string(),
    }
    schema = pa.schema([(_text(path), types[kind]) for path, kind in layout.columns.items()])
    kinds = list(layout.columns.values())
    hashed = Hashed(file)
    with io.BufferedWriter(hashed, 2**20) as buffered, pq.ParquetWriter(buffered, schema, compression="zstd") as writer:
        columns: list[list[Any]] = [[] for _ in kinds]
        size = 0

        def close_group() -> None:
            writer.write_table(
                pa.table([pa.array(c, t) for c, t in zip(columns, schema.types, strict=True)], schema=schema)
            )
            for column in columns:
                column.clear()

        for row in rows:
            for column, kind, value in zip(columns, kinds, layout.cells(row), strict=True):
                cell = None if value is None else _cell(kind, value)
                column.append(cell)
                size += len(cell) if isinstance(cell, str) else 8
            if len(columns[0]) >= GROUP or size >= GROUP_SIZE:
                close_group()
                size = 0
        if columns[0]:
            close_group()
    return hashed.digest.hexdigest()


def _cell(kind: Kind, value: Any) -> Any:
    """*value* as pyarrow takes it. Raises Newcomer if it is of another kind than its column."""
    match kind, value:
        case Kind.JSON, _:
            return _text(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
        case (Kind.TEXT, str()):
            return _text(value)
        case (Kind.DOLLARS, str()):
            return Decimal(value)
        case (Kind.MOMENT, str()):
            return datetime.fromisoformat(value)
        case (Kind.TEXTS, list()):
            return [_text(str(one)) for one in value]
        case (Kind.FLAG, bool()):
            return value
        case (Kind.INTEGER, int()) if not isinstance(value, bool) and abs(value) < 2**63:
            return value
        case (Kind.NUMBER, int() | float()) if not isinstance(value, bool):
            return float(value)
        case _:
            raise Newcomer


def _text(value: str) -> str:
    """Half of a surrogate pair, which JSON allows and no UTF-8 can hold, becomes its escape."""
    return value.encode("utf-8", "backslashreplace").decode() if not value.isascii() else value
