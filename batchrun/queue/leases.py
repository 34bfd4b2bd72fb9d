"""Who is alive on a server: each worker has a lease in its row, by the database's clock, and renews it in time.

Nothing else can tell it there: a connection ends with a restart of the server, and lives on for minutes behind a cable
that was pulled. A worker that stands still longer than its lease is taken for dead, and goes on as a new one.
"""

from __future__ import annotations

import contextlib
from functools import partial

import sqlalchemy as sa

from batchrun.core.card import WorkerCard
from batchrun.core.figures import moment
from batchrun.core.job import Millis, WorkerId
from batchrun.errors import StoreError, WorkerBusy
from batchrun.queue import workers
from batchrun.queue.statement import Row, Statement, insert_or, lit, param
from batchrun.queue.tables import meta
from batchrun.queue.tables import workers as rows
from batchrun.queue.transaction import Transaction
from batchrun.queue.writing import Perform, perform_now

LEASE = 15.0
LOADER_LEASE = 1800.0
"""Seconds. A loader renews with each piece that it loads, and waits for a person's yes in between."""

_ALONE = "alone"
"""The key in `meta` of the one worker that wants to drain the queue alone."""

_CLOCK = sa.cast(sa.func.floor(sa.extract("epoch", sa.func.clock_timestamp()) * lit(1000)), sa.BigInteger)
_HOLDS = rows.c.lease > _CLOCK
_LIVES = Statement(sa.select(rows.c.id).where(rows.c.id == param("it"), _HOLDS))
_TAKE = Statement(rows.update().where(rows.c.id == param("it")).values(lease=_CLOCK + param("term")))
_RENEW = Statement(
    rows.update().where(rows.c.id == param("it"), rows.c.left.is_(None)).values(lease=_CLOCK + param("term"))
)
_DROP = Statement(rows.update().where(rows.c.id == param("it")).values(lease=sa.null()))
_BURY = Statement(
    rows.update()
    .where(rows.c.id == param("it"), rows.c.left.is_(None), sa.or_(rows.c.lease.is_(None), ~_HOLDS))
    .values(left=param("now"))
)
# Also who has just come and does not count yet, or is about to go: it is not alone with the queue either.
_OTHERS = Statement(
    sa.select(rows.c.id, rows.c.pid, rows.c.host, rows.c.started)
    .where(rows.c.role == lit(workers.WORKER), _HOLDS)
    .order_by(rows.c.id)
)
_WHO_IS_ALONE = Statement(sa.select(meta.c.value).where(meta.c.key == lit(_ALONE)))
_alone = insert_or(meta, "key", "value")
_BE_ALONE = Statement(_alone.on_conflict_do_update(index_elements=["key"], set_={"value": _alone.excluded.value}))
_LET_OTHERS_IN = Statement(meta.delete().where(meta.c.key == lit(_ALONE), meta.c.value == param("it")))


class Leases:
    """`queue.presence.Presence` by leases. *engine*: each of its transactions has the queue for itself."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self._perform: Perform = partial(perform_now, engine)
        self._exclusive = False
        self._held: dict[WorkerId, float] = {}

    @property
    def lease(self) -> float:
        return LEASE

    def hold_run(self, card: WorkerCard, *, exclusive: bool = False) -> None:  # noqa: ARG002  # the row has the card
        self._exclusive = exclusive
        self._perform(self._refuse)

    def drop_run(self) -> None:
        self._exclusive = False

    def hold(self, worker: WorkerId, card: WorkerCard | None = None) -> None:
        def hold(tx: Transaction) -> None:
            if card is not None:
                self._refuse(tx)
                if self._exclusive:
                    tx.run(_BE_ALONE, key=_ALONE, value=str(worker))
            tx.run(_TAKE, it=worker, term=int(term * 1000))

        term = LOADER_LEASE if card is None else LEASE
        self._perform(hold)
        self._held[worker] = term

    def drop(self, worker: WorkerId) -> None:
        def drop(tx: Transaction) -> None:
            tx.run(_DROP, it=worker)
            tx.run(_LET_OTHERS_IN, it=str(worker))

        self._held.pop(worker, None)
        with contextlib.suppress(StoreError):  # it runs out by itself
            self._perform(drop)

    def close(self) -> None:
        self._held.clear()

    def lives(self, tx: Transaction, worker: WorkerId, card: WorkerCard, here: WorkerCard) -> bool:  # noqa: ARG002  # the row knows it
        return tx.row(_LIVES, it=worker) is not None

    def bury(self, tx: Transaction, worker: WorkerId, now: Millis) -> bool:
        return bool(tx.run(_BURY, it=worker, now=now))

    def renew(self, tx: Transaction, worker: WorkerId) -> bool:
        return bool(tx.run(_RENEW, it=worker, term=int(self._held.get(worker, LEASE) * 1000)))

    def refuse_run(self, why: str, hint: str) -> None:
        """Raises WorkerBusy, with *why* and who it is, while anybody drains the queue."""
        if others := self._perform(self._others):
            _, pid, host, _ = others[0]
            raise WorkerBusy(f"{why}: pid {pid} on host {host}", hint)

    def _others(self, tx: Transaction) -> list[Row]:
        return [row for row in tx.rows(_OTHERS) if row[0] not in self._held]

    def _refuse(self, tx: Transaction) -> None:
        """Raises WorkerBusy if another worker wants to be alone, or this one does and is not."""
        alone = tx.row(_WHO_IS_ALONE)
        for it, pid, host, started in self._others(tx):
            if self._exclusive or (alone is not None and alone[0] == str(it)):
                since = moment(Millis(started))
                raise WorkerBusy(
                    f"batchrun is already running here: pid {pid} on host {host}, since {since}",
                    hint="`batchrun status` shows it",
                )
