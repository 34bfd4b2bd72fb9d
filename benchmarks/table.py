"""The one table that a call ends with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure. `fine` is whether it is within its budget; None where none is set, or none for a size this small."""

    what: str
    budget: str
    measured: str
    floor: str  #: the absolute number that the ratio is made with, or other figures that tell how to read it
    fine: bool | None


VERDICTS = {True: "met", False: "MISSED", None: "-"}


def drawn(rows: Sequence[Row]) -> str:
    """The table as text, its columns as wide as they need to be."""
    head = (*(field.name for field in fields(Row)[:-1]), "verdict")
    lines = [head, *((*astuple(row)[:-1], VERDICTS[row.fine]) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    drawn = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([drawn[0], "  ".join("-" * width for width in widths), *drawn[1:]])
