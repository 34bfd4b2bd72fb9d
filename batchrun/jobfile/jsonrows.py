"""Rows of data in JSON: an object in each line, or a list of objects."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from batchrun.core.problem import Problem
from batchrun.jobfile.codes import Code
from batchrun.jobfile.faults import Fault, article
from batchrun.jobfile.json_text import too_deep
from batchrun.jobfile.jsonlist import JsonList
from batchrun.jobfile.jsontexts import JsonTexts
from batchrun.jobfile.row import Row
from batchrun.jobfile.textlines import TextLines

_EXCERPT = 2_000


class JsonRows:
    """The rows of one input; *listed*: they are the items of a list."""

    def __init__(self, name: str, reader: io.BufferedReader, *, listed: bool) -> None:
        self._name = name
        self._reader = reader
        self._listed = listed
        self._texts = JsonTexts(name)

    def __iter__(self) -> Iterator[Row | Problem]:
        """Each row, or its problems. Raises OSError if reading fails."""
        empty = True
        problems: list[Problem] = []
        for found in self._found():
            empty = False
            if isinstance(found, Problem):
                yield found
                continue
            line, column, text = found
            self._texts.column = column
            value = self._texts.value(line, text, problems)
            yield from problems
            if problems:
                problems.clear()
            elif (fault := _misfit(value)) is not None:
                yield self._texts.at(fault, line, text)
            else:
                yield Row(line, value, text[:_EXCERPT].partition("\n")[0], column)
        if empty:
            yield Fault(code=Code.EMPTY, message="this file holds no rows").at(self._name, 1)

    def _found(self) -> Iterator[tuple[int, int, str] | Problem]:
        if self._listed:
            yield from JsonList(self._name, self._reader)
            return
        lines = TextLines(self._name, self._reader)
        for line in lines:
            if isinstance(line, Problem):
                yield line
            elif line and not line.isspace():
                yield lines.number, 1, line.rstrip("\r\n")


def _misfit(value: Any) -> Fault | None:
    """Why a value is no row."""
    if not isinstance(value, dict):
        return Fault(
            code=Code.NOT_A_ROW,
            message=f"a row must be an object, not {article(value)}",
            hint='for example `{"text": "…"}`',
        )
    if too_deep(value):
        return Fault(code=Code.TOO_DEEP, message="this row is nested too deeply")
    return None
