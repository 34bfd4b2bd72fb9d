"""The end of an attempt: its row, its answer and the job's next state at once; late answers have their place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import sqlalchemy as sa

from batchrun.core.claim import Claim, Finish, Kept
from batchrun.core.job import Millis, RunId
from batchrun.core.outcome import Succeeded
from batchrun.core.retry import Cancel, Fail, Release, Succeed, Wait
from batchrun.core.states import State
from batchrun.queue import attempts, jobs
from batchrun.queue import tables as t
from batchrun.queue.statement import Statement, lit, param
from batchrun.queue.transaction import Transaction


def store(tx: Transaction, finish: Finish, *, repetition: bool = False) -> Kept:
    """Store *finish*. Stored twice it changes nothing the second time.

    *repetition*: it comes from a second copy of the request, which something on the way made.
    """
    claim = finish.claim
    if not _move(tx, finish):
        return late(tx, finish, repetition=repetition)
    attempts.end(tx, finish)
    if isinstance(finish.outcome, Succeeded):
        attempts.keep_answer(tx, finish, winning=isinstance(finish.decision, Succeed))
    attempts.book(tx, claim.run, attempts.out(claim.worst), attempts.ended_as(finish))
    return Kept.CURRENT


def _move(tx: Transaction, finish: Finish) -> bool:
    """Draw the arrow that the decision names; whoever shall be cancelled is, unless it succeeded."""
    claim, decision, now = finish.claim, finish.decision, finish.ended
    if isinstance(decision, Succeed):
        return jobs.succeed(tx, claim, now)
    wished_away = jobs.wished_away(tx, claim)
    if wished_away is None:
        return False
    if wished_away:
        return jobs.stop(tx, claim, now)
    match decision:
        case Fail():
            return jobs.fail(tx, claim, now, attempts.word_of(finish.outcome))
        case Wait(seconds=seconds, counts=counts):
            due = finish.due if finish.due is not None else Millis(now + round(seconds * 1000))
            return jobs.wait(tx, claim, due, attempts.word_of(finish.outcome), counts=counts)
        case Release():
            return jobs.release(tx, claim)
        case Cancel():
            return jobs.stop(tx, claim, now)
        case _:
            assert_never(decision)


_JOB = Statement(
    sa.select(t.jobs.c.run, t.jobs.c.model, t.jobs.c.state, t.jobs.c.attempt)
    .where(t.jobs.c.id == param("job"))
    .with_for_update()
)
_LATE = Statement(
    t.jobs.update()
    .where(t.jobs.c.id == param("job"), t.jobs.c.state == param("was"), t.jobs.c.state != lit(State.SUCCEEDED))
    .where(t.jobs.c.asked <= param("n"))
    .values(
        state=lit(State.SUCCEEDED),
        owner=sa.null(),
        batch=sa.null(),
        due=sa.null(),
        error=sa.null(),
        finished=param("now"),
    )
)
_COUNTED = Statement(  # an attempt that the job does not know of: a backup was restored, and its batch taken back
    t.jobs.update()
    .where(t.jobs.c.id == param("job"), t.jobs.c.attempt < param("n"))
    .where(t.jobs.c.state.not_in([lit(State.RUNNING), lit(State.IN_BATCH)]))
    .values(attempt=param("n"))
)
_KEPT = Statement(
    sa.select(t.results.c.winning, t.results.c.body == param("received")).where(
        t.results.c.job == param("job"), t.results.c.attempt == param("n")
    )
)


def late(tx: Transaction, finish: Finish, *, repetition: bool = False) -> Kept:
    """The claim had ended before: an answer is kept all the same, and becomes the job's if it has none.

    An answer to what the job asked before its request changed is only kept. An attempt that ended in an error may
    still be answered, once, by a repetition of its request; what was answered stays as it is.
    Whoever holds the job now loses it. What the attempt was thought to cost is put right; but what the first copy of
    a repeated request may have cost stays on the books.
    """
    claim = finish.claim
    was = attempts.found(tx, claim.job, claim.attempt)
    job = tx.row(_JOB, job=claim.job)
    if was is None or job is None:
        return Kept.STALE  # pruned
    outcome, booked = was
    run, model, state = RunId(job[0]), job[1], State(job[2])
    if outcome == "ok" or (outcome == "error" and not isinstance(finish.outcome, Succeeded)):
        return _again(tx, finish)
    attempts.end(tx, finish)
    attempts.book(tx, run, booked, attempts.ended_as(finish))
    if repetition:
        tx.pay(run, spent=booked.spent)
    if not isinstance(finish.outcome, Succeeded):
        return Kept.STALE
    wins = bool(tx.run(_LATE, job=claim.job, n=claim.attempt, was=state, now=finish.ended))
    if wins:
        tx.moved(run, model, state, State.SUCCEEDED)
        if state is State.IN_BATCH:  # its batch does not hold it any more, and may end without a word of it
            attempts.doubt(tx, run, claim.job, job[3], finish.ended, "an earlier attempt was answered after all")
    attempts.keep_answer(tx, finish, winning=wins)
    if claim.attempt > job[3]:
        tx.run(_COUNTED, job=claim.job, n=claim.attempt)
    return Kept.LATE if wins else Kept.TWICE


def _again(tx: Transaction, finish: Finish) -> Kept:
    """The attempt had ended so before: with this very answer, or with another one to the same request.

    Answers are told apart by their text, which holds the id of the message: results are files that do not change.
    """
    received = finish.outcome.answer.body if isinstance(finish.outcome, Succeeded) else None
    kept = tx.row(_KEPT, job=finish.claim.job, n=finish.claim.attempt, received=received)
    if kept is None:
        return Kept.STALE
    winning, same = kept
    if same is not None and not same:
        return Kept.REPEATED
    return Kept.CURRENT if winning else Kept.TWICE


def release(tx: Transaction, claims: Sequence[Claim], now: Millis) -> None:
    """Give back what was never sent; what shall be cancelled is. A claim that had ended is only put right."""
    for claim in claims:
        was = attempts.found(tx, claim.job, claim.attempt)
        if was is None or not attempts.give_back(tx, claim.job, claim.attempt, now):
            continue
        attempts.book(tx, claim.run, was[1], attempts.Booked())
        if jobs.wished_away(tx, claim):
            jobs.stop(tx, claim, now)
        else:
            jobs.release(tx, claim)
