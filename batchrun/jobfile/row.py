"""One row of data: what it holds, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """`line` is where it begins, from 1 (in a Parquet file its number); `text` is shown beside a problem of it."""

    line: int
    values: dict[str, Any]
    text: str = ""
    column: int = 1
