"""`batchrun watch`: the status, live. It only looks: short reads, nothing held between them; any number may watch."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchrun.cli import options
from batchrun.cli.call import Call
from batchrun.cli.screen import clean
from batchrun.core.figures import dollars, moment
from batchrun.core.job import Millis
from batchrun.core.states import RunState, State
from batchrun.errors import Exit, StoreError
from batchrun.queue.pulse import beats, ended, limits
from batchrun.queue.reading import Reading
from batchrun.queue.rows import RunSummary
from batchrun.queue.story import events
from batchrun.report.rates import WINDOW, History, answers_per_second, lanes

if TYPE_CHECKING:
    from batchrun.cli.board import View

ENDED = 60
EVENTS = 120
"""Attempts and events that one look reads: more than fit on a screen."""

LEAST = 0.2
MOST = 3600.0
"""Seconds between two looks."""


def _seconds(_: click.Context, __: click.Parameter, value: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|)", value.strip())
    seconds = float(found[1]) * {"ms": 0.001, "s": 1.0, "m": 60.0, "": 1.0}[found[2]] if found else 0.0
    if not LEAST <= seconds <= MOST:
        raise click.BadParameter(f"`{value}` is no time from 200ms to 60m")
    return seconds


@options.command("batchrun watch", "batchrun watch nightly --interval 10s", "batchrun watch last | tee watched.log")
@options.optional_run
@click.option(
    "--interval",
    metavar="TIME",
    default="2s",
    callback=_seconds,
    help="Between two looks: 500ms, 2s, 1m.  [default: 2s]",
)
def watch(call: Call, run: str | None, interval: float) -> Exit:
    """Show the same as status, live: how far each run is, what it takes against the limits, what just happened.

    Without RUN every run that is not done. q or Ctrl-C leaves. It reads the database and nothing else: the worker may
    be in another terminal, and any number may watch.

    Where stdout is no terminal it writes a line for each run at each interval, and ends when nothing is left to do.
    """
    watching = _Watching(call, run)
    if call.screen.tty:
        from batchrun.cli.live import live

        return live(call.screen, watching.view, interval)
    return _plain(call, watching, interval)


class _Watching:
    """Looks again and again; remembers what it saw of the last minutes, so that each look reads little."""

    def __init__(self, call: Call, ref: str | None) -> None:
        self._call, self._ref = call, ref
        self._history = History()
        self._shown: set[int] = set()  # a run that ends while somebody watches does not vanish
        self._lane_of = _pools(call)
        self._last: View | None = None

    def view(self) -> View:
        """What is found now; while the database is busy the last view, and why. Raises what the first look raises."""
        from dataclasses import replace

        try:
            with self._call.reading() as reading:
                self._last = self._look(reading)
        except StoreError as error:
            if self._last is None:
                raise
            self._last = replace(self._last, now=self._call.now, trouble=error.message)
        return self._last

    def _look(self, reading: Reading) -> View:
        from batchrun.cli.board import View

        now = self._call.now
        seen = reading.overview()
        runs = (reading.run(self._ref),) if self._ref is not None else self._open(seen.runs)
        only = runs[0].id if self._ref is not None else None
        self._history.add(now, *beats(reading, self._history.since(now)))
        return View(
            now=now,
            database=reading.place if reading.on_server else _short(reading.path),
            seen=seen,
            runs=runs,
            lanes=lanes(self._history, limits(reading), self._lane_of, now),
            speeds={run.id: answers_per_second(self._history, run.id, now) for run in runs},
            ended=[one for one in ended(reading, ENDED, only) if one.at > now - WINDOW],
            events=list(events(reading, only, last=EVENTS)),
            typed=self._call.typed,
        )

    def _open(self, runs: tuple[RunSummary, ...]) -> tuple[RunSummary, ...]:
        """Those that are not done, and those that were not when they were first seen; else the newest."""
        self._shown.update(run.id for run in runs if run.left and run.state is not RunState.DONE)
        return tuple(run for run in runs if run.id in self._shown) or runs[:1]


def _pools(call: Call) -> Callable[[str], str]:
    return call.settings.tables().limits.lane_of


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _plain(call: Call, watching: _Watching, interval: float) -> Exit:
    """For logs and pipes."""
    screen = call.screen
    while True:
        view = watching.view()
        if view.trouble:
            screen.warn(clean(view.trouble))
        else:
            for run in view.runs:
                screen.line(_line(view, run))
            screen.out.flush()
            if not any(run.left and run.state is not RunState.CANCELLED for run in view.runs):
                return Exit.OK
        time.sleep(interval)


def _line(view: View, run: RunSummary) -> str:
    speed = view.speeds.get(run.id, 0.0)
    facts = {
        "run": clean(run.name),
        "done": run.n(State.SUCCEEDED),
        "sent": run.sent,
        "waiting": run.n(State.WAITING),
        "queued": run.n(State.QUEUED),
        "failed": run.n(State.FAILED),
        "total": run.total,
        "cost": dollars(run.spent),
        "per_minute": round(60 * speed),
        "batches_out": sum(row.batch.run == run.id for row in view.seen.batches),
        "paused": sum(pause.subject == str(run.id) for pause in view.seen.pauses if pause.scope == "run"),
    }
    return f"{moment(Millis(view.now))} {' '.join(f'{name}={value}' for name, value in facts.items())}"
