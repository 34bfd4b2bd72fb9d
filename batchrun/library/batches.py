"""What people do to batches by hand: look at the workspace's, adopt one that is proven, send again, delete results."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from batchrun.clock import SystemClock
from batchrun.core.batch import BatchState, Item, Processing, Remote, Ticket, ticket_of
from batchrun.core.events import BatchTurned, Turn
from batchrun.core.figures import count
from batchrun.core.job import Millis
from batchrun.core.outcome import AccountStopped, Outcome, Refused
from batchrun.core.ports import BatchApi
from batchrun.errors import BatchrunError, Exit, UsageError
from batchrun.library.queue import changing
from batchrun.queue import batches, batchjobs, events
from batchrun.queue.batchlist import batch_named
from batchrun.queue.batchrows import BatchRow
from batchrun.queue.reading import Reading
from batchrun.queue.transaction import Transaction
from batchrun.scheduler.ending import EXITS, said
from batchrun.settings import Settings
from batchrun.wiring import ask

ADOPTABLE = frozenset({BatchState.UNCLEAR, BatchState.LOST})
UNKNOWN = 404


class NoAnswer(BatchrunError):
    """The API did not answer, or said no."""

    exit = Exit.UNREACHABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """The newest batches of the workspace, whoever made them."""

    batches: Sequence[Remote]
    more: bool  #: whether there are older ones


def listed(settings: Settings) -> Listed:
    """Ask the API which batches the workspace has. Raises NoAnswer, KeyRefused."""

    async def question(api: BatchApi) -> Listed:
        page = await api.page()
        if isinstance(page, Outcome):
            raise _no(page, "the workspace's batches")
        return Listed(batches=page.batches, more=page.more)

    return ask(settings, question)


def named(settings: Settings, ref: str) -> BatchRow:
    """The batch of ours that *ref* names. Raises UsageError."""
    with Reading.open(settings.db) as reading:
        row = batch_named(reading, ref)
    if row is None:
        raise UsageError(f"no batch `{ref}` in this queue", hint="`batchrun batches` lists them, as b-1 or msgbatch_…")
    return row


def adopt(settings: Settings, ref: str, remote: str) -> BatchRow:
    """*remote* is the batch *ref* of which nobody knew whether it arrived: proven by its first line, or refused.

    Raises UsageError where it is not, or cannot be proven yet; NoAnswer, KeyRefused.
    """
    row = named(settings, ref)
    if row.batch.state not in ADOPTABLE:
        raise UsageError(f"b-{row.batch.id} is {row.batch.state}: only a batch that is unclear or lost can be adopted")
    found, ticket = ask(settings, partial(_first_line, remote))
    if found.n != row.batch.n:
        raise UsageError(f"{remote} has {count(found.n, 'request')}, and b-{row.batch.id} has {row.batch.n:,}: another")
    now = SystemClock().wall()

    def take(tx: Transaction) -> bool:
        batch = batches.by_token(tx, row.batch.token)
        if batch is None or ticket is None or (ticket.queue, ticket.token) != (batch.queue, batch.token):
            raise UsageError(f"the first line of {remote} is not of b-{row.batch.id}; it was not adopted")
        if batch.state not in ADOPTABLE or not batches.submitted(tx, batch.id, found, now):
            return False
        turn = Turn.LATE if batch.state is BatchState.LOST else Turn.ADOPTED
        _tell(tx, row, turn, f"a batch of {count(row.batch.n, 'job')} was adopted by hand: {remote}", now, remote)
        return True

    with changing(settings) as perform:
        if not perform(take):
            raise UsageError(f"b-{row.batch.id} was decided meanwhile", hint="`batchrun batches` shows how")
    return named(settings, ref)


def resend(settings: Settings, row: BatchRow) -> int:
    """Take the unclear batch *row* for lost: how many of its jobs are queued again. It is still looked for.

    Raises UsageError if it is not unclear, or no longer.
    """
    now = SystemClock().wall()

    def lose(tx: Transaction) -> int | None:
        if not batches.lost(tx, row.batch.id, now, now):
            return None
        n = batchjobs.release(tx, row.batch.id, now, why="sent again by hand, though it may have arrived", sent=True)
        _tell(tx, row, Turn.LOST, f"{count(n, 'job')} of an unclear batch are queued again, as somebody wished", now)
        return n

    with changing(settings) as perform:
        n = perform(lose)
    if n is None:
        raise UsageError(f"b-{row.batch.id} is {row.batch.state}: only of an unclear batch jobs can be sent again")
    return n


def delete(settings: Settings, row: BatchRow) -> bool:
    """Delete the results of *row* at Anthropic; False if they were not there any more.

    Raises UsageError for a batch whose answers are not all stored; NoAnswer, KeyRefused.
    """
    remote = row.batch.remote
    if row.batch.state is not BatchState.DONE or remote is None:
        raise UsageError(
            f"b-{row.batch.id} is {row.batch.state}: only what is collected can be deleted at Anthropic",
            hint="`batchrun run` collects",
        )

    async def question(api: BatchApi) -> bool:
        outcome = await api.delete(remote)
        if outcome is None or _unknown(outcome):
            return outcome is None
        raise _no(outcome, remote)

    return ask(settings, question)


async def _first_line(remote: str, api: BatchApi) -> tuple[Remote, Ticket | None]:
    """*remote* as it stands, and whose its first line is: None for somebody else's."""
    found = await api.find(remote)
    if not isinstance(found, Remote):
        if _unknown(found):
            raise UsageError(f"the workspace of this key has no batch {remote}")
        raise _no(found, remote)
    if found.processing is not Processing.ENDED or found.archived:
        why = "its results are not kept any more" if found.archived else "it has not ended"
        hint = "" if found.archived else "`batchrun run` reads it by itself once it has"
        raise UsageError(f"whose {remote} is stands in its first line, and {why}", hint=hint)
    async with aclosing(api.results(remote)) as items:
        async for item in items:
            if isinstance(item, Item):
                return found, ticket_of(item.custom_id)
            raise _no(item, remote)
    return found, None


def _unknown(outcome: Outcome) -> bool:
    return isinstance(outcome, Refused) and outcome.reply.status == UNKNOWN


def _no(outcome: Outcome, what: str) -> NoAnswer:
    """What the API said instead of an answer, as an error with its exit code."""
    error = NoAnswer(f"no answer about {what} {said(outcome.reply)}".rstrip(), hint="nothing was changed")
    if isinstance(outcome, AccountStopped):
        error.exit = EXITS[outcome.stop]
    return error


def _tell(tx: Transaction, row: BatchRow, turn: Turn, message: str, now: Millis, remote: str | None = None) -> None:
    batch = row.batch
    turned = BatchTurned(at=now, turn=turn, batch=batch.id, run=batch.run, n=batch.n, message=message, remote=remote)
    events.record(tx, [events.row_of(turned)])
