"""`batchrun status`: where every job is. Imports only what it draws with: it must start at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from batchrun.cli import options
from batchrun.cli.call import Call
from batchrun.cli.flow import advice, flow, items, words
from batchrun.cli.output import Format, amount, at, chosen, document, rows
from batchrun.cli.screen import Mark, Screen, Tone, clean
from batchrun.cli.verdict import verdict
from batchrun.core.choice import Mode
from batchrun.core.figures import count, hour
from batchrun.core.job import Millis
from batchrun.core.pause import Pause, PauseScope
from batchrun.core.settling import decided_by
from batchrun.core.states import RunState, State
from batchrun.errors import Exit, UsageError
from batchrun.queue.attendance import last_worked
from batchrun.queue.batchlist import held_for, rewound
from batchrun.queue.batchrows import BatchRow
from batchrun.queue.reading import NoQueue, Reading
from batchrun.queue.rows import Overview, RunSummary, WorkerRow
from batchrun.report import batches, summary
from batchrun.report.cures import typed_in, word

COUNTED = 500
"""Failed jobs up to which a status counts their classes; of more it only names them."""

NAMED = 4
BAR = 32

STATES = ("queued", "sent", "waiting", "succeeded", "failed", "cancelled", "held", "blocked")
COLUMNS = ("id", "name", "state", "mode", "total", *STATES, "spent", "max_cost", "created", "deadline", "doing")
"""Of a row for each run, where nobody looks."""


@options.command(
    "batchrun status",
    "batchrun status nightly",
    "batchrun status --json | jq '.runs[0].counts'",
    "batchrun status --check --stale 2h --quiet || mail -s 'batchrun is stuck' me",
)
@options.optional_run
@click.option("--all", "every", is_flag=True, help="Every run, not only the newest and those that are not done.")
@click.option("--check", is_flag=True, help="Exit with 8 while jobs are left, with 1 if some failed.")
@click.option(
    "--stale",
    metavar="TIME",
    help="With --check: jobs that are left are fine, unless nobody has worked on them for so long (90m, 2h).",
)
@options.formats(Format.TEXT, Format.TABLE, Format.JSON, Format.JSONL, Format.CSV, Format.TSV, Format.MD)
def status(
    call: Call,
    run: str | None,
    every: bool,
    check: bool,
    stale: str | None,
    format: Format | None,  # noqa: A002  # the flag's name
) -> Exit:
    """Show where every job is: how far each run is, what it cost, who works on it, what is paused.

    Without RUN every run that is not done and the newest others. Into a pipe a row for each run; --json has all. With
    --check and --quiet it says nothing when all is well, and else what is not, in a line.
    """
    if stale is not None and not check:
        raise UsageError("`--stale` says when a check finds fault", hint="add --check")
    patience = options.seconds("--stale", stale)
    form = chosen(format, call.screen, person=Format.TEXT)
    silent = check and call.screen.quiet
    try:
        with call.reading() as reading:
            seen = reading.overview(every=every)
            runs = seen.runs if run is None else (reading.run(run),)
            match form:
                case Format.JSON:
                    since = at(rewound(reading))
                    document(call.screen, "status", _record(call, seen, runs) | {"rewound": since})
                case Format.TEXT if not silent:
                    _Drawing(call, reading, seen).draw(runs, alone=run is not None)
                case _ if not silent:
                    found = (_row(one, seen, call.now) for one in runs)
                    rows(call.screen, form, "runs", found, columns=COLUMNS, right=("total", *STATES))
                case _:
                    pass
            worked = last_worked(reading) if patience is not None and not seen.workers else None
    except NoQueue as none:
        if check or run is not None or call.flags.db is not None:
            raise
        if form is Format.JSON:
            document(call.screen, "status", _record(call, None, ()))
        elif form is not Format.TEXT:
            call.screen.say(f"No queue here yet: {none.hint}")
        else:
            call.screen.line("No queue here yet.")
            call.screen.say(none.hint)
        return Exit.OK
    if not check:
        return Exit.OK
    return verdict(call, seen, runs, patience, worked)


class _Drawing:
    """One status on the screen: the run in question in full, the others a line each, then what goes for all."""

    def __init__(self, call: Call, reading: Reading, seen: Overview) -> None:
        self.screen: Screen = call.screen
        self.typed = call.typed
        self.now: Millis = call.now
        self.reading = reading
        self.seen = seen
        self.speeds = reading.speeds(self.now) if seen.workers else {}

    def draw(self, runs: Sequence[RunSummary], *, alone: bool) -> None:
        if not runs:
            self.screen.line("No runs yet.")
            self.screen.say("`batchrun submit FILE` makes one")
            return
        first = next((run for run in runs if run.state is not RunState.DONE), runs[0])
        self._full(first)
        others = [run for run in runs if run is not first]
        if others:
            self.screen.line()
            self._lines(others)
        self._pauses([first, *others])
        self._rewound()
        self._next(first, alone=alone)

    def _full(self, run: RunSummary) -> None:
        screen = self.screen
        name = screen.style(clean(run.name), Tone.BOLD)
        times, money = summary.times(run, self.now), summary.money(run)
        flow(screen, [name, f"  {run.ref}  {run.mode}", f"  {times}", *items(f"   {money}")])
        if run.left and run.mode != Mode.REALTIME:
            flow(screen, words(_way(run, self.now)))
        if run.left and run.hours not in {None, "always"}:
            flow(screen, words(clean(f"sent {run.hours}")))
        screen.line()
        share = run.finished / run.total if run.total else 1.0
        bar = screen.bar(share, min(BAR, screen.width), started=run.sent / run.total if run.total else 0.0)
        far, *facts = summary.progress(run, self.speeds.get(run.id))
        flow(screen, [bar, f"  {far}", *(f"   {fact}" for fact in facts)], indent=0)
        screen.line()
        held = held_for(self.reading, run.id) if run.n(State.HELD) else frozenset()
        for line in summary.lines(run, self.seen, errors=self._errors(run), held=held, now=self.now):
            number = screen.style(f"{line.n:>10,}", *_tone(line.state))
            part = items if line.state is State.FAILED else words
            note = part(f"   {clean(line.note)}") if line.note else ()
            command = [f"   {self._command(line.command)}"] if line.command else []
            flow(screen, [f"{line.label:<12}{number}", *note, *command])
        for alert in batches.alerts(summary.of_run(run, self.seen), self.now):
            command = [f"   {self._command(alert.command)}"] if alert.command else []
            flow(screen, [*words(f"{screen.mark(Mark.WARN)} {clean(alert.text)}"), *command])
        if run.possibly:
            screen.line()
            flow(screen, words(_capital(summary.possibly(run.possibly, run.possibly_cost))))

    def _command(self, command: str) -> str:
        return self.screen.style(clean(self.typed(command)), Tone.HINT) if command else ""

    def _errors(self, run: RunSummary) -> Sequence[tuple[str, int | None]]:
        """Counted as long as that is cheap: a status costs the same however many jobs failed."""
        if not run.n(State.FAILED):
            return []
        if run.n(State.FAILED, State.HELD) <= COUNTED:
            return self.reading.error_classes(run.id)[:NAMED]
        return [(name, None) for name in self.reading.error_names(run.id, NAMED)]

    def _lines(self, runs: Sequence[RunSummary]) -> None:
        names = [clean(run.name) for run in runs]
        wide = min(max(map(len, names)), 30)
        for run, name in zip(runs, names, strict=True):
            doing = summary.doing(run, self.seen, self.now)
            parts = [
                f"{name:<{wide}}",
                f"  {run.ref:<5}",
                f"  {run.mode:<8}",
                f"  {run.finished:>9,} / {run.total:<9,}",
                f"  {doing.words}",
                *([f"  {run.n(State.FAILED):,} failed"] if run.n(State.FAILED) else []),
                *([f"  {self._command(doing.command)}"] if doing.command else []),
            ]
            flow(self.screen, parts)

    def _pauses(self, runs: Sequence[RunSummary]) -> None:
        for pause in self.seen.pauses:
            what, cure = summary.pause_line(pause, runs, self.now)
            self.screen.line()
            flow(self.screen, words(f"{self.screen.mark(Mark.WARN)} {clean(what)}"))
            flow(self.screen, advice(f"  {clean(typed_in(cure, self.typed))}"))

    def _rewound(self) -> None:
        since = rewound(self.reading)
        if since is None:
            return
        self.screen.line()
        what = f"this queue was restored from a backup at {hour(since, self.now)}: nothing is sent until it is known"
        flow(self.screen, words(f"{self.screen.mark(Mark.WARN)} {what} what was bought since"))
        flow(self.screen, ["  To find out:", f" {self._command('batchrun run')}"])

    def _next(self, run: RunSummary, *, alone: bool) -> None:
        screen = self.screen
        screen.line()
        for worker in self.seen.workers:
            who = f"Worked on by pid {worker.pid} on {clean(worker.host)} since {hour(worker.started, self.now)}"
            flow(screen, [*words(who), f" ({clean(worker.command)})."])
        if self.seen.older and not alone:
            flow(screen, [f"{count(self.seen.older, 'older run')}:", f" {self._command('batchrun status --all')}"])
        doing = summary.doing(run, self.seen, self.now)
        name = word(run.name)
        if run.state is RunState.DONE or (run.state is RunState.OPEN and not run.left):
            look, take = (self._command(f"batchrun {one}") for one in (f"results {name}", f"export {name} -o FILE"))
            flow(screen, [f"Look: {look}", f"   Take away: {take}"], indent=0)
        elif summary.pause_of(run, self.seen.pauses):
            flow(screen, ["To go on at once:", f" {self._command('batchrun resume')}"])
        elif doing.command:
            flow(screen, [f"{_capital(doing.words)}:", f" {self._command(doing.command)}"])
        elif not self.seen.workers:
            screen.line(_capital(doing.words))


def _way(run: RunSummary, now: Millis) -> str:
    """`in batches: half the price, and there is no deadline`"""
    mode, why = summary.way(run, now)
    return why if mode is None else f"{'in batches' if mode is Mode.BATCH else 'realtime'}: {why}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _tone(state: State) -> tuple[Tone, ...]:
    match state:
        case State.SUCCEEDED:
            return (Tone.GOOD,)
        case State.FAILED | State.HELD:
            return (Tone.BAD,)
        case _:
            return ()


def _record(call: Call, seen: Overview | None, runs: Sequence[RunSummary]) -> dict[str, Any]:
    return {
        "database": call.settings.db,
        "at": at(call.now),
        "runs": [_run(run, seen, call.now) for run in runs] if seen else [],
        "pauses": [_pause(pause) for pause in seen.pauses] if seen else [],
        "workers": [_worker(worker) for worker in seen.workers] if seen else [],
        "next_due": at(seen.next_due) if seen else None,
        "older": seen.older if seen else 0,
    }


def _run(run: RunSummary, seen: Overview, now: Millis) -> dict[str, Any]:
    way, why = summary.way(run, now)
    return {
        "id": run.ref,
        "name": run.name,
        "state": run.state.value,
        "mode": run.mode,
        "counts": {
            "queued": run.n(State.QUEUED),
            "sent": run.sent,
            "waiting": run.n(State.WAITING),
            "succeeded": run.n(State.SUCCEEDED),
            "failed": run.n(State.FAILED),
            "cancelled": run.n(State.CANCELLED),
            "held": run.n(State.HELD),
            "blocked": run.n(State.BLOCKED),
        },
        "total": run.total,
        "spent": amount(run.spent),
        "possibly_billed": run.possibly,
        "possibly_billed_cost": amount(run.possibly_cost),
        "reserved": amount(run.reserved),
        "max_cost": amount(run.budget),
        "account": run.account_label or run.account_name or None,
        "files": list(run.sources),
        "created": at(run.created),
        "deadline": at(run.deadline),
        "hours": run.hours,
        "hours_open": at(summary.opening(run, now)),
        "done": at(run.done),
        "cancelled": at(run.cancelled),
        "way": None if way is None else way.value,
        "way_why": why,
        "batches": [_batch(row) for row in summary.of_run(run, seen)],
    }


def _row(run: RunSummary, seen: Overview, now: Millis) -> dict[str, Any]:
    record = _run(run, seen, now)
    return {**record, **record["counts"], "doing": summary.doing(run, seen, now).words}


def _batch(row: BatchRow) -> dict[str, Any]:
    return {
        "id": batches.ref(row),
        "state": row.batch.state.value,
        "standing": batches.word(row),
        "remote_id": row.batch.remote,
        "jobs": row.batch.n,
        "since": at(row.since),
        "until": at(row.batch.expires),
        "decided_at_earliest": at(decided_by(row.batch)) if batches.is_unclear(row) else None,
        "cancel": None if row.batch.cancel is None else row.batch.cancel.value,
    }


def _pause(pause: Pause) -> dict[str, Any]:
    return {
        "scope": pause.scope.value,
        "run": f"r-{pause.subject}" if pause.scope is PauseScope.RUN else None,
        "model": pause.subject.partition(":")[2] if pause.scope is PauseScope.MODEL else None,
        "reason": pause.reason,
        "message": pause.message,
        "since": at(pause.since),
        "until": at(pause.until),
        "next_probe": at(pause.next_probe()),
    }


def _worker(worker: WorkerRow) -> dict[str, Any]:
    return {"pid": worker.pid, "host": worker.host, "command": worker.command, "started": at(worker.started)}
