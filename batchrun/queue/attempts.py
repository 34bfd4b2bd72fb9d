"""How an attempt ends on the books: what the API said, what it cost, and whether that is certain."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from batchrun.core.batch import Won
from batchrun.core.claim import Finish
from batchrun.core.job import JobId, Millis, RunId
from batchrun.core.outcome import Billed, Dropped, Outcome, Succeeded, billed
from batchrun.queue.statement import Row, Statement, columns_of, lit, param
from batchrun.queue.tables import attempts, results
from batchrun.queue.transaction import Transaction

_FACTS = (
    "sent",
    "ended",
    "outcome",
    "status",
    "error_type",
    "error_code",
    "message",
    "request_id",
    "other_ids",
    "input",
    "output",
    "thinking",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "cost",
    "billed",
)
_END = Statement(
    attempts.update()
    .where(attempts.c.job == param("the_job"), attempts.c.n == param("the_n"))
    .values({name: param(name) for name in _FACTS})
)
_USAGE = ("input", "output", "thinking", "cache_read", "cache_write_5m", "cache_write_1h")
_WON = ("sent", "ended", *_USAGE, "cost", "the_job", "the_n")
_END_WON = Statement(
    attempts.update()
    .where(attempts.c.job == param("the_job"), attempts.c.n == param("the_n"))
    .values(**{name: param(name) for name in _WON[:-2]}, outcome=lit("ok"), billed=lit(Billed.YES))
)
_RELEASE = Statement(
    attempts.update()
    .where(attempts.c.job == param("the_job"), attempts.c.n == param("the_n"))
    .where(sa.or_(attempts.c.outcome.is_(None), attempts.c.outcome == lit("unknown")))
    .values(outcome=lit("released"), ended=param("now"), billed=lit("no"), message=sa.null())
)
_DOUBT = Statement(
    attempts.update()
    .where(attempts.c.job == param("the_job"), attempts.c.n == param("the_n"), attempts.c.outcome.is_(None))
    .values(outcome=lit("unknown"), ended=param("now"), billed=lit("maybe"), message=param("why"))
)
_FIND = Statement(
    sa.select(attempts.c.outcome, attempts.c.cost, attempts.c.worst, attempts.c.billed)
    .where(attempts.c.job == param("the_job"), attempts.c.n == param("the_n"))
    .with_for_update()
)
_KEEP = Statement(columns_of(results, "job", "attempt", "winning", "body", "stop_reason", "received"))


def word_of(outcome: Outcome) -> str:
    """The class of an error in one word: the API's own where it has one."""
    reply = outcome.reply
    if isinstance(outcome, Succeeded):
        return outcome.answer.stop_reason
    if isinstance(outcome, Dropped) and outcome.timed_out:
        return reply.error_code or reply.error_type or "timed_out"
    return reply.error_code or reply.error_type or type(outcome).__name__.lower()


@dataclass(frozen=True, slots=True)
class Booked:
    """What an attempt counts for in the sums of its run."""

    spent: int = 0
    reserved: int = 0
    possibly: bool = False  #: it may have been billed


def charge(certainty: str | None, cost: int | None, worst: int | None) -> int:
    """What an ended attempt counts for: its cost, its worst case where that is not known, nothing if not billed."""
    if certainty == Billed.NO:
        return 0
    if certainty == Billed.YES and cost is not None:
        return cost
    return (cost if worst is None else worst) or 0


def end(tx: Transaction, finish: Finish) -> None:
    """Write down how the attempt ended."""
    outcome = finish.outcome
    reply = outcome.reply
    usage = outcome.answer.usage if isinstance(outcome, Succeeded) else None
    tx.run(
        _END,
        the_job=finish.claim.job,
        the_n=finish.claim.attempt,
        sent=finish.sent,
        ended=finish.ended,
        outcome="ok" if usage is not None else "error",
        status=reply.status,
        error_type=reply.error_type,
        error_code=reply.error_code,
        message=reply.message or None,
        request_id=reply.request_id,
        other_ids=json.dumps(reply.other_ids) if reply.other_ids else None,
        input=usage and usage.input,
        output=usage and usage.output,
        thinking=usage and usage.thinking,
        cache_read=usage and usage.cache_read,
        cache_write_5m=usage and usage.cache_write_5m,
        cache_write_1h=usage and usage.cache_write_1h,
        cost=finish.cost,
        billed=billed(outcome).value,
    )


def end_won(tx: Transaction, won: Sequence[Won], sent: Millis | None, now: Millis) -> None:
    """The attempts of a batch that brought an answer are over, and each answer is its job's result."""
    tx.run_many(_END_WON, _WON, (_won(each, sent, now) for each in won))
    rows = [(each.job, each.attempt, 1, each.answer.body, each.answer.stop_reason, now) for each in won]
    tx.run_many(_KEEP, ("job", "attempt", "winning", "body", "stop_reason", "received"), rows)


def _won(each: Won, sent: Millis | None, now: Millis) -> Row:
    usage = each.answer.usage
    return (
        sent,
        now,
        usage.input,
        usage.output,
        usage.thinking,
        usage.cache_read,
        usage.cache_write_5m,
        usage.cache_write_1h,
        each.cost,
        each.job,
        each.attempt,
    )


def book(tx: Transaction, run: RunId, was: Booked, now: Booked) -> None:
    """An attempt of *run* that counted as it *was* counts as *now*."""
    tx.pay(run, spent=now.spent - was.spent, reserved=now.reserved - was.reserved)
    if was.possibly or now.possibly:
        tx.doubt(run, now.possibly - was.possibly, now.spent * now.possibly - was.spent * was.possibly)


def out(worst: int | None) -> Booked:
    return Booked(reserved=worst or 0)


def ended(certainty: str | None, cost: int | None, worst: int | None) -> Booked:
    return Booked(spent=charge(certainty, cost, worst), possibly=certainty == Billed.MAYBE)


def ended_as(finish: Finish) -> Booked:
    return ended(billed(finish.outcome), finish.cost, finish.claim.worst)


def give_back(tx: Transaction, job: JobId, n: int, now: Millis) -> bool:
    """The attempt never left; False if it had ended already."""
    return bool(tx.run(_RELEASE, the_job=job, the_n=n, now=now))


def doubt(tx: Transaction, run: RunId, job: JobId, n: int, now: Millis, why: str) -> None:
    """Nobody waits for the attempt any more: should its answer come all the same, what it cost is put right."""
    row = tx.row(_FIND, the_job=job, the_n=n)
    if row is not None and tx.run(_DOUBT, the_job=job, the_n=n, now=now, why=why):
        worst = row[2]
        book(tx, run, out(worst), ended(Billed.MAYBE, None, worst))


def found(tx: Transaction, job: JobId, n: int) -> tuple[str | None, Booked] | None:
    """Its outcome (None while it is out) and what it counts for; None if there is no such attempt."""
    row = tx.row(_FIND, the_job=job, the_n=n)
    if row is None:
        return None
    outcome, cost, worst, certainty = row
    return outcome, out(worst) if outcome is None else ended(certainty, cost, worst)


def keep_answer(tx: Transaction, finish: Finish, *, winning: bool) -> None:
    assert isinstance(finish.outcome, Succeeded)
    answer = finish.outcome.answer
    tx.run(
        _KEEP,
        job=finish.claim.job,
        attempt=finish.claim.attempt,
        winning=int(winning),
        body=answer.body,
        stop_reason=answer.stop_reason,
        received=finish.ended,
    )
