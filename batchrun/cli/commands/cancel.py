"""`batchrun cancel`: stop a run, or single jobs; what came in is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchrun.cli import options
from batchrun.cli.call import Call
from batchrun.cli.confirm import confirmed
from batchrun.cli.output import document
from batchrun.cli.screen import Mark, clean
from batchrun.core.figures import count
from batchrun.core.states import State
from batchrun.errors import Exit, UsageError

if TYPE_CHECKING:
    from batchrun.core.select import Selection
    from batchrun.library.wishes import Stoppable


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

    Name the run, or give -s for jobs of the last one. What is at Anthropic cannot be called back: it may still be
    billed, and its answer is kept if it comes. `batchrun retry -s state:cancelled` puts cancelled jobs back.
    """
    from batchrun.library import wishes

    if run is None and select is None:
        raise UsageError("which run? `RUN` is missing", hint="`batchrun status` names them; or give jobs with -s")
    screen = call.screen
    with call.reading():
        pass  # says whether the queue is a simulated one
    what = wishes.stoppable(call.settings, run or "last", select)
    if dry_run or not what.jobs:
        if json:
            document(screen, "cancel", {"dry_run": dry_run, **_record(what, 0, 0)})
        else:
            screen.say(f"Nothing to cancel: {_kept(what)}" if not what.jobs else _words(what))
        return Exit.OK
    if not yes:
        screen.must_say(_words(what))
    refusal = UsageError(f"this cancels {count(what.jobs, 'job')}; pass --yes")
    if not confirmed(screen, f"Cancel {what.jobs:,}?", yes=yes, refusal=refusal):
        screen.must_say("Nothing was cancelled.")
        return Exit.USAGE
    done = wishes.cancel(call.settings, what)
    if json:
        document(screen, "cancel", {"dry_run": False, **_record(what, done.cancelled, done.wished)})
        return Exit.OK
    screen.say(f"{screen.talk_mark(Mark.OK)} cancelled {count(done.cancelled, 'job')} of run {clean(what.run.name)}")
    if done.wished:
        screen.say(f"{count(done.wished, 'job')} may be at Anthropic: an answer that comes is kept")
    return Exit.OK


def _words(what: Stoppable) -> str:
    sent = ""
    if what.sent:
        sent = (
            f" {what.sent:,} of them may be at Anthropic: they may still be billed, and an answer that comes is kept."
        )
    return f"{_kept(what)}. {count(what.jobs, 'job')} would be stopped.{sent}"


def _kept(what: Stoppable) -> str:
    n = what.run.n(State.SUCCEEDED)
    return f"run {clean(what.run.name)} has {count(n, 'answer')}, which {'is' if n == 1 else 'are'} kept"


def _record(what: Stoppable, cancelled: int, wished: int) -> dict[str, object]:
    return {
        "run": {"id": what.run.ref, "name": what.run.name},
        "open": what.jobs,
        "sent": what.sent,
        "cancelled": cancelled,
        "wished": wished,
    }
