"""The answers of a run that somebody looks at: chosen, in an order, and so many of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any

from batchrun.core.job import JobId, RunId
from batchrun.core.select import Selection
from batchrun.errors import UsageError
from batchrun.queue.answers import answers, in_order
from batchrun.queue.jobrows import ResultRow
from batchrun.queue.reading import Reading
from batchrun.report.flat import ALL, Kind, flat, needed
from batchrun.report.layout import Layout, asked, has_stars, looked_into, plain, reached, surveyed


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    reading: Reading
    run: RunId
    selection: Selection | None = None
    sort: str | None = None  #: a path; with `-` before it the largest first
    limit: int | None = None

    def rows(self, columns: Sequence[str] = ()) -> Iterator[ResultRow]:
        """Those with an answer, each with what *columns* of `report.flat.ALL` need. Raises UsageError."""
        requests, attempts = "request" in columns, "all_attempts" in columns
        if self.sort is not None:
            jobs = self._sorted(self.sort)[: self.limit]
            return in_order(self.reading, jobs, requests=requests, attempts=attempts)
        return answers(
            self.reading,
            self.run,
            selection=self.selection,
            answered=True,
            limit=self.limit,
            requests=requests,
            attempts=attempts,
        )

    def layout(self, paths: Sequence[str]) -> Layout:
        """The columns one by one: for a star the answers that are shown are looked at once before."""
        if not has_stars(paths):
            return plain(paths)
        inside = looked_into(paths)
        return surveyed(paths, (flat(row, inside) for row in self.rows(inside)))

    def flat(self, layout: Layout) -> Iterator[dict[str, Any]]:
        """The rows by the paths of *layout*."""
        for row in self.rows(layout.needs):
            values = flat(row, layout.needs)
            yield {path: reached(values, path) for path in layout.paths}

    def _sorted(self, sort: str) -> list[JobId]:
        """The ids of them all in order. Only the keys are in memory, not the answers."""
        path = sort.removeprefix("-")
        if "," in path or has_stars([path]):
            raise UsageError(f"`--sort {sort}` is not one field", hint="for example --sort -output_tokens")
        asked(path)
        needs = needed([path])
        every = answers(
            self.reading,
            self.run,
            selection=self.selection,
            answered=True,
            requests="request" in needs,
            attempts="all_attempts" in needs,
        )
        keyed = [(_key(path, reached(flat(row, needs), path)), row.job.id) for row in every]
        keyed.sort(key=lambda pair: pair[0], reverse=sort.startswith("-"))
        if sort.startswith("-"):  # what has no value comes last either way
            empty = sum(1 for key, _ in keyed if key[0] == _LAST)
            keyed = [*islice(keyed, empty, None), *islice(keyed, empty)]
        return [job for _, job in keyed]


_LAST = 9


def _key(path: str, value: Any) -> tuple[int, Any]:
    """A value to sort by: numbers before texts before what has parts, and last what is not there."""
    match value:
        case None:
            return (_LAST, 0)
        case bool() | int() | float():
            return (0, value)
        case str() if path in ALL and ALL[path].kind is Kind.DOLLARS:
            return (0, Decimal(value))
        case str():
            return (1, value)
        case _:
            return (2, json.dumps(value, ensure_ascii=False, sort_keys=True))
