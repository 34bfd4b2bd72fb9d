"""Rows times a template: each row gives a job, or its problem at the place of the row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Protocol

from batchrun.core.job import Job, Where
from batchrun.core.problem import Problem, Severity
from batchrun.jobfile.assembly import Assembly, Common
from batchrun.jobfile.codes import Code
from batchrun.jobfile.excerpt import KEY, shown
from batchrun.jobfile.faults import Fault, did_you_mean, listed
from batchrun.jobfile.forms import Draft, short
from batchrun.jobfile.parameters import SHORT
from batchrun.jobfile.quick import Quick
from batchrun.jobfile.row import Row
from batchrun.jobfile.template import Template, Unrendered

ROW = "row"
"""The name of the whole row in a template, for columns whose names are no words: `{{ row["Product name"] }}`."""

MOST_JOBS = 1_000
"""Jobs of one row: combinations of a matrix."""

LESSONS = 3
"""Rows of each round from which a quick way is tried to be learned."""

_OF_ALL = frozenset({Code.NO_MODEL, Code.NO_MAX_TOKENS, Code.NO_MESSAGES, Code.PROMPT_AND_MESSAGES})
"""What is wrong with each job of a template alike."""


class Places(Protocol):
    """Where a template stands, and the defaults behind it."""

    def in_template(self, fault: Fault, line: int = 0) -> Problem:
        """The problem at `fault.path` of the template; *line* counts within its text, from 1."""

    def in_defaults(self, fault: Fault) -> Problem: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a template stands in: the defaults of its file, and the variables beside the rows."""

    common: Common | None = None
    base: Draft | None = None
    variables: Mapping[str, Any]
    matrix: Mapping[str, Sequence[Any]]
    sets: Mapping[str, Any]


class Templated:
    """Makes the jobs of one template."""

    def __init__(self, template: Template, setting: Setting, places: Places, assembly: Assembly) -> None:
        self._template = template
        self._setting = setting
        self._places = places
        self._assembly = assembly
        self._said: set[tuple[Code, tuple[str | int, ...], str]] = set()
        self._quick: dict[int, Quick] = {}  # by the round
        self._lessons: dict[int, int] = {}
        matrix = {name: [setting.sets[name]] if name in setting.sets else each for name, each in setting.matrix.items()}
        self._rounds = [dict(zip(matrix, values, strict=True)) for values in product(*matrix.values())]
        self._direct = [name for name in matrix if name in SHORT and not template.said(name)]
        # An id of the row's own would be the same in each round.
        self._suffixed = len(self._rounds) > 1 and not (template.said("id") and _asks(template, "id", matrix))

    def unused(self) -> Iterator[Fault]:
        """What `--set` names that nothing asks for."""
        setting = self._setting
        known = frozenset({*self._template.names, *setting.variables, *setting.matrix})
        for name in setting.sets:
            if name not in known:
                yield Fault(
                    code=Code.VARIABLES,
                    message=f"--set names `{shown(name)}`, which the template does not use",
                    hint=did_you_mean(name, known) or _list_of("it uses", sorted(known)),
                )

    def jobs(self, rows: Iterable[Row | Problem], name: str, file: int) -> Iterator[Job | Problem]:
        """A job for each of *rows*, which stand in the input *name*, the submit's *file*-th; or what is wrong."""
        setting, template, rounds = self._setting, self._template, self._rounds
        for row in rows:
            if isinstance(row, Problem):
                yield row
                continue
            where = Where(name, row.line, row.column)
            for nth, one in enumerate(rounds):
                values = {**setting.variables, **row.values, **one, **setting.sets, ROW: row.values}
                try:
                    entry = template.render(values)
                except Unrendered as error:
                    yield _at(row, name, self._unrendered(error, row))
                    continue
                for direct in self._direct:
                    entry[direct] = one[direct]
                self._name(entry, row, one)
                quick = self._quick.get(nth)
                job = None if quick is None else quick.job(entry, where, file)
                if job is None:
                    yield from self._job(entry, row, where, file, nth)
                else:
                    yield job

    def _name(self, entry: dict[str, Any], row: Row, one: Mapping[str, Any]) -> None:
        """Give a job its id: the template's, else the row's own."""
        if "id" not in entry:
            own = row.values.get("id")
            if type(own) is int or (isinstance(own, str) and own.strip()):
                entry["id"] = own
        if self._suffixed and "id" in entry:
            entry["id"] = "/".join([str(entry["id"]), *map(str, one.values())])

    def _job(self, entry: dict[str, Any], row: Row, where: Where, file: int, nth: int) -> Iterator[Job | Problem]:
        """The job of *entry* in the *nth* round, or what is wrong with it."""
        setting = self._setting
        faults: list[Fault] = []
        job: Job | None = None
        try:
            draft = short(entry)
            if setting.base is not None:
                draft.inherit(setting.base)
            job = self._assembly.job(draft, where, file, faults, setting.common)
        except ValueError:
            yield _at(row, where.file, _UNSENDABLE)
            return
        found = [*draft.faults, *(replace(fault, path=draft.written(fault.path)) for fault in faults)]
        for fault in found:
            yield from self._problem(fault, entry, row, where.file)
        if job is None:
            return
        if _holds_key(job):
            yield _at(row, where.file, _SECRET)
            self._assembly.withhold(job.key, where, file)
        else:
            # What is warned of in each row alike was told; it need not be looked for again.
            if not any(map(self._of_row, found)) and self._lessons.get(nth, 0) < LESSONS:
                self._lessons[nth] = self._lessons.get(nth, 0) + 1
                quick = Quick.of(self._template, entry, draft, job, self._assembly, setting.common)
                if quick is not None:
                    self._quick[nth] = quick
            yield job

    def _problem(self, fault: Fault, entry: Mapping[str, Any], row: Row, name: str) -> Iterator[Problem]:
        """The problem of a fault in a job: at its row, unless each row has it; then where that is written, and once."""
        first = fault.path[0] if fault.path else None
        if self._of_row(fault):
            yield _at(row, name, fault)
            return
        if (fault.code, fault.path, fault.message) in self._said:
            return
        self._said.add((fault.code, fault.path, fault.message))
        base = self._setting.base
        if first is None or first in entry or base is None:
            yield self._places.in_template(fault)
        else:
            path = ("prompt", *fault.path[1:]) if base.prompted and first == "messages" else fault.path
            yield self._places.in_defaults(replace(fault, path=path[:1] if path[0] == "prompt" else path))

    def _of_row(self, fault: Fault) -> bool:
        """Whether *fault* is of one row, and not of each alike."""
        if not fault.path:
            return fault.code not in _OF_ALL
        first = fault.path[0]
        return first in self._template.moving or first in self._direct or (first == "id" and not self._says("id"))

    def _says(self, name: str) -> bool:
        return self._template.said(name)

    def _unrendered(self, error: Unrendered, row: Row) -> Fault:
        if not error.missing:
            return Fault(code=Code.NOT_RENDERED, message=str(error), hint="`{{ … }}` stands for the values of this row")
        setting = self._setting
        known = [*row.values, *setting.variables, *setting.matrix]
        near = did_you_mean(error.missing, frozenset(known))
        return Fault(
            code=Code.NO_COLUMN,
            message=str(error),
            hint=f"{near}{' ' if near else ''}{_list_of('it has', known)}",
        )


def _asks(template: Template, name: str, names: Iterable[str]) -> bool:
    """Whether the part *name* of *template* asks for one of *names*."""
    return any(part.path[0] == name and not part.names.isdisjoint(names) for part in template.parts)


def _list_of(what: str, names: Sequence[str]) -> str:
    return f"{what}: {listed(names)}" if names else f"{what} no names"


def _at(row: Row, name: str, fault: Fault) -> Problem:
    problem = fault.at(name, row.line, row.text)
    # Columns of a table are the same in all rows, and so is a name that they do not have.
    problem = replace(problem, common=problem.common or fault.code is Code.NO_COLUMN)
    return problem if row.column == 1 else replace(problem, where=Where(name, row.line, row.column))


def _holds_key(job: Job) -> bool:
    return any(text is not None and KEY.search(text) for text in (job.request.own, job.metadata, job.tags, job.key))


_UNSENDABLE = Fault(code=Code.LONE_SURROGATE, message="this row holds half a character, and cannot be sent")
_SECRET = Fault(
    code=Code.SECRET,
    message="this row gives a job with an API key in it; it would be sent and stored",
    hint="take it out of the data; if they were shared, revoke the key",
    severity=Severity.ERROR,
)
