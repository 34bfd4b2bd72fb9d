"""Rows and documents on stdout in every format: table for people, TSV for pipes, JSON, JSON lines, CSV, Markdown.

Cells are JSON values; `Nanos` and `Millis` are turned into them by `amount` and `at` before they come here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, assert_never

from batchrun.cli.screen import HOSTILE, Screen, Tone, clean
from batchrun.core.figures import decimal_string, moment
from batchrun.core.job import Millis, Nanos
from batchrun.errors import UsageError

Row = Mapping[str, Any]


class Format(StrEnum):
    TEXT = "text"  #: prose for people, where a command has it
    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"
    MD = "md"


def chosen(asked: Format | None, screen: Screen, *, person: Format = Format.TABLE, pipe: Format = Format.TSV) -> Format:
    """The format asked for; else `person` on a terminal and `pipe` elsewhere."""
    if asked is not None:
        return asked
    return person if screen.tty else pipe


def amount(nanos: Nanos | None) -> dict[str, str] | None:
    """Money in JSON: a decimal string with its currency; null where it is not known."""
    return None if nanos is None else {"amount": decimal_string(nanos), "currency": "USD"}


def at(millis: Millis | None) -> str | None:
    """A moment in JSON."""
    return None if millis is None else moment(millis)


def dumps(value: Any, screen: Screen, *, indent: int | None = None) -> str:
    """One JSON text that is safe on a terminal and in any encoding: what would move a cursor is escaped."""
    from json import dumps as written

    text = written(value, ensure_ascii=not screen.utf8, indent=indent, allow_nan=False)
    # JSON escapes the controls below the space; the others stand inside strings, where an escape means the same.
    return text if text.isascii() and "\x7f" not in text else text.translate(_JSON_HOSTILE)


def _escapes() -> dict[int, str]:
    escapes = {}
    for code in HOSTILE:
        if code >= 0x7F:
            units = chr(code).encode("utf-16-be")
            escapes[code] = "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
    return escapes


_JSON_HOSTILE = _escapes()


def document(screen: Screen, name: str, body: Row) -> None:
    """One JSON document: `{"schema": "batchrun.<name>/1", …}`. Within /1 fields are added, never renamed or removed."""
    screen.line(dumps(headed(screen, name, body), screen, indent=2 if screen.tty else None))


def headed(screen: Screen, name: str, body: Row) -> dict[str, Any]:
    head: dict[str, Any] = {"schema": f"batchrun.{name}/1"}
    if screen.simulated:
        head["simulated"] = True
    return head | dict(body)


def picked(row: Row, field: str) -> Any:
    """The value at the dotted path *field*; None where it is not there."""
    if field in row:
        return row[field]
    value: Any = row
    for part in field.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value


def chosen_fields(asked: str | None, known: Sequence[str], default: Sequence[str]) -> tuple[str, ...]:
    """The columns of `--fields a,b.c`. Raises UsageError for one whose first part is not in *known*."""
    if asked is None:
        return tuple(default)
    fields = tuple(field.strip() for field in asked.split(",") if field.strip())
    for field in fields:
        if field not in known and field.partition(".")[0] not in known:
            from batchrun.core.suggest import did_you_mean

            raise UsageError(f"no such field `{field}`{did_you_mean(field, known)}", hint=f"fields: {', '.join(known)}")
    if not fields:
        raise UsageError("`--fields` names no field", hint=f"fields: {', '.join(known)}")
    return fields


def rows(
    screen: Screen,
    format: Format,  # noqa: A002  # the flag's name
    name: str,
    items: Iterable[Row],
    *,
    columns: Sequence[str],
    right: Sequence[str] = (),
    key: str = "",
    extra: Row | None = None,
) -> int:
    """Write *items* and return how many there were. Only a table and a JSON document hold back; the rest streams.

    `columns` are dotted fields; `right` those a table sets to the right. The JSON document is
    `{"schema", …extra, key or name: [rows]}` with the chosen columns; JSON lines are the rows alone.
    """
    match format:
        case Format.TABLE | Format.TEXT:
            return _table(screen, items, columns, right)
        case Format.JSON:
            return _json(screen, name, items, columns, key or name, extra or {})
        case Format.JSONL:
            return _each(screen, (dumps(_cut(row, columns), screen) for row in items))
        case Format.TSV:
            return _each(screen, ("\t".join(_tsv(picked(row, c)) for c in columns) for row in items))
        case Format.CSV:
            return _csv(screen, items, columns)
        case Format.MD:
            return _markdown(screen, items, columns, right)
        case _:
            assert_never(format)


def _cut(row: Row, columns: Sequence[str]) -> dict[str, Any]:
    return {column: picked(row, column) for column in columns}


def _each(screen: Screen, lines: Iterable[str]) -> int:
    n = 0
    for n, line in enumerate(lines, 1):  # noqa: B007  # the count is the answer
        screen.line(line)
    return n


def cell(value: Any) -> str:
    """A JSON value as text in one cell: empty for null, JSON for what has parts, money as amount and currency."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case {"amount": str(sum_), "currency": str(currency)} if len(value) == 2:
            return f"{sum_} {currency}"
        case dict() | list() | tuple():
            from json import dumps as written

            return written(value, ensure_ascii=False, separators=(",", ":"))
        case _:
            return str(value)


def _tsv(value: Any) -> str:
    return clean(cell(value).replace("\\", "\\\\"))


def _json(screen: Screen, name: str, items: Iterable[Row], columns: Sequence[str], key: str, extra: Row) -> int:
    head = dumps(headed(screen, name, extra), screen)
    screen.write(f"{head[:-1]}, {dumps(key, screen)}: [")
    n = 0
    for n, row in enumerate(items, 1):
        screen.write(("\n" if n == 1 else ",\n") + dumps(_cut(row, columns), screen))
    screen.line("\n]}" if n else "]}")
    return n


def _csv(screen: Screen, items: Iterable[Row], columns: Sequence[str]) -> int:
    from batchrun.report.export import csv_line

    safe = clean if screen.tty else str

    def write(values: Iterable[Any]) -> None:
        screen.write(csv_line(value if isinstance(value, int | float) else safe(cell(value)) for value in values))

    write(columns)
    n = 0
    for n, row in enumerate(items, 1):  # noqa: B007  # the count is the answer
        write(picked(row, column) for column in columns)
    return n


def _markdown(screen: Screen, items: Iterable[Row], columns: Sequence[str], right: Sequence[str]) -> int:
    def line(cells: Iterable[str]) -> str:
        return f"| {' | '.join(cells)} |"

    def safe(value: Any) -> str:
        return clean(cell(value).replace("\\", "\\\\").replace("|", "\\|").replace("\n", "<br>"))

    screen.line(line(columns))
    screen.line(line("--:" if column in right else "---" for column in columns))
    return _each(screen, (line(safe(picked(row, column)) for column in columns) for row in items))


def _table(screen: Screen, items: Iterable[Row], columns: Sequence[str], right: Sequence[str]) -> int:
    body = [[clean(_for_people(picked(row, column))) for column in columns] for row in items]
    if not body:
        return 0
    wide = [max(columns_of(line[i]) for line in [list(columns), *body]) for i in range(len(columns))]
    room = screen.width - 2 * (len(columns) - 1)
    while screen.tty and sum(wide) > room and max(wide) > 12:  # the widest gives way, so that a row stays a line
        wide[wide.index(max(wide))] = max(12, max(wide) - (sum(wide) - room))
    for number, line in enumerate([list(columns), *body]):
        cells = [_fitted(text, wide[i], right=columns[i] in right) for i, text in enumerate(line)]
        text = "  ".join(cells).rstrip()
        screen.line(screen.style(text, Tone.BOLD) if number == 0 else text)
    return len(body)


def _for_people(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return cell(value)


def columns_of(text: str) -> int:
    """How many columns a terminal gives *text*: East Asian wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(c) or c == "\u200d" else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def _fitted(text: str, width: int, *, right: bool) -> str:
    size = columns_of(text)
    if size > width:
        text = "".join(_first_columns(text, width - 1)) + "…"
        size = columns_of(text)
    gap = " " * (width - size)
    return gap + text if right else text + gap


def shortened(text: str, width: int) -> str:
    """*text* in at most *width* columns, with an ellipsis where something was cut."""
    return text if columns_of(text) <= width else "".join(_first_columns(text, width - 1)) + "…"


def _first_columns(text: str, width: int) -> Iterator[str]:
    for c in text:
        width -= columns_of(c)
        if width < 0:
            return
        yield c
