"""All inputs of a submit, read to jobs and problems in the order of the files."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Iterable, Iterator, Sequence

from batchrun.core.job import Job
from batchrun.core.problem import Problem
from batchrun.jobfile.assembly import Assembly, Unfit
from batchrun.jobfile.codes import Code
from batchrun.jobfile.faults import Fault
from batchrun.jobfile.fileterms import FileTerms
from batchrun.jobfile.inline import Inlines
from batchrun.jobfile.jsonl import JsonLines, not_utf8
from batchrun.jobfile.layout import HEAD, Layout, layout_of
from batchrun.jobfile.rules import Rules
from batchrun.jobfile.source import DIGEST, Opened, Source, is_stream, opened, unreadable
from batchrun.jobfile.yaml_jobs import YAML_BYTES, YamlJobs, ask_for_inlines


class Reading:
    """One pass over *sources*: iterate it once. Memory does not grow with the number of JSON lines.

    It yields what is found in the order of the files; a job has no error. If any Problem is an error, nothing may be
    added. It raises nothing for what a file holds, or for a file that is not there.
    """

    def __init__(self, sources: Sequence[Source], rules: Rules) -> None:
        self._sources = sources
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
        return _combined(self._digests)

    def _read(self, index: int, source: Source) -> Iterator[Job | Problem]:
        self._assembly.asks_for(frozenset())
        file = opened(source)
        if isinstance(file, Fault):
            yield file.at(source.name, 1)
            return
        with file.reader:
            try:
                head = file.tap.peek(HEAD)
                match layout_of(head, source.name):
                    case Layout.JSON_LINES:
                        yield from self._json_lines(index, file)
                    case Layout.YAML:
                        yield from self._yaml(index, file)
                    case fault:
                        yield fault.at(source.name, 1, _first_line(head) if fault.code is Code.UNKNOWN_SHAPE else "")
            except OSError as error:
                yield unreadable(error).at(source.name, 1)

    def _json_lines(self, index: int, file: Opened) -> Iterator[Job | Problem]:
        lines = JsonLines(file.source.name, index, self._assembly)
        empty = True
        for item in lines.read(file.reader):
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
        jobs = YamlJobs(file.source.name, index, text, self._assembly, inlines)
        yield from jobs.read()
        yield from self._agreed(jobs.terms, file.source.name)
        self._digests.append(_combined((file.tap.digest(), inlines.digest())))

    def _agreed(self, terms: FileTerms, name: str) -> Iterator[Problem]:
        """A batch has one set of headers, and so has a run."""
        if self.terms is not None and self.terms != terms:
            yield Fault(
                code=Code.BETAS,
                message="this file has other `betas` or `headers` than one before it, and a run has one set of them",
                hint="submit it by itself",
            ).at(name, 1)
        self.terms = terms


def digest_of(sources: Sequence[Source]) -> bytes | None:
    """What `Reading.digest` will be, found without reading jobs; None where that cannot be said before.

    That is so for a stream, and for a file that cannot be read or is no job file.
    """
    digests: list[bytes] = []
    for source in sources:
        if is_stream(source) or isinstance(file := opened(source), Fault):
            return None
        with file.reader:
            try:
                digest = _digest_of(file)
            except OSError:
                return None
        if digest is None:
            return None
        digests.append(digest)
    return _combined(digests)


def _digest_of(file: Opened) -> bytes | None:
    match layout_of(file.tap.peek(HEAD), file.source.name):
        case Layout.JSON_LINES:
            while file.reader.read(1 << 20):
                pass
            return file.tap.digest()
        case Layout.YAML:
            text = _yaml_text(file)
            if isinstance(text, Problem):
                return None
            inlines = Inlines(file.folder)
            ask_for_inlines(text, inlines)
            return _combined((file.tap.digest(), inlines.digest()))
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
