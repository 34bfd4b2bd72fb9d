"""The end of an attempt: its row, its answer and the job's next state at once; late answers have their place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import sqlalchemy as sa

from batchrun.core.claim import Claim, Finish, Kept
from batchrun.core.job import Millis, RunId
from batchrun.core.outcome import Succeeded
from batchrun.core.retry import Cancel, Extend, Fail, GoOn, Release, Succeed, Wait
from batchrun.core.states import State
from batchrun.queue import attempts, jobs, sequel
from batchrun.queue import tables as t
from batchrun.queue.statement import Statement, lit, param
from batchrun.queue.transaction import Transaction


def store(tx: Transaction, finish: Finish, *, repetition: bool = False) -> Kept:
    """Store *finish*. Stored twice it changes nothing the second time.

    *repetition*: it comes from a second copy of the request, which something on the way made.
    """
    claim = finish.claim
    state = _move(tx, finish)
    if state is None:
        return late(tx, finish, repetition=repetition)
    attempts.end(tx, finish)
    answered = isinstance(finish.outcome, Succeeded)
    if answered:
        attempts.keep_answer(tx, finish, winning=state is State.SUCCEEDED)
    attempts.book(tx, claim.run, attempts.out(claim.worst), attempts.ended_as(finish))
    if state in {State.FAILED, State.CANCELLED}:
        return Kept.EARLIER if claim.kept else Kept.CURRENT
    return Kept.ASIDE if answered and state is State.QUEUED else Kept.CURRENT


def _move(tx: Transaction, finish: Finish) -> State | None:
    """Draw the arrow that the decision names, and tell where it led; None if the claim does not hold any more.

    Whoever shall be cancelled is, unless it was answered. An answer that shall only be kept is the job's where nobody
    wants, or can pay for, a better one.
    """
    claim, decision, now = finish.claim, finish.decision, finish.ended
    if isinstance(decision, Succeed):
        return State.SUCCEEDED if jobs.succeed(tx, claim, now) else None
    wished_away = jobs.wished_away(tx, claim)
    if wished_away is None:
        return None
    if isinstance(decision, (Extend, GoOn)):
        if wished_away or not sequel.affords(tx, finish):
            return State.SUCCEEDED if jobs.succeed(tx, claim, now) else None
        return State.QUEUED if sequel.asks_on(tx, finish) else None
    if wished_away:
        return State.CANCELLED if jobs.stop(tx, claim, now) else None
    match decision:
        case Fail():
            return State.FAILED if jobs.fail(tx, claim, now, attempts.word_of(finish.outcome)) else None
        case Wait(seconds=seconds, counts=counts):
            due = finish.due if finish.due is not None else Millis(now + round(seconds * 1000))
            word = attempts.word_of(finish.outcome)
            return State.WAITING if jobs.wait(tx, claim, due, word, counts=counts) else None
        case Release():
            return State.QUEUED if jobs.release(tx, claim) else None
        case Cancel():
            return State.CANCELLED if jobs.stop(tx, claim, now) else None
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
        kept=sa.null(),
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
    decision = finish.decision
    aside = isinstance(decision, Fail) or (isinstance(decision, (Extend, GoOn)) and sequel.keep(tx, claim))
    wins = not aside and bool(tx.run(_LATE, job=claim.job, n=claim.attempt, was=state, now=finish.ended))
    if wins:
        tx.moved(run, model, state, State.SUCCEEDED)
        if state is State.IN_BATCH:  # its batch does not hold it any more, and may end without a word of it
            attempts.doubt(tx, run, claim.job, job[3], finish.ended, "an earlier attempt was answered after all")
    attempts.keep_answer(tx, finish, winning=wins)
    if claim.attempt > job[3]:
        tx.run(_COUNTED, job=claim.job, n=claim.attempt)
    return Kept.ASIDE if aside else Kept.LATE if wins else Kept.TWICE


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
