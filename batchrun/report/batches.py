"""Batches in words: what is at Anthropic, since when and until when, what is not clear, and when it will be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from batchrun.core.batch import KEPT, LIFE, UNRESOLVED, BatchState, CancelReason, Processing
from batchrun.core.figures import count, hour, span
from batchrun.core.job import Millis
from batchrun.core.settling import decided_by
from batchrun.queue.batchrows import BatchRow

SOON = 5 * 24 * 60 * 60 * 1000
"""Milliseconds before results vanish from which on somebody is told."""

HOUR = 60 * 60 * 1000

LIST = "batchrun batches"

HELD = {
    "batch_gone": "their batch is gone from Anthropic; possibly billed",
    "missing_from_results": "no line in their batch's results; possibly billed",
}
"""Why jobs of batches are held, by class of error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something about a batch that somebody should know, and what to type, if that is of use."""

    text: str
    command: str = ""


def ref(row: BatchRow) -> str:
    """`b-3`: how a batch of ours is named."""
    return f"b-{row.batch.id}"


def out(rows: Iterable[BatchRow], now: Millis) -> str:
    """`2 batches, the first sent 22:01, 51m ago; most end within the hour, …`: those that are known to stand."""
    standing = [row for row in rows if row.batch.state not in UNRESOLVED]
    if not standing:
        return ""
    first = min(row.since for row in standing)
    which = "" if len(standing) == 1 else "the first "
    parts = [f"{count(len(standing), 'batch', 'batches')}, {which}sent {hour(first, now)}, {_ago(first, now)}"]
    runs_on = [row for row in standing if not has_ended(row)]
    until = min((row.batch.expires for row in runs_on if row.batch.expires is not None), default=None)
    if runs_on and now - first < HOUR:
        parts.append("most end within the hour")
    if until is not None:
        parts.append(f"what is not done by {hour(until, now)} expires and is sent again")
    return "; ".join(parts)


def has_ended(row: BatchRow) -> bool:
    """Whether Anthropic has done with it, as last seen."""
    return row.batch.processing is Processing.ENDED or row.batch.state is BatchState.COLLECTING


def alerts(rows: Sequence[BatchRow], now: Millis) -> list[Alert]:
    """What is unclear, has ended, is being cancelled, cannot be found or vanishes soon."""
    told = [
        Alert(text=unclear(row, now), command=f"batchrun batches resolve {ref(row)}" if is_stuck(row, now) else LIST)
        for row in rows
        if is_unclear(row)
    ]
    sending = [row for row in rows if row.batch.state in {BatchState.INTENT, BatchState.SENDING}]
    if sending:
        told.append(Alert(text=f"{_these(sending)} {_is(sending)} being sent"))
    ended = [row for row in rows if row.batch.state not in UNRESOLVED and has_ended(row)]
    if len(ended) == 1:
        told.append(Alert(text=f"{_these(ended)} has ended, and waits to be collected"))
    elif ended:
        told.append(Alert(text=f"{_these(ended)} have ended, and wait to be collected"))
    for reason in CancelReason:
        told += _cancelling([row for row in rows if row.batch.cancel is reason and not has_ended(row)], reason)
    told += [Alert(text=text) for row in rows if (text := absent(row, now))]
    told += [Alert(text=text, command="batchrun run") for row in rows if (text := vanishing(row, now))]
    return told


def is_unclear(row: BatchRow) -> bool:
    return row.batch.state is BatchState.UNCLEAR


def is_stuck(row: BatchRow, now: Millis) -> bool:
    """Whether no listing may decide it: any batch that it can be has ended within a day, or somebody has hidden it."""
    return decided_by(row.batch) is None and now - row.since > LIFE


def unclear(row: BatchRow, now: Millis) -> str:
    """`b-3 (198 jobs, sent 22:01): not known whether it arrived; decided at 22:16 at the earliest`"""
    head = f"{ref(row)} ({count(row.batch.n, 'job')}, sent {hour(row.since, now)})"
    return f"{head}: not known whether it arrived; {when_decided(row, now)}"


def when_decided(row: BatchRow, now: Millis) -> str:
    """When an unclear batch is decided."""
    if is_stuck(row, now):
        return "what may be it cannot be read; if no look finds it, only you can decide"
    earliest = decided_by(row.batch)
    if earliest is None:
        return "no listing could tell yet"
    if earliest <= now:
        return "decided by the next look at the listing, unless something in it may be this batch"
    return f"decided at {hour(earliest, now)} at the earliest"


def _cancelling(rows: Sequence[BatchRow], reason: CancelReason) -> list[Alert]:
    told = []
    why = "as you wished" if reason is CancelReason.USER else "as the deadline is near"
    taken = [row for row in rows if row.batch.cancelled]
    asked = [row for row in rows if not row.batch.cancelled and row.batch.state is BatchState.SUBMITTED]
    hidden = [row for row in rows if row.batch.state in UNRESOLVED]
    if taken:
        told.append(Alert(text=f"{_these(taken)} {_is(taken)} being cancelled, {why}; what is done by then is kept"))
    if asked:
        told.append(Alert(text=f"{_these(asked)} {_is(asked)} to be cancelled, {why}", command="batchrun run"))
    if hidden:
        told.append(Alert(text=f"{_these(hidden)} cannot be cancelled before it is known whether it stands"))
    return told


def absent(row: BatchRow, now: Millis) -> str:
    """What is to be said of a batch that the API does not know; "" if it does."""
    if row.batch.absent is None:
        return ""
    since = hour(row.batch.absent, now)
    return (
        f"{row.batch.remote} has not been known at Anthropic since {since}; after two hours of that it counts as gone"
    )


def vanishing(row: BatchRow, now: Millis) -> str:
    """What is to be said of a batch whose results vanish soon; "" if there is time."""
    if row.batch.state in UNRESOLVED or row.batch.created is None or row.batch.created + KEPT - now >= SOON:
        return ""
    return f"the results of {row.batch.remote} vanish at Anthropic on {hour(Millis(row.batch.created + KEPT), now)}"


def word(row: BatchRow) -> str:
    """Where a batch stands, in a word or two."""
    batch = row.batch
    if batch.state is BatchState.SUBMITTED:
        if batch.absent is not None:
            return "not found"
        if batch.processing is Processing.ENDED:
            return "ended"
        return "cancelling" if batch.processing is Processing.CANCELING or batch.cancelled else "at Anthropic"
    return batch.state.value


def results(row: BatchRow) -> dict[str, int] | None:
    """How many of its requests ended how; None before it has ended, for the API moves its counts only then."""
    if row.batch.processing is not Processing.ENDED:
        return None
    return {name: n for name, n in row.counts.items() if n and name != "processing"}


def figures(row: BatchRow) -> str:
    """`198 succeeded, 2 errored`; "" before it has ended."""
    return ", ".join(f"{n:,} {name}" for name, n in (results(row) or {}).items())


def _these(rows: Sequence[BatchRow]) -> str:
    jobs = count(sum(row.batch.n for row in rows), "job")
    name = ref(rows[0]) if len(rows) == 1 else count(len(rows), "batch", "batches")
    return f"{name} ({jobs})"


def _is(rows: Sequence[BatchRow]) -> str:
    return "is" if len(rows) == 1 else "are"


def _ago(then: Millis, now: Millis) -> str:
    return f"{span((now - then) / 1000)} ago"
