"""What people set of a run that is under way, its name and its tags: each change one guarded UPDATE.

A worker that is at it reads these at its next look, and a claim reads the cap in its own transaction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from batchrun.core.job import RunId
from batchrun.core.states import RunState, State
from batchrun.queue.removing import IS_TAKEN
from batchrun.queue.statement import Statement, lit, param
from batchrun.queue.tables import jobs, runs
from batchrun.queue.transaction import Transaction, is_state

SETTABLE = ("priority", "deadline", "budget", "mode", "hours", "on_crash", "on_unclear")

_SET = {
    name: Statement(
        runs.update().where(runs.c.id == param("it"), runs.c.state == lit(RunState.OPEN)).values({name: param("to")})
    )
    for name in SETTABLE
}
_UNBOUNDED = Statement(
    sa.select(jobs.c.key)
    .where(jobs.c.run == param("of"), is_state(jobs.c.state, State.QUEUED), jobs.c.worst.is_(None))
    .limit(lit(1))
)
_TAGS = Statement(sa.select(runs.c.tags).where(runs.c.id == param("it")).with_for_update())
_TAG = Statement(runs.update().where(runs.c.id == param("it")).values(tags=param("to")))
_other = runs.alias("other")
_RENAME = Statement(
    runs.update()
    .where(
        runs.c.id == param("it"),
        runs.c.state != lit(RunState.LOADING),
        ~IS_TAKEN,
        ~sa.select(_other.c.id)
        .where(_other.c.account_name == runs.c.account_name, _other.c.name == param("to"), _other.c.id != param("it"))
        .exists(),
    )
    .values(name=param("to"))
)


def set_facts(tx: Transaction, run: RunId, facts: Mapping[str, Any]) -> bool:
    """The columns of *run* are as *facts* say; False, and nothing of it, if it is not under way."""
    return all(tx.run(_SET[name], it=run, to=value) for name, value in facts.items())


def unbounded(tx: Transaction, run: RunId) -> str | None:
    """A queued job of *run* whose cost has no bound, which a cap would keep back for ever; None if there is none."""
    row = tx.row(_UNBOUNDED, of=run)
    return None if row is None else str(row[0])


def tag(tx: Transaction, run: RunId, more: Sequence[str], fewer: Sequence[str]) -> list[str]:
    """The tags of *run* once *more* were added and *fewer* taken away."""
    row = tx.row(_TAGS, it=run)
    before: list[str] = [] if row is None else json.loads(row[0])
    after = sorted({*before, *more} - {*fewer})
    tx.run(_TAG, it=run, to=json.dumps(after, ensure_ascii=False))
    return after


def rename(tx: Transaction, run: RunId, name: str) -> bool:
    """False if another run of its account has that name, or its jobs are being added or removed.

    The name it was submitted under still leads its file to it: the same file adds nothing.
    """
    return bool(tx.run(_RENAME, it=run, to=name))
