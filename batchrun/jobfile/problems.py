"""Problems as they are shown: alike ones folded, the first few of each kept, all of them counted."""

from __future__ import annotations

from dataclasses import dataclass, field

from batchrun.core.problem import Problem, Severity
from batchrun.jobfile.codes import Code

KEPT = 4
"""How many of alike problems are kept: three to show, and the line where the folded ones begin."""

MOST_GROUPS = 200
"""Groups of problems that say the same: what is more is told apart by its code alone."""


@dataclass(slots=True)
class Group:
    """Problems of one code and severity in one file. `first`, `last` and `folded` are lines, None where no place is
    known.
    """

    code: str
    file: str
    severity: Severity
    count: int = 0
    first: int | None = None
    last: int | None = None
    kept: list[Problem] = field(default_factory=list)  #: the first ones, in the order they came
    folded: int | None = None  #: where the first one stands that was not kept

    def knows(self, problem: Problem) -> bool:
        """Whether one that was kept says just what *problem* says."""
        return problem.common and any(kept.message == problem.message for kept in self.kept)


class Problems:
    """All problems of a submit, in memory that does not grow with their number."""

    def __init__(self, keep: int | None = KEPT, *, by_words: bool = False) -> None:
        """*keep*: how many of alike ones are kept; None for all. *by_words*: alike are only those that say the same."""
        self._keep = keep
        self._by_words = by_words
        self._groups: dict[tuple[str, str, Severity, str], Group] = {}
        self.errors = 0
        self.warnings = 0
        self.unlisted = 0  #: errors that are only counted

    def add(self, problem: Problem) -> None:
        file = problem.where.file if problem.where else ""
        words = problem.message if self._by_words and len(self._groups) < MOST_GROUPS else ""
        key = (problem.code, file, problem.severity, words)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(problem.code, file, problem.severity)
        group.count += 1
        if problem.severity is Severity.ERROR:
            self.errors += 1
        else:
            self.warnings += 1
        if problem.where:
            group.first = problem.where.line if group.first is None else min(group.first, problem.where.line)
            group.last = problem.where.line if group.last is None else max(group.last, problem.where.line)
        if self._keep is None or (len(group.kept) < self._keep and not group.knows(problem)):
            group.kept.append(problem)
        elif problem.where and group.folded is None:
            group.folded = problem.where.line

    def add_unlisted(self, errors: int) -> None:
        """Count *errors* of which nothing else is known."""
        self.errors += errors
        self.unlisted += errors

    @property
    def groups(self) -> list[Group]:
        """In the order in which the first of each came."""
        return list(self._groups.values())

    @property
    def files(self) -> int:
        """How many files have any. What a flag said wrong stands in none."""
        return len({group.file for group in self._groups.values() if not group.file.startswith("--")})


def changed_while_read() -> Problem:
    """The digest of the inputs before they were read is not the one after."""
    return Problem(
        code=Code.CHANGED_WHILE_READ.value,
        where=None,
        message="a job file changed while it was read",
        hint="submit again when nothing writes to it",
    )
