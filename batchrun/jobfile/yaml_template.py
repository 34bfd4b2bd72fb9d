"""The template of a YAML job file, with its `data`, `vars` and `matrix`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path, PurePath
from typing import Any

from batchrun.core.job import Job
from batchrun.core.problem import Problem
from batchrun.jobfile.assembly import Assembly, Common
from batchrun.jobfile.codes import Code
from batchrun.jobfile.excerpt import shown
from batchrun.jobfile.faults import Fault, article
from batchrun.jobfile.forms import Draft
from batchrun.jobfile.given import Given
from batchrun.jobfile.inline import Inlines
from batchrun.jobfile.row import Row
from batchrun.jobfile.sandbox import Sandbox
from batchrun.jobfile.source import Source
from batchrun.jobfile.template import Malformed, Template
from batchrun.jobfile.templated import MOST_JOBS, Setting, Templated
from batchrun.jobfile.yaml_nodes import Node, Place

BESIDE = ("data", "vars", "matrix")
"""What says something only beside a template."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows from outside the job file: the name of their input, which of the submit's files it is, and they."""

    name: str
    file: int
    rows: Iterator[Row | Problem]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the template of a file needs beside itself."""

    name: str  #: of the job file
    file: int
    folder: Path | None
    at: Callable[[Fault, Place], Problem]
    line_of: Callable[[int], str]  #: the text of a line, from 1
    common: Common | None
    base: Draft | None
    defaults: Node | None
    given: Given
    table: Callable[[Source], Table]


def data_named(root: Node, name: str, folder: Path | None) -> Source | Fault | None:
    """The file that `data:` of the job file *name* names; None where it names none."""
    node = root.value.get("data") if type(root.value) is dict else None
    if node is None or type(node.value) is not str:
        return None
    said = node.value
    if folder is None:
        return _data(
            f"`data: {shown(said)}` names a file, and standard input has no folder to look in", "--data names it"
        )
    try:
        inside = (folder / said).resolve().is_relative_to(folder)
    except (OSError, ValueError, RuntimeError):
        inside = False
    if not said or not inside:
        return _data(
            f"`data: {shown(said)}` leads out of the folder of the job file",
            f"put the file below that folder, or name it yourself: `batchrun submit {PurePath(name).name} --data FILE`",
        )
    return Source(str(PurePath(name).parent / said))


class YamlTemplate:
    """The template in the file with the outermost node *root*."""

    def __init__(self, root: Node, context: Context, assembly: Assembly, inlines: Inlines) -> None:
        self._root = root
        self._context = context
        self._assembly = assembly
        self._inlines = inlines
        self._node: Node = root.value.get("template", root)

    def read(self) -> Iterator[Job | Problem]:
        """Each job of it, or its problems."""
        context, root = self._context, self._root
        faults: list[tuple[Fault, Node]] = []
        variables = self._mapping("vars", faults)
        matrix = self._matrix(faults)
        template = self._template(faults)
        tables = list(self._tables(faults))
        for fault, node in faults:
            yield context.at(fault, node.place)
        if template is None or faults:
            return
        setting = Setting(
            common=context.common, base=context.base, variables=variables, matrix=matrix, sets=context.given.sets
        )
        templated = Templated(template, setting, self, self._assembly)
        for fault in templated.unused():
            yield context.at(fault, root.find(("template",), name=True).place)
        for table in tables:
            yield from templated.jobs(table.rows, table.name, table.file)

    def in_template(self, fault: Fault, line: int = 0) -> Problem:
        node = self._node.find(fault.path, name=fault.name)
        place = node.place
        if line:
            block = self._context.line_of(place.line)[place.column - 1 : place.column] in {"|", ">"}
            if block or line > 1:
                place = Place(place.line + line - (0 if block else 1), 1)
        return self._context.at(fault, place)

    def in_defaults(self, fault: Fault) -> Problem:
        node = self._context.defaults or self._node
        return self._context.at(fault, node.find(fault.path, name=fault.name).place)

    def _template(self, faults: list[tuple[Fault, Node]]) -> Template | None:
        node = self._node
        if type(node.value) is not dict:
            faults.append((_wrong(Code.TEMPLATE, f"`template` must be a job, not {article(node.value)}"), node))
            return None
        value = node.plain()
        faults += list(self._inlines.fill(node, value))
        try:
            return Template(value, Sandbox())
        except Malformed as error:
            place = self.in_template(_wrong(Code.TEMPLATE, "", error.path), error.line).where
            found = node.find(error.path)
            spot = Place(place.line, place.column) if place else found.place
            hint = 'a column that is no word is written `{{ row["Product name"] }}`; `{% raw %}` keeps braces'
            faults.append((_wrong(Code.TEMPLATE, f"not a template: {error}", hint=hint), Node("", spot)))
            return None

    def _tables(self, faults: list[tuple[Fault, Node]]) -> Iterator[Table]:
        context, root = self._context, self._root
        node = root.value.get("data")
        if context.given.data:
            yield from map(context.table, context.given.data)
        elif node is None:
            hint = "add `data: rows.csv`, or say it: --data rows.csv"
            faults.append((_wrong(Code.NO_TEMPLATE, "a template without `data`", hint=hint), self._node))
        elif type(node.value) is list:
            yield Table(name=context.name, file=context.file, rows=self._listed(node))
        elif isinstance(source := data_named(root, context.name, context.folder), Fault):
            faults.append((source, node))
        elif source is None:
            faults.append((_data(f"`data` must be a file or a list of rows, not {article(node.value)}"), node))
        else:
            yield context.table(source)

    def _listed(self, node: Node) -> Iterator[Row | Problem]:
        if not node.value:
            yield self._context.at(_wrong(Code.EMPTY, "`data` is empty"), node.place)
        for each in node.value:
            if type(each.value) is dict:
                line, column = each.place.line, each.place.column
                yield Row(line, each.plain(), self._context.line_of(line), column)
            else:
                fault = _wrong(Code.NOT_A_ROW, f"a row must be an object, not {article(each.value)}")
                yield self._context.at(fault, each.place)

    def _mapping(self, name: str, faults: list[tuple[Fault, Node]]) -> Mapping[str, Any]:
        node = self._root.value.get(name)
        if node is None or node.value is None:
            return {}
        if type(node.value) is not dict:
            what = f"`{name}` must be names with their values, not {article(node.value)}"
            faults.append((_wrong(Code.VARIABLES, what), node))
            return {}
        value: Mapping[str, Any] = node.plain()
        return value

    def _matrix(self, faults: list[tuple[Fault, Node]]) -> Mapping[str, Sequence[Any]]:
        matrix = self._mapping("matrix", faults)
        node = self._root.value.get("matrix")
        for name, values in matrix.items():
            if type(values) is not list or not values:
                what = f"`{shown(name)}` of the matrix must be a list of values, not {article(values)}"
                hint = "for example `model: [claude-haiku-5-5, claude-sonnet-5-5]`"
                faults.append((_wrong(Code.VARIABLES, what, hint=hint), node.value[name]))
                return {}
        if prod(map(len, matrix.values())) > MOST_JOBS:
            what = f"this matrix makes more than {MOST_JOBS:,} jobs of each row"
            faults.append((_wrong(Code.VARIABLES, what), node))
            return {}
        return matrix


def _data(message: str, hint: str = "") -> Fault:
    return Fault(code=Code.DATA, message=message, hint=hint or "for example `data: rows.csv`")


def _wrong(code: Code, message: str, path: tuple[str | int, ...] = (), *, hint: str = "") -> Fault:
    return Fault(code=code, message=message, path=path, hint=hint)
