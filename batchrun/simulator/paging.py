"""Lists of the API, page by page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from batchrun.simulator.failures import Failure, invalid

DEFAULT_PAGE = 20
LARGEST_PAGE = 1000

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Some rows of a list; `more` says whether others follow in the direction that was asked for."""

    rows: Sequence[T]
    more: bool

    def shown(self, name: Callable[[T], str], value: Callable[[T], Any]) -> Mapping[str, Any]:
        """The JSON object of it."""
        return {
            "data": [value(row) for row in self.rows],
            "has_more": self.more,
            "first_id": name(self.rows[0]) if self.rows else None,
            "last_id": name(self.rows[-1]) if self.rows else None,
        }


def page(rows: Sequence[T], name: Callable[[T], str], query: Mapping[str, Sequence[str]]) -> Page[T] | Failure:
    """The rows that *query* asks for by `limit`, `after_id` and `before_id`; *name* gives a row's id."""
    text = query.get("limit", (str(DEFAULT_PAGE),))[-1]
    if not text.isdecimal() or not 1 <= int(text) <= LARGEST_PAGE:
        return invalid(f"limit: Input should be between 1 and {LARGEST_PAGE}")
    limit = int(text)
    ids = [name(row) for row in rows]
    for bound in ("after_id", "before_id"):
        if bound in query and query[bound][-1] not in ids:
            return invalid(f"{bound}: not found")
    if "after_id" not in query and "before_id" in query:
        end = ids.index(query["before_id"][-1])
        begin = max(0, end - limit)
        return Page(rows=rows[begin:end], more=begin > 0)
    begin = ids.index(query["after_id"][-1]) + 1 if "after_id" in query else 0
    return Page(rows=rows[begin : begin + limit], more=begin + limit < len(rows))
