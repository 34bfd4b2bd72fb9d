"""Batches as the API writes them: JSON values → `Remote` and `Page`, or None where something that counts is missing.

Members that are not known are ignored. A list with one batch that cannot be read is not a list: what is missing in it
would be taken for lost, and bought again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from batchrun.claude.answer import ABSURD
from batchrun.core.batch import Page, Processing, Remote
from batchrun.core.job import Millis

COUNTS = frozenset({"processing", "succeeded", "errored", "canceled", "expired"})
"""What `request_counts` counts (batch guide, 2026-09-26). A new count would belong to the sum as well."""


def remote_of(value: object) -> Remote | None:
    if not isinstance(value, Mapping):
        return None
    name, status = value.get("id"), value.get("processing_status")
    counts = _counts(value.get("request_counts"))
    created = moment_of(value.get("created_at"))
    if not (isinstance(name, str) and name and name.isprintable() and isinstance(status, str)):
        return None
    if counts is None or created is None:
        return None
    ended = moment_of(value.get("ended_at"))
    return Remote(
        id=name,
        processing=_processing(status, ended),
        counts=counts,
        created=created,
        expires=moment_of(value.get("expires_at")),
        ended=ended,
        archived=value.get("archived_at") is not None,
    )


def page_of(value: object, date: Millis | None) -> Page | None:
    """The page that *value* is, listed at *date*. One that has nothing and promises more is none."""
    if not isinstance(value, Mapping):
        return None
    data, more = value.get("data"), value.get("has_more")
    if not isinstance(data, list) or not isinstance(more, bool) or (more and not data):
        return None
    batches = tuple(remote for each in data if (remote := remote_of(each)) is not None)
    return Page(batches=batches, more=more, date=date) if len(batches) == len(data) else None


def moment_of(text: object) -> Millis | None:
    """A time as RFC 3339 writes it; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text.upper())
        return Millis(round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000))
    except (ValueError, OverflowError):
        return None


def _counts(value: object) -> Mapping[str, int] | None:
    if not isinstance(value, Mapping) or not value.keys() >= COUNTS:
        return None
    counts = {name: n for name, n in value.items() if type(n) is int and 0 <= n < ABSURD}
    return counts if counts.keys() >= COUNTS else None


def _processing(status: str, ended: Millis | None) -> Processing:
    """A status of tomorrow is as good as its time of ending."""
    if status in set(Processing):
        return Processing(status)
    return Processing.IN_PROGRESS if ended is None else Processing.ENDED
