"""Batches as rows: each change of one is one guarded UPDATE, written before and after whatever costs money.

The way of a batch: `intend` → `sending` → `submitted`, or `rejected`, or `unclear`, which a listing turns into
`submitted` or `lost`; then `collecting` → `done`, or `gone`. What becomes of its jobs stands in `queue.batchjobs`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from batchrun.core.batch import (
    STANDING,
    UNRESOLVED,
    Batch,
    BatchState,
    CancelReason,
    Packing,
    Processing,
    Remote,
    Verdict,
)
from batchrun.core.job import BatchId, Millis, RunId, WorkerId
from batchrun.core.states import RunState
from batchrun.queue.runs import POLICY, policy_of
from batchrun.queue.statement import Row, Statement, columns_of, insert_or, lit, param
from batchrun.queue.tables import batches, candidates, jobs, meta, past_batches, runs
from batchrun.queue.transaction import Transaction


def _in(states: Iterable[BatchState]) -> sa.ColumnElement[bool]:
    return batches.c.state.in_([lit(state) for state in sorted(states)])


_ADD = Statement(
    columns_of(
        batches,
        "token",
        "run",
        "account",
        "owner",
        "state",
        "n",
        "bytes",
        "watermark",
        "watermark_date",
        "reserved",
        "intended",
        "model",
    ).returning(batches.c.id)
)
_SIZES = Statement(sa.select(batches.c.n).where(batches.c.account == param("its"), _in(UNRESOLVED)))
_QUEUE = Statement(sa.select(meta.c.value).where(meta.c.key == lit("queue")))


def queue_of(tx: Transaction) -> str:
    """The token of this queue, which each custom_id of ours names."""
    row = tx.row(_QUEUE)
    assert row is not None, "a queue knows its token from its first moment"
    return str(row[0])


def free_size(tx: Transaction, account: int, n: int) -> int:
    """The largest number up to *n* that no unresolved batch of *account* has; 0 if there is none.

    A listing tells batches apart by their number of requests alone.
    """
    taken = {row[0] for row in tx.rows(_SIZES, its=account)}
    return next((size for size in range(n, 0, -1) if size not in taken), 0)


def intend(
    tx: Transaction,
    packing: Packing,
    run: RunId,
    model: str,
    worker: WorkerId,
    now: Millis,
    *,
    n: int,
    size: int,
    worst: int,
) -> BatchId:
    """A batch of *n* requests and about *size* bytes is written down."""
    row = tx.row(
        _ADD,
        token=packing.token,
        run=run,
        account=packing.account,
        owner=worker,
        state=BatchState.INTENT,
        n=n,
        bytes=size,
        watermark=packing.watermark,
        watermark_date=packing.date,
        reserved=worst,
        intended=now,
        model=model,
    )
    assert row is not None
    return BatchId(row[0])


def _change(*sources: BatchState, where: Sequence[sa.ColumnElement[bool]] = (), **columns: Any) -> Statement:
    """The UPDATE of a batch that is in one of the *sources*."""
    return Statement(batches.update().where(batches.c.id == param("it"), _in(sources), *where).values(**columns))


_RUN_IS_OPEN = sa.select(runs.c.id).where(runs.c.id == batches.c.run, runs.c.state == lit(RunState.OPEN)).exists()
_SENDING = _change(
    BatchState.INTENT,
    where=(batches.c.owner == param("worker"), _RUN_IS_OPEN),
    state=lit(BatchState.SENDING),
    sent=param("now"),
    bytes=param("size"),
)
_SUBMITTED = _change(
    BatchState.SENDING,
    BatchState.UNCLEAR,
    BatchState.LOST,
    state=lit(BatchState.SUBMITTED),
    owner=sa.null(),
    remote_id=param("remote"),
    processing=param("word"),
    submitted=param("now"),
    created=param("made"),
    expires=param("until"),
    first_absent=sa.null(),
)
_REJECTED = _change(
    BatchState.INTENT,
    BatchState.SENDING,
    state=lit(BatchState.REJECTED),
    owner=sa.null(),
    ended=param("now"),
    message=param("why"),
)
_UNCLEAR = _change(
    BatchState.SENDING,
    state=lit(BatchState.UNCLEAR),
    owner=sa.null(),
    answered=param("was_answered"),
    message=param("why"),
)
_ABSENT = _change(BatchState.UNCLEAR, where=(batches.c.first_absent.is_(None),), first_absent=param("date"))
_LOST = _change(BatchState.UNCLEAR, state=lit(BatchState.LOST), lost=param("date"), ended=param("now"))
_IS_LOST = Statement(sa.select(batches.c.run).where(batches.c.id == param("it"), _in([BatchState.LOST])))
_SEEN = _change(
    *STANDING,
    processing=param("word"),
    counts=param("numbers"),
    expires=param("until"),
    absent=sa.null(),
)
_MISSED = _change(*STANDING, where=(batches.c.absent.is_(None),), absent=param("date"))
_COLLECTING = _change(*STANDING, state=lit(BatchState.COLLECTING))
_SHORT = _change(
    BatchState.COLLECTING,
    BatchState.DONE,
    BatchState.GONE,
    downloads=batches.c.downloads + lit(1),
    downloaded=sa.func.coalesce(batches.c.downloaded, param("date")),
)
_DONE = _change(
    BatchState.COLLECTING,
    where=(~sa.select(jobs.c.id).where(jobs.c.batch == batches.c.id).exists(),),
    state=lit(BatchState.DONE),
    ended=param("now"),
    downloads=lit(0),  # from here on they are those of its repetition
    downloaded=sa.null(),
)
_GONE = _change(
    *STANDING,
    state=lit(BatchState.GONE),
    ended=param("now"),
    message=param("why"),
    downloads=lit(0),
    downloaded=sa.null(),
)
_WISHED = _change(
    BatchState.SENDING,
    BatchState.UNCLEAR,
    BatchState.SUBMITTED,
    where=(batches.c.cancel_reason.is_(None),),
    cancel_reason=param("why"),
)
_CANCELLED = _change(*STANDING, cancelled=lit(1))
_WISHED_BY_RUN = Statement(
    batches.update()
    .where(batches.c.run == param("of"), batches.c.cancel_reason.is_(None))
    .where(_in([BatchState.SENDING, BatchState.UNCLEAR, BatchState.SUBMITTED]))
    .values(cancel_reason=lit(CancelReason.USER))
)
_OF_THE_DEAD = Statement(
    sa.select(batches.c.id, batches.c.state)
    .where(batches.c.owner == param("dead"), _in([BatchState.INTENT, BatchState.SENDING]))
    .order_by(batches.c.id)
)


def sending(tx: Transaction, batch: BatchId, worker: WorkerId, now: Millis, size: int) -> bool:
    """It may be sent, once, now: False if it is not *worker*'s any more, or its run was cancelled or closed."""
    return bool(tx.run(_SENDING, it=batch, worker=worker, now=now, size=size))


def is_lost(tx: Transaction, batch: BatchId) -> RunId | None:
    """Its run if it was given up as lost."""
    row = tx.row(_IS_LOST, it=batch)
    return None if row is None else RunId(row[0])


def submitted(tx: Transaction, batch: BatchId, remote: Remote, now: Millis) -> bool:
    """It stands at the API as *remote*."""
    facts = {"remote": remote.id, "word": remote.processing, "made": remote.created, "until": remote.expires}
    return bool(tx.run(_SUBMITTED, it=batch, now=now, **facts))


def rejected(tx: Transaction, batch: BatchId, now: Millis, why: str) -> bool:
    """It does not stand, and never did."""
    return bool(tx.run(_REJECTED, it=batch, now=now, why=why))


def unclear(tx: Transaction, batch: BatchId, why: str, *, answered: bool) -> bool:
    """Its sender is finished, and nobody knows whether it stands."""
    return bool(tx.run(_UNCLEAR, it=batch, why=why, was_answered=int(answered)))


def absent(tx: Transaction, batch: BatchId, date: Millis) -> bool:
    """A complete listing of *date*, made since it is unclear, does not have it."""
    return bool(tx.run(_ABSENT, it=batch, date=date))


def lost(tx: Transaction, batch: BatchId, date: Millis, now: Millis) -> bool:
    return bool(tx.run(_LOST, it=batch, date=date, now=now))


def seen(tx: Transaction, batch: BatchId, remote: Remote) -> bool:
    """What the API shows of it now."""
    facts = {"word": remote.processing, "numbers": json.dumps(dict(remote.counts)), "until": remote.expires}
    return bool(tx.run(_SEEN, it=batch, **facts))


def missed(tx: Transaction, batch: BatchId, date: Millis) -> bool:
    """The API answered 404 for it at *date*."""
    return bool(tx.run(_MISSED, it=batch, date=date))


def collecting(tx: Transaction, batch: BatchId) -> bool:
    return bool(tx.run(_COLLECTING, it=batch))


def short(tx: Transaction, batch: BatchId, date: Millis) -> bool:
    """A download of *date* left something missing: of its results, or of its repetition's once it is over."""
    return bool(tx.run(_SHORT, it=batch, date=date))


def done(tx: Transaction, batch: BatchId, now: Millis) -> bool:
    """Nothing of it is out any more; False if a job still is."""
    return bool(tx.run(_DONE, it=batch, now=now))


def gone(tx: Transaction, batch: BatchId, now: Millis, why: str) -> bool:
    return bool(tx.run(_GONE, it=batch, now=now, why=why))


def wish(tx: Transaction, batch: BatchId, why: CancelReason) -> bool:
    """It shall be cancelled at the API."""
    return bool(tx.run(_WISHED, it=batch, why=why))


def wish_all(tx: Transaction, run: RunId) -> int:
    """All batches of the cancelled *run* shall be cancelled at the API; how many are out."""
    return tx.run(_WISHED_BY_RUN, of=run)


def cancelled(tx: Transaction, batch: BatchId) -> bool:
    """The API has taken the wish, or had ended it before."""
    return bool(tx.run(_CANCELLED, it=batch))


def of_the_dead(tx: Transaction, dead: WorkerId) -> list[tuple[BatchId, BatchState]]:
    """The batches that *dead* was about to send, or sending."""
    return [(BatchId(it), BatchState(state)) for it, state in tx.rows(_OF_THE_DEAD, dead=dead)]


# -- reading ---------------------------------------------------------------------------------------------------------

_FACTS = (
    "id",
    "token",
    "run",
    "model",
    "account",
    "state",
    "n",
    "intended",
    "sent",
    "remote_id",
    "processing",
    "created",
    "expires",
    "watermark",
    "watermark_date",
    "answered",
    "first_absent",
    "lost",
    "absent",
    "downloads",
    "downloaded",
    "reserved",
    "cancel_reason",
    "cancelled",
)
_COLUMNS = (*(batches.c[name] for name in _FACTS), runs.c.name, runs.c.on_unclear, runs.c.deadline, *POLICY)
_SUSPECTED = sa.select(candidates.c.batch).where(candidates.c.verdict == lit(Verdict.OPEN))
_ATTENDED = Statement(
    sa.select(*_COLUMNS)
    .join(runs, runs.c.id == batches.c.run)
    .where(batches.c.account == param("its"))
    .where(sa.or_(_in([*UNRESOLVED, *STANDING, BatchState.LOST]), batches.c.id.in_(_SUSPECTED)))
    .order_by(batches.c.id)
)
_BY_TOKEN = Statement(
    sa.select(*_COLUMNS).join(runs, runs.c.id == batches.c.run).where(batches.c.token == param("its_token"))
)
_KNOWN = Statement(sa.select(batches.c.id).where(batches.c.remote_id == param("remote")))
_PAST = Statement(sa.select(past_batches.c.token).where(past_batches.c.remote_id == param("remote")))


def attended(tx: Transaction, account: int) -> list[Batch]:
    """The batches of *account* that are unresolved or stand, the lost ones, and those that may stand twice."""
    queue = queue_of(tx)
    return [_batch(queue, row) for row in tx.rows(_ATTENDED, its=account)]


def by_token(tx: Transaction, token: str) -> Batch | None:
    row = tx.row(_BY_TOKEN, its_token=token)
    return None if row is None else _batch(queue_of(tx), row)


def is_known(tx: Transaction, remote: str) -> bool:
    """Whether one of our batches is *remote*, or was, of a run that is removed."""
    return any(tx.row(where, remote=remote) is not None for where in (_KNOWN, _PAST))


def _batch(queue: str, row: Row) -> Batch:
    facts = dict(zip(_FACTS, row, strict=False))
    name, on_unclear, deadline, *policy = row[len(_FACTS) :]
    return Batch(
        id=BatchId(facts["id"]),
        queue=queue,
        token=facts["token"],
        run=RunId(facts["run"]),
        run_name=name,
        model=facts["model"],
        account=facts["account"],
        state=BatchState(facts["state"]),
        n=facts["n"],
        intended=facts["intended"],
        sent=facts["sent"],
        remote=facts["remote_id"],
        processing=None if facts["processing"] is None else Processing(facts["processing"]),
        created=facts["created"],
        expires=facts["expires"],
        watermark=facts["watermark"],
        watermark_date=facts["watermark_date"],
        answered=bool(facts["answered"]),
        first_absent=facts["first_absent"],
        lost=facts["lost"],
        absent=facts["absent"],
        downloads=facts["downloads"],
        downloaded=facts["downloaded"],
        reserved=facts["reserved"],
        cancel=None if facts["cancel_reason"] is None else CancelReason(facts["cancel_reason"]),
        cancelled=bool(facts["cancelled"]),
        resend=on_unclear == "resend",
        deadline=deadline,
        policy=policy_of(*policy),
    )


# -- candidates ------------------------------------------------------------------------------------------------------

_suspect = insert_or(candidates, "batch", "remote_id", "seen", "verdict")
_SUSPECT = Statement(_suspect.on_conflict_do_nothing(index_elements=["batch", "remote_id"]))
_JUDGE = Statement(
    candidates.update()
    .where(candidates.c.batch == param("it"), candidates.c.remote_id == param("remote"))
    .values(verdict=param("word"))
)
_CANDIDATES = Statement(
    sa.select(candidates.c.remote_id, candidates.c.verdict)
    .where(candidates.c.batch == param("it"))
    .order_by(candidates.c.remote_id)
)


def suspect(tx: Transaction, batch: BatchId, remote: str, now: Millis) -> None:
    """*remote*, of the same number of requests, may be *batch*."""
    tx.run(_SUSPECT, batch=batch, remote_id=remote, seen=now, verdict=Verdict.OPEN)


def judge(tx: Transaction, batch: BatchId, remote: str, verdict: Verdict) -> None:
    tx.run(_JUDGE, it=batch, remote=remote, word=verdict)


def suspects(tx: Transaction, batch: BatchId) -> dict[str, Verdict]:
    """What was ever thought to be *batch*, and what came of it."""
    return {remote: Verdict(verdict) for remote, verdict in tx.rows(_CANDIDATES, it=batch)}
