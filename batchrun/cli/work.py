"""One pass in front of the user: what `run`, `submit` and `retry` do once there is something to do."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from batchrun.cli import progress
from batchrun.cli.call import Call
from batchrun.cli.main import rendered
from batchrun.cli.output import amount, at, dumps, headed
from batchrun.cli.screen import clean
from batchrun.cli.tally import Out, Progress
from batchrun.core.figures import count, dollars, span
from batchrun.core.job import Nanos, RunId
from batchrun.core.states import RunState, State
from batchrun.errors import BatchrunError, Exit, KeyRefused, WorkerBusy
from batchrun.queue.batchlist import held_for
from batchrun.report import batches
from batchrun.report.cures import cure_of, word
from batchrun.report.summary import possibly

if TYPE_CHECKING:
    from batchrun.queue.batchrows import BatchRow
    from batchrun.queue.reading import Reading
    from batchrun.queue.rows import RunSummary
    from batchrun.scheduler.terms import Ended
    from batchrun.settings import Settings
    from batchrun.wiring import Wish

STOPPED = frozenset({Exit.INTERRUPTED, Exit.TERMINATED})


def start(
    call: Call,
    settings: Settings,
    ref: str,
    record: dict[str, Any],
    *,
    only_stored: bool,
    json: bool,
    max_cost: Nanos | None = None,
    wait: bool = False,
) -> Exit:
    """Send what there is of the run *ref*, unless that is not wanted, or somebody else works on this queue.

    Ends once its batches stand, or once they are collected if it shall *wait*. *record* is what a program is told of
    how it came to this. Raises KeyRefused, saying what is stored all the same.
    """
    from batchrun.wiring import Wish

    with call.reading() as reading:
        run = reading.run(ref)
    screen, name = call.screen, word(run.name)
    if only_stored or not run.left:
        if run.left > run.n(State.HELD):
            screen.say(f"To send them:  {clean(call.typed(f'batchrun run {name}'))}")
        return at_rest(call, settings, run, record, json=json)
    try:
        wish = Wish(only=run.id, max_cost=max_cost, detach=not wait)
        return work(call, settings, wish, json=json, launch=record)
    except KeyRefused as refused:
        n, send = run.left - run.n(State.HELD), call.typed(f"batchrun run {name}")
        stored = f"{count(n, 'job')} of run {run.name} {'is' if n == 1 else 'are'} stored"
        raise KeyRefused(
            f"{refused.message}; {stored}",
            hint=f"`{send}` sends {'it' if n == 1 else 'them'} once there is a good key: {refused.hint}",
        ) from refused
    except WorkerBusy as busy:
        look = clean(call.typed(f"batchrun status {name}"))
        screen.say(f"{clean(busy.message)}\nIt takes these jobs too. To look:  {look}")
        return at_rest(call, settings, run, record, json=json)


def work(call: Call, settings: Settings, wish: Wish, *, json: bool, launch: dict[str, Any] | None = None) -> Exit:
    """Do one pass, show how it goes, say how it ended, and return its exit code.

    With *json* the one `launch` record (with what *launch* adds) and the one `done` record are written to stdout.
    Raises WorkerBusy, KeyRefused and what else keeps a pass from beginning.
    """
    from batchrun import wiring

    screen = call.screen
    begun = time.monotonic()
    with call.reading() as reading:
        seen = reading.overview(every=True)
    before = {run.id: run for run in seen.runs}
    sink = progress.watch(
        screen,
        _known(before, wish.only),
        batches={
            row.batch.id: Out(run=row.batch.run, n=row.batch.n, since=row.since)
            for row in seen.batches
            if wish.only in {None, row.batch.run}
        },
        style=settings.progress,
        verbose=call.flags.verbose,
        log_file=settings.log_file,
        ask=lambda run: _stranger(call, run, before.get(run)),
    )
    with ExitStack() as stack:

        def ready() -> None:
            runs = [{"id": f"r-{run.id}", "name": run.name} for run in sink.tally.runs.values()]
            body = {"database": settings.db, "pid": os.getpid(), "runs": runs, **(launch or {})}
            _event(call, settings, "launch", body, json=json)
            stack.enter_context(sink)
            settle()

        ended = wiring.run_pass(settings, wish, sink, ready=ready)
    with call.reading() as reading:
        runs = [reading.run(f"r-{run}") for run in sink.tally.runs]
        runs += _came_in(reading, {row.batch.run for row in seen.batches} - sink.tally.runs.keys(), before)
        out = reading.overview().batches
    code = _exit(ended, runs)
    seconds = time.monotonic() - begun
    _event(call, settings, "done", _done(ended, code, runs, seconds), json=json)
    _tell(call, ended, code, runs, before, seconds)
    _tell_batches(call, runs, out, parting=wish.detach)
    return code


def _came_in(reading: Reading, others: Iterable[RunId], before: Mapping[RunId, RunSummary]) -> list[RunSummary]:
    """Those of *others*, cancelled runs that had batches out, for which anything came in."""
    now = [reading.run(f"r-{run}") for run in sorted(others)]
    return [run for run in now if run.n(State.IN_BATCH) != before[run.id].n(State.IN_BATCH)]


def settle() -> None:
    """Keep the collector from looking again and again at all that is loaded by now, and stays.

    That would take a sixth of the processor time of a submit or a pass (measured 2026-11).
    """
    gc.collect()
    gc.freeze()


def at_rest(call: Call, settings: Settings, run: RunSummary, launch: dict[str, Any], *, json: bool) -> Exit:
    """The two records where there is no pass: the jobs are stored, or there is nothing to do."""
    runs = [{"id": run.ref, "name": run.name}]
    _event(call, settings, "launch", {"database": settings.db, "pid": None, "runs": runs, **launch}, json=json)
    _event(call, settings, "done", {"exit": 0, "message": "", "hint": "", "runs": [_record(run)]}, json=json)
    return Exit.OK


def _event(call: Call, settings: Settings, name: str, body: dict[str, Any], *, json: bool) -> None:
    """One of the two records of a command that takes its time: to stdout, and among the JSON lines of its progress."""
    screen = call.screen
    line = dumps({"event": name, **headed(screen, name, {"at": at(progress.wall()), **body})}, screen)
    if json:
        screen.line(line)
        screen.out.flush()
    if settings.progress == "json":
        screen.must_say(line)


def _known(runs: Mapping[RunId, RunSummary], only: RunId | None) -> list[Progress]:
    """How far the runs are that have something to do."""
    return [
        Progress(
            id=run.id,
            name=run.name,
            total=run.total,
            succeeded=run.n(State.SUCCEEDED),
            failed=run.n(State.FAILED),
            cancelled=run.n(State.CANCELLED),
            waiting=run.n(State.WAITING),
            cost=run.spent,
        )
        for run in reversed(list(runs.values()))
        if run.state is RunState.OPEN and only in {None, run.id}
    ]


def _stranger(call: Call, run: RunId, before: RunSummary | None) -> Progress | None:
    """How far a run was that was not open *before* the pass: new, or opened again by a `retry` or a `submit`."""
    try:
        with call.reading() as reading:
            now = reading.run(f"r-{run}")
    except BatchrunError:
        return None  # the pass itself will say so
    progress = Progress(id=run, name=now.name, total=now.total)
    if before is not None:
        progress.succeeded, progress.cost = before.n(State.SUCCEEDED), before.spent
        progress.failed = min(before.n(State.FAILED), now.n(State.FAILED))  # a retry put some of them back
        progress.cancelled = min(before.n(State.CANCELLED), now.n(State.CANCELLED))
    return progress


def _exit(ended: Ended, runs: Sequence[RunSummary]) -> Exit:
    done = {run for run, _ in ended.done}
    if ended.exit is Exit.OK and any(run.n(State.FAILED) for run in runs if run.id in done):
        return Exit.FAILED_JOBS
    return ended.exit


def _tell(
    call: Call,
    ended: Ended,
    code: Exit,
    runs: Sequence[RunSummary],
    before: Mapping[RunId, RunSummary],
    seconds: float,
) -> None:
    """How it ended; nothing when quiet and all is well."""
    screen = call.screen
    tell = screen.say if code is Exit.OK else screen.must_say
    for run in runs:
        tell(_line(call, run, before.get(run.id), code, seconds))
    if code in STOPPED:
        return
    if ended.exit not in {Exit.OK, Exit.PENDING}:  # of what is pending `wait` tells
        screen.must_say(rendered(BatchrunError(ended.message, ended.hint), screen))
    elif ended.message and ended.exit is Exit.OK:
        screen.say(screen.typed(f"{ended.message}; {ended.hint}" if ended.hint else ended.message))
    elif not runs:
        screen.say("Nothing is due.")
    for run in runs:
        if run.n(State.HELD):
            screen.say(held(call, run))
        if run.state is RunState.DONE:
            name = word(run.name)
            screen.say(clean(f"Answers:  {call.typed(f'batchrun results {name}')}"))
            if run.n(State.FAILED):
                screen.say(clean(f"What failed, and what to do:  {call.typed(f'batchrun errors {name}')}"))


def _tell_batches(call: Call, runs: Sequence[RunSummary], out: Sequence[BatchRow], *, parting: bool) -> None:
    """What of *runs* is at Anthropic all the same, and, when *parting*, what to type next."""
    screen = call.screen
    for run in runs:
        if not run.n(State.IN_BATCH):
            continue
        rows = [row for row in out if row.batch.run == run.id]
        facts = batches.out(rows, call.now)
        n = count(run.n(State.IN_BATCH), "job")
        screen.say(clean(f"{n} in batches{f': {facts}' if facts else ''}"))
        for row in rows:
            if batches.is_unclear(row):
                screen.say(clean(batches.unclear(row, call.now)))
        if parting:
            name = word(run.name)
            look, collect, wait = (call.typed(f"batchrun {verb} {name}") for verb in ("status", "run", "wait"))
            screen.say(clean(f"You can close this terminal. To look:  {look}   To collect:  {collect}  or  {wait}"))


def held(call: Call, run: RunSummary) -> str:
    """How many jobs of *run* wait for a word from the user, why, and what to type."""
    with call.reading() as reading:
        errors = held_for(reading, run.id)
    cure = cure_of(min(errors) if len(errors) == 1 else "", None, held=True)
    command = cure.written(run=run.name, file="", error="", typed=call.typed)
    return clean(f"{run.n(State.HELD):,} held: {cure.means}. {command}")


def _line(call: Call, run: RunSummary, before: RunSummary | None, code: Exit, seconds: float) -> str:
    if code in STOPPED and run.left:
        command = clean(call.typed(f"batchrun run {word(run.name)}"))
        facts = f"{run.finished:,} done, {run.left:,} to do, nothing lost{_given_up(run, before)}"
        return f"Stopped. {facts}. Continue:  {command}"
    counts = [
        ("succeeded", State.SUCCEEDED),
        ("failed", State.FAILED),
        ("cancelled", State.CANCELLED),
        *([("sent", State.IN_BATCH)] if run.n(State.IN_BATCH) else []),
        *([("queued", State.QUEUED), ("waiting", State.WAITING), ("held", State.HELD)] if run.left else []),
    ]
    facts = " ".join(f"{name}={run.n(state)}" for name, state in counts)
    label = "Open." if run.left else "Done."
    money = f"cost={dollars(run.spent)}{f' possibly_billed={run.possibly}' if run.possibly else ''}"
    return f"{label} run={clean(run.name)} {facts} total={run.total} {money} elapsed={span(seconds)}"


def _given_up(run: RunSummary, before: RunSummary | None) -> str:
    """What of *run* was sent since *before* without an answer that came."""
    was, was_cost = (0, 0) if before is None else (before.possibly, before.possibly_cost)
    n = run.possibly - was
    return f"; {possibly(n, Nanos(max(0, run.possibly_cost - was_cost)))}" if n > 0 else ""


def _done(ended: Ended, code: Exit, runs: Sequence[RunSummary], seconds: float) -> dict[str, Any]:
    return {
        "exit": int(code),
        "message": ended.message,
        "hint": ended.hint,
        "seconds": round(seconds, 1),
        "spent": amount(ended.spent),
        "runs": [_record(run) for run in runs],
    }


def _record(run: RunSummary) -> dict[str, Any]:
    return {
        "id": run.ref,
        "name": run.name,
        "state": run.state.value,
        "counts": {state.value: run.n(state) for state in State if run.n(state)},
        "total": run.total,
        "spent": amount(run.spent),
        "possibly_billed": run.possibly,
        "possibly_billed_cost": amount(run.possibly_cost),
    }
