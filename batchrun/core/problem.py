"""A problem is a user's mistake as a value: the place, the thing, the reason and the cure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from batchrun.core.job import Where


class Severity(StrEnum):
    ERROR = "error"  #: nothing is added while one stands
    WARNING = "warning"  #: shown; does not stop a submit


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake. All of a file are collected and shown together; `code` is what alike ones are folded by.

    `message` is lower case, without a full stop, with back-ticks round literals; `hint` says what to write
    instead. `source` is the line in question as text (shortened round the column, control characters escaped), `mark`
    where in that text (from 0) the marked part begins, and `width` how many characters it has. None ever holds a
    secret. `common` says that it is about something that jobs share, such as their model: in the same words again it
    tells nothing new.
    """

    code: str  #: "BR104": stable, documented, never reused
    where: Where | None
    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR
    source: str = ""
    mark: int = 0
    width: int = 1
    common: bool = False
    path: tuple[str | int, ...] = field(default=(), compare=False)  #: the way to the value in the job, where it is told
