"""A job file in YAML: `version`, `defaults` for all jobs, and `jobs`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from batchrun.core.job import Job, Where
from batchrun.core.problem import Problem, Severity
from batchrun.jobfile.assembly import Assembly, Common
from batchrun.jobfile.codes import Code
from batchrun.jobfile.excerpt import KEY, shown
from batchrun.jobfile.faults import Fault, article, did_you_mean
from batchrun.jobfile.fileterms import FileTerms, betas_of, headers_of
from batchrun.jobfile.foreign.promptfoo import is_promptfoo
from batchrun.jobfile.forms import Draft, defaults, short
from batchrun.jobfile.given import NOTHING, Given
from batchrun.jobfile.inline import Inlines
from batchrun.jobfile.parameters import SECTIONS
from batchrun.jobfile.source import Source
from batchrun.jobfile.yaml_nodes import Node, Place
from batchrun.jobfile.yaml_reader import BREAK, parse
from batchrun.jobfile.yaml_template import BESIDE, Context, Table, YamlTemplate, data_named

YAML_BYTES = 64 * 1024 * 1024
"""The largest YAML file; it is held in memory as a whole. JSON lines have no such bound."""


def named_in(text: str, inlines: Inlines, name: str, folder: Path | None) -> Source | None:
    """The data file that the YAML *text* names. *inlines* reads all files that its jobs name, as reading them does."""
    if "@" not in text and "\\" not in text and "data" not in text:
        return None  # nothing can begin with @, not even by an escape
    root = parse(text).root
    if root is None or type(root.value) is not dict:
        return None
    jobs = root.value.get("jobs")
    whole = (root.value.get("defaults"), root.value.get("template"))
    for entry in (*whole, *(jobs.value if jobs and type(jobs.value) is list else ())):
        if entry is not None:
            inlines.ask(entry)
    named = data_named(root, name, folder) if "template" in root.value else None
    return None if isinstance(named, Fault) else named


class YamlJobs:
    """The jobs of one YAML text. *table* opens what it names as data; *folder* is where it stands."""

    def __init__(
        self,
        name: str,
        file: int,
        text: str,
        assembly: Assembly,
        inlines: Inlines,
        *,
        folder: Path | None = None,
        given: Given = NOTHING,
        table: Callable[[Source], Table],
    ) -> None:
        self._name = name
        self._file = file
        self._text = text
        self._assembly = assembly
        self._inlines = inlines
        self._folder = folder
        self._given = given
        self._table = table
        self.terms = FileTerms()  #: known when the first job or problem of one comes
        self._said: set[tuple[Code, Place]] = set()

    def read(self) -> Iterator[Job | Problem]:
        """Each job, or its problems; a warning comes before its job. If the text holds a key, there are no jobs."""
        tree = parse(self._text)
        secrets = list(self._secrets())
        yield from secrets
        for spot in tree.spots:
            yield self._at(spot.fault, spot.place)
        if tree.root is None:
            if not tree.spots:
                yield self._at(Fault(code=Code.EMPTY, message="this file holds no jobs"), Place(1, 1))
            return
        for item in self._sections(tree.root):
            if secrets and isinstance(item, Job):
                self._assembly.withhold(item.key, item.where, item.file)
            else:
                yield item

    def _sections(self, root: Node) -> Iterator[Job | Problem]:
        if type(root.value) is not dict:
            yield self._at(
                Fault(
                    code=Code.WRONG_SECTION,
                    message=f"a job file holds `version`, `defaults` and `jobs`, not {article(root.value)}",
                    hint="write the list under `jobs:`" if type(root.value) is list else "",
                ),
                root.place,
            )
            return
        if is_promptfoo(root.value):
            yield self._at(_PROMPTFOO, root.find(("prompts",), name=True).place)
            return
        for name in root.value:
            if name not in SECTIONS:
                fault = Fault(
                    code=Code.UNKNOWN_KEY,
                    message=f"unknown key `{shown(name)}`",
                    hint=did_you_mean(name, frozenset(SECTIONS))
                    or "a job file holds `version`, `defaults`, and `jobs` or a `template`",
                    severity=Severity.ERROR,
                )
                yield self._at(fault, root.find((name,), name=True).place)
        yield from self._version(root)
        yield from self._terms(root)
        yield from self._jobs(root)

    def _version(self, root: Node) -> Iterator[Problem]:
        version = root.value.get("version")
        if version is None:
            yield self._at(
                Fault(code=Code.VERSION, message="`version` is missing", hint="begin with `version: 1`"), root.place
            )
        elif type(version.value) is not int or version.value != 1:
            message = f"`version` must be 1, not {article(version.value)}"
            yield self._at(Fault(code=Code.VERSION, message=message, hint="write `version: 1`"), version.place)

    def _terms(self, root: Node) -> Iterator[Problem]:
        faults: list[Fault] = []
        said = {name: root.value[name].plain() for name in ("betas", "headers") if name in root.value}
        betas = betas_of(said.get("betas"), faults)
        self.terms = FileTerms(betas=betas, headers=headers_of(said.get("headers"), faults))
        self._assembly.asks_for(frozenset(betas))
        for fault in faults:
            yield self._at(fault, root.find(fault.path, name=fault.name).place)

    def _jobs(self, root: Node) -> Iterator[Job | Problem]:
        node = root.value.get("defaults")
        shared: _Entry | None = None
        blind = False
        if node is not None and node.value is not None:
            shared, problems = self._entry(node, defaults, "`defaults` must be a mapping of parameters")
            yield from problems
            blind = shared is None  # each job would be told that it has no model
        yield from self._beside(root)
        jobs = root.value.get("jobs")
        if jobs is None and "template" in root.value:
            pass
        elif jobs is None or type(jobs.value) is not list:
            said = "`jobs` is missing" if jobs is None else f"`jobs` must be a list, not {article(jobs.value)}"
            hint = "write each job below `jobs:`, beginning with `- `"
            yield self._at(Fault(code=Code.WRONG_SECTION, message=said, hint=hint), (jobs or root).place)
        elif not jobs.value:
            yield self._at(Fault(code=Code.EMPTY, message="`jobs` is empty"), jobs.place)
        else:
            for each in jobs.value:
                if blind:
                    self._withhold(each)
                else:
                    yield from self._job(each, shared)
        if "template" in root.value and not blind:
            yield from self._templated(root, node, shared)

    def _beside(self, root: Node) -> Iterator[Problem]:
        """What is said for a template where there is none."""
        if "template" in root.value:
            return
        for name in BESIDE:
            if name in root.value:
                fault = Fault(code=Code.NO_TEMPLATE, message=f"`{name}` without a `template` does nothing")
                yield self._at(fault, root.find((name,), name=True).place)
        if self._given.data or self._given.sets:
            what = "--data" if self._given.data else "--set"
            fault = Fault(code=Code.NO_TEMPLATE, message=f"{what} is for a `template`, and this file has none")
            yield self._at(fault, root.place)

    def _templated(self, root: Node, node: Node | None, shared: _Entry | None) -> Iterator[Job | Problem]:
        context = Context(
            name=self._name,
            file=self._file,
            folder=self._folder,
            at=self._at,
            line_of=lambda line: self._lines[line - 1] if line <= len(self._lines) else "",
            common=shared.common if shared else None,
            base=shared.draft if shared else None,
            defaults=node,
            given=self._given,
            table=self._table,
        )
        sound = root.value["template"].sound and (shared is None or shared.sound)
        for item in YamlTemplate(root, context, self._assembly, self._inlines).read():
            if isinstance(item, Problem) or sound:
                yield item
            else:
                self._assembly.withhold(item.key, item.where, item.file)

    def _withhold(self, node: Node) -> None:
        entry, _ = self._entry(node, short, "")
        if entry is not None:
            self._assembly.withhold(entry.draft.key, self._where(node), self._file)

    def _where(self, node: Node) -> Where:
        return Where(self._name, node.place.line, node.place.column)

    def _job(self, node: Node, shared: _Entry | None) -> Iterator[Job | Problem]:
        entry, problems = self._entry(node, short, "a job must be a mapping")
        yield from problems
        if entry is None:
            return
        draft = entry.draft
        if shared is not None:
            draft.inherit(shared.draft)
        faults: list[Fault] = []
        where = self._where(node)
        common = shared.common if shared else None
        try:
            job = self._assembly.job(draft, where, self._file, faults, common)
        except ValueError:
            yield self._at(_UNSENDABLE, node.place)
            return
        for fault in faults:
            yield from self._once(fault, entry, shared)
        if job is not None and entry.sound and (shared is None or shared.sound):
            yield job
        elif job is not None:
            self._assembly.withhold(job.key, where, self._file)

    def _once(self, fault: Fault, entry: _Entry, shared: _Entry | None) -> Iterator[Problem]:
        """The problem of a fault in a request; said once if it stands in the defaults, however many jobs have it."""
        name = fault.path[0] if fault.path else None
        if name is None or name in entry.draft.request or shared is None or name not in shared.draft.request:
            place = entry.node.find(entry.draft.written(fault.path), name=fault.name).place
            yield self._at(fault, place)
            return
        place = shared.node.find(shared.draft.written(fault.path), name=fault.name).place
        if (fault.code, place) not in self._said:
            self._said.add((fault.code, place))
            yield self._at(fault, place)

    def _entry(
        self, node: Node, form: Callable[[dict[str, Any]], Draft], wanted: str
    ) -> tuple[_Entry | None, list[Problem]]:
        """What a job or the defaults say, and what is wrong with how they say it."""
        if type(node.value) is not dict:
            fault = Fault(code=Code.NOT_AN_OBJECT, message=f"{wanted}, not {article(node.value)}")
            return None, [self._at(fault, node.place)]
        value = node.plain()
        problems = [self._at(fault, where.place) for fault, where in self._inlines.fill(node, value)]
        if type(value.get("id")) in {int, float}:
            value["id"] = node.value["id"].text  # 007 is an id, whatever number it is
        try:
            draft = form(value)
            common = Common.of(draft.request) if form is defaults else None
        except ValueError:
            return None, [*problems, self._at(_UNSENDABLE, node.place)]
        problems += [self._at(fault, node.find(fault.path, name=fault.name).place) for fault in draft.faults]
        sound = node.sound and not any(problem.severity is Severity.ERROR for problem in problems)
        return _Entry(node, draft, common, sound), problems

    def _secrets(self) -> Iterator[Problem]:
        if KEY.search(self._text):
            for number, line in enumerate(self._lines, 1):
                for found in KEY.finditer(line):
                    yield self._at(_SECRET, Place(number, found.start() + 1, len(found[0])))

    def _at(self, fault: Fault, place: Place) -> Problem:
        line = self._lines[place.line - 1] if place.line <= len(self._lines) else ""
        return fault.at(self._name, place.line, line, place.column - 1, place.width)

    @cached_property
    def _lines(self) -> list[str]:
        return BREAK.split(self._text)


@dataclass(slots=True)
class _Entry:
    """A job or the defaults: where it stands, what it says, and whether nothing is wrong with it so far."""

    node: Node
    draft: Draft
    common: Common | None
    sound: bool


_UNSENDABLE = Fault(code=Code.LONE_SURROGATE, message="a text here holds half a character, and cannot be sent")
_PROMPTFOO = Fault(
    code=Code.FOREIGN,
    message="this is a configuration of promptfoo",
    hint="`batchrun convert promptfoo FILE -o jobs.jsonl --model MODEL --max-tokens 1024` makes jobs of it",
)
_SECRET = Fault(
    code=Code.SECRET,
    message="this line holds an API key; it would be sent and stored",
    hint="take it out of the file; if the file was shared, revoke the key",
)
