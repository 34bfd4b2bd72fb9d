"""Rows for the jobs that a submit loads: the job, its request, and the part that it shares with others, stored once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import sqlalchemy as sa

from batchrun.core.job import Job, RunId, Way
from batchrun.core.states import State
from batchrun.queue.statement import Statement, columns_of, insert_or, param
from batchrun.queue.tables import jobs, meta, requests, shared
from batchrun.queue.transaction import Transaction

REMEMBERED = 8_000_000
"""Characters of shared parts whose ids are remembered at a time: those of any usual file."""

_JOB = (
    "id",
    "run",
    "seq",
    "file",
    "line",
    "key",
    "model",
    "state",
    "size",
    "est_input",
    "max_tokens",
    "worst",
    "digest",
    "way",
)
_EITHER, _REALTIME = Way.EITHER.value, Way.REALTIME.value  # plain integers: there is one for each row
_REQUEST = ("job", "shared", "own", "order", "metadata", "tags")
_ADD_JOB = Statement(columns_of(jobs, *_JOB))
_ADD_REQUEST = Statement(columns_of(requests, *_REQUEST))
_FIND_SHARED = Statement(sa.select(shared.c.id).where(shared.c.digest == param("its")))
_ADD_SHARED = Statement(
    insert_or(shared, "digest", "body").on_conflict_do_nothing(index_elements=["digest"]).returning(shared.c.id)
)
_LAST = Statement(sa.select(meta.c.value).where(meta.c.key == param("it")).with_for_update())
_HIGHEST = Statement(sa.select(sa.func.max(jobs.c.id)))
_SET_LAST = Statement(meta.update().where(meta.c.key == param("it")).values(value=param("to")))


@dataclass(frozen=True, slots=True)
class Written:
    """The id of the first job that was written, and the ids of shared parts that were looked up for it."""

    first: int = 0
    parts: dict[str, int] = field(default_factory=dict)


class Staging:
    """Writes jobs. What it remembers it is told after the commit: what was rolled back has no id.

    With `bare` set they get no requests: they are there to be counted and compared, and will never be sent.
    """

    def __init__(self) -> None:
        self.bare = False
        self._parts: dict[str, int] = {}
        self._orders: dict[tuple[str, ...], str] = {}
        self._room = REMEMBERED

    def write(self, tx: Transaction, run: RunId, seq: int, added: Sequence[Job]) -> Written:
        """Rows for *added*, numbered from *seq* on. Raises the driver's IntegrityError for a key that *run* has."""
        written = Written(_reserve(tx, len(added)))
        first = written.first
        tx.run_many(
            _ADD_JOB,
            _JOB,
            [
                (
                    first + at,
                    run,
                    seq + at,
                    job.file,
                    job.where.line,
                    job.key,
                    job.model,
                    State.QUEUED.value,
                    job.size,
                    job.est_input,
                    job.max_tokens,
                    job.worst,
                    job.digest,
                    _REALTIME if job.realtime_only else _EITHER,
                )
                for at, job in enumerate(added)
            ],
        )
        if self.bare:
            return written
        tx.run_many(
            _ADD_REQUEST,
            _REQUEST,
            [
                (
                    first + at,
                    None if job.request.shared is None else self._part(tx, job.request.shared, written),
                    job.request.own,
                    None if job.request.order is None else self._order(job.request.order),
                    job.metadata,
                    job.tags,
                )
                for at, job in enumerate(added)
            ],
        )
        return written

    def remember(self, written: Written) -> None:
        """*written* is durable."""
        self._room -= sum(map(len, written.parts))
        if self._room < 0:
            self._parts.clear()
            self._room = REMEMBERED
        else:
            self._parts.update(written.parts)

    def _part(self, tx: Transaction, body: str, written: Written) -> int:
        """The id of the shared part *body*, stored once."""
        found = self._parts.get(body) or written.parts.get(body)
        if found is None:
            digest = blake2b(body.encode(), digest_size=16).digest()
            row = tx.row(_FIND_SHARED, its=digest) or tx.row(_ADD_SHARED, digest=digest, body=body)
            row = row or tx.row(_FIND_SHARED, its=digest)  # somebody else added it in between
            assert row is not None
            found = written.parts[body] = int(row[0])
        return found

    def _order(self, names: tuple[str, ...]) -> str:
        text = self._orders.get(names)
        if text is None:
            text = json.dumps(names, ensure_ascii=False)
            if len(self._orders) < 1000:
                self._orders[names] = text
        return text


def _reserve(tx: Transaction, n: int) -> int:
    """The first of *n* ids for jobs that were never given to any other."""
    last, highest = tx.row(_LAST, it="jobs"), tx.row(_HIGHEST)
    assert last is not None
    assert highest is not None
    first = max(int(last[0]), highest[0] or 0) + 1
    tx.run(_SET_LAST, it="jobs", to=str(first + n - 1))
    return first
