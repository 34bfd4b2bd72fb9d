"""Pauses as rows: one for each scope and subject."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from batchrun.core.job import Millis, RunId
from batchrun.core.pause import Pause, PauseScope
from batchrun.queue.statement import Statement, insert_or, lit, param
from batchrun.queue.tables import pauses
from batchrun.queue.transaction import Transaction

_FACTS = ("scope", "subject", "reason", "message", "hint", "since", "until", "probes", "probed")
_ALL = Statement(sa.select(*(pauses.c[name] for name in _FACTS)).order_by(pauses.c.scope, pauses.c.subject))
_write = insert_or(pauses, *_FACTS)
_WRITE = Statement(
    _write.on_conflict_do_update(
        index_elements=["scope", "subject"], set_={name: _write.excluded[name] for name in _FACTS[2:]}
    )
)
_BY_HAND = [lit("user"), lit("look")]
_NOTE = Statement(
    _write.on_conflict_do_update(
        index_elements=["scope", "subject"],
        set_={name: _write.excluded[name] for name in _FACTS[2:]},
        where=sa.or_(
            pauses.c.reason.not_in(_BY_HAND), pauses.c.until.is_not(None), _write.excluded.reason.in_(_BY_HAND)
        ),
    )
)
_MEND = Statement(
    pauses.update()
    .where(sa.or_(pauses.c.since > param("now"), pauses.c.probed > param("now")))
    .values(
        since=sa.case((pauses.c.since > param("now"), param("now")), else_=pauses.c.since),
        probed=sa.case((pauses.c.probed > param("now"), param("now")), else_=pauses.c.probed),
    )
)
_LIFT = Statement(pauses.delete().where(pauses.c.scope == param("the_scope"), pauses.c.subject == param("the_subject")))

_OVER = Statement(
    pauses.delete()
    .where(pauses.c.scope == param("the_scope"), pauses.c.subject == param("the_subject"))
    .where(pauses.c.reason == param("why"))
)
_LIFT_REFUSALS = Statement(
    pauses.delete().where(
        pauses.c.scope == lit(PauseScope.RUN),
        pauses.c.subject == param("the_subject"),
        pauses.c.reason.in_([lit("refusals"), lit("pilot")]),
    )
)


def lift_refusals(tx: Transaction, run: RunId) -> None:
    """*run* is not paused any more for what its jobs asked before."""
    tx.run(_LIFT_REFUSALS, the_subject=str(run))


def standing(tx: Transaction) -> Sequence[Pause]:
    return [
        Pause(
            scope=PauseScope(scope),
            subject=subject,
            reason=reason,
            message=message,
            hint=hint,
            since=Millis(since),
            until=until,
            probes=probes,
            probed=probed,
        )
        for scope, subject, reason, message, hint, since, until, probes, probed in tx.rows(_ALL)
    ]


def write(tx: Transaction, pause: Pause) -> None:
    """The pause of its scope and subject, in place of an older one."""
    tx.run(_WRITE, **{name: getattr(pause, name) for name in _FACTS})


def note(tx: Transaction, pause: Pause) -> bool:
    """The same for what an answer asks for; False if a pause stands there that only a person lifts: that one stays."""
    return bool(tx.run(_NOTE, **{name: getattr(pause, name) for name in _FACTS}))


def mend(tx: Transaction, now: Millis) -> int:
    """Pauses that begin later than *now*, or were asked about later, were written by a clock that was wrong: they
    begin now, so that they are asked about in time. Their ends are the API's or a person's words, and stay.
    """
    return tx.run(_MEND, now=now)


def lift(tx: Transaction, scope: PauseScope, subject: str) -> bool:
    """False if there was none."""
    return bool(tx.run(_LIFT, the_scope=scope, the_subject=subject))


def over(tx: Transaction, pause: Pause) -> bool:
    """An answer shows that *pause* is over; False if it is not there, or another one stands in its place."""
    return bool(tx.run(_OVER, the_scope=pause.scope, the_subject=pause.subject, why=pause.reason))


def most(tx: Transaction, run: RunId, account: int | None, model: str, now: Millis) -> int | None:
    """How many jobs the standing pauses let go at *now*: None for any number, 0 for none.

    What a person paused stays until its end. Any other pause lets one job ask whether it is over, when that is due;
    whether one is out already, and whether another key makes it due at once, the scheduler knows.
    """
    subjects = {(PauseScope.RUN, str(run))}
    if account is not None:
        subjects |= {(PauseScope.ACCOUNT, str(account)), (PauseScope.MODEL, f"{account}:{model}")}
    few: int | None = None
    for pause in standing(tx):
        if (pause.scope, pause.subject) not in subjects:
            continue
        if pause.reason == "user" and not pause.probe_due(now):
            return 0
        if pause.scope is PauseScope.RUN and not pause.probe_due(now):
            return 0
        few = 1
    return few
