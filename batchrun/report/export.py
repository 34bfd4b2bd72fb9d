"""Answers as files: flat JSON lines, Anthropic's own batch results format, and CSV.

Rows stream in the order of the job file, so that two exports can be compared with `diff`; memory stays flat.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any, assert_never

from batchrun.queue.jobrows import ResultRow
from batchrun.report.flat import COLUMNS, flat

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class ExportFormat(StrEnum):
    JSONL = "jsonl"
    ANTHROPIC = "anthropic"
    CSV = "csv"


SUFFIXES = {".jsonl": ExportFormat.JSONL, ".ndjson": ExportFormat.JSONL, ".csv": ExportFormat.CSV}
"""The format that a file's name asks for."""


def lines(
    form: ExportFormat, rows: Iterable[ResultRow], *, columns: Sequence[str] | None = None, metadata: Sequence[str] = ()
) -> Iterator[str]:
    """The export as lines with their ends. `columns` are dotted paths into the flat row (all of it if None).

    A CSV has a column `metadata.<name>` for each name in `metadata`, unless it has `columns` of its own.
    """
    match form:
        case ExportFormat.JSONL:
            return (_jsonl(flat(row), columns) for row in rows)
        case ExportFormat.ANTHROPIC:
            return (_anthropic(row) for row in rows)
        case ExportFormat.CSV:
            own = [name for name in COLUMNS if name != "metadata"] + [f"metadata.{name}" for name in metadata]
            return _csv(rows, own if columns is None else columns)
        case _:
            assert_never(form)


def _jsonl(row: dict[str, Any], columns: Sequence[str] | None) -> str:
    return _dumps(row if columns is None else {name: reached(row, name) for name in columns}) + "\n"


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def reached(row: Any, path: str) -> Any:
    """What stands at the dotted *path*: names of objects, or numbers into lists; None where nothing does."""
    if isinstance(row, dict) and path in row:
        return row[path]
    head, dot, rest = path.partition(".")
    match row:
        case dict() if dot:
            # A name may itself hold dots: the longest one that is there counts.
            cut = len(path)
            while (cut := path.rfind(".", 0, cut)) > 0:
                if path[:cut] in row:
                    return reached(row[path[:cut]], path[cut + 1 :])
            return None
        case list() if head.isdecimal() and int(head) < len(row):
            return reached(row[int(head)], rest) if dot else row[int(head)]
        case _:
            return None


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


def _csv(rows: Iterable[ResultRow], columns: Sequence[str]) -> Iterator[str]:
    yield csv_line(columns)
    for row in rows:
        values = flat(row)
        yield csv_line(reached(values, name) for name in columns)


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
