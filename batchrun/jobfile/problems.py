"""Problems as they are shown: alike ones folded, the first few of each kept, all of them counted."""

from __future__ import annotations

from dataclasses import dataclass, field

from batchrun.core.job import Where
from batchrun.core.problem import Problem, Severity
from batchrun.jobfile.codes import Code
from batchrun.jobfile.excerpt import shown

SHOWN = 3
"""How many of alike problems are kept."""


@dataclass(slots=True)
class Group:
    """Problems of one code and severity in one file. `first` and `last` are lines, None where no place is known."""

    code: str
    file: str
    severity: Severity
    count: int = 0
    first: int | None = None
    last: int | None = None
    shown: list[Problem] = field(default_factory=list)  #: the first ones, in the order they came

    @property
    def more(self) -> int:
        """How many are counted only."""
        return self.count - len(self.shown)


class Problems:
    """All problems of a submit, in memory that does not grow with their number."""

    def __init__(self, shown: int | None = SHOWN) -> None:
        """*shown*: how many of alike ones are kept; None for all."""
        self._shown = shown
        self._groups: dict[tuple[str, str, Severity], Group] = {}

    def add(self, problem: Problem) -> None:
        file = problem.where.file if problem.where else ""
        key = (problem.code, file, problem.severity)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(problem.code, file, problem.severity)
        group.count += 1
        if problem.where:
            group.first = problem.where.line if group.first is None else min(group.first, problem.where.line)
            group.last = problem.where.line if group.last is None else max(group.last, problem.where.line)
        if self._shown is None or len(group.shown) < self._shown:
            group.shown.append(problem)

    @property
    def groups(self) -> list[Group]:
        """In the order in which the first of each came."""
        return list(self._groups.values())

    @property
    def errors(self) -> int:
        return self._count(Severity.ERROR)

    @property
    def warnings(self) -> int:
        return self._count(Severity.WARNING)

    @property
    def files(self) -> int:
        """How many files have any."""
        return len({group.file for group in self._groups.values()})

    def _count(self, severity: Severity) -> int:
        return sum(group.count for group in self._groups.values() if group.severity is severity)


def id_twice(key: str, where: Where, before: Where | None) -> Problem:
    """Two jobs have the id *key*: the one at *where*, and one *before* it."""
    return Problem(
        code=Code.ID_TWICE.value,
        where=where,
        message=f"the id `{shown(key)}` stands twice" + (f"; before at {before}" if before else ""),
        hint="each job of a run has its own id; without one, batchrun makes it from the content",
    )


def changed_while_read() -> Problem:
    """The digest of the inputs before they were read is not the one after."""
    return Problem(
        code=Code.CHANGED_WHILE_READ.value,
        where=None,
        message="a job file changed while it was read",
        hint="submit again when nothing writes to it",
    )
