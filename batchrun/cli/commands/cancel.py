"""`batchrun cancel`: stop a run, or single jobs; what came in is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from batchrun.cli import options
from batchrun.cli.call import Call
from batchrun.cli.confirm import confirmed
from batchrun.cli.output import document
from batchrun.cli.screen import Mark, clean
from batchrun.core.figures import count
from batchrun.core.job import RunId
from batchrun.core.states import State
from batchrun.errors import BatchrunError, Exit, UsageError, WorkerBusy
from batchrun.report import batches

if TYPE_CHECKING:
    from batchrun.core.events import Event
    from batchrun.core.select import Selection
    from batchrun.library.wishes import Stoppable
    from batchrun.queue.batchrows import BatchRow
    from batchrun.queue.cancelling import Cancelled


NO_RUN = RunId(0)


@options.command(
    "batchrun cancel nightly", "batchrun cancel nightly -s state:waiting --yes", 'batchrun cancel -s "id:doc-4*"'
)
@options.optional_run
@options.select
@options.dry_run
@options.yes
@options.json
def cancel(call: Call, run: str | None, select: Selection | None, dry_run: bool, yes: bool, json: bool) -> Exit:
    """Stop a run, or those of its jobs that -s names. Answers that are in are kept.

    Name the run, or give -s for jobs of the last one. The batches of a run are cancelled at Anthropic here and now,
    or by the worker that is at it; what they have done by then is billed and kept. Single jobs of a batch, realtime
    requests that are out, and jobs of a batch that is unclear cannot be called back: an answer that comes is kept.
    `batchrun retry -s state:cancelled` puts cancelled jobs back.
    """
    from batchrun.library import wishes

    if run is None and select is None:
        raise UsageError("which run? `RUN` is missing", hint="`batchrun status` names them; or give jobs with -s")
    screen = call.screen
    what = wishes.stoppable(call.settings, run or "last", select)
    rows = _rows(call, what)
    if dry_run or not what.jobs:
        if json:
            document(screen, "cancel", {"dry_run": dry_run, **_record(what, 0, 0, rows)})
        else:
            screen.say(f"Nothing to cancel: {_kept(what)}" if not what.jobs else _words(what, rows))
        return Exit.OK
    if not yes:
        screen.must_say(_words(what, rows))
    refusal = UsageError(f"this cancels {count(what.jobs, 'job')}; pass --yes")
    if not confirmed(screen, f"Cancel {what.jobs:,}?", yes=yes, refusal=refusal):
        screen.must_say("Nothing was cancelled.")
        return Exit.USAGE
    done = wishes.cancel(call.settings, what)
    if not json:
        screen.say(_said(call, what, done, whole=select is None))
    if rows and select is None:
        _tell_anthropic(call)
    if json:
        rows = _rows(call, what)
        document(screen, "cancel", {"dry_run": False, **_record(what, done.cancelled, done.wished, rows)})
        return Exit.OK
    with call.reading() as reading:
        out = min(done.wished, reading.run(what.run.ref).sent)  # some may have come in by that look
    if out:
        screen.say(f"{count(out, 'job')} may be at Anthropic: an answer that comes is kept")
    if select is None:
        for alert in batches.alerts(_rows(call, what), call.now):
            command = f"   {call.typed(alert.command)}" if alert.command else ""
            screen.say(clean(f"{alert.text}{command}"))
    return Exit.OK


def _rows(call: Call, what: Stoppable) -> list[BatchRow]:
    """The open batches of the run."""
    with call.reading() as reading:
        return [row for row in reading.overview().batches if row.batch.run == what.run.id]


def _tell_anthropic(call: Call) -> None:
    """One look at what is out, which cancels what is to be cancelled; if that cannot be now, the next `run` does it."""
    from batchrun import wiring

    look = wiring.Wish(only=NO_RUN, once=True)  # no job is sent, and nothing waited for
    try:
        ended = wiring.run_pass(call.settings, look, _Nobody())
        problem = ended.message if ended.exit is not Exit.OK else ""
    except WorkerBusy as busy:
        call.screen.say(f"{clean(busy.message)}: it cancels the batches at its next look")
        return
    except BatchrunError as error:
        problem = error.message
    if problem:
        run = call.typed("batchrun run")
        call.screen.must_say(clean(f"the batches are not cancelled at Anthropic yet: {problem}; `{run}` tries again"))


def _said(call: Call, what: Stoppable, done: Cancelled, *, whole: bool) -> str:
    """What became of the jobs; *whole*: all of the run's were meant."""
    mark, name = call.screen.talk_mark(Mark.OK), clean(what.run.name)
    if done.cancelled or not done.wished:
        return f"{mark} cancelled {count(done.cancelled, 'job')} of run {name}"
    if whole:
        return f"{mark} cancelled run {name}: all of its jobs that are left are out"
    return f"{mark} none is cancelled yet: all of the jobs of run {name} that were chosen are out"


class _Nobody:
    """Listens to nothing."""

    def emit(self, event: Event) -> None:
        pass


def _words(what: Stoppable, rows: Sequence[BatchRow]) -> str:
    told = f"{_kept(what)}. {count(what.jobs, 'job')} would be stopped."
    if not what.sent:
        return told
    told += f" {what.sent:,} of them may be at Anthropic: they may still be billed, and an answer that comes is kept."
    if what.selection is not None:
        return f"{told} Single jobs of a batch cannot be stopped there." if rows else told
    standing = [row for row in rows if row.batch.remote is not None]
    if standing:
        told += f" {count(len(standing), 'batch is', 'batches are')} cancelled there."
    unclear = sum(row.batch.n for row in rows if row.batch.remote is None)
    if unclear:
        told += f" {count(unclear, 'job')} cannot be stopped before it is known whether their batch stands."
    return told


def _kept(what: Stoppable) -> str:
    n = what.run.n(State.SUCCEEDED)
    return f"run {clean(what.run.name)} has {count(n, 'answer')}, which {'is' if n == 1 else 'are'} kept"


def _record(what: Stoppable, cancelled: int, wished: int, rows: Sequence[BatchRow]) -> dict[str, object]:
    return {
        "run": {"id": what.run.ref, "name": what.run.name},
        "open": what.jobs,
        "sent": what.sent,
        "cancelled": cancelled,
        "wished": wished,
        "batches": [{"id": batches.ref(row), "standing": batches.word(row), "jobs": row.batch.n} for row in rows],
    }
