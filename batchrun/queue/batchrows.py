"""Batches as people read them, and the columns that they are made of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchrun.core.batch import Batch, BatchState, CancelReason, Processing, Verdict
from batchrun.core.job import BatchId, Millis, RunId


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRow:
    """One batch. `counts` are the API's, as last seen; they are 0 until it has ended."""

    batch: Batch
    bytes: int
    submitted: Millis | None  #: when its remote id was known here
    ended: Millis | None  #: when it was over on our books
    counts: Mapping[str, int]
    message: str  #: why it is unclear, was refused, or is gone

    @property
    def since(self) -> Millis:
        """When it was sent, or else written down."""
        return self.batch.intended if self.batch.sent is None else self.batch.sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A batch in the workspace's listing that may be one of ours."""

    remote: str
    seen: Millis
    verdict: Verdict


_FACTS = (
    "id, token, run, model, account, state, n, intended, sent, remote_id, processing, created, expires, answered, "
    "first_absent, lost, absent, cancel_reason, cancelled, bytes, submitted, ended, counts, message"
)
_COLUMNS = ", ".join(f"b.{name}" for name in _FACTS.split(", ")) + ", r.name, r.on_unclear, r.deadline"
BATCH = f"SELECT {_COLUMNS} FROM batches b JOIN runs r ON r.id = b.run"
"""Of which batches, the caller says."""


def batch_of(row: Sequence[Any]) -> BatchRow:
    (id_, token, run, model, account, state, n, intended, sent, remote, processing, created, expires, *rest) = row
    answered, first_absent, lost, absent, cancel, cancelled, size, submitted, ended, counts, message, *of_run = rest
    run_name, on_unclear, deadline = of_run
    return BatchRow(
        batch=Batch(
            id=BatchId(id_),
            queue="",
            token=token,
            run=RunId(run),
            run_name=run_name,
            model=model,
            account=account,
            state=BatchState(state),
            n=n,
            intended=intended,
            sent=sent,
            remote=remote,
            processing=None if processing is None else Processing(processing),
            created=created,
            expires=expires,
            answered=bool(answered),
            first_absent=first_absent,
            lost=lost,
            absent=absent,
            cancel=None if cancel is None else CancelReason(cancel),
            cancelled=bool(cancelled),
            resend=on_unclear == "resend",
            deadline=deadline,
        ),
        bytes=size,
        submitted=submitted,
        ended=ended,
        counts=json.loads(counts),
        message=message or "",
    )
