"""What happened, as rows that are written with it, until the user's command was told: no crash comes between.

A row counts the starts of its command before each, and is ended after it. So a command is started once for what
happened, and once more where the process died while it ran.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from batchrun.core.events import HookCalled
from batchrun.core.hook import MOST, Happening, Hook, Pending
from batchrun.core.job import Millis, RunId
from batchrun.queue import events
from batchrun.queue.statement import Statement, insert_or, lit, param
from batchrun.queue.tables import hooks
from batchrun.queue.transaction import Transaction
from batchrun.queue.writing import Performer

_FACTS = ("subject", "event", "run", "at", "detail")
_PEND = Statement(insert_or(hooks, *_FACTS).on_conflict_do_nothing(index_elements=["subject"]))
_PENDING = Statement(
    sa.select(hooks.c.id, hooks.c.begun, hooks.c.event, hooks.c.subject, hooks.c.run, hooks.c.at, hooks.c.detail)
    .where(hooks.c.ended.is_(None))
    .order_by(hooks.c.id)
)
_BEGIN = Statement(
    hooks.update()
    .where(hooks.c.id == param("it"), hooks.c.ended.is_(None), hooks.c.begun < lit(MOST))
    .values(begun=hooks.c.begun + lit(1))
)
_END = Statement(hooks.update().where(hooks.c.id == param("it"), hooks.c.ended.is_(None)).values(ended=param("now")))


def pend(tx: Transaction, happenings: Iterable[Happening]) -> None:
    """Write down what is to be told; what was written down before is left as it is."""
    for each in happenings:
        detail = json.dumps(dict(each.detail), ensure_ascii=False)
        tx.run(_PEND, subject=each.subject, event=each.hook.value, run=each.run, at=each.at, detail=detail)


class QueueHooks:
    """`core.ports.HookStore` on a database."""

    def __init__(self, performer: Performer) -> None:
        self._performer = performer

    async def pending(self) -> Sequence[Pending]:
        def look(tx: Transaction) -> list[Pending]:
            return [
                Pending(
                    id=it,
                    begun=begun,
                    happening=Happening(
                        hook=Hook(event),
                        subject=subject,
                        run=None if run is None else RunId(run),
                        at=Millis(at),
                        detail=json.loads(detail),
                    ),
                )
                for it, begun, event, subject, run, at, detail in tx.rows(_PENDING)
            ]

        return await self._performer.perform(look)

    async def begin(self, pending: Pending) -> bool:
        return bool(await self._performer.perform(lambda tx: tx.run(_BEGIN, it=pending.id)))

    async def end(self, pending: Pending, now: Millis, called: HookCalled | None) -> None:
        def end(tx: Transaction) -> None:
            tx.run(_END, it=pending.id, now=now)
            if called is not None:
                events.record(tx, [events.row_of(called)])

        await self._performer.perform(end)
