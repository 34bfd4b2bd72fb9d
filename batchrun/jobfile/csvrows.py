"""A table in text: a line of names, then the rows, with commas, semicolons, tabs or bars between the cells.

Cells are texts. Quotes work as spreadsheets write them (RFC 4180): a cell in quotes may hold line breaks.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence

from batchrun.core.problem import Problem
from batchrun.jobfile.codes import Code
from batchrun.jobfile.excerpt import shown
from batchrun.jobfile.faults import Fault
from batchrun.jobfile.row import Row
from batchrun.jobfile.textlines import LINE_BYTES, TextLines

MOST_COLUMNS = 10_000
_BETWEEN = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_EXCERPT = 2_000
"""Characters of a row that are kept to be shown."""
_QUOTES = 'a quote in a cell is written twice (`""`), and the cell stands in quotes'


class CsvRows:
    """The rows of one table. *tabs*: there is nothing else between the cells; else the header tells."""

    def __init__(self, name: str, reader: io.BufferedReader, *, tabs: bool = False) -> None:
        self._name = name
        self._lines = TextLines(name, reader)
        self._delimiter = "\t" if tabs else ""
        self._problems: list[Problem] = []  # of lines, until their row is reached
        self._begin = 0  # where the row begins that is being read; 0 before it does
        self._first = ""
        self._spoilt = False  # that row
        self.columns: Sequence[str] = ()  #: known when the first row comes

    def __iter__(self) -> Iterator[Row | Problem]:
        """Each row, or its problem. Raises OSError if reading fails."""
        csv.field_size_limit(LINE_BYTES)  # a cell may be a whole document; there is one limit for the process
        empty = True
        for found in self._found():
            empty = False
            yield found
        if empty:
            what = "a header and no rows" if self.columns else "no rows"
            yield Fault(code=Code.EMPTY, message=f"this table has {what}").at(self._name, 1)

    def _found(self) -> Iterator[Row | Problem]:
        records = self._records()
        head = next(records, None)
        if head is None:
            yield from self._taken()
            return
        self._delimiter = self._delimiter or delimiter_of(head)
        table = csv.reader(_behind(head, records), delimiter=self._delimiter, strict=True)
        while True:
            try:
                cells = next(table)
            except StopIteration:
                break
            except csv.Error as error:
                yield from self._taken()
                yield self._broken(str(error))
                if "unexpected end" in str(error) or "field larger" in str(error):
                    return  # the rest was taken for one cell
                self._begin, self._spoilt = 0, False
                continue
            begin, self._begin = self._begin, 0
            spoilt, self._spoilt = self._spoilt, False
            yield from self._taken()
            if spoilt or not cells:
                pass  # its problem is told, or it is a blank line
            elif not self.columns:
                faults = list(self._named([cell.strip() for cell in cells]))
                for fault in faults:
                    yield fault.at(self._name, begin, self._first)
                if faults:
                    return
            elif len(cells) == len(self.columns):
                yield Row(begin, dict(zip(self.columns, cells, strict=True)), self._first)
            else:
                yield self._ragged(cells).at(self._name, begin, self._first)
        yield from self._taken()

    def _records(self) -> Iterator[str]:
        """The lines that are text; of the others their problems are kept."""
        for line in self._lines:
            if isinstance(line, Problem):
                self._problems.append(line)
                self._spoilt = self._begin > 0  # it is missing in the row that is being read
                continue
            if not self._begin:
                self._begin, self._first = self._lines.number, line[:_EXCERPT].rstrip("\r\n")
            if "\0" in line:
                fault = Fault(
                    code=Code.NOT_CSV,
                    message="this line holds a NUL character, which no text has",
                    hint="was it written as UTF-16, or cut short? `tr -d '\\000' < FILE` takes them out",
                )
                self._problems.append(fault.at(self._name, self._lines.number, self._first, line.index("\0")))
                self._spoilt = True
            yield line

    def _taken(self) -> Iterator[Problem]:
        yield from self._problems
        self._problems.clear()

    def _named(self, columns: Sequence[str]) -> Iterator[Fault]:
        """Take the names of the header; yield what is wrong with them."""
        self.columns = columns
        if len(columns) > MOST_COLUMNS:
            yield _fault(f"this header has {len(columns):,} columns; {MOST_COLUMNS:,} are the most")
        twice = [name for name, n in Counter(columns).items() if n > 1 and name]
        for name in twice[:10]:
            first = columns.index(name)
            both = f"{first + 1} and {columns.index(name, first + 1) + 1}"
            yield _fault(f"two columns are called `{shown(name)}`: {both}", "give each column a name of its own")
        if "" in columns:
            at = columns.index("")
            pandas = "; pandas leaves its row numbers out with `to_csv(…, index=False)`" if at == 0 else ""
            yield _fault(f"column {at + 1} has no name", f"give it one, or take it out{pandas}")

    def _ragged(self, cells: Sequence[str]) -> Fault:
        n, between = len(self.columns), _BETWEEN[self._delimiter]
        if len(cells) > n:
            hint = f"a cell with {between} in it stands in quotes"
        else:
            hint = "is a cell missing?"
            other = next((name for mark, name in _BETWEEN.items() if self._first.count(mark) == n - 1), "")
            if other and other != between:
                hint = f"the header is cut at {between}, this row looks cut at {other}"
        are = "cell" if len(cells) == 1 else "cells"
        return _fault(f"this row has {len(cells):,} {are}, the header names {n:,}", hint)

    def _broken(self, said: str) -> Problem:
        if "unexpected end" in said:
            fault = _fault("a quote that opens in this row is never closed", _QUOTES)
        elif "field larger" in said:
            fault = _fault(
                f"a cell of this row is larger than {LINE_BYTES:,} characters; is a quote not closed?", _QUOTES
            )
        elif "expected after" in said:
            fault = _fault("behind the closing quote of a cell stands more", _QUOTES)
        elif "new-line" in said:
            fault = _fault("a carriage return outside of quotes", "save it with line breaks of Unix or Windows")
        else:
            fault = _fault(f"this row cannot be read: {said}", _QUOTES)
        return fault.at(self._name, self._begin or self._lines.number, self._first)


def delimiter_of(head: str) -> str:
    """What stands between the cells of the header *head*: what cuts it into most of them."""
    return max(_BETWEEN, key=lambda mark: _width(head, mark))


def _width(line: str, mark: str) -> int:
    try:
        return max((len(cells) for cells in csv.reader([line], delimiter=mark)), default=0)
    except csv.Error:
        return 0


def columns_of(head: str, *, tabs: bool = False) -> Sequence[str]:
    """The names in the first line of a table."""
    mark = "\t" if tabs else delimiter_of(head)
    try:
        return [cell.strip() for cell in next(csv.reader([head], delimiter=mark), [])]
    except csv.Error:
        return []


def is_table(lines: Sequence[str]) -> bool:
    """Whether the first *lines* of a text look like a table: two or more cells in each, and as many in all."""
    lines = [line for line in lines if line.strip()]
    if len(lines) < 2:
        return False
    mark = delimiter_of(lines[0])
    widths = {_width(line, mark) for line in lines}
    return len(widths) == 1 and widths.pop() > 1


def _behind(head: str, rest: Iterator[str]) -> Iterator[str]:
    yield head
    yield from rest


def _fault(message: str, hint: str = "") -> Fault:
    return Fault(code=Code.NOT_CSV, message=message, hint=hint)
