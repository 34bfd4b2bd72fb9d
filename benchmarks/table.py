"""The one table that a call ends with."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure. `fine` is whether it is within its budget; None where none is set, or none for a size this small."""

    what: str
    budget: str
    measured: str
    floor: str  #: the absolute number that the ratio is made with, or other figures that tell how to read it
    fine: bool | None


VERDICTS = {True: "met", False: "MISSED", None: "-"}

_INTRODUCTION = """# Benchmarks

What `python -m benchmarks --record docs/benchmarks.md` wrote on {when}, on {machine}.

Each ratio is to a *floor* that is measured in turn with it, in a process of its own: the same work with nothing of
batchrun in it. Ratios of processor time hold on a busy machine, too; those by the clock are for comparison. Steps of
SQLite's virtual machine and what happens in virtual time are exact. Memory is the most a process had at any moment. A
line without a budget is there to be watched.
"""


def _lines(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    head = (*(field.name for field in fields(Row)[:-1]), "verdict")
    return [head, *((*astuple(row)[:-1], VERDICTS[row.fine]) for row in rows)]


def drawn(rows: Sequence[Row]) -> str:
    """The table as text, its columns as wide as they need to be."""
    lines = _lines(rows)
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    drawn = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([drawn[0], "  ".join("-" * width for width in widths), *drawn[1:]])


def page(rows: Sequence[Row]) -> str:
    """The table as a page of the documents, with the day and the machine of this call."""
    machine = f"{os.cpu_count()} shared cores, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    introduction = _INTRODUCTION.format(when=f"{datetime.now(UTC):%Y-%m-%d}", machine=machine)
    head, *lines = ["| " + " | ".join(line) + " |" for line in _lines(rows)]
    return "\n".join([introduction, head, "|---" * 5 + "|", *lines, ""])
