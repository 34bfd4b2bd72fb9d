"""An export: which jobs and columns it has, how it is written, and what its label says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from batchrun import __version__
from batchrun.core.figures import moment
from batchrun.core.job import Millis
from batchrun.core.select import Selection
from batchrun.core.states import FINAL, State
from batchrun.errors import UsageError
from batchrun.queue.answers import answers, metadata
from batchrun.queue.jobrows import ResultRow
from batchrun.queue.reading import Reading
from batchrun.queue.rows import RunSummary
from batchrun.report.export import ExportFormat, lines
from batchrun.report.flat import flat
from batchrun.report.layout import Layout, Newcomer, has_stars, looked_into, plain, surveyed
from batchrun.report.parquet import check_extra, write_parquet
from batchrun.report.target import SCHEMA, label_of
from batchrun.report.wholefile import whole_file

_FINAL = tuple(sorted(FINAL))

LOOKS = 5
"""Times that the rows are looked at again because others came in while they were written."""


@dataclass(kw_only=True)
class Export:
    """What is taken of a run, in the order of its file: jobs that are finished, those of `selection`."""

    reading: Reading
    run: RunSummary
    selection: Selection | None
    form: ExportFormat
    paths: Sequence[str]  #: columns, perhaps with stars; the form `anthropic` has none
    written: dict[State, int] = field(default_factory=dict)  #: jobs of each state that were written
    layout: Layout = field(default_factory=lambda: Layout({}))  #: as it was written

    def write(self, path: Path, now: Millis) -> None:
        """Write it to *path* whole, and its label beside it. Raises UsageError, or OSError from the disk."""
        if self.form is ExportFormat.PARQUET:
            check_extra()
        for look in range(LOOKS):
            self.layout = self._layout()
            try:
                with whole_file(path) as file:
                    digest = self._write(file)
                break
            except Newcomer:
                if look == LOOKS - 1:
                    raise _unsteady() from None
        if path.is_file():
            with whole_file(label_of(path)) as file:
                file.write(json.dumps(self._label(now, digest), ensure_ascii=False, indent=2) + "\n")

    def _write(self, file: TextIO) -> str:
        if self.form is ExportFormat.PARQUET:
            return write_parquet(file.buffer, self._flat(), self.layout)
        digest = hashlib.sha256()
        for line in lines(self.form, self._rows(), self.layout):
            digest.update(line.encode("utf-8", "backslashreplace"))
            file.write(line)
        return digest.hexdigest()

    def lines(self) -> Iterator[str]:
        """Its text line by line, for a stream. Raises UsageError if answers came in that its columns do not have."""
        self.layout = self._layout()
        try:
            yield from lines(self.form, self._rows(), self.layout)
        except Newcomer:
            raise _unsteady() from None

    def stream(self, file: BinaryIO) -> None:
        """A Parquet file for a stream. Raises UsageError."""
        check_extra()
        self.layout = self._layout()
        try:
            write_parquet(file, self._flat(), self.layout)
        except Newcomer:
            raise _unsteady() from None

    def _layout(self) -> Layout:
        """The columns one by one: where they depend on what is in the answers, those are looked at once before."""
        if self.form is ExportFormat.ANTHROPIC:
            return Layout({})
        inside = looked_into(self.paths)
        if not has_stars(self.paths) and not (inside and self.form is ExportFormat.PARQUET):
            return plain(self.paths)
        return surveyed(self.paths, self._looked(inside))

    def _looked(self, inside: Sequence[str]) -> Iterable[dict[str, Any]]:
        if tuple(inside) == ("metadata",):
            found = metadata(self.reading, self.run.id, selection=self.selection, states=_FINAL)
            return ({"metadata": value} for value in found)
        return (flat(row, inside) for row in self._found(inside))

    def _found(self, columns: Sequence[str]) -> Iterator[ResultRow]:
        return answers(
            self.reading,
            self.run.id,
            selection=self.selection,
            states=_FINAL,
            requests="request" in columns,
            attempts="all_attempts" in columns,
        )

    def _rows(self) -> Iterator[ResultRow]:
        self.written = {}
        for row in self._found(self.layout.needs):
            # Between two looks at it a job may have been put back.
            if row.job.state in FINAL:
                self.written[row.job.state] = self.written.get(row.job.state, 0) + 1
                yield row

    def _flat(self) -> Iterator[dict[str, Any]]:
        needs = self.layout.needs
        return (flat(row, needs) for row in self._rows())

    def _label(self, now: Millis, sha256: str) -> dict[str, Any]:
        run, written = self.run, self.written
        return {
            "schema": f"{SCHEMA}1",
            **({"simulated": True} if self.reading.simulated else {}),
            "batchrun": __version__,
            "written": moment(now),
            "run": {
                "id": run.ref,
                "name": run.name,
                "created": moment(run.created),
                "done": None if run.done is None else moment(run.done),
            },
            "files": list(run.sources),
            "source_digest": run.digest.hex() if run.digest else None,
            "select": self.selection.text if self.selection else None,
            "format": self.form.value,
            "fields": list(self.layout.paths) or None,
            "currency": "USD",
            "rows": sum(written.values()),
            "counts": {s.value: written.get(s, 0) for s in (State.SUCCEEDED, State.FAILED, State.CANCELLED)},
            "not_finished": run.left,
            "incomplete": run.left > 0,
            "sha256": sha256,
        }


def _unsteady() -> UsageError:
    return UsageError(
        "answers came in that have other names or kinds of values than those before them",
        hint="run it again, or name the columns with --fields",
    )
