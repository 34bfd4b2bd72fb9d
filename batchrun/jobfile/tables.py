"""The data that job files name: opened when their rows are asked for, and hashed as all inputs are."""

from __future__ import annotations

from collections.abc import Iterator

from batchrun.core.problem import Problem
from batchrun.jobfile.faults import Fault
from batchrun.jobfile.row import Row
from batchrun.jobfile.rows import rows_of
from batchrun.jobfile.source import Opened, Source, is_stream, opened, unreadable
from batchrun.jobfile.yaml_template import Table


class Tables:
    """The tables of one job file. *files* are the names of a submit's inputs, which those of tables join."""

    def __init__(self, files: list[str]) -> None:
        self._files = files
        self.digests: list[bytes] = []  #: of those that were read to their end

    def table(self, source: Source) -> Table:
        """The rows of *source*, which is not opened before the first of them is asked for."""
        if source.name not in self._files:
            self._files.append(source.name)
        return Table(name=source.name, file=self._files.index(source.name), rows=self._rows(source))

    def _rows(self, source: Source) -> Iterator[Row | Problem]:
        file = opened(source)
        if isinstance(file, Fault):
            yield file.at(source.name, 1)
            return
        with file.reader:
            try:
                yield from rows_of(file)
            except OSError as error:
                yield unreadable(error).at(source.name, 1)
            self.digests.append(file.tap.digest())


def digest_of_data(source: Source) -> bytes | None:
    """What the digest of *source* will be, found without reading rows; None where that cannot be said before."""
    if is_stream(source) or isinstance(file := opened(source), Fault):
        return None
    with file.reader:
        try:
            return whole_digest(file)
        except OSError:
            return None


def whole_digest(file: Opened) -> bytes:
    """The digest of all of *file*. Raises OSError."""
    while file.reader.read(1 << 20):
        pass
    return file.tap.digest()
