"""What `status --check` finds: whether all is well, as an exit code, and what is not."""

from __future__ import annotations

from collections.abc import Sequence

from batchrun.cli.call import Call
from batchrun.cli.screen import clean
from batchrun.core.figures import count
from batchrun.core.job import Millis
from batchrun.core.states import RunState, State
from batchrun.errors import Exit
from batchrun.queue.rows import Overview, RunSummary
from batchrun.report import summary
from batchrun.report.cures import word


def verdict(
    call: Call, seen: Overview, runs: Sequence[RunSummary], patience: float | None, worked: Millis | None
) -> Exit:
    """Whether all is done, and done well: the newest run's failures count, and any run's jobs that are left.

    With *patience*, jobs that are left count only if nobody has worked on them for more seconds than that; the last
    worker is known to have *worked* until then. Quiet, it says what is not well.
    """
    screen = call.screen
    left = [run for run in runs if run.state is RunState.LOADING or (run.state is RunState.OPEN and run.left)]
    if patience is not None:
        left = [run for run in left if not seen.workers and _unattended(run, worked, call.now) > patience]
    for run in left if screen.quiet else ():
        doing = summary.doing(run, seen, call.now)
        facts = f"{clean(run.name)} ({run.ref}): {count(run.left, 'job')} left; {doing.words}"
        screen.must_say(f"{facts}: {clean(call.typed(doing.command))}" if doing.command else facts)
    if left:
        return Exit.PENDING
    if not runs or not runs[0].n(State.FAILED):
        return Exit.OK
    if screen.quiet:
        run, look = runs[0], clean(call.typed(f"batchrun errors {word(runs[0].name)}"))
        screen.must_say(f"{clean(run.name)} ({run.ref}): {count(run.n(State.FAILED), 'job')} failed: {look}")
    return Exit.FAILED_JOBS


def _unattended(run: RunSummary, worked: Millis | None, now: Millis) -> float:
    """Seconds for which nobody has worked on *run*, which has something to do; none while its hours keep it back."""
    if run.n(State.IN_BATCH) == 0 and summary.opening(run, now) is not None:
        return 0.0
    return (now - max(worked or run.created, run.created)) / 1000
