"""Jobs that a program gives, instead of a file: each becomes one JSON line, and goes the way of every line."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from batchrun.core.problem import Problem, Severity
from batchrun.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SHOWN = 10
"""Problems that the message of an exception names."""


class Job:
    """One request. `params` are the parameters of the Messages API beside those that are named here.

    Without an id a job gets one from its content. `metadata` comes back with the result; `tags` select it.
    """

    __slots__ = ("line",)

    def __init__(
        self,
        *,
        id: str | int | None = None,  # noqa: A002  # the word of job files
        model: str | None = None,
        max_tokens: int | None = None,
        prompt: str | None = None,
        messages: Sequence[Mapping[str, Any]] | None = None,
        system: str | Sequence[Mapping[str, Any]] | None = None,
        metadata: Any = None,
        tags: Sequence[str] | None = None,
        **params: Any,
    ) -> None:
        named = {
            "id": None if id is None else str(id),
            "model": model,
            "max_tokens": max_tokens,
            "system": system,
            "prompt": prompt,
            "messages": messages,
            "metadata": metadata,
            "tags": tags,
        }
        self.line: Mapping[str, Any] = {name: value for name, value in named.items() if value is not None} | params

    def __repr__(self) -> str:
        return f"Job({', '.join(f'{name}={value!r}'[:60] for name, value in self.line.items())})"


class InvalidJobs(UsageError):
    """Jobs that cannot be submitted; nothing was added. `problems` are the first of each kind, `errors` counts all."""

    def __init__(self, problems: Sequence[Problem], errors: int) -> None:
        lines = [f"{place_of(problem)}: {problem.message}" for problem in problems[:SHOWN]]
        more = [f"and {errors - len(lines):,} more"] if errors > len(lines) else []
        super().__init__("\n".join([*lines, *more]), "nothing was added; correct them and submit again")
        self.problems = tuple(problems)
        self.errors = errors


def place_of(problem: Problem) -> str:
    """`jobs[3].max_tokens` for a job that a program gave; file, line and column for one in a file."""
    if problem.where is None:
        return "jobs"
    if problem.where.file != GIVEN:
        return str(problem.where)
    inside = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in problem.path)
    return f"jobs[{problem.where.line - 1}]{inside}"


GIVEN = "python"
"""What stands in the place of a file's name, and is the name of a run that nobody named."""


class Lines(io.RawIOBase):
    """Jobs as a stream of JSON lines, made while it is read. `unfit` are those that JSON cannot hold."""

    def __init__(self, jobs: Iterable[Job | Mapping[str, Any]]) -> None:
        super().__init__()
        self.unfit: dict[int, str] = {}  #: by number, from 0
        self._lines = self._made(jobs)
        self._ahead = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        while not self._ahead and (line := next(self._lines, None)) is not None:
            self._ahead = line
        n = min(len(view), len(self._ahead))
        view[:n], self._ahead = self._ahead[:n], self._ahead[n:]
        return n

    def _made(self, jobs: Iterable[Job | Mapping[str, Any]]) -> Iterator[bytes]:
        for number, job in enumerate(jobs):
            given = job.line if isinstance(job, Job) else job
            try:
                text = json.dumps(dict(given), ensure_ascii=True)
            except (TypeError, ValueError) as error:
                self.unfit[number] = f"this is no job: {str(error)[0].lower()}{str(error)[1:]}"
                text = "{}"  # its place is kept, so that what is wrong with others is told by their own numbers
            yield text.encode() + b"\n"

    def problems(self, found: Iterable[Problem]) -> list[Problem]:
        """*found* and what is unfit, in order; what is said of the latter's places is said of nothing."""
        from batchrun.core.job import Where  # noqa: PLC0415  # only where something is wrong

        kept = [each for each in found if each.where is None or each.where.line - 1 not in self.unfit]
        kept += [
            Problem(code="BR001", where=Where(GIVEN, number + 1), message=why) for number, why in self.unfit.items()
        ]
        return sorted(
            (each for each in kept if each.severity is Severity.ERROR),
            key=lambda each: each.where.line if each.where is not None else 0,
        )
