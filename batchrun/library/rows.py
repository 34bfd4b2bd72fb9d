"""What a program gets to see of a run: rows of results, and groups of errors with what helps."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from html import escape
from importlib import import_module
from typing import Any

from batchrun.core.select import Selection
from batchrun.errors import UsageError
from batchrun.library.given import GIVEN
from batchrun.queue.failures import ErrorGroup
from batchrun.queue.reading import Reading
from batchrun.report.flat import COLUMNS, Kind
from batchrun.report.layout import Layout, asked
from batchrun.report.shown import Shown

Opened = Callable[[], AbstractContextManager[Reading]]


class Results:
    """The answers of a run, in the order in which its jobs were given; read anew each time they are asked for."""

    def __init__(
        self, opened: Opened, run: str, selection: Selection | None, fields: Sequence[str] | None, limit: int | None
    ) -> None:
        self._opened = opened
        self._run = run
        self._selection = selection
        self._fields = None if fields is None else ",".join(fields)
        self._limit = limit

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Rows by column, one page in memory at a time; `cost` is a decimal text, `metadata` what was given along."""
        with self._opened() as reading:
            shown = self._shown(reading)
            yield from shown.flat(shown.layout(asked(self._fields)))

    def to_dicts(self) -> list[dict[str, Any]]:
        return list(self)

    def texts(self) -> list[str | None]:
        """The text of each answer; None where it has none, as one that only calls a tool."""
        with self._opened() as reading:
            shown = self._shown(reading)
            return [row["text"] for row in shown.flat(shown.layout(("text",)))]

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame`; `cost` is a float, each name in the metadata a column `metadata.NAME`."""
        columns, rows = self._frame()
        return _module("pandas").DataFrame(rows, columns=columns)

    def to_polars(self) -> Any:
        """A `polars.DataFrame`, with the columns of `to_pandas`."""
        columns, rows = self._frame()
        polars = _module("polars")
        data = {name: [row[name] for row in rows] for name in columns}
        return polars.DataFrame(data, strict=False)

    def to_arrow(self) -> Any:
        """A `pyarrow.Table`, with the columns and types of a Parquet export; `cost` is a decimal."""
        from batchrun.report.parquet import check_extra, write_parquet  # noqa: PLC0415  # only for this

        check_extra()
        file = io.BytesIO()
        with self._opened() as reading:
            shown = self._shown(reading)
            layout = shown.layout(self._unfolded())
            write_parquet(file, shown.flat(layout), layout)
        file.seek(0)
        return _module("pyarrow.parquet").read_table(file)

    def _frame(self) -> tuple[list[str], list[dict[str, Any]]]:
        with self._opened() as reading:
            shown = self._shown(reading)
            layout = shown.layout(self._unfolded())
            return list(layout.paths), [_numbers(row, layout) for row in shown.flat(layout)]

    def _unfolded(self) -> tuple[str, ...]:
        if self._fields is not None:
            return asked(self._fields)
        return tuple("metadata.*" if name == "metadata" else name for name in COLUMNS)

    def _shown(self, reading: Reading) -> Shown:
        run = reading.run(self._run)
        return Shown(reading=reading, run=run.id, selection=self._selection, limit=self._limit)


def _numbers(row: dict[str, Any], layout: Layout) -> dict[str, Any]:
    dollars = [path for path, kind in layout.columns.items() if kind is Kind.DOLLARS and row[path] is not None]
    return row | {path: float(row[path]) for path in dollars}


def _module(name: str) -> Any:
    """Raises UsageError where it is not installed."""
    try:
        return import_module(name)
    except ImportError as error:
        raise UsageError(
            f"{name.partition('.')[0]} is not installed", hint="install it; `to_dicts` needs nothing"
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Jobs that failed alike. `at_least`: there may be more than `n`; `samples` are ids of the first ones."""

    error: str
    n: int
    at_least: bool
    state: str
    status: int | None
    message: str
    means: str
    cure: str
    samples: tuple[str, ...]
    request_ids: tuple[str, ...]


class Errors(Sequence[Failed]):
    """What failed in a run, the largest group first: the groups that `batchrun errors` shows."""

    def __init__(self, groups: Sequence[Failed]) -> None:
        self._groups = tuple(groups)

    def __len__(self) -> int:
        return len(self._groups)

    def __getitem__(self, at: Any) -> Any:
        return self._groups[at]

    def __repr__(self) -> str:
        lines = [f"{one.n:,} × {one.error}: {one.message or one.means}" for one in self._groups]
        return "\n".join(lines) or "nothing failed"

    def _repr_html_(self) -> str:
        """For notebooks. All that others wrote is escaped."""
        if not self._groups:
            return "<p>nothing failed</p>"
        head = "".join(f"<th>{name}</th>" for name in ("jobs", "error", "message", "means", "cure", "for example"))
        body = "".join(
            "<tr>"
            + "".join(
                f"<td>{escape(cell)}</td>"
                for cell in (f"{one.n:,}", one.error, one.message, one.means, one.cure, ", ".join(one.samples))
            )
            + "</tr>"
            for one in self._groups
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def failed(group: ErrorGroup, run: str) -> Failed:
    """*group* of the run called *run*, with what it means and what helps."""
    from batchrun.core.states import State  # noqa: PLC0415  # with what is only for this
    from batchrun.report.cures import cure_of  # noqa: PLC0415

    cure = cure_of(group.error, group.status, held=group.state is State.HELD)
    file = group.samples[0].job.file if group.samples else ""
    written = cure.written(run=run, file=file or "FILE", error=group.error, typed=lambda text: text)
    if file == GIVEN and "{file}" in cure.cure:
        written = "correct these jobs, and submit them all again: only what changed is added"
    ids = (one.attempt.request_id for one in group.samples if one.attempt is not None)
    return Failed(
        error=group.error,
        n=group.n,
        at_least=group.at_least,
        state=group.state.value,
        status=group.status,
        message=group.message,
        means=cure.means,
        cure=written,
        samples=tuple(one.job.key for one in group.samples),
        request_ids=tuple(one for one in ids if one),
    )
