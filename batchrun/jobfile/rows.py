"""The rows that a template is filled with, from a file of any form, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from pathlib import PurePath
from typing import assert_never

from batchrun.core.problem import Problem
from batchrun.jobfile.codes import Code
from batchrun.jobfile.compressed import bare
from batchrun.jobfile.csvrows import CsvRows
from batchrun.jobfile.faults import Fault
from batchrun.jobfile.jsonrows import JsonRows
from batchrun.jobfile.layout import HEAD, not_text
from batchrun.jobfile.parquetrows import SIGN, parquet_rows
from batchrun.jobfile.row import Row
from batchrun.jobfile.source import Opened


class Form(Enum):
    """How rows are written."""

    CSV = auto()
    TSV = auto()
    JSON_LINES = auto()
    JSON_LIST = auto()
    PARQUET = auto()


_SUFFIXES = {
    ".csv": Form.CSV,
    ".tsv": Form.TSV,
    ".tab": Form.TSV,
    ".jsonl": Form.JSON_LINES,
    ".ndjson": Form.JSON_LINES,
}
NAMES = {
    Form.CSV: "CSV",
    Form.TSV: "TSV",
    Form.JSON_LINES: "rows in JSON lines",
    Form.JSON_LIST: "a JSON list of rows",
    Form.PARQUET: "Parquet",
}


def form_of(head: bytes, name: str) -> Form | Fault:
    """The form of a file that begins with *head*: by its suffix, else by its first character."""
    if head.startswith(SIGN):
        return Form.PARQUET
    suffix = PurePath(bare(name)).suffix.lower()
    if (fault := not_text(head)) is not None:
        return fault
    if suffix in {".yaml", ".yml"}:
        return Fault(code=Code.DATA, message="this is a job file, not a table", hint="submit it without --prompt")
    if (form := _SUFFIXES.get(suffix)) is not None:
        return form
    match head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]:
        case b"[":
            return Form.JSON_LIST
        case b"{":
            return Form.JSON_LINES
        case _:
            return Form.CSV


def rows_of(file: Opened) -> Iterator[Row | Problem]:
    """The rows of *file*, or what is wrong with them. Raises OSError if reading fails."""
    name = file.source.name
    match form_of(file.tap.peek(HEAD), name):
        case Fault() as fault:
            yield fault.at(name, 1)
        case Form.CSV:
            yield from CsvRows(name, file.reader)
        case Form.TSV:
            yield from CsvRows(name, file.reader, tabs=True)
        case Form.JSON_LINES:
            yield from JsonRows(name, file.reader, listed=False)
        case Form.JSON_LIST:
            yield from JsonRows(name, file.reader, listed=True)
        case Form.PARQUET:
            yield from _parquet(file)
        case never:
            assert_never(never)


def _parquet(file: Opened) -> Iterator[Row | Problem]:
    while file.reader.read(1 << 20):
        pass  # the digest is over all of it; the rows are read with leaps
    yield from parquet_rows(file.source.name)
