"""A rewound queue as rows: how far each account is, what was judged, and batches that are taken back.

It stands in `meta` under `rewound` as JSON, for it is rare and small: the moment, and for each account what its
listings told.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from batchrun.core.batch import STANDING, BatchState, Remote, Ticket
from batchrun.core.job import BatchId, Millis, WorkerId
from batchrun.core.rewind import Rewound, beginning
from batchrun.core.states import State
from batchrun.queue import batches as all_batches
from batchrun.queue.statement import Statement, columns_of, insert_or, lit, param
from batchrun.queue.tables import attempts, batches, jobs, meta
from batchrun.queue.transaction import Transaction

KEY = "rewound"

AHEAD = 1_000_000_000
"""By how much the ids of new jobs go ahead: those that the lost future gave away must never be given again."""

_READ = Statement(sa.select(meta.c.value).where(meta.c.key == param("its_key")))
_write = insert_or(meta, "key", "value")
_WRITE = Statement(_write.on_conflict_do_update(index_elements=["key"], set_={"value": _write.excluded.value}))
_FORGET = Statement(meta.delete().where(meta.c.key == param("its_key")))
_CLEAR = Statement(meta.delete().where(meta.c.key == lit(KEY)))
_LATEST = Statement(sa.select(sa.func.max(batches.c.watermark_date), sa.func.max(batches.c.created)))
_ACCOUNTS = Statement(sa.select(batches.c.account).distinct())
_JOB = Statement(sa.select(jobs.c.run, jobs.c.model).where(jobs.c.id == param("it")))
_ADD = Statement(
    columns_of(
        batches, "token", "run", "account", "state", "n", "bytes", "model", "intended", "sent", "ended", "message"
    ).returning(batches.c.id)
)
_UNPROVEN = (BatchState.REJECTED, BatchState.UNCLEAR, BatchState.LOST)
_STANDS = Statement(
    batches.update()
    .where(batches.c.id == param("it"), batches.c.state.in_([lit(state) for state in _UNPROVEN]))
    .values(
        state=lit(BatchState.SUBMITTED),
        owner=sa.null(),
        remote_id=param("remote"),
        processing=param("word"),
        submitted=param("now"),
        created=param("made"),
        expires=param("until"),
        ended=sa.null(),
        first_absent=sa.null(),
    )
)
_attempt = insert_or(attempts, "job", "n", "via", "worker", "batch", "claimed", "sent")
_ATTEMPT = Statement(_attempt.on_conflict_do_nothing(index_elements=["job", "n"]))
_COUNTED = Statement(
    jobs.update()
    .where(jobs.c.id == param("it"), jobs.c.attempt < param("n"))
    .where(jobs.c.state.not_in([lit(State.RUNNING), lit(State.IN_BATCH)]))
    .values(attempt=param("n"))
)
_UNCOLLECTED = Statement(
    sa.select(batches.c.state).where(
        batches.c.id == param("it"), batches.c.state.in_([lit(state) for state in sorted(STANDING)])
    )
)
_NOW = "forgotten by a backup that was restored"


def rewind(tx: Transaction, at: Millis) -> None:
    """The queue is a backup, put in place at *at*: nothing of it is sent until its accounts were looked through."""
    latest = [moment for moment in tx.rows(_LATEST)[0] if moment is not None]
    begun = int(_value(tx, "backed_up") or _value(tx, "created") or 0)
    tx.run(_FORGET, its_key="backed_up")
    _save(tx, {"at": at, "since": beginning(Millis(max(latest, default=begun))), "accounts": {}})
    tx.run(_WRITE, key="jobs", value=str(int(_value(tx, "jobs") or 0) + AHEAD))


def release(tx: Transaction) -> bool:
    """A person says that nothing is to be looked for; False if the queue was not rewound."""
    return bool(tx.run(_CLEAR))


def standing(tx: Transaction, account: int) -> Rewound | None:
    """How far *account* is; None if it may send."""
    found = _load(tx)
    facts = None if found is None else _account(found, account)
    if found is None or facts is None or facts.get("over"):
        return None
    return Rewound(
        queue=all_batches.queue_of(tx),
        at=found["at"],
        since=found["since"],
        until=facts.get("until"),
        waiting=facts.get("waiting", 0),
    )


def strangers(tx: Transaction, account: int, remotes: Sequence[str]) -> list[str]:
    """Those of *remotes* that are no batch on our books, and were not judged to be nobody's."""
    found = _load(tx)
    judged = set() if found is None else set(_account(found, account).get("judged", ()))
    return [remote for remote in remotes if remote not in judged and not all_batches.is_known(tx, remote)]


def note(tx: Transaction, account: int, *, until: Millis, judged: Sequence[str], waiting: int) -> None:
    """What a complete listing told of *account*; the first one's *until* is kept."""
    found = _load(tx)
    if found is None:
        return
    facts = _account(found, account)
    facts.setdefault("until", until)
    facts["judged"] = sorted({*facts.get("judged", ()), *judged})
    facts["waiting"] = waiting
    _save(tx, found)


def over(tx: Transaction, account: int) -> bool:
    """*account* may send again; False while what was taken back is not collected.

    Once that holds for all accounts that ever had batches here, the queue is not rewound any more.
    """
    found = _load(tx)
    if found is None:
        return True
    facts = _account(found, account)
    if any(tx.row(_UNCOLLECTED, it=batch) for batch in facts.get("recalled", ())):
        return False
    facts["over"] = True
    had = {account for (account,) in tx.rows(_ACCOUNTS)} | {account}
    if all(_account(found, one).get("over") for one in had):
        tx.run(_CLEAR)
    else:
        _save(tx, found)
    return True


def recall(
    tx: Transaction, account: int, remote: Remote, tickets: Sequence[Ticket], worker: WorkerId, now: Millis
) -> BatchId | None:
    """*remote*, whose answers *tickets* name, is ours: it stands on our books again, to be collected.

    None if no job is known that it answered, or its batch is known under another id.
    """
    known = [(ticket, row) for ticket in tickets if (row := tx.row(_JOB, it=ticket.job)) is not None]
    if not known:
        return None
    (ticket, (run, model)) = known[0]
    ours = all_batches.by_token(tx, ticket.token)
    if ours is None:
        row = tx.row(
            _ADD,
            token=ticket.token,
            run=run,
            account=account,
            state=BatchState.REJECTED,  # until it stands, below
            n=remote.n,
            bytes=0,
            model=model,
            intended=remote.created,
            sent=remote.created,
            ended=now,
            message=_NOW,
        )
        assert row is not None
        batch = BatchId(row[0])
    else:
        batch = ours.id
    facts = {"remote": remote.id, "word": remote.processing, "made": remote.created, "until": remote.expires}
    if not tx.run(_STANDS, it=batch, now=now, **facts):
        return None
    rows = [(one.job, one.attempt, "batch", worker, batch, now, remote.created) for one, _ in known]
    tx.run_many(_ATTEMPT, ("job", "n", "via", "worker", "batch", "claimed", "sent"), rows)
    tx.run_many(_COUNTED, ("it", "n"), [(one.job, one.attempt) for one, _ in known])
    found = _load(tx)
    if found is not None:
        _account(found, account).setdefault("recalled", []).append(batch)
        _save(tx, found)
    return batch


def _account(found: dict[str, Any], account: int) -> dict[str, Any]:
    facts: dict[str, Any] = found["accounts"].setdefault(str(account), {})
    return facts


def _load(tx: Transaction) -> dict[str, Any] | None:
    text = _value(tx, KEY)
    if text is None:
        return None
    found: dict[str, Any] = json.loads(text)
    return found


def _save(tx: Transaction, found: dict[str, Any]) -> None:
    tx.run(_WRITE, key=KEY, value=json.dumps(found))


def _value(tx: Transaction, key: str) -> str | None:
    row = tx.row(_READ, its_key=key)
    return None if row is None else str(row[0])
