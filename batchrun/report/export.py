"""Answers as files: flat JSON lines, Anthropic's own batch results format, and CSV; `report.parquet` has Parquet.

Rows stream in the order of the job file, so that two exports can be compared with `diff`; memory stays flat.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any, assert_never

from batchrun.queue.jobrows import ResultRow
from batchrun.report.flat import flat
from batchrun.report.layout import Layout

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class ExportFormat(StrEnum):
    JSONL = "jsonl"
    ANTHROPIC = "anthropic"
    CSV = "csv"
    PARQUET = "parquet"


SUFFIXES = {
    ".jsonl": ExportFormat.JSONL,
    ".ndjson": ExportFormat.JSONL,
    ".csv": ExportFormat.CSV,
    ".parquet": ExportFormat.PARQUET,
}
"""The format that a file's name asks for."""


def lines(form: ExportFormat, rows: Iterable[ResultRow], layout: Layout) -> Iterator[str]:
    """The export as lines with their ends; the form `anthropic` has no columns, and Parquet no lines.

    Raises Newcomer where the layout does not fit.
    """
    match form:
        case ExportFormat.JSONL:
            return (_jsonl(row, layout) for row in rows)
        case ExportFormat.ANTHROPIC:
            return (_anthropic(row) for row in rows)
        case ExportFormat.CSV:
            return _csv(rows, layout)
        case ExportFormat.PARQUET:
            raise ValueError("Parquet has no lines")
        case _:
            assert_never(form)


def _jsonl(row: ResultRow, layout: Layout) -> str:
    return _dumps(dict(zip(layout.paths, layout.cells(flat(row, layout.needs)), strict=True))) + "\n"


_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _anthropic(row: ResultRow) -> str:
    """One line as in the results of a Message Batch (anthropic 2.11.0), with the user's own id."""
    custom_id = _dumps(row.job.key)
    if row.answer is not None:
        # As received; an end of line can only stand between its parts, where it means nothing.
        body = row.answer.body.replace("\r", " ").replace("\n", " ")
        return f'{{"custom_id":{custom_id},"result":{{"type":"succeeded","message":{body}}}}}\n'
    return f'{{"custom_id":{custom_id},"result":{_dumps(_unanswered(row))}}}\n'


def _unanswered(row: ResultRow) -> dict[str, Any]:
    error, attempt = row.job.error, row.attempt
    if error is None:
        return {"type": "canceled"}
    if error == "expired":
        return {"type": "expired"}
    said = {
        "type": attempt.error_type if attempt and attempt.error_type else error,
        "message": attempt.message if attempt else "",
    }
    request_id = attempt.request_id if attempt else None
    return {"type": "errored", "error": {"type": "error", "error": said, "request_id": request_id}}


def _csv(rows: Iterable[ResultRow], layout: Layout) -> Iterator[str]:
    yield csv_line(layout.paths)
    needs = layout.needs
    for row in rows:
        yield csv_line(layout.cells(flat(row, needs)))


def csv_line(values: Iterable[Any]) -> str:
    """One line of a CSV with its end: texts quoted where they must be, and no cell a formula."""
    buffer = io.StringIO()
    csv.writer(buffer).writerow([_cell(value) for value in values])  # its \r\n makes it quote both of them in cells
    return buffer.getvalue()[:-2] + "\n"


def _cell(value: Any) -> str:
    """A value for a spreadsheet. A text that it would take for a formula gets an apostrophe before it."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case str():
            return f"'{value}" if value.startswith(_FORMULA) else value
        case _:
            return _dumps(value)
