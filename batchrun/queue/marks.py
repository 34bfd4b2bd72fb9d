"""Whether a commit was kept whose acknowledgement was lost with the connection: each leaves a mark that can be read.

A server's own word for it, the status of a transaction id, is not enough: a server that crashed, or the standby that
took its place, may have given the same id to somebody else since.
"""

from __future__ import annotations

import secrets
import time

import sqlalchemy as sa

from batchrun.queue.statement import Statement, insert_or, param
from batchrun.queue.tables import meta
from batchrun.queue.transaction import Transaction

_PREFIX = "commit:"
KEPT = 90 * 86_400_000
"""Milliseconds after which the mark of a writer that died is swept away by another."""

_put = insert_or(meta, "key", "value")
_PUT = Statement(_put.on_conflict_do_update(index_elements=["key"], set_={"value": _put.excluded.value}))
_GET = Statement(sa.select(meta.c.value).where(meta.c.key == param("it")).with_for_update())
_REMOVE = Statement(meta.delete().where(meta.c.key == param("it")))
_SWEEP = Statement(meta.delete().where(meta.c.key > param("above"), meta.c.key < param("below")))


class Mark:
    """One row that a writer counts up in each of its transactions. `begin` comes first, in a transaction of its own."""

    def __init__(self) -> None:
        now = time.time_ns() // 1_000_000
        self._key = f"{_PREFIX}{now:013}:{secrets.token_hex(8)}"
        self._old = f"{_PREFIX}{now - KEPT:013}"
        self._n = 0
        self.begun = False
        self.doubted = False  #: a transaction was marked, and nobody has heard yet how it ended

    def begin(self, tx: Transaction) -> None:
        """The row has to be there, and seen by all, so that whoever asks waits for a transaction that holds it."""
        tx.run(_SWEEP, above=_PREFIX, below=self._old)
        tx.run(_PUT, key=self._key, value="0")

    def set(self, tx: Transaction) -> None:
        self._n += 1
        self.doubted = True
        tx.run(_PUT, key=self._key, value=str(self._n))

    def is_kept(self, tx: Transaction) -> bool:
        """Whether the last transaction that was marked is durable. Waits for it while the server still has it open."""
        return tx.row(_GET, it=self._key) == (str(self._n),)

    def remove(self, tx: Transaction) -> None:
        tx.run(_REMOVE, it=self._key)
