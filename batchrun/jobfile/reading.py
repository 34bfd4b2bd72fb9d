"""All inputs of a submit, read to jobs and problems in the order of the files."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from batchrun.core.job import Job
from batchrun.core.problem import Problem
from batchrun.jobfile.assembly import Assembly, Unfit
from batchrun.jobfile.codes import Code
from batchrun.jobfile.faults import Fault
from batchrun.jobfile.fileterms import FileTerms
from batchrun.jobfile.flags import flag_jobs
from batchrun.jobfile.given import NOTHING, Given
from batchrun.jobfile.inline import Inlines
from batchrun.jobfile.jsonl import JsonLines
from batchrun.jobfile.jsonlist import JsonList
from batchrun.jobfile.layout import HEAD, REQUESTS, Layout, layout_of
from batchrun.jobfile.rows import NAMES, form_of, rows_of
from batchrun.jobfile.rules import Rules
from batchrun.jobfile.source import DIGEST, Opened, Source, is_stream, opened, unreadable
from batchrun.jobfile.tables import Tables, digest_of_data, whole_digest
from batchrun.jobfile.textlines import not_utf8
from batchrun.jobfile.yaml_jobs import YAML_BYTES, YamlJobs, named_in


class Reading:
    """One pass over *sources*: iterate it once. Memory does not grow with the number of JSON lines.

    It yields what is found in the order of the files; a job has no error. If any Problem is an error, nothing may be
    added. It raises nothing for what a file holds, or for a file that is not there.
    """

    def __init__(self, sources: Sequence[Source], rules: Rules, given: Given = NOTHING) -> None:
        self._sources = sources
        self._given = given
        self.files = [source.name for source in sources]  #: in which jobs stand; files of data join them when met
        self._assembly = Assembly(rules)
        self._digests: list[bytes] = []
        self._ended = False
        self.terms: FileTerms | None = None  #: what its files in YAML say of all requests; None without such a file
        self.shapes: list[str] = []  #: what each source held: "short lines", "Anthropic batch lines", "YAML" or ""

    def __iter__(self) -> Iterator[Job | Problem]:
        for index, source in enumerate(self._sources):
            self.shapes.append("")
            yield from self._read(index, source)
        self._ended = True

    @property
    def unfit(self) -> Sequence[Unfit]:
        """The ids so far of jobs that were not yielded because of an error: their first thousands."""
        return self._assembly.unfit

    @property
    def digest(self) -> bytes:
        """16 bytes over all inputs, `@` files included. Raises RuntimeError before all is read."""
        if not self._ended:
            raise RuntimeError("the digest is known when all is read")
        return _combined([*self._digests, self._given.digest()])

    def _read(self, index: int, source: Source) -> Iterator[Job | Problem]:
        self._assembly.asks_for(frozenset())
        file = opened(source)
        if isinstance(file, Fault):
            yield file.at(source.name, 1)
            return
        with file.reader:
            try:
                if self._given.template is not None:
                    yield from self._rows(index, file, self._given.template)
                    return
                head = file.tap.peek(HEAD)
                match layout_of(head, source.name):
                    case Layout.JSON_LINES:
                        yield from self._json(index, file, None)
                    case Layout.JSON_LIST:
                        yield from self._json(index, file, JsonList(source.name, file.reader))
                    case Layout.REQUESTS:
                        items = JsonList(source.name, file.reader, REQUESTS, more="}")
                        yield from self._json(index, file, items)
                    case Layout.YAML:
                        yield from self._yaml(index, file)
                    case fault:
                        told = {Code.UNKNOWN_SHAPE, Code.TABLE}
                        yield fault.at(source.name, 1, _first_line(head) if fault.code in told else "")
            except OSError as error:
                yield unreadable(error).at(source.name, 1)

    def _json(self, index: int, file: Opened, items: JsonList | None) -> Iterator[Job | Problem]:
        """The jobs of JSON lines, or of a list's *items*."""
        lines = JsonLines(file.source.name, index, self._assembly)
        empty = True
        for item in lines.read(file.reader) if items is None else lines.read_list(items):
            empty = False
            yield item
        if empty:
            yield Fault(code=Code.EMPTY, message="this file holds no jobs").at(file.source.name, 1)
        self.shapes[index] = lines.shape
        self._digests.append(file.tap.digest())

    def _yaml(self, index: int, file: Opened) -> Iterator[Job | Problem]:
        self.shapes[index] = "YAML"
        text = _yaml_text(file)
        if isinstance(text, Problem):
            yield text
            return
        inlines = Inlines(file.folder)
        tables = Tables(self.files)
        jobs = YamlJobs(
            file.source.name,
            index,
            text,
            self._assembly,
            inlines,
            folder=file.folder,
            given=self._given,
            table=tables.table,
        )
        yield from jobs.read()
        yield from self._agreed(jobs.terms, file.source.name)
        self._digests.append(_combined((file.tap.digest(), inlines.digest(), *tables.digests)))

    def _rows(self, index: int, file: Opened, template: Mapping[str, Any]) -> Iterator[Job | Problem]:
        """The jobs that the template of the command line makes of data."""
        form = form_of(file.tap.peek(HEAD), file.source.name)
        self.shapes[index] = "" if isinstance(form, Fault) else NAMES[form]
        yield from flag_jobs(template, self._given.sets, self._assembly, rows_of(file), file.source.name, index)
        self._digests.append(file.tap.digest())

    def _agreed(self, terms: FileTerms, name: str) -> Iterator[Problem]:
        """A batch has one set of headers, and so has a run."""
        if self.terms is not None and self.terms != terms:
            yield Fault(
                code=Code.BETAS,
                message="this file has other `betas` or `headers` than one before it, and a run has one set of them",
                hint="submit it by itself",
            ).at(name, 1)
        self.terms = terms


def digest_of(sources: Sequence[Source], given: Given = NOTHING) -> bytes | None:
    """What `Reading.digest` will be, found without reading jobs; None where that cannot be said before.

    That is so for a stream, and for a file that cannot be read or is no job file.
    """
    digests: list[bytes] = []
    for source in sources:
        if is_stream(source) or isinstance(file := opened(source), Fault):
            return None
        with file.reader:
            try:
                digest = whole_digest(file) if given.template is not None else _digest_of(file, given)
            except OSError:
                return None
        if digest is None:
            return None
        digests.append(digest)
    return _combined([*digests, given.digest()])


def _digest_of(file: Opened, given: Given) -> bytes | None:
    match layout_of(file.tap.peek(HEAD), file.source.name):
        case Layout.JSON_LINES | Layout.JSON_LIST | Layout.REQUESTS:
            return whole_digest(file)
        case Layout.YAML:
            text = _yaml_text(file)
            if isinstance(text, Problem):
                return None
            inlines = Inlines(file.folder)
            named = named_in(text, inlines, file.source.name, file.folder)
            data = given.data or ([] if named is None else [named])
            tables = [digest_of_data(source) for source in data]
            found = [digest for digest in tables if digest is not None]
            return _combined((file.tap.digest(), inlines.digest(), *found)) if len(found) == len(tables) else None
        case _:
            return None


def _yaml_text(file: Opened) -> str | Problem:
    name = file.source.name
    raw = file.reader.read(YAML_BYTES + 1)
    if len(raw) > YAML_BYTES:
        return Fault(
            code=Code.YAML_TOO_LARGE,
            message=f"this file has more than {YAML_BYTES:,} bytes, the most that are read as YAML",
            hint="write JSON lines: they are read one at a time",
        ).at(name, 1)
    raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        begin = raw.rfind(b"\n", 0, error.start) + 1
        line, column = raw.count(b"\n", 0, error.start) + 1, len(raw[begin : error.start].decode())
        return not_utf8(raw, error).at(name, line, _first_line(raw[begin:]), column)


def _first_line(raw: bytes) -> str:
    return raw.partition(b"\n")[0].decode(errors="replace").rstrip()


def _combined(digests: Iterable[bytes]) -> bytes:
    return hashlib.blake2b(b"".join(digests), digest_size=DIGEST).digest()
