"""Workers and loaders as rows: who came, who left, and who died without a word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import sqlalchemy as sa

from batchrun.core.claim import WorkerCard
from batchrun.core.job import Millis, WorkerId
from batchrun.errors import WorkerBusy
from batchrun.queue.presence import Presence
from batchrun.queue.statement import Statement, columns_of, param
from batchrun.queue.tables import workers
from batchrun.queue.transaction import Transaction

WORKER = "worker"
LOADER = "loader"

_CARD = ("pid", "host", "boot", "version", "command", "started")
_ENTER = Statement(columns_of(workers, "role", *_CARD, "left").returning(workers.c.id))
_ARRIVE = Statement(workers.update().where(workers.c.id == param("it")).values(left=sa.null()))
_LEAVE = Statement(workers.update().where(workers.c.id == param("it")).values(left=param("now")))
_BURY = Statement(
    workers.update().where(workers.c.id == param("it"), workers.c.left.is_(None)).values(left=param("now"))
)
_STANDS = Statement(
    sa.select(workers.c.id)
    .where(workers.c.id == param("it"), workers.c.left.is_(None))
    .with_for_update(read=True)  # nobody buries it before this transaction is over
)
_PRESENT = Statement(
    sa.select(workers.c.id, *(workers.c[name] for name in _CARD))
    .where(workers.c.left.is_(None), workers.c.role == param("the_role"))
    .order_by(workers.c.id)
)


def enter(tx: Transaction, role: str, card: WorkerCard) -> WorkerId:
    """A row for *card* that does not count as alive yet: its lock is taken next, then it may `arrive`."""
    row = tx.row(_ENTER, role=role, **asdict(card), left=card.started)
    assert row is not None
    return WorkerId(row[0])


def arrive(tx: Transaction, worker: WorkerId) -> None:
    tx.run(_ARRIVE, it=worker)


def leave(tx: Transaction, worker: WorkerId, now: Millis) -> None:
    tx.run(_LEAVE, it=worker, now=now)


def present(tx: Transaction, role: str) -> dict[WorkerId, WorkerCard]:
    """Who came and did not leave; some of them may be dead."""
    rows = tx.rows(_PRESENT, the_role=role)
    return {WorkerId(it): WorkerCard(**dict(zip(_CARD, facts, strict=True))) for it, *facts in rows}


def dead(tx: Transaction, role: str, presence: Presence, here: WorkerCard) -> Sequence[WorkerId]:
    """Who came, did not leave, and lives no more: each is for `Presence.bury`."""
    return [it for it, card in present(tx, role).items() if not presence.lives(tx, it, card, here)]


def bury(tx: Transaction, worker: WorkerId, now: Millis) -> bool:
    """Say that *worker* left without a word; False if it is said already."""
    return bool(tx.run(_BURY, it=worker, now=now))


def stands(tx: Transaction, worker: WorkerId) -> bool:
    """Whether *worker* counts: it came, and nobody has buried it."""
    return bool(tx.rows(_STANDS, it=worker))


def refuse_buried(tx: Transaction, worker: WorkerId) -> None:
    """Raises WorkerBusy if *worker* was taken for dead: nobody would look after what it takes from now on."""
    if not stands(tx, worker):
        raise WorkerBusy(
            "this worker stood still, was taken for dead, and another one took over",
            hint="`batchrun status` shows it; `batchrun run` does what it leaves",
        )
